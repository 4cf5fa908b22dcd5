"""`lpcv score`: where predictions come from, what is refused, and what is written."""

from __future__ import annotations

import csv
import errno
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv import cli, files
from lpcv.data.folder import open_folder, spread
from lpcv.data.images import read_rgb, write_png
from lpcv.data.resize import nearest
from lpcv.errors import InputError, MissingStepError
from lpcv.evaluate.official import score_frame
from lpcv.evaluate.predictions import OnnxModel, PredictionFolder, open_source, read_prediction
from lpcv.runs import CHECKPOINT_KEY, Run
from onnx import TensorProto, helper

Array = npt.NDArray[Any]
HEIGHT, WIDTH = 12, 16
NAMES = ("0000", "0001", "0002")
GREY = (128, 128, 128)
COLUMNS = [
    "abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3", "mae",
    "f_score", "iou", "chamfer_m", "f_score_20cm", "iou_20cm",
]  # fmt: skip


def depth_mm(index: int) -> npt.NDArray[np.uint16]:
    """(6, 8) a slope from 1 to 4 m, different for each frame."""
    return np.linspace(1000 + 100 * index, 4000, 48).reshape(6, 8).astype(np.uint16)


def write_frames(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    for index, name in enumerate(names):
        rgb = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        write_png(root / "image" / f"{name}.png", rgb)
        write_png(root / "depth_raw" / f"{name}.png", depth_mm(index))
        write_png(root / "depth_conf" / f"{name}.png", np.full((6, 8), 2, np.uint8))
    return root


def prediction(index: int) -> npt.NDArray[np.float32]:
    """(12, 16) the truth of frame `index`, grown, bent a little, at another scale."""
    grown = nearest(depth_mm(index).astype(np.float32), (WIDTH, HEIGHT))
    return ((grown / 9000) ** (1.0 + 0.1 * (index + 1))).astype(np.float32)


def write_predictions(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    root.mkdir()
    for index, name in enumerate(names):
        np.save(root / f"{name}.npy", prediction(index)[None, None])
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "data")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write_predictions(tmp_path / "predictions")


def score(source: Path, data: Path, *more: str) -> int:
    return cli.run(["score", str(source), "--data", str(data), *more])


def expected(index: int) -> dict[str, float | None]:
    truth = depth_mm(index).astype(np.float32) / np.float32(1000)
    return dict(score_frame("x", prediction(index), truth, np.full((6, 8), 2, np.uint8)).values)


# Folders of predictions


def test_predictions_are_paired_by_name(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_predictions(tmp_path / "predictions", ("0002", "0000", "0001"))  # 0000 is predicted for frame 1
    folder = PredictionFolder(source, open_folder(data))
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    np.testing.assert_array_equal(folder.predict("0000", rgb), prediction(1))
    np.testing.assert_array_equal(folder.predict("0002", rgb), prediction(0))
    assert "SORTED ORDER" not in capsys.readouterr().err


def test_predictions_of_other_frames_do_not_matter(data: Path, predictions: Path) -> None:
    before = PredictionFolder(predictions, open_folder(data))
    (predictions / "9999.npy").write_bytes(b"not even an array")
    after = PredictionFolder(predictions, open_folder(data))
    assert (after.files, after.sha256()) == (before.files, before.sha256())


def test_sorted_order_only_where_no_name_matches_and_said_aloud(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_predictions(tmp_path / "predictions", ("a", "b", "c"))
    out = tmp_path / "score.json"
    assert score(source, data, "--json", str(out)) == 0
    assert "No name in " in (told := capsys.readouterr()).err
    assert "SORTED ORDER" in told.err
    assert "SORTED ORDER" not in told.out
    for index, row in enumerate(json.loads(out.read_text())["frames"]):
        assert (row["frame"], row["abs_rel"]) == (NAMES[index], expected(index)["abs_rel"])


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
    names: tuple[str, ...], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "score.json"
    assert score(write_predictions(tmp_path / "predictions", names), data, "--json", str(out)) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("lead", [(), (1, 1)])
def test_a_prediction_keeps_its_numbers(dtype: str, lead: tuple[int, ...], tmp_path: Path) -> None:
    values = prediction(0).astype(dtype)
    np.save(tmp_path / "a.npy", values.reshape(*lead, HEIGHT, WIDTH))
    read = read_prediction(tmp_path / "a.npy")
    assert (read.dtype, read.shape) == (np.dtype(dtype), (HEIGHT, WIDTH))
    np.testing.assert_array_equal(read, values)


def bytes_of(values: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=prediction(0))
    assert zipfile.is_zipfile(stream)
    return stream.getvalue()


GOOD = bytes_of(np.ones((4, 5), np.float32))
UNREADABLE: dict[str, bytes] = {
    "pickled": bytes_of(np.array([{"a": 1}], object)),
    "ints": bytes_of(np.ones((4, 5), np.int64)),
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
    kind: str, data: Path, predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (predictions / "0001.npy").write_bytes(UNREADABLE[kind])
    out = tmp_path / "score.json"
    assert score(predictions, data, "--json", str(out)) == 2
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


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ('{"kind": "affine_inverse_depth"}', "holds affine_inverse_depth, and the official score takes depth"),
        ("[]", "names no kind of prediction"),
        ("{}", "names no kind of prediction"),
        ("{", "is not valid JSON"),
    ],
)
def test_only_predictions_of_depth_are_scored(
    described: str, words: str, data: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (predictions / "predictions.json").write_text('{"kind": "depth_m"}')
    assert score(predictions, data) == 0
    (predictions / "predictions.json").write_text(described)
    assert score(predictions, data) == 2
    assert words in capsys.readouterr().err


# Models and runs


def write_model(
    path: Path, *, metadata: dict[str, str] | None = None, elem: int = TensorProto.FLOAT, op: str = "mean"
) -> Path:
    """image (1, 3, 12, 16) -> the mean of the channels (1, 1, 12, 16), and wrong ones."""
    shape = [1, 3, HEIGHT, WIDTH]
    nodes = {
        "mean": [helper.make_node("ReduceMean", ["image"], ["output_0"], axes=[1], keepdims=1)],
        "all channels": [helper.make_node("Identity", ["image"], ["output_0"])],
        "no batch": [helper.make_node("ReduceMean", ["image"], ["output_0"], axes=[1], keepdims=0)],
        "integers": [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Cast", ["mean"], ["output_0"], to=TensorProto.INT64),
        ],
    }[op]
    output = helper.make_tensor_value_info("output_0", TensorProto.INT64 if op == "integers" else elem, None)
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("image", elem, shape)], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def test_a_model_is_fed_raw_rgb_and_its_map_is_scored(data: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "mean.onnx")
    out = tmp_path / "score.json"
    assert score(model, data, "--json", str(out)) == 0
    told = json.loads(out.read_text())
    assert (told["source"], told["source_sha256"]) == (str(model), files.sha256_file(model))
    frame = open_folder(data).frame("0001")
    assert frame.depth_m is not None
    assert frame.confidence is not None
    mean = frame.rgb.astype(np.float32).transpose(2, 0, 1).mean(0)
    np.testing.assert_allclose(OnnxModel.open(model).predict("0001", frame.rgb), mean, rtol=1e-5)
    by_hand = score_frame("0001", mean, frame.depth_m, frame.confidence).values
    assert told["frames"][1]["abs_rel"] == pytest.approx(by_hand["abs_rel"], rel=1e-4)


@pytest.mark.parametrize("op", ["all channels", "no batch", "integers"])
def test_a_model_that_gives_no_map_is_refused(
    op: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(write_model(tmp_path / "x.onnx", op=op), data) == 2
    told = capsys.readouterr().err
    assert "x.onnx" in told
    assert "lpcv check" in told


def test_a_model_that_does_not_run_is_a_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(write_model(tmp_path / "half.onnx", elem=TensorProto.FLOAT16), data) == 2
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
    make: Callable[[Path], Any], words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "x.onnx")
    assert score(tmp_path / "x.onnx", data) == 2
    told = capsys.readouterr().err
    assert "x.onnx" in told
    assert words in told


@pytest.mark.parametrize("name", ["nothing", "notes.txt"])
def test_what_is_no_source_is_refused(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert score(tmp_path / name, data) == 2
    assert f"{name} is nothing that can be scored. Give an .onnx file, a run, or a folder" in capsys.readouterr().err


def make_run(root: Path, *, exported_from: bytes | None, weights: bytes | None = b"weights") -> Path:
    """A run folder as training and export leave it, without what scoring does not look at."""
    run = Run(root)
    run.best.mkdir(parents=True)
    run.config.write_text('{"inputs": {"data": "elsewhere", "frames": null}}')
    if weights is not None:
        (run.best / "model.safetensors").write_bytes(weights)
    if exported_from is not None:
        (root / "was").write_bytes(exported_from)
        write_model(run.model, metadata={CHECKPOINT_KEY: files.sha256_file(root / "was")})
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
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(tmp_path / "run", exported_from=exported_from, weights=weights)
    with pytest.raises(MissingStepError):
        open_source(run, open_folder(data))
    assert score(run, data) == 2
    assert words.format(run=run, weights=Run(run).best / "model.safetensors") in capsys.readouterr().err
    assert not Run(run).score.exists()


def test_a_run_keeps_its_score(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", exported_from=b"weights")
    assert score(run, data, "--json", str(tmp_path / "score.json")) == 0
    assert Run(run).score.read_bytes() == (tmp_path / "score.json").read_bytes()
    assert json.loads(Run(run).score.read_text())["source"] == str(run)


def test_a_model_file_inside_a_run_is_scored_alone(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", exported_from=b"older")
    assert score(Run(run).model, data) == 0
    assert not Run(run).score.exists()


# What is written


def test_json_and_csv_to_the_letter(data: Path, predictions: Path, tmp_path: Path) -> None:
    negative = prediction(1)
    negative[0, 0] *= -1
    np.save(predictions / "0001.npy", negative)
    json_file, csv_file = tmp_path / "new" / "score.json", tmp_path / "score.csv"
    assert score(predictions, data, "--json", str(json_file), "--csv", str(csv_file)) == 0
    told = json.loads(json_file.read_text())
    head = ["protocol", "source", "source_sha256", "data_sha256", "frames_scored", "frames_trained_on"]
    assert list(told) == [*head, "mean", "frames"]
    assert (told["frames_scored"], told["frames_trained_on"]) == (3, None)
    assert (told["protocol"], told["source"]) == ("lpcvc-2025", str(predictions))
    assert told["data_sha256"] == open_folder(data).fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", told["source_sha256"])
    good, bad, also_good = told["frames"]
    assert list(good) == ["frame", *COLUMNS]
    assert list(bad) == ["frame", *COLUMNS, "reasons"]
    assert list(told["mean"]) == [*COLUMNS, "reasons"]
    assert [row["frame"] for row in told["frames"]] == list(NAMES)
    assert {key: good[key] for key in COLUMNS} == expected(0)
    assert {key: also_good[key] for key in COLUMNS} == expected(2)
    assert [key for key in COLUMNS if bad[key] is None] == ["rmse_log"]
    assert list(bad["reasons"]) == ["rmse_log"]
    assert told["mean"]["rmse_log"] is None
    assert told["mean"]["reasons"] == {"rmse_log": "1 of 3 frames have no finite value, the first is 0001"}
    for key in set(COLUMNS) - {"rmse_log"}:
        assert told["mean"][key] == pytest.approx((good[key] + bad[key] + also_good[key]) / 3)

    rows = list(csv.DictReader(csv_file.open()))
    assert list(rows[0]) == ["frame", *COLUMNS]
    assert [row["frame"] for row in rows] == [*NAMES, "mean"]
    for row, source in zip(rows, (*told["frames"], told["mean"]), strict=True):
        assert [row[key] for key in COLUMNS] == ["" if source[key] is None else repr(source[key]) for key in COLUMNS]


def test_the_table_says_what_is_officially_nan(
    data: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(predictions / "0002.npy", -prediction(2))
    spoiled = prediction(0)
    spoiled[3, 3] = np.nan
    np.save(predictions / "0000.npy", spoiled)
    assert score(predictions, data) == 0
    told = capsys.readouterr()
    assert "protocol lpcvc-2025" in told.out
    assert re.search(r"abs_rel\W+not finite", told.out)
    assert re.search(r"f_score\W+\d+\.\d{4}", told.out)
    assert "abs_rel is officially not finite: 1 of 3 frames have no finite value, the first is 0000" in told.err


@pytest.mark.parametrize(
    ("frames", "names"), [("0001-0002", ["0001", "0002"]), ("0002", ["0002"]), ("0000-9", list(NAMES))]
)
def test_frames_are_selected(frames: str, names: list[str], data: Path, predictions: Path, tmp_path: Path) -> None:
    out = tmp_path / "score.json"
    assert score(predictions, data, "--frames", frames, "--json", str(out)) == 0
    told = json.loads(out.read_text())
    assert [row["frame"] for row in told["frames"]] == names
    assert told["data_sha256"] == open_folder(data).subset(tuple(names)).fingerprint()
    assert told["mean"]["abs_rel"] == pytest.approx(np.mean([row["abs_rel"] for row in told["frames"]]))


def test_frames_that_are_not_there_are_refused(
    data: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(predictions, data, "--frames", "0005-0009") == 2
    assert "has no frame within '0005-0009'. It has 0000 to 0002." in capsys.readouterr().err


def test_a_subset_needs_predictions_for_itself_only(data: Path, tmp_path: Path) -> None:
    source = write_predictions(tmp_path / "predictions", ("0000",))
    assert score(source, data) == 2
    assert score(source, data, "--frames", "0000") == 0


# The contact sheet: four tiles of 256x192 with gaps of 6, two bars of 90, a heading of 26, a gap of 6 under each row


def tile(sheet: Array, row: int, column: int) -> Array:
    top, left = 26 + row * 198, column * 262
    return sheet[top : top + 192, left : left + 256]


def test_the_sheet_shows_holes_and_distrust_in_grey(data: Path, predictions: Path, tmp_path: Path) -> None:
    holes, levels = depth_mm(1), np.full((6, 8), 2, np.uint8)
    holes[2, 3], levels[4, 5] = 0, 0
    write_png(data / "depth_raw" / "0001.png", holes)
    write_png(data / "depth_conf" / "0001.png", levels)
    out = tmp_path / "sheet.png"
    assert score(predictions, data, "--sheet", str(out)) == 0
    sheet = read_rgb(out)
    assert sheet.shape == (26 + 3 * 198, 4 * 262 + 2 * 90, 3)
    rgb = open_folder(data).frame("0001").rgb
    _, truth, pred, error = (tile(sheet, 1, column) for column in range(4))
    for down, right in ((2, 3), (4, 5)):
        middle = (32 * down + 16, 32 * right + 16)  # 6x8 truth on 192x256 pixels
        assert tuple(truth[middle]) == tuple(error[middle]) == GREY
        assert tuple(pred[middle]) != GREY
    middle = (32 * 3 + 16, 32 * 6 + 16)
    assert tuple(truth[middle]) != GREY
    assert tuple(error[middle]) != GREY
    grey = (truth[24:] == 128).all(2)  # below the caption
    assert grey.sum() == 2 * 32 * 32
    np.testing.assert_array_equal(tile(sheet, 1, 0)[100, 8::16], rgb[100 // 16])


def test_the_sheet_has_one_scale_for_all_rows(data: Path, predictions: Path, tmp_path: Path) -> None:
    """The same depth has the same colour in every row, in truth and prediction."""
    write_png(data / "depth_raw" / "0000.png", np.full((6, 8), 2000, np.uint16))
    np.save(predictions / "0000.npy", np.full((HEIGHT, WIDTH), 0.3, np.float32))
    mixed = np.full((6, 8), 4000, np.uint16)
    mixed[:, 4:] = 2000
    write_png(data / "depth_raw" / "0001.png", mixed)
    out = tmp_path / "sheet.png"
    assert score(predictions, data, "--sheet", str(out), "--frames", "0000-0001") == 0
    sheet = read_rgb(out)
    flat, flat_pred, two = tile(sheet, 0, 1), tile(sheet, 0, 2), tile(sheet, 1, 1)
    assert tuple(flat[100, 200]) == tuple(flat_pred[100, 200]) == tuple(two[100, 200])
    assert tuple(two[100, 50]) != tuple(two[100, 200])


def test_the_sheet_of_frames_without_a_trusted_pixel_is_drawn(data: Path, predictions: Path, tmp_path: Path) -> None:
    """Depth only where confidence is 0, confidence only where there is no depth: official, and grey all over."""
    holes, levels = depth_mm(0), np.zeros((6, 8), np.uint8)
    holes[:, :2], levels[:, :2] = 0, 2
    write_png(data / "depth_raw" / "0000.png", holes)
    write_png(data / "depth_conf" / "0000.png", levels)
    out = tmp_path / "sheet.png"
    assert score(predictions, data, "--frames", "0000", "--sheet", str(out)) == 0
    assert (tile(read_rgb(out), 0, 1)[24:] == 128).all()


def test_spread_is_even_and_holds_both_ends() -> None:
    names = [f"{index:04d}" for index in range(100)]
    assert spread(names, 4) == ["0000", "0033", "0066", "0099"]
    assert spread(names[:3], 12) == names[:3]
    assert len(set(spread(names, 12))) == 12


# Truth that cannot be scored


def without(folder: str) -> Callable[[Path], None]:
    def remove(data: Path) -> None:
        for path in (data / folder).iterdir():
            path.unlink()

    return remove


def blank(folder: str, pixels: Array) -> Callable[[Path], None]:
    return lambda data: write_png(data / folder / "0001.png", pixels)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("depth_conf"), ["lacks depth or confidence of frame 0000", "Add depth_raw/ and depth_conf/"]),
        (without("depth_raw"), ["has no depth_raw/ with ground truth"]),
        (blank("depth_raw", np.zeros((6, 8), np.uint16)), ["depth_raw/0001.png", "every pixel is 0", "Remove frame"]),
        (blank("depth_conf", np.zeros((6, 8), np.uint8)), ["0001", "no pixel of confidence 1", "Remove the frame"]),
        (blank("depth_conf", np.zeros((5, 8), np.uint8)), ["depth_conf/0001.png", "8x5", "8x6"]),
        (blank("depth_raw", np.ones((6, 8), np.uint8)), ["depth_raw/0001.png", "8 bits per pixel"]),
    ],
    ids=["no confidence", "no depth", "empty depth", "zero confidence", "other size", "8-bit depth"],
)
def test_unusable_truth_is_a_sentence_and_nothing_is_written(
    spoil: Callable[[Path], None],
    words: list[str],
    data: Path,
    predictions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(data)
    outs = [tmp_path / "out" / name for name in ("score.json", "score.csv", "sheet.png")]
    options = ["--json", str(outs[0]), "--csv", str(outs[1]), "--sheet", str(outs[2])]
    assert score(predictions, data, *options) == 2
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if line.startswith("lpcv: ")]
    for word in words:
        assert word in line.replace("\\", "/")
    assert told.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--json", "--csv", "--sheet"])
def test_a_full_disk_leaves_the_old_file_whole(
    option: str,
    data: Path,
    predictions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out" / "result"
    out.parent.mkdir()
    out.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    assert score(predictions, data, option, str(out)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert [path.name for path in out.parent.iterdir()] == ["result"]


def test_scoring_is_repeatable_to_the_byte(data: Path, predictions: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert score(predictions, data, "--json", str(tmp_path / name)) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    np.save(predictions / "0000.npy", prediction(0) * np.float32(1.001))
    assert PredictionFolder(predictions, open_folder(data)).sha256() not in (tmp_path / "one").read_text()
