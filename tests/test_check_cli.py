"""`lpcv check` as it is typed: what is refused before anything is run, what is written, and in which order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from check_models import near
from lpcv.cli import run
from lpcv.data.folder import FrameFolder
from lpcv.errors import InputError
from lpcv.submission.check import picture
from lpcv.submission.check.outputs import demand_nothing_lost
from meaning_models import recogniser, relative, scene, write_scenes


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    return write_scenes(tmp_path_factory.mktemp("frames"), [scene(seed) for seed in range(3)])


@pytest.fixture(scope="module")
def inverse(frames: FrameFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    maps = [near(one) for one in relative([scene(seed) for seed in range(3)])]
    return recogniser(tmp_path_factory.mktemp("model") / "model.onnx", frames, maps)


@pytest.fixture
def mine(inverse: Path, tmp_path: Path) -> Path:
    """A run folder with everything that a result could be written over."""
    root = tmp_path / "runs" / "mine"
    (root / "checkpoints" / "best").mkdir(parents=True)
    shutil.copy(inverse, root / "model.onnx")
    for name in ("config.json", "score.json", "metrics.jsonl", "checkpoints/best/config.json"):
        (root / name).write_text("{}")
    (root / "curve.png").write_bytes(b"png")
    return root


def told(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("name", ["model.onnx", "config.json", "score.json", "metrics.jsonl",
                                  "checkpoints/best/config.json", "../mine/config.json"])  # fmt: skip
def test_json_over_a_file_of_the_run_is_refused(name: str, mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (mine / name).read_bytes()
    assert run(["check", str(mine / "model.onnx"), "--json", str(mine / name)]) == 2
    assert "which is read here" in told(capfd)
    assert (mine / name).read_bytes() == before


def test_a_picture_over_a_file_of_the_run_or_of_the_data_is_refused(
    mine: Path, frames: FrameFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = next(iter(frames.images.values()))
    before = photo.read_bytes()
    for target in (mine / "curve.png", photo):
        command = ["check", str(mine / "model.onnx"), "--data", str(frames.root), "--picture", str(target)]
        assert run(command) == 2
        assert "which is read here" in told(capfd)
    assert photo.read_bytes() == before


def test_a_link_to_the_model_and_weights_beside_it_are_refused(
    inverse: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.json").symlink_to(inverse)
    (tmp_path / "weights.bin").write_bytes(b"w")
    for name, why in (("link.json", "which is read here"), ("weights.bin", "it would be lost")):
        assert run(["check", str(inverse), "--json", str(tmp_path / name)]) == 2
        assert why in told(capfd)


def test_a_result_of_an_earlier_check_may_be_written_again(mine: Path) -> None:
    own = mine / "check.json"
    own.write_text(json.dumps({"findings": [], "model_sha256": "0"}))
    (mine / "check.png").write_bytes(b"png")
    demand_nothing_lost({"--json": own, "--picture": mine / "check.png"}, mine / "model.onnx", None)
    demand_nothing_lost({"--json": mine / "new.json"}, mine / "model.onnx", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--frames", "0000-0001"], "Add --data DIR"),
        (["--device", "Samsung Galaxy S42"], "`lpcv devices` lists all"),
        (["--data", "FRAMES", "--json", "x.png", "--picture", "x.png"], "both write to x.png"),
        (["--data", "FRAMES", "--picture", "no/folder.txt"], "is no .png file"),
        (["--data", "FRAMES", "--picture", "FRAMES"], "is no .png file"),
    ],
)
def test_what_cannot_be_is_refused_before_the_model_is_run(
    options: list[str], words: str, frames: FrameFolder, inverse: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["check", str(inverse), *(str(frames.root) if one == "FRAMES" else one for one in options)]) == 2
    said = told(capfd)
    assert words in said
    assert "checking frames" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_device_names_three(inverse: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(inverse), "--device", "Galaxy S24"]) == 2
    names = told(capfd).split("Nearest: ")[1].split(";")[0].split(", ")
    assert len(names) == 3
    assert "Samsung Galaxy S24" in names


def test_the_table_and_the_json_stand_before_the_picture_is_drawn(
    inverse: Path,
    frames: FrameFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def stops(*_: object) -> None:
        raise InputError("The picture cannot be drawn.", "Try again.")

    command = ["check", str(inverse), "--data", str(frames.root), "--json", "f.json"]
    with monkeypatch.context() as patch:
        patch.setattr(picture, "draw_evidence", stops)
        assert run(command) == 2
    assert json.loads((tmp_path / "f.json").read_text())["passed"] is False
    assert "depth direction" in capfd.readouterr().out
    assert not (tmp_path / "check.png").exists()
    assert run(command) == 1
    said = told(capfd)
    assert "Written to f.json." in said
    assert said.endswith("Look at check.png.")
    assert (tmp_path / "check.png").is_file()


def test_the_help_keeps_to_eighty_columns(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("MODEL is a run" in line for line in lines)
