"""Predicting on an image, a folder and a video: what is written, over which range, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import open_folder
from lpcv.data.frame import Rgb
from lpcv.data.images import read_rgb, write_png
from lpcv.errors import InputError
from lpcv.evaluate.predictions import PredictionFolder
from lpcv.submission.predict import MOST_PICTURES_SAMPLED, VALUES_PER_PICTURE, OnnxPredictor, RangeSample, predict_all
from onnx import TensorProto, helper

SIZE = (64, 48)


@dataclass(frozen=True)
class Brightness:
    """Red times `factor`, as a prediction of any kind."""

    kind: str = "depth_m"
    factor: float = 0.01

    def predict(self, rgb: Rgb) -> np.ndarray:
        return rgb[..., 0].astype(np.float32) * np.float32(self.factor)


class StopsAtThird(Brightness):
    def predict(self, rgb: Rgb) -> np.ndarray:
        if rgb[0, 0, 0] > 90:
            raise InputError("The third picture cannot be predicted.", "Nothing helps.")
        return super().predict(rgb)


def plain(red: int) -> Rgb:
    return np.full((SIZE[1], SIZE[0], 3), (red, 5, 9), np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of one red each: 40, 80, 120."""
    for index in range(3):
        write_png(tmp_path / "in" / "image" / f"{index:04d}.png", plain(40 * (index + 1)))
    return tmp_path / "in"


def test_a_folder_gives_maps_that_the_scorer_reads_and_pictures(pictures: Path, tmp_path: Path) -> None:
    done = predict_all(Brightness(), pictures, tmp_path / "out")
    assert (done.pictures, done.kind) == (3, "depth_m")
    for index in range(3):
        stored = np.load(tmp_path / "out" / f"{index:04d}.npy")
        assert (stored.shape, stored.dtype) == ((1, 1, SIZE[1], SIZE[0]), np.float32)
        np.testing.assert_array_equal(stored, np.float32(40 * (index + 1)) * np.float32(0.01))
    folder = PredictionFolder(tmp_path / "out", open_folder(pictures))
    assert folder.predict("0001", plain(0)).shape == (SIZE[1], SIZE[0])
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".npy", ".png", ".json"}


def middle(path: Path) -> tuple[int, ...]:
    """Colour of the map's middle in a written picture, whose heading is 26 pixels high."""
    return tuple(map(int, read_rgb(path)[26 + SIZE[1] // 2, SIZE[0] // 2]))


def test_one_range_for_the_whole_set_is_said_aloud(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    done = predict_all(Brightness(), pictures, out)
    assert (done.low, done.high) == pytest.approx((0.4, 1.2))
    assert "0.4 to 1.2 in every picture" in capsys.readouterr().err
    # Each map is constant: a range of its own would give all three the same colour.
    assert len({middle(out / f"{index:04d}.png") for index in range(3)}) == 3
    # What is equal looks equal: the same picture in another set with the same range has the same colour.
    predict_all(Brightness(), pictures / "image" / "0001.png", tmp_path / "one", (done.low, done.high))
    assert middle(tmp_path / "one" / "0001.png") == middle(out / "0001.png")
    assert json.loads((out / "predictions.json").read_text()) == {
        "kind": "depth_m", "frames": ["0000", "0001", "0002"], "low": done.low, "high": done.high, "pictures": 3,
    }  # fmt: skip


def test_a_given_range_is_kept_and_says_nothing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = predict_all(Brightness(), pictures, tmp_path / "out", (0.0, 10.0))
    assert (done.low, done.high) == (0.0, 10.0)
    assert "Colours run" not in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_range_that_is_none_is_refused_before_anything_is_written(
    wrong: tuple[float, float], pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is no range"):
        predict_all(Brightness(), pictures, tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()


def test_pictures_are_never_overwritten(pictures: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in pictures.rglob("*.png")}
    image = pictures / "image" / "0000.png"
    (tmp_path / "link").symlink_to(pictures / "image")
    for source, out in (
        (pictures, pictures), (pictures, pictures / "image"), (image, pictures / "image"),
        (pictures, tmp_path / "link"), (pictures / "image", pictures / "image" / ".." / "image"),
    ):  # fmt: skip
        with pytest.raises(InputError, match="would overwrite"):
            predict_all(Brightness(), source, out)
    assert {path: path.read_bytes() for path in pictures.rglob("*.png")} == before


def test_a_video_is_predicted_frame_by_frame(tmp_path: Path) -> None:
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE)
    for red in (50, 100, 150, 200):
        film.write(plain(red)[..., ::-1].copy())
    film.release()
    done = predict_all(Brightness(factor=1.0), tmp_path / "film.avi", tmp_path / "out")
    assert done.pictures == 4
    means = [np.load(tmp_path / "out" / f"{index:06d}.npy").mean() for index in range(4)]
    assert means == pytest.approx([50, 100, 150, 200], abs=6)  # JPEG within, red and not blue


def test_inverse_depth_says_what_it_is(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict_all(Brightness("affine_inverse_depth"), pictures, tmp_path / "inverse")
    assert "INVERSE" in capsys.readouterr().err
    predict_all(Brightness("relative_depth"), pictures, tmp_path / "relative")
    assert "INVERSE" not in capsys.readouterr().err
    # The heading names the kind, so the two pictures of equal numbers differ.
    here, there = (read_rgb(tmp_path / name / "0000.png") for name in ("inverse", "relative"))
    assert not np.array_equal(here[:26], there[:26])
    np.testing.assert_array_equal(here[26:], there[26:])


def test_pixels_that_are_not_finite_are_grey_and_do_not_count(tmp_path: Path) -> None:
    class Holed(Brightness):
        def predict(self, rgb: Rgb) -> np.ndarray:
            values = super().predict(rgb)
            values[:, : SIZE[0] // 2] = np.nan
            values[0, -1] = np.inf
            return values

    write_png(tmp_path / "a.png", plain(100))
    done = predict_all(Holed(), tmp_path / "a.png", tmp_path / "out")
    assert (done.low, done.high) == pytest.approx((0.5, 1.5))  # a constant, widened so that the bar has two ends
    assert tuple(read_rgb(tmp_path / "out" / "a.png")[26 + 20, 10]) == (128, 128, 128)
    with pytest.raises(InputError, match="finite"):
        predict_all(Brightness(factor=float("nan")), tmp_path / "a.png", tmp_path / "other")


def test_a_failure_leaves_whole_files_only(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="third"):
        predict_all(StopsAtThird(), pictures, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000.npy", "0001.npy", "predictions.json"]
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == {
        "kind": "depth_m", "frames": ["0000", "0001", "0002"],
    }  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [("a.txt", b"x"), ("a.png", b"not a picture"), ("a.mp4", b"no film")])
def test_unreadable_sources_are_one_sentence(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        predict_all(Brightness(), tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_kind_is_a_programmers_mistake(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown kind 'depth'"):
        predict_all(Brightness("depth"), pictures, tmp_path / "out")


def test_the_sample_for_the_range_does_not_grow() -> None:
    sample = RangeSample()
    for index in range(5 * MOST_PICTURES_SAMPLED):
        sample.add(np.full((100, 100), index, np.float32))
    assert sample.size <= MOST_PICTURES_SAMPLED * VALUES_PER_PICTURE
    low, high = sample.range()
    last = 5 * MOST_PICTURES_SAMPLED - 1
    assert (low, high) == pytest.approx((0.01 * last, 0.99 * last), abs=0.01 * last)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 255), min_size=1, max_size=30))
def test_the_sample_of_a_small_set_is_the_whole_set(values: list[int]) -> None:
    sample = RangeSample()
    for value in values:
        sample.add(np.full((3, 4), value, np.float32))
    assert sample.range() == pytest.approx(tuple(np.percentile(np.repeat(values, 12), (1, 99))))


def test_an_exported_model_is_a_predictor(tmp_path: Path) -> None:
    """Mean of the channels / 255, in float16, of a picture that has another size than the contract's."""
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("Constant", [], ["most"], value_float=255.0),
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"]),
        helper.make_node("Div", ["grey", "most"], ["share"]),
        helper.make_node("Cast", ["share"], ["output_0"], to=TensorProto.FLOAT16),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT16, CONTRACT.output_shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    write_png(tmp_path / "in" / "a.png", np.full((48, 64, 3), (30, 60, 90), np.uint8))
    done = predict_all(OnnxPredictor.open(tmp_path / "model.onnx"), tmp_path / "in", tmp_path / "out")
    stored = np.load(tmp_path / "out" / "a.npy")
    assert done.kind == "relative_depth"
    assert (stored.shape, stored.dtype) == (CONTRACT.output_shape, np.float32)
    np.testing.assert_allclose(stored, 60 / 255, atol=1e-3)
