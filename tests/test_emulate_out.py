"""What `lpcv emulate --out` leaves: predictions of one model alone; and that outputs which are no numbers are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import htp_graphs
import numpy as np
import pytest
from conftest import SmallSet
from emulate_bench import S24, by_row, depth_model, pretend, words
from htp_graphs import needs_emulator, node
from lpcv import cli
from lpcv.data.images import write_png
from lpcv.files import sha256_file
from lpcv.hub_jobs.htp.emulator import EmulationStopped
from lpcv.hub_jobs.htp.outcome import OutOfTime
from lpcv.prediction_folder import describe, described
from lpcv.submission.npu import out as out_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small: SmallSet) -> Path:
    """Two models, three frames with truth, and a hub folder for what the tests only pretend to emulate."""
    root = tmp_path_factory.mktemp("emulate_out")
    depth_model(root / "model.onnx")
    depth_model(root / "other.onnx", 0.2)
    small.write_frames(root / "data")
    return root


@pytest.fixture(autouse=True)
def hub(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(place / "hub"))
    pretend(monkeypatch)


def held(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@needs_emulator
def test_a_folder_holds_the_predictions_of_one_model(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ours = ["--precision", "fp16", "--out", str(out)]
    assert cli.run(words(place, *ours)) == 0
    assert held(out / "fp16") == ["0000.npy", "0001.npy", "0002.npy", "predictions.json"]
    (out / "fp16" / "notes.txt").write_text("mine")
    assert cli.run(words(place, *ours, "--limit", "1", model="other.onnx")) == 0
    assert held(out / "fp16") == ["0000.npy", "notes.txt", "predictions.json"]
    told = described(out / "fp16")
    assert told is not None
    assert told["made_from"] == sha256_file(place / "other.onnx")
    assert told["frames"] == ["0000"]
    assert told["images_sha256"] == {"0000": sha256_file(place / "data" / "image" / "0000.png")}
    assert cli.run(["score", str(out / "fp16"), "--data", str(place / "data")]) == 2
    assert cli.run(["score", str(out / "fp16"), "--data", str(place / "data"), "--frames", "0000"]) == 0
    # The same model on other frames.
    assert cli.run(words(place, *ours, "--frames", "0001-0002", model="other.onnx")) == 0
    assert held(out / "fp16") == ["0001.npy", "0002.npy", "notes.txt", "predictions.json"]
    # A model that does not fit leaves none of another's.
    (tmp_path / "acos.onnx").write_bytes(htp_graphs.after_relu("Acos", "/net/Acos"))
    assert cli.run(["emulate", str(tmp_path / "acos.onnx"), "--device", S24, *ours]) == 1
    assert held(out / "fp16") == ["notes.txt"]


@needs_emulator
@pytest.mark.parametrize("by", [None, "Samsung Galaxy S24 (AI Hub)"])
def test_what_is_not_ours_is_in_the_way(
    by: str | None, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that nobody describes, and predictions that a phone computed."""
    root = tmp_path / "out" / "fp16"
    root.mkdir(parents=True)
    np.save(root / "0000.npy", np.zeros((4, 4), np.float32))
    if by is not None:
        describe(root, "relative_depth", frames=["0000"], made_from="c0ffee", computed_by=by)
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    assert cli.run(words(place, "--precision", "fp16", "--out", str(tmp_path / "out"))) == 2
    said = capsys.readouterr()
    assert ("0000.npy is not of an emulation" if by is None else f"computed by {by}") in said.err
    assert said.out == ""  # told before anything is compiled
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before


@needs_emulator
def test_an_interrupted_writing_names_no_model(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = out_folder.write_prediction

    def only_the_first(path: Path, values: Any) -> None:
        if path.stem != "0000":
            raise KeyboardInterrupt
        write(path, values)

    command = words(place, "--precision", "fp16", "--out", str(tmp_path))
    monkeypatch.setattr(out_folder, "write_prediction", only_the_first)
    assert cli.run(command) == 130
    told = described(tmp_path / "fp16")
    assert told is not None
    assert told["frames"] == ["0000", "0001", "0002"]
    assert "made_from" not in told
    monkeypatch.setattr(out_folder, "write_prediction", write)
    assert cli.run(command) == 0
    assert len(held(tmp_path / "fp16")) == 4


@needs_emulator
def test_where_nothing_can_be_written_it_is_said(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.run([*words(place, data=False), "--precision", "fp16", "--limit", "1", "--out", str(out)]) == 0
    assert f"Nothing was written into {out}: fp16 makes no model of its own" in capsys.readouterr().err
    assert not out.exists()


@needs_emulator
def test_an_emulator_that_ends_early_is_a_row_and_the_others_go_on(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    seen: list[str] = []

    def compute(name: str, array: Any) -> Any:
        seen.append(name)
        if seen == ["0000", "0001"]:  # of fp16, which is first
            raise EmulationStopped(name, OutOfTime(7.0))
        return array.mean(1, keepdims=True)

    pretend(monkeypatch, compute)
    facts = tmp_path / "r.json"
    command = words(place, "--precision", "fp16", "--precision", "w8a8", "--json", str(facts), "--out", str(out))
    assert cli.run(command) == 1
    rows = by_row(json.loads(facts.read_text()))
    stopped, whole = rows["fp16", "HTP emulator", 3], rows["w8a8", "HTP emulator", 3]
    assert "0001" in stopped["stopped"]
    assert stopped["mean"] is None
    assert whole["mean"]["f_score"] is not None
    assert "not done after 7 s" in capsys.readouterr().err
    assert held(out) == ["model.w8a8.onnx", "w8a8"]
    assert json.loads(facts.read_text())["written"] == [str(out / "model.w8a8.onnx"), str(out / "w8a8")]


@needs_emulator
def test_an_emulated_output_that_is_not_finite_is_named(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compute(name: str, array: Any) -> Any:
        values = array.mean(1, keepdims=True)
        values[0, 0, 0, 0] = np.nan if name == "0001" else values[0, 0, 0, 0]
        return values

    pretend(monkeypatch, compute)
    facts = tmp_path / "r.json"
    assert cli.run(words(place, "--precision", "fp16", "--json", str(facts))) == 1
    said, told = capsys.readouterr(), json.loads(facts.read_text())
    rows = by_row(told)
    assert rows["fp16", "HTP emulator", 3]["frames_not_finite"] == ["0001"]
    assert rows["float", "ONNX Runtime", 3]["frames_not_finite"] == []
    assert told["whole"] is False
    assert "fp16 by HTP emulator: the output holds NaN or infinity in 1 frame: 0001." in said.err
    assert "Next:" not in said.err


@needs_emulator
def test_a_frame_of_which_float_is_not_finite_is_named_though_nobody_emulates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The logarithm of a black picture."""
    pretend(monkeypatch, lambda _, array: np.log(array))
    for index in range(3):
        write_png(tmp_path / "image" / f"{index}.png", np.full((16, 16, 3), 0 if index == 1 else 9, np.uint8))
    (tmp_path / "log.onnx").write_bytes(htp_graphs.content([node("Log", ["image"], ["output_0"], "log")]))
    facts = tmp_path / "r.json"
    given = ["emulate", str(tmp_path / "log.onnx"), "--device", S24, "--data", str(tmp_path), "--precision", "fp16"]
    assert cli.run([*given, "--limit", "2", "--json", str(facts)]) == 1
    rows = by_row(json.loads(facts.read_text()))
    assert rows["float", "ONNX Runtime", 3]["frames_not_finite"] == ["1"]
    assert rows["float", "ONNX Runtime", 2]["frames_not_finite"] == []
    assert capsys.readouterr().err.count("the output holds NaN or infinity in 1 frame: 1.") == 1
