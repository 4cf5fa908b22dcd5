"""`lpcv quantize`, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import quantize_graphs as graphs
from lpcv import cli
from lpcv.files import sha256_file
from lpcv.hub_jobs.ending import next_of
from lpcv.hub_jobs.history import Record


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return graphs.write(tmp_path / "model.onnx", graphs.student())


def test_quantizes_beside_the_model(model: Path, small_frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = model.parent / "q.json"
    words = ["quantize", str(model), "--data", str(small_frames), "--precision", "w8a8", "--samples", "2"]
    assert cli.run([*words, "--seed", "4", "--json", str(facts)]) == 0
    made = model.with_name("model.w8a8.onnx")
    told = capsys.readouterr()
    assert sha256_file(made) in told.out.replace("\n", "")
    assert "2 frames, seed 4" in told.out
    assert f"Next: lpcv score {made} --data DIR" in told.err  # what it was calibrated with is no test set
    assert "calibrating: 2 done" in told.err
    row = json.loads(facts.read_text())
    assert row["sha256"] == sha256_file(made)
    assert row["source_sha256"] == sha256_file(model)
    assert (row["precision"], row["quantized_on"]) == ("w8a8", "local")
    assert len(row["calibration"]["frames"]) == 2
    assert set(row["calibration"]["frames"]) < {"0000", "0001", "0002"}
    assert set(row["versions"]) == {"onnxruntime", "onnx"}


def test_typed_again_gives_the_same_file(model: Path, small_frames: Path) -> None:
    words = ["quantize", str(model), "--data", str(small_frames), "--precision", "w8a8", "--keep-16bit", "conv_a"]
    found = []
    for name in ("one", "two"):
        out = model.with_name(f"{name}.onnx")
        assert cli.run([*words, "--out", str(out)]) == 0
        found.append(out.read_bytes())
    assert found[0] == found[1]
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(found[0]).metadata_props}
    assert json.loads(metadata["kept_16bit"]) == ["conv_a"]


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"--precision": "w4a4"}, 2, "w4a4"),
        ({"--on": "hub"}, 2, "but what is sent to AI Hub is"),
        ({"--data": "nowhere"}, 2, "is not a folder"),
        ({"--out": "model.onnx"}, 2, "is the float model itself"),
        ({"--out": "data"}, 2, "is a folder"),
        ({"--keep-16bit": "conv"}, 2, "There is no layer 'conv'. Did you mean 'conv_"),
    ],
)
def test_bad_words_are_one_sentence(
    changed: dict[str, str], code: int, said: str, model: Path, small_frames: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(model.parent)
    options = {"--data": small_frames.name, "--precision": "w8a8"} | changed
    before = sorted(path.name for path in model.parent.iterdir())
    words = [word for pair in options.items() for word in pair]
    assert cli.run(["quantize", "model.onnx", *words]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert sorted(path.name for path in model.parent.iterdir()) == before


def test_a_broken_picture_leaves_nothing(model: Path, small_frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_frames / "image" / "0001.png").write_bytes(b"no picture")
    before = sorted(path.name for path in model.parent.iterdir())
    assert cli.run(["quantize", str(model), "--data", str(small_frames), "--precision", "w8a8"]) == 2
    assert "0001.png" in capsys.readouterr().err
    assert sorted(path.name for path in model.parent.iterdir()) == before


def test_a_run_is_quantized_into_its_folder(model: Path, small_frames: Path) -> None:
    from lpcv.onnx_session import open_session, session_metadata
    from lpcv.runs import Run

    run = Run(model.parent / "run")
    run.best.mkdir(parents=True)
    (run.best / "model.safetensors").write_bytes(b"weights")
    run.config.write_text("{}")
    exported = graphs.student()
    onnx.helper.set_model_props(exported, {"checkpoint_sha256": sha256_file(run.checkpoint)})
    graphs.write(run.model, exported)
    words = ["quantize", str(run.root), "--data", str(small_frames), "--precision", "w8a16", "--samples", "2"]
    assert cli.run(words) == 0
    made = run.root / "model.w8a16.onnx"
    run.demand_fresh(session_metadata(open_session(made, optimised=False)))
    (run.best / "model.safetensors").write_bytes(b"others")
    assert cli.run(words) == 2


def test_the_proposed_command_can_be_pasted(small_frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_frames.parent / "my runs"
    folder.mkdir()
    model = graphs.write(folder / "model.onnx", graphs.student())
    words = ["quantize", str(model), "--data", str(small_frames), "--precision", "w8a8", "--samples", "1"]
    assert cli.run(words) == 0
    assert f"Next: lpcv score '{folder}/model.w8a8.onnx' --data DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "state", "wanted"),
    [
        ("quantize", "SUCCESS", "lpcv compile 'my runs/q.onnx' --device NAME"),
        ("profile", "SUCCESS", "lpcv infer j1 --data 'my frames'"),
        ("inference", "SUCCESS", "lpcv score j2 --data 'my frames'"),
        ("inference", "FAILED", "lpcv infer j1 --data 'my frames' --again"),
    ],
)
def test_so_can_the_one_after_a_job(kind: str, state: str, wanted: str) -> None:
    intended = {"type": kind, "out": "my runs/q.onnx", "compile_job": "j1", "device": "", "reached_by": None}
    record = Record("hub", "key", intended, "2026-10-01", job_id="j2", state=state)
    assert next_of(record, "my frames") == wanted
