"""`lpcv score`: what is written and said, what has no score and why, and what is refused."""

from __future__ import annotations

import csv
import errno
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lpcv import cli, files
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.evaluate import journal
from lpcv.evaluate.official import OFFICIAL, score_frame
from lpcv.evaluate.predictions import PredictionFolder

Array = npt.NDArray[Any]
COLUMNS = [
    "abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3", "mae",
    "f_score", "iou", "chamfer_m", "f_score_20cm", "iou_20cm",
]  # fmt: skip
HEAD = [
    "protocol", "protocol_described", "source", "source_kind", "source_sha256", "data_sha256", "frames_scored",
    "frames_stopped", "frames_trained_on", "size_warning", "mean", "interval_95", "interval_method", "groups",
    "parts", "frames",
]  # fmt: skip
STOPPED = "no pixel has confidence 1 or more, where the official script stops"
NAN = "the prediction holds NaN, which makes its median and with it every pixel NaN"


def run_score(source: Path, frames: Path, *more: str) -> int:
    return cli.run(["score", str(source), "--data", str(frames), *more])


def scored(source: Path, frames: Path, *more: str) -> dict[str, Any]:
    out = source.parent / "told.json"
    assert run_score(source, frames, "--json", str(out), *more) == 0
    return json.loads(out.read_text())


def expected(small: Any, index: int) -> dict[str, float | None]:
    truth = small.depth_mm(index).astype(np.float32) / np.float32(1000)
    return dict(score_frame("x", small.prediction(index), truth, np.full((6, 8), 2, np.uint8)).values)


def distrust(frames: Path, *names: str) -> None:
    """Frames without any pixel of confidence 1 or 2."""
    for name in names:
        write_png(frames / "depth_conf" / f"{name}.png", np.zeros((6, 8), np.uint8))


def spoil(predictions: Path, small: Any, index: int, value: float) -> None:
    spoiled = small.prediction(index)
    spoiled[3, 3] = value
    np.save(predictions / f"{small.names[index]}.npy", spoiled)


# What is written


def test_json_and_csv_to_the_letter(small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path) -> None:
    negative = small.prediction(1)
    negative[0, 0] *= -1
    np.save(small_predictions / "0001.npy", negative)
    json_file, csv_file = tmp_path / "new" / "score.json", tmp_path / "score.csv"
    assert run_score(small_predictions, small_frames, "--json", str(json_file), "--csv", str(csv_file)) == 0
    told = json.loads(json_file.read_text())
    assert list(told) == HEAD
    assert (told["frames_scored"], told["frames_stopped"], told["frames_trained_on"]) == (3, {}, None)
    assert (told["protocol"], told["source"]) == ("lpcvc-2025", str(small_predictions))
    assert told["protocol_described"] == json.loads(json.dumps(dict(OFFICIAL.described())))
    assert told["source_kind"] == "relative_depth"
    assert told["data_sha256"] == open_folder(small_frames).fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", told["source_sha256"])
    good, bad, also_good = told["frames"]
    assert list(good) == ["frame", *COLUMNS, "alignment", "parts", "other_size"]
    assert list(bad) == ["frame", *COLUMNS, "reasons", "alignment", "parts", "other_size"]
    assert list(told["mean"]) == [*COLUMNS, "reasons"]
    assert [row["frame"] for row in told["frames"]] == list(small.names)
    assert {key: good[key] for key in COLUMNS} == expected(small, 0)
    assert {key: also_good[key] for key in COLUMNS} == expected(small, 2)
    assert [key for key in COLUMNS if bad[key] is None] == ["rmse_log"]
    assert list(bad["reasons"]) == ["rmse_log"]
    assert told["mean"]["rmse_log"] is None
    assert told["mean"]["reasons"] == {"rmse_log": "no finite value in 1 of 3 frames, the first is 0001"}
    for key in set(COLUMNS) - {"rmse_log"}:
        assert told["mean"][key] == pytest.approx((good[key] + bad[key] + also_good[key]) / 3)
    assert list(told["interval_95"]) == COLUMNS
    assert set(told["interval_95"].values()) == {None}  # three frames are too few for one
    assert "bootstrap" in told["interval_method"]
    assert list(told["groups"]) == ["unknown place, unknown light"]
    assert told["parts"]["confidence 2"]["frames"] == 3

    rows = list(csv.DictReader(csv_file.open()))
    assert list(rows[0]) == ["frame", *COLUMNS, "source"]
    assert {row["source"] for row in rows} == {str(small_predictions)}
    assert [row["frame"] for row in rows] == [*small.names, "mean"]
    for row, source in zip(rows, (*told["frames"], told["mean"]), strict=True):
        assert [row[key] for key in COLUMNS] == ["" if source[key] is None else repr(source[key]) for key in COLUMNS]


def test_the_ranking_metric_is_marked_and_has_its_interval(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{index:04d}" for index in range(7)]
    frames, source = small.write_frames(tmp_path / "seven", names), small.write_predictions(tmp_path / "p", names)
    told = scored(source, frames)
    shown = capsys.readouterr()
    (line,) = [line for line in shown.out.splitlines() if "(ranks)" in line]
    low, high = told["interval_95"]["f_score"]
    mean = told["mean"]["f_score"]
    assert low < mean < high
    assert re.search(rf"f_score\W.*\W{mean:.2f} \[{low:.2f}, {high:.2f}\]\W", line)
    for text in ("lpcvc-2025", "PIL's NEAREST", "one scale, median(truth)", "evaluate_track3.py"):
        assert text in shown.out  # the protocol prints itself


@pytest.mark.parametrize(
    ("frames", "names"), [("0001-0002", ["0001", "0002"]), ("0002", ["0002"]), ("0000-9", ["0000", "0001", "0002"])]
)
def test_frames_are_selected(
    frames: str, names: list[str], small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "score.json"
    assert run_score(small_predictions, small_frames, "--frames", frames, "--json", str(out)) == 0
    told = json.loads(out.read_text())
    assert [row["frame"] for row in told["frames"]] == names
    assert told["data_sha256"] == open_folder(small_frames).subset(tuple(names)).fingerprint()
    assert told["mean"]["abs_rel"] == pytest.approx(np.mean([row["abs_rel"] for row in told["frames"]]))


def test_frames_that_are_not_there_are_refused(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small_predictions, small_frames, "--frames", "0005-0009") == 2
    assert "has no frame within '0005-0009'. It has 0000 to 0002." in capsys.readouterr().err


def test_a_subset_needs_predictions_for_itself_only(small: Any, small_frames: Path, tmp_path: Path) -> None:
    source = small.write_predictions(tmp_path / "predictions", ("0000",))
    assert run_score(source, small_frames) == 2
    assert run_score(source, small_frames, "--frames", "0000") == 0


# What the official script makes of bad frames: stopped, NaN, misleading


def test_a_frame_where_the_official_script_stops_is_null_with_its_reason(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distrust(small_frames, "0001")
    csv_file = tmp_path / "score.csv"
    told = scored(small_predictions, small_frames, "--csv", str(csv_file))
    shown = capsys.readouterr()
    assert (told["frames_scored"], told["frames_stopped"]) == (2, {"0001": STOPPED})
    assert told["frames"][1] == {"frame": "0001", **dict.fromkeys(COLUMNS), "stopped": STOPPED}
    for key in COLUMNS:
        one, other = (expected(small, index)[key] for index in (0, 2))
        assert one is not None
        assert other is not None
        assert told["mean"][key] == pytest.approx((one + other) / 2)
    assert "reasons" not in told["mean"]
    (group,) = told["groups"].values()
    assert (group["frames"], group["frames_stopped"]) == (3, 1)
    assert f"lpcvc-2025: NO score for 1 of 3 frames, left out of the mean (0001): {STOPPED}." in shown.err
    rows = {row.pop("frame"): row for row in csv.DictReader(csv_file.open())}
    assert rows["0001"].pop("source") == str(small_predictions)
    assert set(rows["0001"].values()) == {""}
    assert "" not in rows["mean"].values()


def test_where_no_frame_has_a_score_neither_has_the_mean(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distrust(small_frames, "0000", "0001", "0002")
    told = scored(small_predictions, small_frames)
    shown = capsys.readouterr()
    assert told["frames_scored"] == 0
    assert list(told["frames_stopped"]) == ["0000", "0001", "0002"]
    assert {key: told["mean"][key] for key in COLUMNS} == dict.fromkeys(COLUMNS)
    assert set(told["mean"]["reasons"].values()) == {"no frame could be scored"}
    assert "NO score for 3 of 3 frames, left out of the mean (0000, 0001, 0002)" in shown.err
    assert len(re.findall("not finite", shown.out)) == len(COLUMNS)


def test_depth_without_a_measurement_is_scored_and_explained(
    small: Any, small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(small_frames / "depth_raw" / "0001.png", np.zeros((6, 8), np.uint16))
    told = scored(small_predictions, small_frames)
    official = score_frame(
        "0001", small.prediction(1), np.zeros((6, 8), np.float32), np.full((6, 8), 2, np.uint8)
    ).values
    row = told["frames"][1]
    assert {key: row[key] for key in COLUMNS} == official
    assert None not in official.values()
    assert list(row["remarks"]) == ["abs_rel"]
    assert "no depth and count, officially, as truth of 1e-05 m" in row["remarks"]["abs_rel"]
    assert (told["frames_scored"], told["frames_stopped"]) == (3, {})
    assert "abs_rel misleads in 1 of 3 frames, e.g. 0001: 192 pixels" in capsys.readouterr().err


def test_what_is_officially_nan_is_null_and_explained_once(
    small: Any, small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(small_predictions, small, 0, np.nan)
    spoil(small_predictions, small, 2, -1.0)
    told = scored(small_predictions, small_frames)
    shown = capsys.readouterr()
    missing = [key for key in COLUMNS if told["frames"][0][key] is None]
    assert {"abs_rel", "rmse_log", "chamfer_m"} <= set(missing)
    assert told["frames"][0]["reasons"] == dict.fromkeys(missing, NAN)
    assert [key for key in COLUMNS if told["mean"][key] is None] == missing
    assert told["frames_stopped"] == {}
    for key in missing:
        assert told["interval_95"][key] is None
        assert re.search(rf"{key}\W+not finite", shown.out)
    assert re.search(r"f_score\W.*\W\d+\.\d{2}\W", shown.out)  # no point is near: officially 0, and it counts
    assert shown.err.count("not finite: no finite value in 1 of 3 frames, the first is 0000") == 1
    assert shown.err.count("rmse_log is not finite: no finite value in 2 of 3 frames") == 1
    assert shown.err.count(f"lpcvc-2025: in 0000 {NAN}.") == 1
    assert shown.err.count("lpcvc-2025: in 0002 the scaled prediction is negative at some pixel") == 1


def test_a_long_list_of_frames_is_cut_and_counted(
    small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{index:04d}" for index in range(7)]
    frames, source = small.write_frames(tmp_path / "seven", names), small.write_predictions(tmp_path / "p", names)
    distrust(frames, *names[1:])
    told = scored(source, frames)
    assert "NO score for 6 of 7 frames, left out of the mean (0001, 0002, 0003, 0004, 0005 and 1 more)" in (
        capsys.readouterr().err
    )
    assert list(told["frames_stopped"]) == names[1:]


@pytest.mark.parametrize("fault", ["none", "stopped", "NaN", "beside"])
def test_strict_changes_only_the_exit_code(
    fault: str, small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    more = ["--protocol", "scale-invariant", "--protocol", "lpcvc-2025"] if fault == "beside" else []
    if fault in ("stopped", "beside"):  # the first protocol takes no notice of confidence
        distrust(small_frames, "0001")
    elif fault == "NaN":
        spoil(small_predictions, small, 1, np.nan)
    told = {}
    for strict in ([], ["--strict"]):
        outs = [tmp_path / name for name in ("score.json", "score.csv")]
        options = ["--json", str(outs[0]), "--csv", str(outs[1]), *more, *strict]
        assert run_score(small_predictions, small_frames, *options) == bool(strict and fault != "none")
        shown = capsys.readouterr()
        err = re.sub(r"done in \d+ s", "", shown.err)
        told[bool(strict)] = (shown.out, err, *(out.read_bytes() for out in outs))
    assert told[True] == told[False]


# Truth that cannot be scored


def without(folder: str) -> Callable[[Path], None]:
    def remove(small_frames: Path) -> None:
        for path in (small_frames / folder).iterdir():
            path.unlink()

    return remove


def blank(folder: str, pixels: Array) -> Callable[[Path], None]:
    return lambda small_frames: write_png(small_frames / folder / "0001.png", pixels)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("depth_conf"), ["has no confidence for 3 of 3 frames, the first is 0000", "Add depth_conf/"]),
        (without("depth_raw"), ["has no depth_raw/ with ground truth"]),
        (blank("depth_conf", np.zeros((5, 8), np.uint8)), ["depth_conf/0001.png", "8x5", "8x6"]),
        (blank("depth_raw", np.ones((6, 8), np.uint8)), ["depth_raw/0001.png", "8 bits per pixel"]),
    ],
    ids=["no confidence", "no depth", "other size", "8-bit depth"],
)
def test_unusable_truth_is_a_sentence_and_nothing_is_written(
    spoil: Callable[[Path], None],
    words: list[str],
    small_frames: Path,
    small_predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(small_frames)
    outs = [tmp_path / "out" / name for name in ("score.json", "score.csv", "sheet.png")]
    options = ["--json", str(outs[0]), "--csv", str(outs[1]), "--sheet", str(outs[2])]
    assert run_score(small_predictions, small_frames, *options) == 2
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if line.startswith("lpcv: ")]
    for word in words:
        assert word in line.replace("\\", "/")
    assert told.out == ""
    left = [path.name for path in tmp_path.glob("out/*")]
    assert all(re.fullmatch(r"score\.json\.\w+\.part\.jsonl", name) for name in left)  # what was scored before it


@pytest.mark.parametrize("option", ["--json", "--csv", "--sheet"])
def test_a_full_disk_leaves_the_old_file_whole(
    option: str,
    small_frames: Path,
    small_predictions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out" / "result.png"
    out.parent.mkdir()
    out.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    monkeypatch.setattr(journal, "append_line", lambda path, line: None)  # which would be refused before the result
    assert run_score(small_predictions, small_frames, option, str(out)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert [path.name for path in out.parent.iterdir()] == ["result.png"]


def test_what_a_protocol_needs_is_demanded_before_anything_is_scored(
    small_frames: Path,
    small_predictions: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(PredictionFolder, "predict", never)
    assert run_score(small_predictions, small_frames, "--protocol", "diw") == 2
    told = capsys.readouterr().err
    assert "has no pairs for 3 of 3 frames, the first is 0000; protocol diw needs it." in told
    assert 'Add "pairs" in its row of manifest.json.' in told
    for path in (small_frames / "depth_conf").iterdir():
        path.unlink()
    assert run_score(small_predictions, small_frames, "--protocol", "scale-invariant", "--protocol", "lpcvc-2025") == 2
    assert "has no confidence for 3 of 3 frames" in capsys.readouterr().err


def never(*_: object) -> None:
    raise AssertionError("a frame was predicted")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "folder"], ["--json folder is a folder, but a file is to be written."]),
        (["--sheet", "folder"], ["--sheet folder is no .png file. Write --sheet NAME.png."]),
        (["--sheet", "folder.png"], ["--sheet folder.png is a folder"]),
        (["--csv", "file/score.csv"], ["--csv file/score.csv cannot be written: ", "/file is no folder."]),
        (["--report", "file"], ["--report file/index.html cannot be written: ", "/file is no folder."]),
        (["--json", "a", "--csv", "./a"], ["--json and --csv both write to a."]),
        (["--json", "new", "--report", "new"], ["--json and --report both write to "]),
        (["--sheet", "sheet.jpg"], ["--sheet sheet.jpg is no .png file."]),
        (["--report", "new/index.html", "--csv", "new"], ["--csv and --report both write to "]),
    ],
)
def test_where_results_go_is_tried_before_anything_is_scored(
    options: list[str], words: list[str], small_frames: Path, small_predictions: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(PredictionFolder, "predict", never)
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.png"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.iterdir())
    assert run_score(small_predictions, small_frames, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert sorted(tmp_path.iterdir()) == before


def test_a_sheet_of_what_is_no_depth_is_refused_before_anything_is_scored(
    small_frames: Path, small_predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(PredictionFolder, "predict", never)
    options = ["--kind", "affine_inverse_depth", "--protocol", "nyuv2-lsq-inverse"]
    assert run_score(small_predictions, small_frames, *options, "--sheet", str(tmp_path / "sheet.png")) == 2
    assert "and --sheet needs relative_depth" in capsys.readouterr().err


def test_a_group_that_was_asked_for_is_shown_though_it_is_the_only_one(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small_predictions, small_frames) == 0
    assert "By group" not in capsys.readouterr().out
    assert run_score(small_predictions, small_frames, "--group-by", "place") == 0
    assert "By group" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--frames", "0001-0002", "--group-by", "place"],
        ["--protocol", "scale-invariant", "--protocol", "lpcvc-2025-geometry", "--kind", "depth_m"],
    ],
)
def test_the_next_command_can_be_pasted(
    options: list[str], small: Any, small_frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = small.write_predictions(tmp_path / "it's mine; $HOME")
    told = scored(source, small_frames, *options)
    capsys.readouterr()
    assert run_score(source, small_frames, *options) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Next: ")]
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(line.removeprefix("Next: "))
    assert program == "lpcv"
    assert cli.run([*words, "--json", "again.json"]) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == told
    assert (tmp_path / "report" / "index.html").exists()
    assert "Next: " not in capsys.readouterr().err


def test_an_unknown_device_is_a_sentence_without_torchs_own_list(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small_predictions, small_frames, "--device", "gpu") == 2
    said = "lpcv: There is no device 'gpu': it is cpu or cuda. Use --device cpu: the numbers are equal.\n"
    assert capsys.readouterr().err == said


def test_the_help_says_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["score", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for word in (
        "95 % interval",
        "broken down",
        "--report",
        "--protocol",
        "`constant`",
        "RUN/score.json",
        "typed again",
    ):
        assert word in told
    assert "on the CPU" not in told


def test_scoring_is_repeatable_to_the_byte(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert run_score(small_predictions, small_frames, "--json", str(tmp_path / name)) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    np.save(small_predictions / "0000.npy", small.prediction(0) * np.float32(1.001))
    assert PredictionFolder(small_predictions, open_folder(small_frames)).sha256() not in (tmp_path / "one").read_text()


@pytest.mark.parametrize("of", ["folder", "model"])
def test_neither_workers_nor_the_order_of_files_change_a_byte(of: str, small: Any, tmp_path: Path) -> None:
    names = [f"{index:04d}" for index in range(6)]
    written = set()
    for order in (names, names[::-1]):
        frames, out = tmp_path / "data", tmp_path / "score.json"
        for folder in (frames, tmp_path / "predictions"):
            shutil.rmtree(folder, ignore_errors=True)
        small.write_frames(frames, names)
        source = small.write_predictions(tmp_path / "predictions", names)
        for name in order:  # written anew, so that the folders list them in another order
            for path in (source / f"{name}.npy", *frames.glob(f"*/{name}.png")):
                content = path.read_bytes()
                path.unlink()
                path.write_bytes(content)
        if of == "model":
            source = small.write_model(tmp_path / "mean.onnx")
        for workers in ("1", "2", "4"):
            options = ["--protocol", "lpcvc-2025-geometry", "--protocol", "scale-invariant", "--workers", workers]
            assert run_score(source, frames, "--json", str(out), *options) == 0
            written.add(out.read_bytes())
    assert len(written) == 1


def test_another_size_than_the_contracts_is_said_once_and_kept(
    small_frames: Path, small_predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same depth at a smaller size has another F-Score: the organisers' rays are those of the first pixels."""
    said = "the predictions of 3 of 3 frames are 16x12, and the contract asks for 640x480"
    out = tmp_path / "told.json"
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", stop)
        assert run_score(small_predictions, small_frames, "--json", str(out)) == 130
    capsys.readouterr()
    monkeypatch.setattr(PredictionFolder, "predict", stop)  # all is resumed
    assert run_score(small_predictions, small_frames, "--json", str(out)) == 0
    assert capsys.readouterr().err.count(said) == 1
    told = json.loads(out.read_text())
    assert said in told["size_warning"]
    assert [row["other_size"] for row in told["frames"]] == ["16x12"] * 3


@pytest.mark.parametrize(
    ("source", "options"),
    [("constant", []), ("predictions", ["--protocol", "scale-invariant"])],
    ids=["as asked", "no rays"],
)
def test_no_size_is_told_where_none_matters(
    source: str, options: list[str], small_frames: Path, small_predictions: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(small_predictions.parent)
    out = tmp_path / "told.json"
    assert cli.run(["score", source, "--data", str(small_frames), "--json", str(out), *options]) == 0
    assert "contract asks for" not in capsys.readouterr().err
    told = json.loads(out.read_text())
    assert told["size_warning"] is None
    assert not any("other_size" in row for row in told["frames"])


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
