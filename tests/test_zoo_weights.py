"""The zoo's weights: published, from a folder, or drawn by chance; what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from lpcv.cli import run as run_cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, UnreachableError
from lpcv.files import read_json, write_json
from lpcv.train import hub_weights as hub_weights_module
from lpcv.train.hub_weights import weights_sha256
from lpcv.train.zoo import weights as weights_module
from lpcv.train.zoo.variants import ZOO
from lpcv.train.zoo.weights import load_weights
from zoo_bench import answer, metric, relative, tiny_config, variant  # noqa: F401 (fixtures)


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
