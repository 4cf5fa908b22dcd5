"""The commands end to end, as a user types them, on small real parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from lpcv.cli import run
from lpcv.evaluate.official import METRICS
from lpcv.files import sha256_file
from lpcv.submission.demo import Size, improvement, run_demo, show


def test_demo_walks_the_whole_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps each: the plumbing. What the real demo reaches is a slow test."""
    out = tmp_path / "demo"
    small = ["--scenes", "8", "--held-out", "2", "--teacher-steps", "2", "--student-steps", "2"]
    code = run(["demo", "--out", str(out), *small])
    told = capsys.readouterr()
    assert "synthetic" in told.err
    score = {name: json.loads((out / f"score_{name}.json").read_text())["mean"] for name in ("student", "constant")}
    assert code == (0 if score["student"]["abs_rel"] < score["constant"]["abs_rel"] else 1)
    for name in METRICS:
        assert name in told.out
    for name in ("sheet.png", "bundle.zip", "score_student.json", "runs/student/model.onnx", "teacher/config.json"):
        assert (out / name).stat().st_size > 0
    labels = json.loads(next((out / "scenes" / "teacher_labels").glob("*/store.json")).read_text())
    assert labels["kind"] == "depth_m"
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet is not None
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000
    assert run(["verify", str(out / "bundle.zip")]) == 0
    before = (out / "bundle.zip").read_bytes()
    assert run(["demo", "--out", str(out), *small]) == code
    assert (out / "bundle.zip").read_bytes() == before
    assert run(["demo", "--out", str(out), "--seed", "1", *small]) == 2
    assert "another size or seed" in capsys.readouterr().err


def test_demo_does_not_write_into_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert run(["demo", "--out", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_demo_student_beats_the_constant_baseline(seed: int, tmp_path: Path) -> None:
    outcome = run_demo(tmp_path / "demo", Size(seed=seed))
    show(outcome, 24)
    student, constant = outcome.scores["student"].mean.values, outcome.scores["constant"].mean.values
    assert improvement(outcome) >= 0.25
    assert student["rmse"] < constant["rmse"]  # type: ignore[operator]
    assert student["f_score"] > constant["f_score"]  # type: ignore[operator]


def test_run_to_bundle(
    own_run: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = run(["check", str(own_run), "--data", str(scenes), "--json", "findings.json"])
    states = {
        finding["name"]: finding["state"] for finding in json.loads(Path("findings.json").read_text())["findings"]
    }
    assert code == (1 if "fail" in states.values() else 0)
    for name in ("input name", "output name", "input shape", "output shape", "range", "finite"):
        assert states[name] == "pass"
    assert run(["score", str(own_run), "--data", str(scenes), "--json", "score.json", "--csv", "score.csv"]) == 0
    score = json.loads(Path("score.json").read_text())
    assert set(score["mean"]) - {"reasons"} == set(METRICS)
    assert len(score["frames"]) == score["frames_scored"] == score["frames_trained_on"] == 8
    assert "TRAINED on 8 of these 8 frames" in capsys.readouterr().err
    assert json.loads((own_run / "score.json").read_text()) == score
    for name in ("a.zip", "b.zip"):
        assert run(["package", str(own_run), "-o", name]) == 0
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()
    assert run(["verify", "a.zip"]) == 0
    spoiled = bytearray(Path("a.zip").read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    Path("spoiled.zip").write_bytes(spoiled)
    assert run(["verify", "spoiled.zip"]) in (1, 2)


def test_predictions_of_a_run_score_like_the_run(own_run: Path, scenes: Path, tmp_path: Path) -> None:
    assert run(["predict", str(own_run), str(scenes), "--out", str(tmp_path / "p"), "--range", "0", "1"]) == 0
    written = {path.name for path in (tmp_path / "p").iterdir()}
    assert {"0000.npy", "0000.png", "0007.npy", "0007.png"} <= written
    told = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert told["frames"] == [f"{index:04d}" for index in range(8)]
    assert told["made_from"] == sha256_file(own_run / "model.onnx")
    assert run(["score", str(tmp_path / "p"), "--data", str(scenes), "--json", str(tmp_path / "p.json")]) == 0
    assert run(["score", str(own_run), "--data", str(scenes), "--json", str(tmp_path / "r.json")]) == 0
    one, other = (json.loads((tmp_path / name).read_text()) for name in ("p.json", "r.json"))
    assert one["frames"] == other["frames"]


def test_an_interrupted_set_of_inverse_depths_does_not_pass_for_depth(
    relative_teacher: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "p"
    shutil.copytree(scenes, data, ignore=shutil.ignore_patterns("teacher_labels"))
    (data / "image" / "0007.png").write_bytes(b"damaged")
    assert run(["predict", str(relative_teacher), str(data), "--out", str(out)]) == 2
    assert (out / "0006.npy").exists()
    assert run(["score", str(out), "--data", str(scenes), "--frames", "0000-0006"]) == 2
    assert "affine_inverse_depth" in capsys.readouterr().err


def test_predictions_of_two_kinds_do_not_mix(tiny_teacher: Path, relative_teacher: Path, scenes: Path,
                                             tmp_path: Path) -> None:  # fmt: skip
    photo, out = str(scenes / "image" / "0001.png"), str(tmp_path / "p")
    assert run(["predict", str(tiny_teacher), photo, "--out", out]) == 0
    assert run(["predict", str(relative_teacher), photo, "--out", out]) == 2


def test_teacher_predicts_and_distils(
    tiny_teacher: Path, train_arguments: Callable[..., list[str]], scenes: Path, tmp_path: Path
) -> None:
    photo = scenes / "image" / "0001.png"
    assert run(["predict", str(tiny_teacher), str(photo), "--out", str(tmp_path / "p")]) == 0
    assert np.load(tmp_path / "p" / "0001.npy").shape == (1, 1, 84, 112)
    out = tmp_path / "run"
    words = train_arguments(scenes, out)
    words[words.index("--teacher") + 1] = str(tiny_teacher)
    assert run([*words, "--labels", str(tmp_path / "labels")]) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(row["distillation"] > 0 for row in rows if "loss" in row)
    config = json.loads((out / "config.json").read_text())
    assert config["provenance"]["teacher"]["licence"] == "apache-2.0"
    assert config["provenance"]["teacher"]["kind"] == "depth_m"
    assert str(tmp_path) not in json.dumps(config["provenance"])


def test_a_non_commercial_teacher_is_said(
    tiny_teacher: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Depth-Anything-V2-Large-hf"
    folder.symlink_to(tiny_teacher)
    assert run(["label", str(scenes), "--teacher", str(folder), "--out", str(tmp_path / "labels")]) == 0
    told = capsys.readouterr()
    assert "non-commercial" in told.err
    assert "cc-by-nc-4.0" in told.out


def test_data_check_draws_a_sheet(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "check", str(scenes), "--sheet", str(tmp_path / "s.png"), "--json", str(tmp_path / "s.json")]
    assert run(words) == 0
    assert "Apache-2.0" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["frames"] == 8
    assert cv2.imread(str(tmp_path / "s.png")) is not None


@pytest.mark.slow
def test_real_frames_train_check_and_score(
    reference_data: Path, train_arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Plumbing on the 23 real frames: train on 0000-0016, score on 0017-0022."""
    frames, out = reference_data / "lpcvc_sample", tmp_path / "run"
    assert run([*train_arguments(frames, out), "--frames", "0000-0016"]) == 0
    assert run(["export", str(out)]) == 0
    words = ["score", str(out), "--data", str(frames), "--frames", "0017-0022", "--sheet", str(tmp_path / "s.png")]
    assert run(words) == 0
    assert [row["frame"] for row in json.loads((out / "score.json").read_text())["frames"]] == [
        "0017", "0018", "0019", "0020", "0021", "0022",
    ]  # fmt: skip
