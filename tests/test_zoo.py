"""The zoo's networks: what each choice computes, on a tiny Depth Anything of the same classes from a local folder."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from lpcv.cli import run as run_cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError, UnknownNameError, UnreachableError
from lpcv.files import read_json, write_json
from lpcv.submission.check.preflight import check_model
from lpcv.submission.export import Parity, demand_parity
from lpcv.submission.wrapper import WrappedModel
from lpcv.submission.zoo.build import metadata_of
from lpcv.train import hub_weights as hub_weights_module
from lpcv.train.hub_weights import weights_sha256
from lpcv.train.zoo import variants as variants_module
from lpcv.train.zoo import weights as weights_module
from lpcv.train.zoo.network import BatchNormRgb, Emitting, Flipped, Stretched, ZooModel, fix_positions
from lpcv.train.zoo.variants import (
    LICENCE_KEY,
    RANDOM_WEIGHTS_KEY,
    WEIGHTS_KEY,
    ZOO,
    Published,
    Variant,
    variant_of,
    variants_of,
)
from lpcv.train.zoo.weights import Origin, enliven, load_weights, small_config
from onnx import helper
from transformers import AutoModelForDepthEstimation, DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

NOBODY = Published("this test", "this test")


def variant(**choices: object) -> Variant:
    plain = Variant(
        "mine", 112, "metric", "depth / max_depth", False, "stock", "subtract-divide", NOBODY, "nothing"
    )  # fmt: skip
    return replace(plain, **choices)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric Depth Anything of 0.1 M parameters, 10 m, whose answers vary; as `save_pretrained` leaves it."""
    return saved(tmp_path_factory.mktemp("zoo") / "metric", "metric")


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("zoo") / "relative", "relative")


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(1)
    model = DepthAnythingForDepthEstimation(tiny_config(kind))
    enliven(model)
    model.save_pretrained(folder)
    return folder


def tiny_config(kind: str) -> DepthAnythingConfig:
    """Two layers of width 32: an export takes as long as there are nodes."""
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=112, patch_size=14,
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    backbone.set_output_features_output_indices(out_features=["stage1", "stage2"], out_indices=None)
    return DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=32, reassemble_factors=[4, 2],
        neck_hidden_sizes=[24, 32], fusion_hidden_size=32, head_hidden_size=16, depth_estimation_type=kind,
        max_depth=10,
    )  # fmt: skip


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).uniform(0, 255, CONTRACT.input_shape).astype(np.float32))


@torch.inference_mode()
def answer(folder: Path, picture: torch.Tensor, **choices: object) -> torch.Tensor:
    """(1, 1, 480, 640) of a variant with these choices."""
    chosen = variant(**choices)
    return ZooModel(chosen, load_weights(chosen, str(folder))[0])(picture)


def library(folder: Path) -> DepthAnythingForDepthEstimation:
    return AutoModelForDepthEstimation.from_pretrained(folder).eval()


# What is in the dictionary


def test_the_published_numbers_are_those_of_the_competitions_table() -> None:
    """device: "" where none was named."""
    told = {
        one.name: (one.size, one.published.f_score, one.published.latency_ms, one.published.device)
        for one in ZOO.values()
    }
    s24, qrd = "Samsung Galaxy S24 (Family)", "Snapdragon 8 Elite QRD"
    assert told == {
        "baseline": (518, None, 241.8, s24),
        "baseline-inverted": (518, None, None, ""),
        "third-first-try": (350, 71.67, 26.7, ""),
        "third": (336, 79.16, 33.1, ""),
        "second": (350, None, 28.6, qrd),
        "second-stock-attention": (350, None, 56.5, qrd),
        "second-subtract-divide": (350, None, 29.4, qrd),
        "second-one-pass": (350, None, None, ""),
        "second-518": (518, None, 88.9, qrd),
    }


def test_what_is_compared_differs_in_one_choice_alone() -> None:
    second = ZOO["second"].as_json()
    for name, key in {
        "second-stock-attention": "heads", "second-subtract-divide": "normalisation", "second-one-pass": "flip",
        "second-518": "size",
    }.items():  # fmt: skip
        other = ZOO[name].as_json()
        changed = {one for one in second if second[one] != other[one]}
        assert changed == {key, "name", "published", "teaches"}, name


@pytest.mark.parametrize(
    ("choices", "said"),
    [({"size": 350 + 1}, "multiple of 14"), ({"output": "min-max"}, "metric weights"), ({"size": 0}, "multiple")],
)
def test_a_variant_that_cannot_be_is_refused(choices: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        variant(**choices)


def test_an_unknown_name_gets_the_nearest_and_a_repeated_one_a_sentence() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'baseline'"):
        variant_of("basline")
    with pytest.raises(InputError, match="given twice"):
        variants_of(("third", "third"))
    assert [one.name for one in variants_of(("third", "baseline"))] == ["third", "baseline"]
    assert variants_of(()) == list(ZOO.values())


def test_the_small_configuration_is_the_published_one() -> None:
    with torch.device("meta"):
        model = DepthAnythingForDepthEstimation(small_config("metric"))
    # 24.8 M in Depth Anything V2's table; 24,785,089 is the published Small's number of weights.
    assert sum(one.numel() for one in model.parameters()) == 24_785_089
    assert model.backbone.embeddings.position_embeddings.shape == (1, 37 * 37 + 1, 384)


# What each choice computes


def test_metric_is_the_librarys_depth_over_its_range(metric: Path, picture: torch.Tensor) -> None:
    """Against the library itself, with its own attention and its own resizing of the positions for each picture."""

    class Library(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return network(pixel_values=image).predicted_depth[:, None] / 10

    network = library(metric)
    with torch.inference_mode():
        wanted = WrappedModel(Library(), (154, 154)).eval()(picture)
    torch.testing.assert_close(answer(metric, picture, size=154), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_split_heads_are_the_stock_ones(metric: Path, picture: torch.Tensor, flip: bool) -> None:
    stock, split = (answer(metric, picture, heads=heads, flip=flip) for heads in ("stock", "split"))
    assert float((stock - split).abs().max()) <= 1e-5
    assert float(stock.std()) > 1e-3  # a constant would be equal, too


@pytest.mark.parametrize("heads", ["stock", "split"])
def test_attention_is_the_librarys_own(metric: Path, heads: str) -> None:
    """On sharp attention: the tiny model's own is nearly even, and would hide a wrong scale."""
    made: dict[str, torch.Tensor] = {}
    for name in ("eager", "lpcv_heads_together" if heads == "stock" else "lpcv_heads_apart"):
        network = library(metric)
        network.set_attn_implementation(name)
        layer = network.backbone.encoder.layer[0].attention
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_()
            made[name] = layer(torch.randn(2, 65, 32))[0]
    eager, mine = made.values()
    torch.testing.assert_close(mine, eager, rtol=1e-5, atol=1e-4)


def test_batchnorm_is_subtracting_and_dividing(metric: Path, picture: torch.Tensor) -> None:
    plain, folded = (
        answer(metric, picture, normalisation=one) for one in ("subtract-divide", "batchnorm")
    )  # fmt: skip
    assert float((plain - folded).abs().max()) <= 1e-5
    front = BatchNormRgb(torch.nn.Identity(), (640, 480)).eval()
    white = front(torch.full(CONTRACT.input_shape, 255.0))[0, :, 0, 0]
    torch.testing.assert_close(white, torch.tensor([2.2489, 2.4286, 2.6400]), rtol=0, atol=1e-4)  # ImageNet's


def test_mirrored_is_the_mean_of_both_answers() -> None:
    """The network answers the left neighbour, so that mirroring matters; literal and by definition."""
    shifted = Flipped(torch.nn.ZeroPad2d((1, -1, 0, 0)))
    row = torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]])
    assert shifted(row).flatten().tolist() == [1.0, 2.5, 5.0, 2.0]


def test_a_mirrored_picture_gets_the_mirrored_answer(metric: Path, picture: torch.Tensor) -> None:
    plain, mirrored = (answer(metric, one, flip=True) for one in (picture, picture.flip(-1)))
    torch.testing.assert_close(mirrored.flip(-1), plain, rtol=0, atol=5e-5)
    alone, other = (answer(metric, one) for one in (picture, picture.flip(-1)))
    assert float((other.flip(-1) - alone).abs().max()) > 1e-3  # not so without averaging
    torch.testing.assert_close(plain, (alone + other.flip(-1)) / 2, rtol=0, atol=5e-5)


@pytest.mark.parametrize("output", ["min-max", "1 - min-max"])
def test_stretching_reaches_both_ends_and_inverts(output: str) -> None:
    ramp = torch.linspace(3, 7, 480 * 640).view(1, 1, 480, 640)
    found = Stretched(torch.nn.Identity(), output)(ramp).flatten()  # type: ignore[arg-type]
    ends = (float(found[0]), float(found[-1]))
    assert ends == ((0.0, 1.0) if output == "min-max" else (1.0, 0.0))
    torch.testing.assert_close(found[120 * 640], torch.tensor(0.25 if output == "min-max" else 0.75), atol=1e-4, rtol=0)
    constant = Stretched(torch.nn.Identity(), output)(torch.full((1, 1, 480, 640), 5.0))  # type: ignore[arg-type]
    assert torch.isfinite(constant).all()


def test_positions_are_resized_once_as_the_library_does(metric: Path) -> None:
    network, untouched = library(metric), library(metric)
    tokens = torch.zeros(1, 11 * 11 + 1, 32)
    wanted = untouched.backbone.embeddings.interpolate_pos_encoding(tokens, 154, 154)
    fix_positions(network, 154)
    embeddings = network.backbone.embeddings
    assert embeddings.position_embeddings.shape == (1, 122, 32)
    torch.testing.assert_close(embeddings.position_embeddings, wanted, rtol=0, atol=0)
    # What stays in the graph is the constant itself.
    assert embeddings.interpolate_pos_encoding(tokens, 154, 154) is embeddings.position_embeddings


def test_relative_emits_as_the_library_and_metric_divides(metric: Path, relative: Path) -> None:
    image = torch.randn(1, 3, 112, 112)
    with torch.inference_mode():
        for folder, most in ((metric, 10.0), (relative, 1.0)):
            network = library(folder)
            wanted = network(pixel_values=image).predicted_depth[:, None] / most
            torch.testing.assert_close(Emitting(network)(image), wanted)


# Weights


def test_random_weights_are_the_same_every_time_and_leave_chance_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "small_config", tiny_config)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second = (load_weights(variant(), "random")[1] for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert first == second
    assert (first.source, first.licence, first.seed) == ("random", "none: random weights", 0)


def test_weights_of_the_other_kind_are_refused(metric: Path, relative: Path) -> None:
    with pytest.raises(InputError, match="is metric, and baseline needs relative weights"):
        load_weights(ZOO["baseline"], str(metric))
    with pytest.raises(InputError, match="is relative, and third needs metric weights"):
        load_weights(ZOO["third"], str(relative))


def test_another_width_is_said_and_the_folders_path_is_kept_out(
    metric: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, origin = load_weights(ZOO["third"], str(metric))
    assert "is no Small: width, layers and heads are (32, 2, 4), not (384, 12, 6)" in capsys.readouterr().err
    assert (origin.source, origin.licence, origin.seed) == ("metric", "unknown", None)
    assert origin.sha256 == weights_sha256(model.state_dict())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patch_size": 16}, "patches of 16"),
        ({"max_depth": None}, "names no max_depth"),
        ({"model_type": "dpt"}, "is a 'dpt' model"),
        ({"model_type": "nonsense"}, "is no Depth Anything"),
    ],
)
def test_another_networks_folder_is_refused(metric: Path, tmp_path: Path, change: dict[str, object], said: str) -> None:
    write_json(tmp_path / "config.json", {**read_json(metric / "config.json"), **change})
    (tmp_path / "model.safetensors").write_bytes((metric / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=said):
        load_weights(ZOO["third"], str(tmp_path))


def test_a_relative_config_without_max_depth_computes(relative: Path, tmp_path: Path) -> None:
    """The published relative ones say null, and the library multiplies with it."""
    write_json(tmp_path / "config.json", {**read_json(relative / "config.json"), "max_depth": None})
    (tmp_path / "model.safetensors").write_bytes((relative / "model.safetensors").read_bytes())
    found = answer(tmp_path, torch.rand(CONTRACT.input_shape) * 255, kind="relative", output="min-max")
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)


def test_missing_and_pickled_weights_are_refused(metric: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_bytes((metric / "config.json").read_bytes())
    with pytest.raises(InputError, match="is no Depth Anything"):
        load_weights(ZOO["third"], str(tmp_path))
    state = load_file(metric / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="is no Depth Anything"):
        load_weights(ZOO["third"], str(tmp_path))
    del state["head.conv3.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of its weights, the first is head.conv3.weight"):
        load_weights(ZOO["third"], str(tmp_path))


def test_offline_the_remedy_names_a_folder_and_random(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr(hub_weights_module.AutoConfig, "from_pretrained", offline)
    with pytest.raises(UnreachableError) as raised:
        load_weights(ZOO["third"])
    said = str(raised.value)
    assert "Depth-Anything-V2-Metric-Indoor-Small-hf cannot be fetched (We couldn't connect to the hub)" in said
    assert "--weights teachers/Depth-Anything-V2-Metric-Indoor-Small-hf" in said
    assert "--weights random" in said


@pytest.mark.parametrize("choice", ["no/such/folder", "./nofolder", "../x", "-x/y", "x/.y", "baseline"])
def test_what_is_neither_folder_nor_id_is_refused(choice: str) -> None:
    with pytest.raises(InputError, match="neither a folder, a hub id nor 'random'"):
        load_weights(ZOO["third"], choice)


def test_code_beside_the_weights_is_never_run_nor_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, witness = tmp_path / "planted", tmp_path / "witness"
    write_json(folder / "config.json", {"model_type": "foo", "auto_map": {"AutoConfig": "x.Foo"}})
    (folder / "x.py").write_text(f"open({str(witness)!r}, 'w').close()")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\n"))
    words = ["zoo", "build", "third", "--weights", str(folder), "--out", str(tmp_path / "third.onnx")]
    assert run_cli(words) == 2
    assert not witness.exists()
    assert "code in it is never run" in capsys.readouterr().err


# The command line


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stretched, with BatchNorm, small and with tiny weights, of a folder called "random", built by the command."""
    folder = tmp_path_factory.mktemp("zoo")
    weights = saved(folder / "random", "relative")
    (weights / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\nMade by this test.\n")
    out = folder / "out" / "small.onnx"
    out.parent.mkdir()
    small = variant(
        name="small", kind="relative", output="min-max", normalisation="batchnorm"
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants_module, "ZOO", {"small": small})
        patch.chdir(folder)
        assert run_cli(["zoo", "build", "small", "--weights", "./random", "--out", str(out)]) == 0
    return out


def test_build_writes_one_static_file_with_its_origin(built: Path) -> None:
    assert [path.name for path in built.parent.iterdir()] == ["small.onnx"]
    model = onnx.load(built)
    told = {one.key: one.value for one in model.metadata_props}
    assert (told["zoo"], told[WEIGHTS_KEY], told[LICENCE_KEY]) == ("small", "random", "cc-by-nc-4.0")
    assert RANDOM_WEIGHTS_KEY not in told
    assert {"lpcv_version", "torch_version", "transformers_version", "weights_sha256"} <= set(told)
    assert str(built.parent.parent).encode() not in built.read_bytes()
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"Shape", "Where", "IsNaN", "Expand", "ConstantOfShape", "Range", "If", "Loop"}
    assert {"BatchNormalization", "ReduceMin"} <= operators
    assert sum(node.op_type == "Softmax" for node in model.graph.node) == 2  # one for each layer
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    modes = {one.s for node in resizes for one in node.attribute if one.name == "mode"}
    assert modes == {b"linear"}  # no cubic one: the position embeddings are a constant


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Two of noise, without truth."""
    root = tmp_path_factory.mktemp("frames")
    for index in range(2):
        noise = np.random.default_rng(index).integers(0, 256, (480, 640, 3), np.uint8)
        write_png(root / "image" / f"{index:04}.png", noise)
    return open_folder(root)


def test_what_differs_from_torch_is_not_written() -> None:
    demand_parity(Parity(0, 2, 1e-3), "It", 1e-3)
    for largest in (2e-3, float("nan")):
        with pytest.raises(InputError, match=r"It differs from torch by .*, more than 0.001. Nothing was written"):
            demand_parity(Parity(0, 2, largest), "It", 1e-3)


def test_trained_weights_are_judged_whatever_their_folder_is_called(built: Path, frames: FrameFolder) -> None:
    found = {one.name: one for one in check_model(built, frames)}
    assert [name for name, one in found.items() if one.state == "fail"] == ["no stretching", "encoder weights licence"]
    assert "has no depth to compare with" in found["depth direction"].found
    licence = found["encoder weights licence"]
    assert licence.found == "cc-by-nc-4.0: random; non-commercial: cc-by-nc-4.0"
    assert "Depth-Anything-V2-Base" in licence.why
    assert found["resize align_corners"].state == "undecided"


def test_weights_that_were_drawn_by_chance_leave_meaning_undecided(
    built: Path, frames: FrameFolder, tmp_path: Path
) -> None:
    drawn = {RANDOM_WEIGHTS_KEY: "seed 0", LICENCE_KEY: "none: random weights"}
    model = onnx.load(built)
    helper.set_model_props(model, drawn)
    onnx.save(model, tmp_path / "random.onnx")
    found = {one.name: one for one in check_model(tmp_path / "random.onnx", frames)}
    assert (found["depth direction"].state, "random weights" in found["depth direction"].found) == ("undecided", True)
    assert [name for name, one in found.items() if one.state == "fail"] == ["no stretching"]
    licence = found["encoder weights licence"]
    assert (licence.state, licence.found) == ("pass", "none: random weights")


def test_only_chance_marks_a_file_as_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the name that a folder or an owner gave."""
    monkeypatch.setattr(weights_module, "small_config", tiny_config)
    origin = load_weights(variant(), "random")[1]
    assert metadata_of(variant(), origin)[RANDOM_WEIGHTS_KEY] == "seed 0"
    assert RANDOM_WEIGHTS_KEY not in metadata_of(variant(), Origin("random", "mit", "0" * 64, 1))


def test_the_list_is_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["zoo", "--json", str(tmp_path / "zoo.json")]) == 0
    said = capsys.readouterr()
    for table in said.out.split("What each teaches"):
        first = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
        assert [name for name in first if name] == list(ZOO)
    words = " ".join(said.out.replace("│", " ").split())
    assert "MEASURED" in words
    assert said.out.count("26.7 (device") == said.out.count("33.1 (device") == 1
    assert "Next: lpcv zoo build" in said.err
    rows = read_json(tmp_path / "zoo.json")
    assert [row["name"] for row in rows] == list(ZOO)
    assert rows[3]["published"]["f_score"] == 79.16


def test_wrong_words_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.onnx")
    assert run_cli(["zoo", "build", "thrid", "--out", out]) == 2
    assert "Did you mean 'third'" in capsys.readouterr().err
    assert run_cli(["zoo", "build", "third", "--weights", "random", "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert run_cli(["zoo", "--json", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "is a folder" in said.err
    assert not said.out
    assert run_cli(["zoo", "build", "third", "--weights", "random", "--out", str(tmp_path / "x.txt")]) == 2
    assert "does not end in .onnx" in capsys.readouterr().err
    assert run_cli(["zoo", "--json", out, "build", "third", "--out", out]) == 2
    assert run_cli(["zoo", "build", "third", "--weights", "no/such/folder", "--out", out]) == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_called_random_is_not_taken_for_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").mkdir()
    assert run_cli(["zoo", "build", "third", "--weights", "random", "--out", "x.onnx"]) == 2
    assert "type ./random" in capsys.readouterr().err


def test_the_list_appears_without_torch() -> None:
    program = (
        "import sys; from lpcv.cli import run; code = run(['zoo']); "
        "sys.exit(code or 3 * bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
