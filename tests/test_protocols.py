"""The field's protocols: against an independent oracle, at literal crops, and what may not change a score.

`oracle` below is plain Python from the reference scripts' text (nianticlabs/monodepth2 evaluate_depth.py, evaluate;
xapaxca/nimbled eval_nyuv2.py and eval_make3d.py; MiDaS' BadPixelMetric): lists, its own bilinear resize and fits.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.data.folder import open_folder
from lpcv.data.frame import Frame, PointPair, Record
from lpcv.data.images import write_png
from lpcv.errors import UnknownNameError
from lpcv.evaluate.breakdown import BANDS, LEVELS
from lpcv.evaluate.cli import protocols as command
from lpcv.evaluate.field import MEASURES, valid_pixels
from lpcv.evaluate.metrics import FACTS
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.protocols import (
    KITTI_BENCHMARK,
    KITTI_EIGEN,
    KITTI_EIGEN_CROP,
    MAKE3D,
    NYUV2,
    PROTOCOLS,
    SCALE_INVARIANT,
    chosen,
    named,
)  # fmt: skip

Array = npt.NDArray[Any]
ROOT = Path(__file__).resolve().parent.parent
FIELD = [name for name in PROTOCOLS if not name.startswith("lpcvc") and name != "diw"]
OF_ANY_SIZE = [name for name in FIELD if not name.startswith(("nyuv2", "kitti-eigen-crop", "make3d"))]
SMALL = [name for name in FIELD if not name.startswith(("nyuv2", "kitti-eigen-crop"))]  # quick enough for hypothesis


def scene(height: int, width: int, seed: int = 0, far: float = 9.0) -> Frame:
    """A tilted, bumpy surface from 1 m on, with holes."""
    draw = np.random.default_rng((seed, height, width))
    slope = np.linspace(1, far / 2, width) + np.linspace(0, far / 3, height)[:, None]
    depth = (slope + draw.uniform(0, far / 8, (height, width))).astype(np.float32)
    depth[draw.random((height, width)) < 0.1] = 0
    return Frame("f", np.zeros((height, width, 3), np.uint8), depth, None, Record())


def truth_of(frame: Frame) -> Array:
    assert frame.depth_m is not None
    return frame.depth_m


def frame_for(name: str, seed: int = 0, far: float = 9.0) -> Frame:
    """A small frame that the protocol's crop takes."""
    size = {"nyuv2": (480, 640), "kitti-eigen-crop": (352, 1216), "make3d": (55, 305)}
    return scene(*next((size[each] for each in size if name.startswith(each)), (60, 90)), seed, far)


def guess(frame: Frame, height: int, width: int, seed: int = 1) -> Array:
    draw = np.random.default_rng(seed)
    rows = np.linspace(0, truth_of(frame).shape[0] - 1, height).astype(int)
    columns = np.linspace(0, truth_of(frame).shape[1] - 1, width).astype(int)
    return (np.maximum(truth_of(frame)[rows][:, columns], 0.5) * draw.lognormal(0, 0.15, (height, width))) / 7


# The oracle

Grid = list[list[float]]


def at(values: Grid, y: float, x: float) -> float:
    """Bilinear, edges repeated."""
    y, x = min(max(y, 0.0), len(values) - 1.0), min(max(x, 0.0), len(values[0]) - 1.0)
    top, left = min(int(y), len(values) - 2), min(int(x), len(values[0]) - 2)
    v, u = y - top, x - left
    above = values[top][left] * (1 - u) + values[top][left + 1] * u
    below = values[top + 1][left] * (1 - u) + values[top + 1][left + 1] * u
    return above * (1 - v) + below * v


def resized(values: Grid, height: int, width: int, way: str) -> Grid:
    tall, wide = 1 / (height / len(values)), 1 / (width / len(values[0]))  # OpenCV's rounding: whole numbers matter
    if way == "nearest":
        return [[values[int(y * tall)][int(x * wide)] for x in range(width)] for y in range(height)]
    return [[at(values, (y + 0.5) * tall - 0.5, (x + 0.5) * wide - 0.5) for x in range(width)] for y in range(height)]


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """By the normal equations, as MiDaS solves them."""
    a, b, n = sum(v * v for v in x), sum(x), len(x)
    c, d = sum(v * w for v, w in zip(x, y, strict=True)), sum(y)
    return (n * c - b * d) / (a * n - b * b), (a * d - b * c) / (a * n - b * b)


def oracle(
    depth: Grid, pred: Grid, align: str, rows: range, columns: range, bounds: tuple[float, float], cap: float, way: str
) -> dict[str, float]:
    inverse = align in ("median", "lsq-inverse")
    given_in = [[1 / v for v in row] for row in pred] if inverse else pred
    full = resized(given_in, len(depth), len(depth[0]), way)
    places = [(y, x) for y in rows for x in columns if bounds[0] < depth[y][x] < bounds[1]]
    truth, values = [depth[y][x] for y, x in places], [full[y][x] for y, x in places]
    if align == "median":
        metres = [1 / v for v in values]
        ratio = statistics.median(truth) / statistics.median(metres)
        metres = [ratio * v for v in metres]
    elif align == "lsq-inverse":
        s, t = line(values, [1 / v for v in truth])
        metres = [1 / max(s * v + t, 1 / cap) for v in values]
    elif align == "lsq-depth":
        s, t = line(values, truth)
        metres = [s * v + t for v in values]
    else:
        metres = values
    p = [min(max(v, 1e-3), cap) for v in metres]
    n, both = len(truth), list(zip(truth, p, strict=True))
    g = [math.log(b) - math.log(a) for a, b in both]
    ratios = [max(a / b, b / a) for a, b in both]
    return {
        "abs_rel": sum(abs(a - b) / a for a, b in both) / n,
        "sq_rel": sum((a - b) ** 2 / a for a, b in both) / n,
        "rmse": math.sqrt(sum((a - b) ** 2 for a, b in both) / n),
        "rmse_log": math.sqrt(sum(v * v for v in g) / n),
        "rmse_log10": math.sqrt(sum(v * v for v in g) / n) / math.log(10),
        "log10": sum(abs(math.log10(b) - math.log10(a)) for a, b in both) / n,
        **{f"delta{k}": sum(r < 1.25**k for r in ratios) / n for k in (1, 2, 3)},
        "silog": 100 * math.sqrt(sum(v * v for v in g) / n - (sum(g) / n) ** 2),
        "mae": sum(abs(a - b) for a, b in both) / n,
        "irmse": 1000 * math.sqrt(sum((1 / a - 1 / b) ** 2 for a, b in both) / n),
        "sq_rel_kitti": sum((a - b) ** 2 / a**2 for a, b in both) / n,
    }


GARG_60_90 = range(24, 59), range(3, 86)  # 0.408 x 60 = 24.5, 0.992 x 60 = 59.5, 0.0359 x 90 = 3.2, 0.964 x 90 = 86.8
ORACLES = {
    "kitti-eigen": (*GARG_60_90, (1e-3, 80.0), 80.0, "bilinear"),
    "kitti-eigen-benchmark": (range(60), range(90), (0.0, math.inf), 80.0, "bilinear"),
    "kitti-eigen-benchmark-metric": (range(60), range(90), (0.0, math.inf), math.inf, "bilinear"),
    "make3d": (range(17, 38), range(305), (0.0, 70.0), 70.0, "nearest"),
}


@pytest.mark.parametrize("size", [(60, 90), (24, 36), (75, 80)], ids=str)
@pytest.mark.parametrize("name", [name for name in SMALL if name.startswith(tuple(ORACLES))])
def test_equals_the_oracle(name: str, size: tuple[int, int]) -> None:
    longest = next(each for each in sorted(ORACLES, key=len, reverse=True) if name.startswith(each))
    rows, columns, bounds, cap, way = ORACLES[longest]
    benchmark = longest.removesuffix("-metric")
    frame = frame_for(name, far=110.0)  # truth and predictions beyond every cap
    pred = guess(frame, *size) * (7 if name.endswith("-metric") else 1)
    align = name.removeprefix(benchmark).removeprefix("-") or "median"
    expected = oracle(truth_of(frame).tolist(), pred.tolist(), align, rows, columns, bounds, cap, way)
    found = PROTOCOLS[name].score(frame, pred, "depth_m")
    assert tuple(found.values) == PROTOCOLS[name].metrics
    for key, value in found.values.items():
        assert value == pytest.approx(expected[key], rel=1e-4, abs=1e-5), key


# Masks and crops at their literal places


@pytest.mark.parametrize(
    ("benchmark", "shape", "top", "bottom", "left", "right"),
    [
        (NYUV2, (480, 640), 45, 470, 41, 600),  # [45:471, 41:601], eval_nyuv2.py
        (KITTI_EIGEN, (375, 1242), 153, 370, 44, 1196),  # 153.04, 371.96, 44.6, 1197.4 rounded down
        (KITTI_EIGEN, (370, 1226), 151, 365, 44, 1180),  # 151.0000007, 366.9999993, 44.07, 1181.9
        (KITTI_EIGEN, (12345, 100), 5038, 12243, 3, 95),  # 5038.1, 12244.9: large enough for all digits of the shares
        (KITTI_EIGEN, (100, 12345), 40, 98, 443, 11900),  # 443.8, 11901.2
        (KITTI_EIGEN_CROP, (375, 1242), 140, 343, 56, 1184),  # 23 + 117, 23 + 321, 13 + 43, 13 + 1172
        (KITTI_EIGEN_CROP, (352, 1216), 117, 320, 43, 1171),  # 117.02, 321.6, 43.7, 1172.3 rounded down
        (KITTI_BENCHMARK, (375, 1242), 0, 374, 0, 1241),
        (MAKE3D, (55, 305), 17, 37, 0, 304),  # [17:38], make3d_dataset.py
        (MAKE3D, (21, 305), 0, 20, 0, 304),  # these rows alone: not cut again
        (SCALE_INVARIANT, (7, 5), 0, 6, 0, 4),
    ],
)
def test_crops(benchmark: Any, shape: tuple[int, int], top: int, bottom: int, left: int, right: int) -> None:
    rows, columns = np.nonzero(valid_pixels(np.full(shape, 5.0), benchmark))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (top, bottom, left, right)
    assert len(rows) == (bottom - top + 1) * (right - left + 1)


@pytest.mark.parametrize(
    ("benchmark", "valid", "invalid"),
    [
        (NYUV2, [0.0011, 9.99], [0.0, 1e-3, 10.0, 11.0]),
        (KITTI_EIGEN, [0.0011, 79.9], [0.0, 1e-3, 80.0, 85.0]),
        (KITTI_BENCHMARK, [1e-5, 85.0], [0.0]),
        (MAKE3D, [1e-5, 69.9], [0.0, 70.0, 81.0]),
        (SCALE_INVARIANT, [1e-5, 200.0], [0.0]),
    ],
)
def test_ranges_of_truth_are_open(benchmark: Any, valid: list[float], invalid: list[float]) -> None:
    shape = (55, 305) if benchmark is MAKE3D else (480, 640)
    for value in valid + invalid:
        assert valid_pixels(np.full(shape, value), benchmark).any() == (value in valid), value


def test_predictions_are_clamped_to_the_cap() -> None:
    """Metric, truth 5 m everywhere: 100 m counts as 10 m (error 1), 0 m as 1 mm (error 0.9998)."""
    frame = dataclasses.replace(scene(480, 640), depth_m=np.full((480, 640), 5, np.float32))
    for metres, error in ((100.0, 1.0), (0.0, 0.9998), (4.0, 0.2)):
        found = PROTOCOLS["nyuv2-metric"].score(frame, np.full((480, 640), metres), "depth_m")
        assert found.values["abs_rel"] == pytest.approx(error)


def test_a_frame_that_a_crop_does_not_fit_is_stopped_with_the_reason() -> None:
    small, flat = scene(60, 90), dataclasses.replace(scene(60, 90), depth_m=np.zeros((60, 90), np.float32))
    stopped = PROTOCOLS["nyuv2"].score(small, np.ones((6, 9)), "depth_m")
    assert stopped.stopped == "its truth is 90x60, and the crop is defined for 640x480"
    assert set(stopped.values.values()) == {None}
    stopped = PROTOCOLS["kitti-eigen-crop-lsq-depth"].score(small, np.ones((6, 9)), "depth_m")
    assert stopped.stopped == "its truth is 90x60, and the crop is defined for 1216x352 or larger"
    stopped = PROTOCOLS["make3d"].score(small, np.ones((6, 9)), "depth_m")
    assert stopped.stopped == "its truth is 90x60, and the crop is defined for 305x55 or 305x21"
    stopped = PROTOCOLS["kitti-eigen"].score(flat, np.ones((6, 9)), "depth_m")
    assert str(stopped.stopped).startswith("no pixel has truth within the protocol's range and crop (Garg's")


# Make3D as its tables have it


def make3d_truth() -> npt.NDArray[np.uint16]:
    """(55, 305) counts of 2 mm: 2 to 12.7 m, holes, and pixels of 80 m."""
    row, column = np.mgrid[:55, :305]
    counts = 1000 + 37 * row + 11 * column
    place = 305 * row + column
    return np.where(place % 13 == 0, 0, np.where(place % 17 == 0, 40000, counts)).astype(np.uint16)


def make3d_prediction(height: int, width: int) -> Array:
    """Relative depth, a fine grid on a slope, so that it matters which of its pixels are picked."""
    row, column = np.mgrid[:height, :width]
    return 1 + row / height + 2 * column / width + 0.3 * ((5 * row + 3 * column) % 7)


def published(truth_m: Grid, pred: Grid) -> dict[str, float]:
    """From the text of Godard et al.'s script: truth is rows 17 to 37, the prediction is of the cropped picture."""
    near = resized(pred, 21, 305, "nearest")
    places = [(y, x) for y in range(21) for x in range(305) if 0 < truth_m[y][x] < 70]
    t, p = [truth_m[y][x] for y, x in places], [near[y][x] for y, x in places]
    ratio = statistics.median(t) / statistics.median(p)
    both = [(a, min(ratio * b, 70.0)) for a, b in zip(t, p, strict=True)]
    return {
        "abs_rel": sum(abs(a - b) / a for a, b in both) / len(both),
        "sq_rel": sum((a - b) ** 2 / a for a, b in both) / len(both),
        "rmse": math.sqrt(sum((a - b) ** 2 for a, b in both) / len(both)),
        "rmse_log10": math.sqrt(sum((math.log10(a) - math.log10(b)) ** 2 for a, b in both) / len(both)),
    }


def make3d_folder(root: Path, picture: tuple[int, int], counts: npt.NDArray[np.uint16]) -> Frame:
    write_png(root / "image" / "f.png", np.zeros((*picture, 3), np.uint8))
    write_png(root / "depth_raw" / "f.png", counts)
    row = {"frame": "f", "depth_unit_m": 0.002, "same_view": True}
    (root / "manifest.json").write_text(json.dumps([row]))
    return open_folder(root).frame("f")


def test_make3d_gives_the_number_of_the_published_script(tmp_path: Path) -> None:
    """The picture cut to 2:1 and the map to its 21 rows, as docs/protocols.md says; the literals are the script's."""
    frame = make3d_folder(tmp_path, (213, 426), make3d_truth()[17:38])
    pred = make3d_prediction(192, 640)
    script = published((make3d_truth()[17:38] * 0.002).tolist(), pred.tolist())
    literal = {"abs_rel": 0.18457408, "sq_rel": 0.32864202, "rmse": 1.48518876, "rmse_log10": 0.09505634}
    assert script == pytest.approx(literal, rel=1e-6)
    found = PROTOCOLS["make3d"].score(frame, pred, "relative_depth").values
    assert {key: found[key] for key in script} == pytest.approx(script, rel=1e-6)


def test_make3d_of_the_whole_picture_is_cut_at_55_rows(tmp_path: Path) -> None:
    frame = make3d_folder(tmp_path, (284, 213), make3d_truth())
    pred = make3d_prediction(284, 213)
    near = np.array(resized(pred.tolist(), 55, 305, "nearest"))[17:38]
    script = published((make3d_truth()[17:38] * 0.002).tolist(), near.tolist())
    found = PROTOCOLS["make3d"].score(frame, pred, "relative_depth").values
    assert {key: found[key] for key in script} == pytest.approx(script, rel=1e-6)


# What is shown and broken down is what is scored


@pytest.mark.parametrize("name", FIELD)
def test_what_is_compared_is_what_is_scored(name: str) -> None:
    """The error that a picture shows, averaged over the pixels that it shows, is the score."""
    frame = frame_for(name, far=110.0)
    pred = guess(frame, 48, 64) * 7
    pred[5:9] = 0.0  # counted as the smallest positive one where the inverse is taken
    protocol = PROTOCOLS[name]
    assert protocol.compare is not None
    shown, scored = protocol.compare(frame, pred, "depth_m"), protocol.score(frame, pred, "depth_m")
    assert shown.truth_m.shape == shown.pred_m.shape == shown.counted.shape == truth_of(frame).shape
    truth, found = (each[shown.counted].astype(np.float64) for each in (shown.truth_m, shown.pred_m))
    for key in set(MEASURES) & set(protocol.metrics):
        assert MEASURES[key](truth, found) == pytest.approx(scored.values[key], rel=1e-12), key
    assert np.isfinite(shown.pred_m).all()  # the prediction is shown outside the crop, too


def test_depth_bands_hold_the_pixels_that_the_protocol_counts() -> None:
    """Half of the frame is of confidence 0 and wrong by a factor of 2: these protocols do not look at confidence."""
    depth = np.full((60, 90), 3.0, np.float32)
    confidence = np.full((60, 90), 2, np.uint8)
    confidence[:, 45:] = 0
    frame = dataclasses.replace(scene(60, 90), depth_m=depth, confidence=confidence)
    pred = np.where(confidence == 0, 6.0, 3.0)
    found = PROTOCOLS["kitti-eigen-benchmark-metric"].score(frame, pred, "depth_m")
    assert found.values["abs_rel"] == 0.5
    assert {part: numbers["abs_rel"] for part, numbers in found.parts.items()} == {
        "truth 2-4 m": 0.5, "confidence 0": 1.0, "confidence 2": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in FIELD if "abs_rel" in PROTOCOLS[name].metrics])
def test_the_bands_together_are_the_score(name: str) -> None:
    frame = frame_for(name, far=110.0)
    confidence = np.random.default_rng(0).integers(0, 3, truth_of(frame).shape, np.uint8)
    scored = PROTOCOLS[name].score(dataclasses.replace(frame, confidence=confidence), guess(frame, 24, 36), "depth_m")
    for names in (BANDS, LEVELS):
        parts = [scored.parts[part] for part in names if part in scored.parts]
        total = sum(part["pixels"] for part in parts)
        mean = sum(part["pixels"] * part["abs_rel"] for part in parts) / total
        assert mean == pytest.approx(scored.values["abs_rel"], rel=1e-9)


# What is not finite is None, with a reason


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda pred: np.where(np.arange(pred.size).reshape(pred.shape) == 40, np.nan, pred), "holds NaN"),
        (lambda pred: np.where(np.arange(pred.size).reshape(pred.shape) == 40, -np.inf, pred), "infinite values"),
        (lambda pred: np.where(np.arange(pred.size).reshape(pred.shape) == 40, np.inf, pred), "infinite values"),
        (lambda pred: np.zeros_like(pred), "no scale can be fitted"),
    ],
)
def test_what_is_not_finite_has_a_reason(change: Any, why: str) -> None:
    frame = scene(60, 90)
    found = PROTOCOLS["scale-invariant"].score(frame, change(guess(frame, 60, 90)), "relative_depth")
    assert found.values["silog"] is None
    assert why in found.reasons["silog"]
    assert found.stopped is None
    assert json.dumps(found.as_json(), allow_nan=False)


def test_a_depth_of_zero_counts_as_the_smallest_positive_one() -> None:
    """A min-max scaled output holds one 0; its inverse would spread over its neighbours in the resize."""
    frame = scene(60, 90)
    pred = guess(frame, 24, 36)
    pred[3, 3] = pred.min() / 2
    for nothing in (0.0, -1.0):
        zeroed = np.where(pred == pred[3, 3], nothing, pred)
        floored = np.where(pred == pred[3, 3], zeroed[zeroed > 0].min(), pred)
        for name in ("kitti-eigen", "kitti-eigen-lsq-inverse", "scale-invariant"):
            score = PROTOCOLS[name].score
            assert score(frame, zeroed, "relative_depth") == score(frame, floored, "relative_depth"), name


# Properties, each for the protocols where it holds

seeds = st.integers(0, 30)
WEAKEST_IS = {kind: [name for name in SMALL if PROTOCOLS[name].weakest_kind == kind] for kind in
              ("depth_m", "relative_depth", "affine_inverse_depth")}  # fmt: skip


def agree(one: Any, other: Any) -> None:
    assert one.values == pytest.approx(other.values, rel=1e-5, abs=1e-7)


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_scale_does_not_matter_where_a_scale_is_fitted(seed: int, scale: float) -> None:
    for name in WEAKEST_IS["relative_depth"] + WEAKEST_IS["affine_inverse_depth"]:
        frame, score = frame_for(name, seed), PROTOCOLS[name].score
        pred = guess(frame, 24, 36, seed)
        agree(score(frame, scale * pred, "relative_depth"), score(frame, pred, "relative_depth"))


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(0.05, 20), st.floats(-2, 2))
def test_scale_and_shift_do_not_matter_under_least_squares(seed: int, scale: float, shift: float) -> None:
    for name in SMALL:
        frame, score = frame_for(name, seed), PROTOCOLS[name].score
        pred = guess(frame, 24, 36, seed)
        if name.endswith("-lsq-depth"):
            agree(score(frame, scale * pred + shift, "relative_depth"), score(frame, pred, "relative_depth"))
        if name.endswith("-lsq-inverse"):
            kind = "affine_inverse_depth"
            agree(score(frame, scale / pred + shift, kind), score(frame, 1 / pred, kind))


def test_a_shift_does_matter_under_a_median_and_a_scale_without_alignment() -> None:
    frame = scene(60, 90)
    pred = guess(frame, 60, 90)
    for name, change in (("kitti-eigen", pred + 1), ("scale-invariant", pred + 1), ("kitti-eigen-metric", 2 * pred)):
        score, key = PROTOCOLS[name].score, PROTOCOLS[name].ranks
        one, other = score(frame, pred, "depth_m").values[key], score(frame, change, "depth_m").values[key]
        assert one is not None
        assert one != pytest.approx(other, rel=0.01), name


CLAMPED_BELOW_THE_TRUTH = [name for name in FIELD if "benchmark" in name and not name.endswith("-metric")]


@pytest.mark.parametrize(
    ("name", "far"), [(name, 9.0) for name in FIELD] + [(n, 110.0) for n in FIELD if n not in CLAMPED_BELOW_THE_TRUTH]
)
def test_a_perfect_prediction_is_perfect(name: str, far: float) -> None:
    frame = frame_for(name, far=far)
    perfect = np.where(truth_of(frame) > 0, truth_of(frame), 1.0).astype(np.float64)
    for kind in ("depth_m",) if name.endswith("-metric") else ("depth_m", "relative_depth"):
        scored = PROTOCOLS[name].score(frame, perfect * (3 if kind == "relative_depth" else 1), kind)
        for key, value in scored.values.items():
            assert value == pytest.approx(FACTS[key].perfect, abs=1e-6), key
    if name.endswith("-lsq-inverse"):
        scored = PROTOCOLS[name].score(frame, 5 / perfect - 0.2, "affine_inverse_depth")
        assert scored.values["abs_rel"] == pytest.approx(0, abs=1e-9)
        assert scored.alignment == pytest.approx({"scale": 0.2, "shift": 0.04})


@pytest.mark.parametrize("name", CLAMPED_BELOW_THE_TRUTH)
def test_beyond_80_m_even_a_perfect_prediction_is_not_as_monodepth2_clamps_it(name: str) -> None:
    frame = frame_for(name, far=110.0)
    perfect = np.where(truth_of(frame) > 0, truth_of(frame), 1.0).astype(np.float64)
    error = PROTOCOLS[name].score(frame, perfect, "depth_m").values["abs_rel"]
    beyond = np.maximum(perfect - 80, 0) / perfect
    assert error == pytest.approx(beyond[truth_of(frame) > 0].mean())


def test_nothing_is_clamped_from_above_where_kittis_server_ranks() -> None:
    frame = dataclasses.replace(scene(60, 90), depth_m=np.full((60, 90), 85, np.float32))
    score = PROTOCOLS["kitti-eigen-benchmark-metric"].score
    assert score(frame, np.full((60, 90), 85.0), "depth_m").values["irmse"] == 0.0
    assert score(frame, np.full((60, 90), 170.0), "depth_m").values["abs_rel"] == 1.0
    spoiled = score(frame, np.where(np.arange(90) < 1, np.inf, np.full((60, 90), 85.0)), "depth_m")
    assert spoiled.values["abs_rel"] is None
    assert spoiled.reasons["abs_rel"] == "the prediction holds infinite values"


@pytest.mark.parametrize("name", [*FIELD, "diw"])
def test_scoring_is_pure(name: str) -> None:
    """Neither order nor repetition changes a number, and nothing that was given is touched."""
    pair = PointPair((3, 4), (50, 30), "a")
    frames = [dataclasses.replace(frame_for(name, seed), record=Record(pairs=(pair,))) for seed in (1, 2)]
    preds = [guess(frame, 24, 36, 3).astype(np.float32) for frame in frames]
    kept = [pred.copy() for pred in preds]
    score = PROTOCOLS[name].score
    forth = [score(frame, pred, "depth_m") for frame, pred in zip(frames, preds, strict=True)]
    back = [score(frame, pred, "depth_m") for frame, pred in zip(frames[::-1], preds[::-1], strict=True)][::-1]
    assert forth == back
    for pred, copy in zip(preds, kept, strict=True):
        np.testing.assert_array_equal(pred, copy)


def test_pixels_outside_the_mask_do_not_matter() -> None:
    frame = scene(60, 90)
    pred = guess(frame, 60, 90)
    wild = pred.copy()
    wild[:24], wild[:, :3] = 1e6, 1e-6  # outside Garg's crop
    for name in (name for name in OF_ANY_SIZE if name.startswith("kitti-eigen") and "benchmark" not in name):
        agree(PROTOCOLS[name].score(frame, wild, "depth_m"), PROTOCOLS[name].score(frame, pred, "depth_m"))


def test_half_precision_is_read_as_what_it_says() -> None:
    frame = scene(60, 90)
    pred = guess(frame, 24, 36).astype(np.float16)
    for name in OF_ANY_SIZE:
        agree(
            PROTOCOLS[name].score(frame, pred, "depth_m"), PROTOCOLS[name].score(frame, pred.astype(float), "depth_m")
        )


# Point pairs


def test_diw_by_hand() -> None:
    """Depth grows from left to right: of the three pairs the second is told wrongly by any map that does, too."""
    pairs = (PointPair((0, 0), (7, 0), "a"), PointPair((1, 2), (6, 3), "b"), PointPair((5, 3), (2, 0), "b"))
    frame = Frame("f", np.zeros((4, 8, 3), np.uint8), None, None, Record(pairs=pairs))
    rising = np.tile(np.arange(1.0, 9.0), (4, 1))
    score = PROTOCOLS["diw"].score
    for pred, kind, wrong in (
        (rising, "depth_m", 1 / 3),
        (rising, "affine_inverse_depth", 2 / 3),
        (1 / rising, "affine_inverse_depth", 1 / 3),
        (-rising, "affine_inverse_depth", 1 / 3),  # an inverse depth below 0 has its place in the order
        (np.ones((4, 8)), "relative_depth", 1.0),  # ties are wrong
        (rising[::2, ::2], "relative_depth", 1 / 3),  # resized to the picture
    ):
        assert score(frame, pred, kind).values["whdr"] == pytest.approx(wrong)


def test_a_point_is_column_and_row() -> None:
    """Depth by row alone, far at the top: row 3 is nearer than row 2, whatever the columns."""
    frame = Frame("f", np.zeros((4, 8, 3), np.uint8), None, None, Record(pairs=(PointPair((1, 2), (6, 3), "b"),)))
    falling = np.tile(np.arange(4.0, 0, -1)[:, None], (1, 8))
    assert PROTOCOLS["diw"].score(frame, falling, "depth_m").values["whdr"] == 0.0
    assert PROTOCOLS["diw"].score(frame, falling[::-1], "depth_m").values["whdr"] == 1.0


def test_diw_without_pairs_is_stopped() -> None:
    found = PROTOCOLS["diw"].score(scene(4, 8), np.ones((4, 8)), "depth_m")
    assert (found.stopped, found.values) == ("its row in the manifest has no point pairs", {"whdr": None})


# The catalogue


def test_the_catalogue_is_complete_and_says_everything() -> None:
    assert {"nyuv2", "kitti-eigen", "kitti-eigen-benchmark", "make3d", "diw", "scale-invariant"} < set(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        assert name == protocol.name
        assert protocol.ranks in protocol.metrics
        assert set(protocol.metrics) <= set(FACTS)
        assert len(set(protocol.metrics)) == len(protocol.metrics)
        for key, text in protocol.described().items():
            assert text, (name, key)
        pickle.loads(pickle.dumps(protocol))  # worker processes get it


def test_chosen_keeps_the_official_one_before_its_variant() -> None:
    assert chosen([]) == (OFFICIAL,)
    assert chosen(["nyuv2", "diw", "nyuv2"]) == (PROTOCOLS["nyuv2"], PROTOCOLS["diw"])
    assert chosen([GEOMETRY.name, "diw"]) == (OFFICIAL, GEOMETRY, PROTOCOLS["diw"])
    with pytest.raises(UnknownNameError, match="Did you mean 'kitti-eigen'"):
        named("kitti-eigne")


def test_the_command_lists_them_and_shows_one_in_full(tmp_path: Path) -> None:
    listed = CliRunner().invoke(command, [])
    assert listed.exit_code == 0
    for name in PROTOCOLS:
        assert name in listed.output
    shown = CliRunner().invoke(command, ["nyuv2-lsq-inverse", "--json", str(tmp_path / "p.json")])
    assert "rows 45 to 470, columns 41 to 600" in shown.output
    written = json.loads((tmp_path / "p.json").read_text())
    assert [each["name"] for each in written] == ["nyuv2-lsq-inverse"]
    assert written[0]["weakest_kind"] == "affine_inverse_depth"


def test_the_page_names_every_protocol_and_metric() -> None:
    page = (ROOT / "docs" / "protocols.md").read_text()
    for name, protocol in PROTOCOLS.items():
        assert f"`{name}`" in page, name
        for key in protocol.metrics:
            assert f"`{key}`" in page, key
