"""The official score: against frozen literals, against the organisers' own numbers, and its properties.

Against two oracles: test_official_oracles.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lpcv.cli import run as run_cli
from lpcv.data.frame import Frame, Intrinsics, Record
from lpcv.data.images import write_png
from lpcv.evaluate.frame_score import FrameScore, mean_score
from lpcv.evaluate.official import GEOMETRY, METRICS, OFFICIAL, score_frame
from lpcv.evaluate.pointcloud import Distances, cloud_of, frame_rays, official_rays, pixel_rays

Array = npt.NDArray[Any]
Case = tuple[Array, Array, Array]
ON_0_TO_100 = ("f_score", "iou", "f_score_20cm", "iou_20cm")
STORED = Path(__file__).parent / "cases" / "official_small.json"
FROZEN = {case["name"]: case for case in json.loads(STORED.read_text())}
REFERENCE_CASES = (
    "00_blurred", "01_noisy", "02_minmax", "03_noisy", "04_disparity", "05_blurred", "06_with_zeros", "07_affine",
    "08_constant",
)  # fmt: skip
OFFICIAL_NAMES = {"a1": "delta1", "a2": "delta2", "a3": "delta3"}
OFFICIAL_CLOUD_NAMES = {
    "Chamfer": "chamfer_m", "F-Score": "f_score", "IoU": "iou", "F-Score-20": "f_score_20cm", "IoU-20": "iou_20cm",
}  # fmt: skip


def frozen(name: str) -> Case:
    """(prediction, depth in metres, confidence) of a case of official_small.json."""
    case = FROZEN[name]
    depth = np.array(case["depth_mm"], np.float32) / np.float32(1000)
    return np.array(case["prediction"], case["dtype"]), depth, np.array(case["confidence"], np.uint8)


def surface(height: int, width: int, seed: int = 0) -> tuple[Array, Array]:
    """A tilted, bumpy surface at 1 to 5 m, without holes, every pixel trusted."""
    bumps = np.random.default_rng(seed).uniform(0, 0.4, (height, width))
    depth = np.linspace(1.0, 3.5, width) + np.linspace(0.0, 1.0, height)[:, None] + bumps
    return depth.astype(np.float32), np.full((height, width), 2, np.uint8)


def noisy(depth: Array, seed: int = 1) -> Array:
    return (depth * np.random.default_rng(seed).lognormal(0, 0.08, depth.shape) / 7).astype(np.float32)


def assert_agrees(scored: FrameScore, expected: dict[str, float], relative: float = 1e-5) -> None:
    assert tuple(scored.values) == METRICS
    for key, value in expected.items():
        found = scored.values[key]
        if not math.isfinite(value):
            assert found is None, key
            assert scored.reasons[key], key
        else:
            assert found == pytest.approx(value, rel=relative, abs=1e-3 if key in ON_0_TO_100 else 1e-7), key
            assert key not in scored.reasons


# Literals


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_literals(name: str) -> None:
    """Numbers that no later change of an oracle or of the scorer may move.

    The inputs are cases of the oracles with predictions rounded to four decimals, written out once together with what
    the first oracle gave for them. A transcription of the organisers' functions (torch, with every distance of every
    pair for their CUDA extension) gave the same to 1e-5. null stands for NaN and infinity.
    """
    expected = FROZEN[name]["expected"]
    assert set(expected) == set(METRICS)
    scored = score_frame(name, *frozen(name))
    assert_agrees(scored, {key: math.nan if value is None else value for key, value in expected.items()})


# The organisers' own numbers


@pytest.fixture(scope="module")
def official(reference_data: Path) -> dict[str, dict[str, float]]:
    """Case -> our metric names -> what the organisers' script gave."""
    found = {}
    for row in json.loads((reference_data / "official_scorer" / "official.json").read_text()):
        told = dict(row["official"])
        cloud = told.pop("pointcloud")
        assert told.pop("returned_f_score") == pytest.approx(told["f_score"])
        columns = {OFFICIAL_NAMES.get(key, key): value for key, value in told.items()}
        found[row["case"]] = {**columns, **{OFFICIAL_CLOUD_NAMES[key]: value for key, value in cloud.items()}}
    assert tuple(sorted(found)) == REFERENCE_CASES
    return found


def reference_case(reference_data: Path, case: str) -> tuple[Array, Array, Array]:
    """(480, 640) float32 prediction, uint16 millimetres, uint8 confidence."""
    with np.load(reference_data / "official_scorer" / f"{case}.npz") as stored:
        return stored["pred"], stored["depth_raw"], stored["depth_conf"]


@pytest.mark.parametrize("case", REFERENCE_CASES)
def test_equals_the_organisers_script(case: str, reference_data: Path, official: dict[str, dict[str, float]]) -> None:
    prediction, depth_mm, levels = reference_case(reference_data, case)
    scored = score_frame(case, prediction, depth_mm.astype(np.float32) / np.float32(1000), levels)
    assert set(official[case]) == set(METRICS) - {"mae"}
    assert_agrees(scored, official[case])


def test_equals_the_organisers_script_through_the_command(
    reference_data: Path, official: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    """PNG in, .npy in, JSON out: nothing between the files and the numbers changes them."""
    (tmp_path / "predictions").mkdir()
    for case in REFERENCE_CASES:
        prediction, depth_mm, levels = reference_case(reference_data, case)
        write_png(tmp_path / "data" / "image" / f"{case}.png", np.zeros((6, 8, 3), np.uint8))
        write_png(tmp_path / "data" / "depth_raw" / f"{case}.png", depth_mm)
        write_png(tmp_path / "data" / "depth_conf" / f"{case}.png", levels)
        np.save(tmp_path / "predictions" / f"{case}.npy", prediction[None, None])
    out = tmp_path / "score.json"
    assert run_cli(["score", str(tmp_path / "predictions"), "--data", str(tmp_path / "data"), "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    assert [row["frame"] for row in told["frames"]] == list(REFERENCE_CASES)
    for row in told["frames"]:
        assert_agrees(FrameScore(row["frame"], {key: row[key] for key in METRICS}), official[row["frame"]])
    means = {key: float(np.mean([case[key] for case in official.values()])) for key in set(METRICS) - {"mae"}}
    assert_agrees(FrameScore("mean", {key: told["mean"][key] for key in METRICS}), means)


# Properties, and the official exceptions to them


depths_without_holes = arrays(np.uint16, (4, 6), elements=st.integers(300, 9000)).map(
    lambda mm: mm.astype(np.float32) / np.float32(1000)
)
levels_with_a_one = arrays(np.uint8, (4, 6), elements=st.integers(0, 2)).filter(lambda levels: bool(levels.any()))
PERFECT = {
    key: 0.0 if key in ("abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m") else 1.0 for key in METRICS
} | dict.fromkeys(ON_0_TO_100, 100.0)


@settings(max_examples=25, deadline=None)
@given(depths_without_holes, levels_with_a_one, st.integers(-12, 12))
def test_perfect_at_any_power_of_two_is_perfect(depth: Array, levels: Array, power: int) -> None:
    assert score_frame("x", depth * np.float32(2.0**power), depth, levels).values == PERFECT


@settings(max_examples=25, deadline=None)
@given(depths_without_holes, levels_with_a_one, st.integers(-12, 12), st.integers(0, 99))
def test_without_zeros_a_scale_changes_nothing(depth: Array, levels: Array, power: int, seed: int) -> None:
    prediction = noisy(depth, seed)
    one = score_frame("x", prediction, depth, levels)
    assert score_frame("x", prediction * np.float32(2.0**power), depth, levels).values == one.values


@settings(max_examples=15, deadline=None)
@given(depths_without_holes, levels_with_a_one, st.floats(1e-3, 1e3), st.integers(0, 99))
def test_any_scale_changes_no_more_than_rounding(depth: Array, levels: Array, scale: float, seed: int) -> None:
    prediction = noisy(depth, seed)
    one, other = (score_frame("x", prediction * np.float32(by), depth, levels).values for by in (1, scale))
    for key in ("abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m"):
        assert one[key] == pytest.approx(other[key], rel=1e-4, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 4))
def test_mean_depends_on_neither_order_nor_repetition(values: list[float], draw: Any, times: int) -> None:
    frames = [FrameScore(f"{n}", dict.fromkeys(METRICS, value)) for n, value in enumerate(values)]
    shuffled = frames * times
    draw.shuffle(shuffled)
    expected = math.fsum(values) / len(values)
    for mean in (mean_score(frames, METRICS), mean_score(shuffled, METRICS)):
        assert mean.values == pytest.approx(dict.fromkeys(METRICS, expected), rel=1e-9, abs=1e-6)
        assert not mean.reasons


def test_one_nan_frame_makes_the_mean_nan_and_says_which() -> None:
    good = FrameScore("0007", dict.fromkeys(METRICS, 1.0))
    bad = FrameScore("0009", dict.fromkeys(METRICS, 1.0) | {"rmse_log": None}, {"rmse_log": "why"})
    mean = mean_score([good, bad, good], METRICS)
    assert mean.values == dict.fromkeys(METRICS, 1.0) | {"rmse_log": None}
    assert mean.reasons == {"rmse_log": "no finite value in 1 of 3 frames, the first is 0009"}


def test_a_nan_where_nothing_is_measured_poisons_the_whole_frame() -> None:
    depth, levels = surface(6, 8)
    levels[-1, -1] = 0
    prediction = noisy(depth)
    assert None not in score_frame("x", prediction, depth, levels).values.values()
    prediction[-1, -1] = np.nan
    scored = score_frame("x", prediction, depth, levels)
    for key in METRICS:
        if key.startswith("delta") or key in ON_0_TO_100:
            assert scored.values[key] == 0, key
        else:
            assert scored.values[key] is None, key
            assert "NaN, which makes its median" in scored.reasons[key]


def test_zeros_break_scale_invariance() -> None:
    prediction, depth, levels = frozen("zeros_in_prediction")
    one, thousand = (score_frame("x", prediction * np.float32(scale), depth, levels).values for scale in (1, 1024))
    assert one["f_score"] == pytest.approx(thousand["f_score"])
    first, second = one["rmse_log"], thousand["rmse_log"]
    assert first is not None
    assert second is not None
    assert second > first + 1  # a zero stays 1e-5 while the rest grows, so it ends 1024 times nearer


def test_an_offset_is_not_forgiven_and_the_truth_is() -> None:
    depth, levels = surface(12, 16)
    offset = score_frame("x", depth + np.float32(np.median(depth)), depth, levels).values
    assert offset["abs_rel"] is not None
    assert offset["abs_rel"] > 0.1
    assert score_frame("x", depth, depth, levels).values == PERFECT


def test_holes_and_low_confidence_take_part_in_the_median() -> None:
    """Right in every trusted pixel, and yet wrong: the scale is taken over all pixels."""
    depth, levels = surface(6, 8)
    prediction = depth.copy()
    prediction[:3], levels[:3] = 9, 0
    assert_agrees(score_frame("x", depth, depth, levels), PERFECT)
    scale = float(np.median(depth) / np.median(prediction))
    assert score_frame("x", prediction, depth, levels).values["abs_rel"] == pytest.approx(1 - scale, rel=1e-5)


def test_a_trusted_hole_makes_abs_rel_explode() -> None:
    prediction, depth, levels = frozen("trusted_holes")
    hole = score_frame("x", prediction, depth, levels).values["abs_rel"]
    untrusted = score_frame("x", prediction, depth, np.where(depth == 0, np.uint8(0), levels)).values["abs_rel"]
    assert hole is not None
    assert untrusted is not None
    assert hole > 1000
    assert untrusted < 0.2


def test_a_negative_prediction_has_no_logarithm() -> None:
    scored = score_frame("x", *frozen("negatives"))
    assert [key for key in METRICS if scored.values[key] is None] == ["rmse_log"]
    assert "negative" in scored.reasons["rmse_log"]


@pytest.mark.parametrize(
    ("row", "words"),
    [([0.3, np.inf, 0.3, 0.4], "infinite values"), ([-0.5, 0.5, -0.5, 0.5], "median is too near to 0")],
)
def test_reasons_say_what_is_wrong(row: list[float], words: str) -> None:
    depth, levels = surface(3, 4)
    assert words in score_frame("x", np.array([row] * 3, np.float32), depth, levels).reasons["abs_rel"]


def test_f_score_is_not_symmetric_below_a_thousandth() -> None:
    def shares(near: int) -> npt.NDArray[np.float32]:
        return np.where(np.arange(4000) < near, 0.05, 5.0).astype(np.float32)

    assert Distances(shares(3), shares(1)).f_score_and_iou(0.1) == pytest.approx((0.075, 0.075))
    assert Distances(shares(1), shares(3)).f_score_and_iou(0.1) == pytest.approx((0.025, 0.025))
    assert Distances(shares(0), shares(3)).f_score_and_iou(0.1) == (0, 0)
    above = (100 * 2 * 2e-5 / 0.012, 100 * 2e-5 / (0.012 - 2e-5))  # precision and recall of 1 and 0.2 %
    assert Distances(shares(40), shares(8)).f_score_and_iou(0.1) == pytest.approx(above)
    assert Distances(shares(8), shares(40)).f_score_and_iou(0.1) == pytest.approx(above)


def test_below_a_thousandth_f_and_iou_are_the_precision() -> None:
    """A constant against steep truth: one true point has predicted points near it, a cross of five rays."""
    steep = np.concatenate([np.linspace(1, 129, 2591), [130], np.linspace(131, 259, 2591)])
    depth = steep.reshape(73, 71).astype(np.float32)
    values = score_frame("x", np.full_like(depth, 0.25), depth, np.full((73, 71), 2, np.uint8)).values
    assert values["f_score"] == values["iou"] == pytest.approx(100 * 5 / 5183)


def test_a_frame_without_confidence_is_stopped_and_takes_no_part_in_the_mean() -> None:
    prediction, depth, levels = frozen("odd_sizes")
    stopped = score_frame("0042", prediction, depth, np.zeros_like(levels))
    assert stopped.values == dict.fromkeys(METRICS)
    assert stopped.stopped == "no pixel has confidence 1 or more, where the official script stops"
    assert not stopped.reasons
    scored = score_frame("0043", prediction, depth, levels)
    assert mean_score([stopped, scored], METRICS).values == scored.values
    nothing = mean_score([stopped, stopped], METRICS)
    assert nothing.values == dict.fromkeys(METRICS)
    assert set(nothing.reasons.values()) == {"no frame could be scored"}


def test_a_frame_without_a_cloud_is_stopped() -> None:
    prediction, depth, levels = frozen("odd_sizes")
    assert "point cloud" in str(score_frame("0042", prediction, depth, np.full_like(levels, 3)).stopped)


# Point clouds


def test_one_ray_written_out() -> None:
    rays = official_rays(480, 640)
    assert rays.shape == (307200, 3)
    k = 12345  # the depth of row 19, column 185 gets the ray of x = 12345 // 480 = 25, y = 12345 % 480 = 345
    assert rays[k] == pytest.approx([(25 - 945.64465) / 1591.1095, (345 - 722.8234) / 1591.1095, 1.0], rel=1e-6)
    depth = np.zeros((480, 640), np.float32)
    depth[19, 185] = 2.0
    np.testing.assert_array_equal(cloud_of(depth, depth > 0, rays), 2 * rays[k][None])


def test_one_correct_ray_written_out() -> None:
    """K of 1920x1440 for 640x480: a third of the focal length; pixel 0 covers pixels 0 to 2, whose middle is 1."""
    rays = pixel_rays(480, 640)
    focal, centre_x, centre_y = 1591.1095 / 3, (945.64465 - 1) / 3, (722.8234 - 1) / 3
    assert rays[12345] == pytest.approx([(185 - centre_x) / focal, (19 - centre_y) / focal, 1.0], rel=1e-5)


def geometry_by_hand(prediction: Array, depth: Array, levels: Array) -> dict[str, float]:
    """The cloud metrics with the pixel's own ray, every distance of every pair; maps of one size, no zeros."""
    height, width = depth.shape
    scaled = prediction * np.median(depth) / np.median(prediction)
    clouds = []
    for map_m in (scaled, depth):
        points = []
        for y, x in zip(*np.nonzero(levels == 2), strict=True):
            focal_x, focal_y = 1591.1095 * width / 1920, 1591.1095 * height / 1440
            centre_x, centre_y = (945.64465 + 0.5) * width / 1920 - 0.5, (722.8234 + 0.5) * height / 1440 - 0.5
            z = float(map_m[y, x])
            points.append((z * (x - centre_x) / focal_x, z * (y - centre_y) / focal_y, z))
        clouds.append(points)
    pred, truth = clouds
    from_pred = [min(math.dist(one, other) for other in truth) for one in pred]
    from_truth = [min(math.dist(one, other) for other in pred) for one in truth]
    found = {"chamfer_m": math.fsum(from_pred) / len(pred) + math.fsum(from_truth) / len(truth)}
    for metres, suffix in ((0.1, ""), (0.2, "_20cm")):
        p, r = (sum(d < metres for d in distances) / len(distances) for distances in (from_pred, from_truth))
        found |= {f"f_score{suffix}": 200 * p * r / (p + r), f"iou{suffix}": 100 * p * r / (p + r - p * r)}
    return found


def frame_of(depth: Array, levels: Array) -> Frame:
    return Frame("0007", np.zeros((*depth.shape, 3), np.uint8), depth, levels, Record())


@pytest.mark.parametrize("size", [(12, 16), (16, 12), (9, 17)])
def test_the_geometry_protocol_equals_its_oracle(size: tuple[int, int]) -> None:
    depth, levels = surface(*size)
    levels[::3, 1::4] = 1
    prediction = noisy(depth)
    clouds = geometry_by_hand(prediction, depth, levels)
    scored = GEOMETRY.score(frame_of(depth, levels), prediction, "relative_depth")
    assert_agrees(scored, clouds)
    official = OFFICIAL.score(frame_of(depth, levels), prediction, "relative_depth")
    assert official == replace(score_frame("0007", prediction, depth, levels), other_size=f"{size[1]}x{size[0]}")
    assert scored.other_size is None
    assert {key for key in METRICS if official.values[key] == scored.values[key]} >= set(METRICS) - set(clouds)
    assert official.values["chamfer_m"] != scored.values["chamfer_m"]


@settings(max_examples=15, deadline=None)
@given(depths_without_holes, levels_with_a_one, st.integers(-12, 12))
def test_the_truth_is_perfect_under_the_geometry_protocol(depth: Array, levels: Array, power: int) -> None:
    score = partial(GEOMETRY.score, frame_of(depth, levels))
    assert score(depth, "depth_m").values == PERFECT
    assert score(depth * np.float32(2.0**power), "relative_depth").values == PERFECT


def test_a_turned_prediction_is_scored_and_told() -> None:
    depth, levels = np.full((6, 8), 2, np.float32), np.full((6, 8), 2, np.uint8)
    turned = score_frame("x", np.ones((8, 6), np.float32), depth, levels)
    assert turned.values["f_score"] == 100
    assert turned.remarks == {"f_score": "the prediction is 6x8 and the truth 8x6: transposed or cropped?"}
    assert score_frame("x", np.ones((12, 16), np.float32), depth, levels).remarks == {}


def test_the_geometry_is_that_of_the_frames_own_camera() -> None:
    """One pixel of depth 2 m moved by 1 m along its ray: the distance is the ray's length, which the camera gives."""
    depth, levels = np.zeros((2, 2), np.float32), np.full((2, 2), 2, np.uint8)
    depth[:] = 1.0
    for record, corner in ((Record(), None), (Record(intrinsics=Intrinsics(1.0, 1.0, 0.0, 0.0)), (1.0, 1.0, 1.0))):
        frame = Frame("x", np.zeros((2, 2, 3), np.uint8), depth, levels, record)
        rays, _ = frame_rays(frame, (2, 2))
        assert corner is None or tuple(rays[3]) == corner
        moved = depth.copy()
        moved[1, 1] = 2.0  # the median stays 1
        there = min(float(np.linalg.norm(2 * rays[3] - ray)) for ray in rays)
        back = min(float(np.linalg.norm(rays[3] - point)) for point in (*rays[:3], 2 * rays[3]))
        scored = GEOMETRY.score(frame, moved, "relative_depth")
        assert scored.values["chamfer_m"] == pytest.approx((there + back) / 4, rel=1e-5)
