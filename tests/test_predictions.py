"""Where predictions come from: folders, models, runs; what each is said to hold, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv import cli, files
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError, MissingStepError
from lpcv.evaluate.baseline import ConstantDepth
from lpcv.evaluate.kinds import KINDS
from lpcv.evaluate.official import score_frame
from lpcv.evaluate.predictions import OnnxModel, PredictionFolder, open_source
from lpcv.prediction_folder import read_prediction
from lpcv.runs import CHECKPOINT_KEY, Run
from onnx import TensorProto

Array = npt.NDArray[Any]


def run_score(source: Path, frames: Path, *more: str) -> int:
    return cli.run(["score", str(source), "--data", str(frames), *more])


# Folders of predictions


def test_predictions_are_paired_by_name(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = small.write_predictions(
        tmp_path / "predictions", ("0002", "0000", "0001")
    )  # 0000 is predicted for frame 1
    folder = PredictionFolder(source, open_folder(small_frames))
    rgb = np.zeros((small.height, small.width, 3), np.uint8)
    np.testing.assert_array_equal(folder.predict("0000", rgb), small.prediction(1))
    np.testing.assert_array_equal(folder.predict("0002", rgb), small.prediction(0))
    assert "SORTED ORDER" not in capsys.readouterr().err


def test_predictions_of_other_frames_do_not_matter(small_frames: Path, small_predictions: Path) -> None:
    before = PredictionFolder(small_predictions, open_folder(small_frames))
    (small_predictions / "9999.npy").write_bytes(b"not even an array")
    after = PredictionFolder(small_predictions, open_folder(small_frames))
    assert (after.files, after.sha256()) == (before.files, before.sha256())


def test_sorted_order_only_where_no_name_matches_and_said_aloud(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = small.write_predictions(tmp_path / "predictions", ("a", "b", "c"))
    out = tmp_path / "score.json"
    assert run_score(source, small_frames, "--json", str(out)) == 0
    assert "No name in " in (told := capsys.readouterr()).err
    assert "SORTED ORDER" in told.err
    assert "SORTED ORDER" not in told.out
    by_name = small.write_predictions(tmp_path / "by name")
    assert run_score(by_name, small_frames, "--json", str(tmp_path / "by name.json")) == 0
    assert json.loads(out.read_text())["frames"] == json.loads((tmp_path / "by name.json").read_text())["frames"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("0000", "0002", "b"), "has no prediction for 1 of 3 frames, the first is 0001"),
        (("0002",), "has no prediction for 2 of 3 frames, the first is 0000"),
        (("a", "b"), "has 2 predictions for 3 frames and no name in common"),
        (("a", "b", "c", "d"), "has 4 predictions for 3 frames and no name in common"),
        ((), "holds no .npy predictions"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    small: Any,
    names: tuple[str, ...],
    words: str,
    small_frames: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "score.json"
    assert run_score(small.write_predictions(tmp_path / "predictions", names), small_frames, "--json", str(out)) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("lead", [(), (1, 1)])
def test_a_prediction_keeps_its_numbers(small: Any, dtype: str, lead: tuple[int, ...], tmp_path: Path) -> None:
    values = small.prediction(0).astype(dtype)
    np.save(tmp_path / "a.npy", values.reshape(*lead, small.height, small.width))
    read = read_prediction(tmp_path / "a.npy")
    assert (read.dtype, read.shape) == (np.dtype(dtype), (small.height, small.width))
    np.testing.assert_array_equal(read, values)


def bytes_of(values: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones((4, 5), np.float32))
    assert zipfile.is_zipfile(stream)
    return stream.getvalue()


GOOD = bytes_of(np.ones((4, 5), np.float32))
UNREADABLE: dict[str, bytes] = {
    "pickled": bytes_of(np.array([{"a": 1}], object)),
    "ints": bytes_of(np.ones((4, 5), np.int64)),
    "long_doubles": bytes_of(np.ones((4, 5), np.longdouble)),
    "bools": bytes_of(np.ones((4, 5), np.bool_)),
    "complex": bytes_of(np.ones((4, 5), np.complex64)),
    "one_dimension": bytes_of(np.ones(20, np.float32)),
    "three_dimensions": bytes_of(np.ones((1, 4, 5), np.float32)),
    "a_batch": bytes_of(np.ones((2, 1, 4, 5), np.float32)),
    "channels": bytes_of(np.ones((1, 3, 4, 5), np.float32)),
    "no_pixels": bytes_of(np.ones((1, 1, 0, 5), np.float32)),
    "empty_file": b"",
    "truncated_header": GOOD[:60],
    "truncated_data": GOOD[:-4],
    "text": b"0.5 0.5\n",
    "archive": archive(),
    "broken_archive": b"PK\x03\x04" + bytes(100),
    "unclosed_header": GOOD.replace(b"(4, 5)", b"(4, (5"),
    "more_than_any_memory": GOOD.replace(b"(4, 5), }            ", b"(99999999, 9999999), "),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unusable_prediction_names_its_file(
    kind: str, small_frames: Path, small_predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_predictions / "0001.npy").write_bytes(UNREADABLE[kind])
    out = tmp_path / "score.json"
    assert run_score(small_predictions, small_frames, "--json", str(out)) == 2
    told = capsys.readouterr().err
    assert "0001.npy" in told
    assert "allow_pickle" not in told.replace("allow_pickle=False", "")  # no advice to unpickle
    assert not out.exists()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_damaged_byte_is_an_array_or_a_sentence(at: int, value: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: io.BytesIO(GOOD[:at] + bytes([value]) + GOOD[at + 1 :]))
        try:
            read = read_prediction(Path("damaged.npy"))
        except InputError as error:
            assert "damaged.npy" in error.problem  # noqa: PT017
        else:
            assert read.ndim == 2


# What a source is said to hold


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("[]", "names no kind of prediction"),
        ("{}", "names no kind of prediction"),
        ('{"kind": "disparity"}', "names no kind of prediction"),
        ("{", "is not valid JSON"),
    ],
)
def test_a_description_that_says_nothing_is_refused(
    described: str, words: str, small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_predictions / "predictions.json").write_text(described)
    assert run_score(small_predictions, small_frames) == 2
    assert words in capsys.readouterr().err


def kind_in(out: Path) -> str:
    return json.loads(out.read_text())["source_kind"]


@pytest.mark.parametrize("described", [None, *KINDS])
@pytest.mark.parametrize("claimed", [None, *KINDS])
def test_a_folder_is_what_it_says_else_what_is_claimed_else_relative_depth(
    described: str | None, claimed: str | None, small_frames: Path, small_predictions: Path
) -> None:
    if described:
        (small_predictions / "predictions.json").write_text(json.dumps({"kind": described}))
    if described and claimed not in (None, described):
        with pytest.raises(InputError, match=f"says that it holds {described}, not {claimed}. Leave --kind away"):
            open_source(small_predictions, open_folder(small_frames), claimed)
        source = open_source(small_predictions, open_folder(small_frames), claimed, insist=False)
        assert source.kind == described
    else:
        source = open_source(small_predictions, open_folder(small_frames), claimed)
        assert source.kind == (described or claimed or "relative_depth")


def test_the_kind_is_kept_with_the_score(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "score.json"
    assert run_score(small_predictions, small_frames, "--json", str(out)) == 0
    assert kind_in(out) == "relative_depth"
    assert run_score(small_predictions, small_frames, "--json", str(out), "--kind", "depth_m") == 0
    assert kind_in(out) == "depth_m"
    model = small.write_model(tmp_path / "metric.onnx")
    assert run_score(model, small_frames, "--json", str(out), "--kind", "depth_m") == 0
    assert kind_in(out) == "depth_m"


@pytest.mark.parametrize("said", ["by the folder", "by the user", "of a model"])
def test_affine_inverse_depth_is_no_depth(
    said: str, small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source, options = small_predictions, ["--kind", "affine_inverse_depth"]
    if said == "by the folder":
        (small_predictions / "predictions.json").write_text('{"kind": "affine_inverse_depth"}')
        options = []
    elif said == "of a model":
        source = small.write_model(tmp_path / "midas.onnx")
    out = tmp_path / "score.json"
    assert run_score(source, small_frames, "--json", str(out), *options) == 2
    told = capsys.readouterr()
    assert (
        "The prediction is affine_inverse_depth (inverse depth up to a scale and a shift), and protocol lpcvc-2025 "
        "needs relative_depth (depth up to one scale)." in told.err
    )
    assert "a protocol that accepts this kind: see `lpcv protocols`" in told.err
    assert told.out == ""
    assert not out.exists()


def test_a_word_that_is_no_kind_is_refused(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small_predictions, small_frames, "--kind", "disparity") == 2
    assert "'disparity' is no kind of prediction. Write one of: depth_m, relative_depth" in capsys.readouterr().err


def test_affine_inverse_depth_is_scored_by_a_protocol_for_it(tmp_path: Path) -> None:
    """NYUv2's own size; the inverse of the truth, scaled and shifted, is perfect after least squares in inverse."""
    down, right = np.mgrid[:480, :640]
    depth_mm = (1500 + 3 * right + 2 * down + 300 * np.sin(down / 40)).astype(np.uint16)
    files_of = {"image": np.zeros((480, 640, 3), np.uint8), "depth_raw": depth_mm}
    for folder, pixels in files_of.items():
        write_png(tmp_path / "nyu" / folder / "0000.png", pixels)
    (tmp_path / "predictions").mkdir()
    inverse = 1 / (depth_mm / 1000.0)
    np.save(tmp_path / "predictions" / "0000.npy", 7.0 * inverse - 0.4)
    out = tmp_path / "score.json"
    options = ["--json", str(out), "--kind", "affine_inverse_depth"]
    assert run_score(tmp_path / "predictions", tmp_path / "nyu", *options, "--protocol", "nyuv2-lsq-inverse") == 0
    told = json.loads(out.read_text())
    (row,) = told["frames"]
    assert (told["protocol"], told["source_kind"]) == ("nyuv2-lsq-inverse", "affine_inverse_depth")
    assert row["abs_rel"] == pytest.approx(0, abs=1e-6)  # truth is read as float32
    assert row["delta1"] == 1
    assert row["alignment"] == pytest.approx({"scale": 1 / 7, "shift": 0.4 / 7})
    assert run_score(tmp_path / "predictions", tmp_path / "nyu", *options, "--protocol", "nyuv2") == 2


# Models and runs


def test_a_model_is_fed_raw_rgb_and_its_map_is_scored(small: Any, small_frames: Path, tmp_path: Path) -> None:
    model = small.write_model(tmp_path / "mean.onnx")
    out = tmp_path / "score.json"
    assert run_score(model, small_frames, "--json", str(out)) == 0
    told = json.loads(out.read_text())
    assert (told["source"], told["source_sha256"]) == (str(model), files.sha256_file(model))
    frame = open_folder(small_frames).frame("0001")
    assert frame.depth_m is not None
    assert frame.confidence is not None
    mean = frame.rgb.astype(np.float32).transpose(2, 0, 1).mean(0)
    np.testing.assert_allclose(OnnxModel.open(model).predict("0001", frame.rgb), mean, rtol=1e-5)
    by_hand = score_frame("0001", mean, frame.depth_m, frame.confidence).values
    assert told["frames"][1]["abs_rel"] == pytest.approx(by_hand["abs_rel"], rel=1e-4)


@pytest.mark.parametrize("op", ["all channels", "no batch", "integers"])
def test_a_model_that_gives_no_map_is_refused(
    small: Any, op: str, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small.write_model(tmp_path / "x.onnx", op=op), small_frames) == 2
    told = capsys.readouterr().err
    assert "x.onnx" in told
    assert "lpcv check" in told


def test_a_model_that_does_not_run_is_a_sentence(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_score(small.write_model(tmp_path / "half.onnx", elem=TensorProto.FLOAT16), small_frames) == 2
    told = capsys.readouterr().err
    assert "half.onnx" in told
    assert "lpcv check" in told


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"\x08\x09 no protobuf"), "cannot load"),
        (lambda path: path.write_bytes(b""), "cannot load"),
    ],
    ids=["missing", "damaged", "empty"],
)
def test_an_unusable_model_is_refused(
    make: Callable[[Path], Any], words: str, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "x.onnx")
    assert run_score(tmp_path / "x.onnx", small_frames) == 2
    told = capsys.readouterr().err
    assert "x.onnx" in told
    assert words in told


@pytest.mark.parametrize("name", ["nothing", "notes.txt"])
def test_what_is_no_source_is_refused(
    name: str, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert run_score(tmp_path / name, small_frames) == 2
    told = capsys.readouterr().err
    assert f"{name} is nothing that can be scored{': it does not exist' * (name == 'nothing')}. Give an .onnx" in told
    assert "a run, a folder of NNNN.npy, the id of an AI Hub job, or the word `constant`." in told


def make_run(small: Any, root: Path, *, exported_from: bytes | None, weights: bytes | None = b"weights") -> Path:
    """A run folder as training and export leave it, without what scoring does not look at."""
    run = Run(root)
    run.best.mkdir(parents=True)
    run.config.write_text('{"inputs": {"data": "elsewhere", "frames": null}}')
    if weights is not None:
        (run.best / "model.safetensors").write_bytes(weights)
    if exported_from is not None:
        (root / "was").write_bytes(exported_from)
        small.write_model(run.model, metadata={CHECKPOINT_KEY: files.sha256_file(root / "was")})
    return root


@pytest.mark.parametrize(
    ("exported_from", "weights", "words"),
    [
        (None, b"weights", "has no model.onnx yet. Run `lpcv export {run}` first."),
        (b"older", b"weights", "was not exported from {weights}, which has changed since. Run `lpcv export {run}` ag"),
        (b"weights", None, "has no best checkpoint yet"),
    ],
    ids=["never exported", "stale", "no checkpoint"],
)
def test_a_run_that_is_not_ready_names_the_command(
    exported_from: bytes | None,
    weights: bytes | None,
    words: str,
    small: Any,
    small_frames: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(small, tmp_path / "run", exported_from=exported_from, weights=weights)
    with pytest.raises(MissingStepError):
        open_source(run, open_folder(small_frames))
    assert run_score(run, small_frames) == 2
    assert words.format(run=run, weights=Run(run).best / "model.safetensors") in capsys.readouterr().err
    assert not Run(run).score.exists()


def test_a_run_keeps_its_score(small: Any, small_frames: Path, tmp_path: Path) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"weights")
    assert run_score(run, small_frames, "--json", str(tmp_path / "score.json")) == 0
    assert Run(run).score.read_bytes() == (tmp_path / "score.json").read_bytes()
    assert json.loads(Run(run).score.read_text())["source"] == str(run)
    assert run_score(run, small_frames, "--json", str(Run(run).score)) == 0
    assert Run(run).score.read_bytes() == (tmp_path / "score.json").read_bytes()
    assert sorted(path.name for path in run.iterdir() if "score" in path.name) == ["score.json"]


@pytest.mark.parametrize(
    ("protocols", "kept"),
    [
        (["lpcvc-2025"], True),
        (["lpcvc-2025-geometry"], True),
        (["scale-invariant", "lpcvc-2025"], True),
        (["scale-invariant"], False),
    ],
)
def test_a_run_keeps_the_official_score_wherever_it_stands(
    protocols: list[str], kept: bool, small: Any, small_frames: Path, tmp_path: Path
) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"weights")
    Run(run).config.write_text(json.dumps({"inputs": {"data": str(small_frames), "frames": "0001-0002"}}))
    words = [word for name in protocols for word in ("--protocol", name)]
    assert run_score(run, small_frames, *words) == 0
    assert Run(run).score.exists() == kept
    if kept:
        told = json.loads(Run(run).score.read_text())
        assert (told["protocol"], told["frames_trained_on"], "beside" in told) == ("lpcvc-2025", 2, False)
        assert run_score(run, small_frames) == 0
        assert json.loads(Run(run).score.read_text()) == told


def test_a_score_of_other_frames_replaces_the_runs_and_that_is_said(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"weights")
    assert run_score(run, small_frames) == 0
    assert run_score(run, small_frames) == 0
    assert "now holds" not in capsys.readouterr().err
    assert run_score(run, small_frames, "--frames", "0001") == 0
    said = f"{Run(run).score} now holds the score of these 1 frame; before, that of 3 others."
    assert said in capsys.readouterr().err
    assert [row["frame"] for row in json.loads(Run(run).score.read_text())["frames"]] == ["0001"]
    for damaged in ("{", "[]", "3"):
        Run(run).score.write_text(damaged)
        assert run_score(run, small_frames) == 0
        assert json.loads(Run(run).score.read_text())["frames_scored"] == 3


def test_two_different_scores_do_not_go_into_one_file(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"weights")
    options = ["--protocol", "scale-invariant", "--protocol", "lpcvc-2025", "--json", str(Run(run).score)]
    assert run_score(run, small_frames, *options) == 2
    assert "--json and The run's own score both write to" in capsys.readouterr().err


@pytest.mark.parametrize("of", ["run", "exported model", "constant"])
def test_a_kind_that_contradicts_the_source_is_refused(
    of: str, small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"weights")
    source = {"run": str(run), "exported model": str(Run(run).model), "constant": "constant"}[of]
    words = ["score", source, "--data", str(small_frames), "--kind"]
    assert cli.run([*words, "depth_m"]) == 2
    assert " says that it holds relative_depth, not depth_m. Leave --kind away." in capsys.readouterr().err
    assert not Run(run).score.exists()
    assert cli.run([*words, "relative_depth"]) == 0


def test_a_cloud_is_told_the_kind(
    small_frames: Path, small_predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cloud", str(small_predictions), "--data", str(small_frames), "--frame", "0001", "--kind"]
    assert cli.run([*words, "affine_inverse_depth", "--out", str(tmp_path / "a.ply")]) == 2
    assert "The prediction is affine_inverse_depth" in capsys.readouterr().err
    assert cli.run([*words, "depth_m", "--out", str(tmp_path / "a.ply")]) == 0
    words[1] = "constant"
    assert cli.run([*words, "relative_depth", "--out", str(tmp_path / "b.ply")]) == 0


def test_the_word_constant_is_a_source_and_a_folder_may_have_its_name(
    small: Any, small_frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small.write_predictions(tmp_path / "constant")
    labels = {}
    for source in ("constant", "./constant"):
        assert cli.run(["score", source, "--data", str(small_frames), "--json", "score.json"]) == 0
        labels[source] = json.loads(Path("score.json").read_text())["source"]
    assert labels == {"constant": "constant depth", "./constant": "constant"}
    assert isinstance(open_source("constant", open_folder(small_frames)), ConstantDepth)
    assert isinstance(open_source(Path("constant"), open_folder(small_frames)), PredictionFolder)


def test_the_hash_of_a_model_is_its_files(small: Any, tmp_path: Path) -> None:
    alone = small.write_model(tmp_path / "alone.onnx")
    assert OnnxModel.open(alone).sha256() == files.sha256_file(alone)
    model = small.write_model(tmp_path / "m.onnx", op="weights")
    weights, before = tmp_path / "m.onnx.data", OnnxModel.open(model).sha256()
    assert before not in (files.sha256_file(model), files.sha256_file(weights))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert OnnxModel.open(model).sha256() != before
    weights.write_bytes(content)
    assert OnnxModel.open(model).sha256() == before


def test_a_model_file_inside_a_run_is_scored_alone(small: Any, small_frames: Path, tmp_path: Path) -> None:
    run = make_run(small, tmp_path / "run", exported_from=b"older")
    assert run_score(Run(run).model, small_frames) == 0
    assert not Run(run).score.exists()
