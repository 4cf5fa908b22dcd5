"""`lpcv zoo` and `lpcv zoo build`: the file, what `lpcv check` says of it, and what is typed wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from lpcv.cli import run as run_cli
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.files import read_json
from lpcv.submission.check.preflight import check_model
from lpcv.submission.export import Parity, demand_parity
from lpcv.submission.zoo.build import metadata_of
from lpcv.train.zoo import variants as variants_module
from lpcv.train.zoo import weights as weights_module
from lpcv.train.zoo.variants import LICENCE_KEY, RANDOM_WEIGHTS_KEY, WEIGHTS_KEY, ZOO
from lpcv.train.zoo.weights import Origin, load_weights
from onnx import helper
from zoo_bench import saved, tiny_config, variant


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
