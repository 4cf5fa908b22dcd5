"""The official score: against an independent oracle, against frozen literals, against the organisers' own numbers.

The oracle below is written from the definition (LPCVC 2025 Track 3, evaluate_track3.py @ 1ed2ac6) and uses nothing of
`lpcv`: its own resize, its own median, its own rays, and every distance of every pair of points.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lpcv.cli import run as run_cli
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.evaluate.official import METRICS, FrameScore, mean_score, score_frame
from lpcv.evaluate.pointcloud import Distances, nearest_distances, official_cloud, official_rays

Array = npt.NDArray[Any]
Case = tuple[Array, Array, Array]
ON_0_TO_100 = ("f_score", "iou", "f_score_20cm", "iou_20cm")
FROZEN = Path(__file__).parent / "cases" / "official_small.json"
REFERENCE_CASES = (
    "00_blurred", "01_noisy", "02_minmax", "03_noisy", "04_disparity", "05_blurred", "06_with_zeros", "07_affine",
    "08_constant",
)  # fmt: skip
OFFICIAL_NAMES = {"a1": "delta1", "a2": "delta2", "a3": "delta3"}
OFFICIAL_CLOUD_NAMES = {
    "Chamfer": "chamfer_m", "F-Score": "f_score", "IoU": "iou", "F-Score-20": "f_score_20cm", "IoU-20": "iou_20cm",
}  # fmt: skip


# The oracle


def sample_centres(length: int, wanted: int) -> list[int]:
    """PIL's NEAREST along one axis: output i shows what lies at (i + 0.5) * length / wanted, summed up step by step."""
    step = length / wanted
    return [int(at) for at in itertools.islice(itertools.accumulate(itertools.repeat(step), initial=step / 2), wanted)]


def middle(values: Array) -> Any:
    """The median, in the values' own dtype."""
    ordered = sorted(values.ravel().tolist())
    if any(math.isnan(value) for value in ordered):
        return values.dtype.type(math.nan)
    half = len(ordered) // 2
    return values.dtype.type(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def every_distance(points: Array, others: Array) -> Array:
    """To the nearest of `others`, by looking at each of them."""
    return np.array([np.sqrt(((others - point) ** 2).sum(1)).min() for point in points], np.float32)


def f_and_iou(from_pred: Array, from_truth: Array, threshold: float) -> tuple[float, float]:
    precision, recall = float((from_pred < threshold).mean()), float((from_truth < threshold).mean())
    if precision < 1e-3 and recall < 1e-3:
        return 100 * precision, 100 * precision
    both = precision * recall
    return 100 * 2 * both / (precision + recall), 100 * both / (precision + recall - both)


def oracle(prediction: Array, depth_m: Array, confidence: Array) -> dict[str, float]:
    with np.errstate(all="ignore"):
        height, width = prediction.shape
        rows, columns = sample_centres(depth_m.shape[0], height), sample_centres(depth_m.shape[1], width)
        truth, level = depth_m[rows][:, columns], confidence[rows][:, columns]
        truth = np.where(truth == 0, np.float32(1e-5), truth)
        pred = np.where(prediction == 0, prediction.dtype.type(1e-5), prediction)
        pred = pred * (middle(truth) / middle(pred))
        t, p = truth[level >= 1], pred[level >= 1]
        ratio = np.maximum(t / p, p / t)
        values = {
            "abs_rel": (abs(t - p) / t).mean(),
            "sq_rel": ((t - p) ** 2 / t).mean(),
            "rmse": math.sqrt(((t - p) ** 2).mean()),
            "rmse_log": math.sqrt(((np.log(t) - np.log(p)) ** 2).mean()),
            **{f"delta{n}": (ratio < 1.25**n).mean() for n in (1, 2, 3)},
            "mae": abs(t - p).mean(),
        }
        focal, centre_x, centre_y = 1591.1095, 945.64465, 722.8234
        rays = [((k // height - centre_x) / focal, (k % height - centre_y) / focal, 1.0) for k in range(pred.size)]
        chosen = (level == (2 if (level == 2).any() else 1)).ravel()
        directions = np.array(rays, np.float32)[chosen]
        pred_points = directions * pred.ravel()[chosen, None].astype(np.float32)
        true_points = directions * truth.ravel()[chosen, None]
        from_pred, from_truth = every_distance(pred_points, true_points), every_distance(true_points, pred_points)
        values["f_score"], values["iou"] = f_and_iou(from_pred, from_truth, 0.1)
        values["chamfer_m"] = from_pred.mean() + from_truth.mean()
        values["f_score_20cm"], values["iou_20cm"] = f_and_iou(from_pred, from_truth, 0.2)
    return {key: float(value) for key, value in values.items()}


# Hand-made cases


def scene(height: int, width: int, seed: int = 0) -> tuple[Array, Array]:
    """A tilted, bumpy surface at 1 to 5 m in whole millimetres, with all three levels of confidence."""
    draw = np.random.default_rng((seed, height, width))
    slope = np.linspace(1.0, 3.5, width) + np.linspace(0.0, 1.0, height)[:, None]
    depth = np.rint(1000 * (slope + draw.uniform(0, 0.4, (height, width)))).astype(np.float32) / np.float32(1000)
    levels = draw.choice(np.array([0, 1, 2, 2], np.uint8), (height, width))
    levels[0, 0] = 2
    return depth, levels


def guess(depth: Array, height: int, width: int, seed: int = 1) -> Array:
    """An imperfect prediction of another size: the truth, blurred by a coarse grid, times noise, at another scale."""
    rows = np.linspace(0, depth.shape[0] - 1, height).astype(int)
    columns = np.linspace(0, depth.shape[1] - 1, width).astype(int)
    noise = np.random.default_rng(seed).lognormal(0, 0.08, (height, width))
    return (depth[rows][:, columns] * noise / 7).astype(np.float32)


def sized(pred: tuple[int, int], truth: tuple[int, int]) -> Case:
    depth, levels = scene(*truth)
    return guess(depth, *pred), depth, levels


def changed(change: Callable[[Array, Array, Array], Any]) -> Case:
    """The plain case with something done to (prediction, depth, confidence)."""
    prediction, depth, levels = sized((12, 16), (9, 12))
    replaced = change(prediction, depth, levels)
    return (prediction if replaced is None else replaced, depth, levels)


def without_level_2(_: Array, __: Array, levels: Array) -> None:
    levels[levels == 2] = 1


def zeros_in_prediction(prediction: Array, *_: Array) -> None:
    prediction[::3, ::2] = 0


def zeros_in_truth(_: Array, depth: Array, levels: Array) -> None:
    depth[2:5, 3:7], levels[2:5, 3:7] = 0, 0


def trusted_holes(_: Array, depth: Array, levels: Array) -> None:
    depth[2:5, 3:7], levels[2:5, 3:7] = 0, 2


def mostly_holes(_: Array, depth: Array, levels: Array) -> None:
    depth[:, 2:], levels[:, 2:] = 0, 0


def negatives(prediction: Array, *_: Array) -> None:
    prediction[1::4, 1::4] *= -1


def nan_outside_the_mask(prediction: Array, _: Array, levels: Array) -> None:
    levels[-1, -1] = 0
    prediction[-1, -1] = np.nan


def infinity(prediction: Array, _: Array, levels: Array) -> None:
    levels[:, :4] = 2
    prediction[3, 2] = np.inf


def no_scale(prediction: Array, *_: Array) -> Array:
    return np.where(np.arange(prediction.size).reshape(prediction.shape) % 2, np.float32(0.5), np.float32(-0.5))


def min_max(prediction: Array, *_: Array) -> Array:
    return (prediction - prediction.min()) / (prediction.max() - prediction.min())


def disparity(prediction: Array, *_: Array) -> Array:
    return min_max(1 / prediction)


def one_match(height: int, width: int) -> Case:
    """A constant against steep truth: one true point has predicted points near it."""
    count = height * width
    assert count % 2
    half = count // 2
    steep = np.concatenate([np.linspace(1, 129, half), [130], np.linspace(131, 259, half)])
    depth = steep.reshape(height, width).astype(np.float32)
    return np.full((height, width), 0.25, np.float32), depth, np.full((height, width), 2, np.uint8)


CASES: dict[str, Callable[[], Case]] = {
    "truth_grows": lambda: sized((12, 16), (9, 12)),
    "truth_shrinks": lambda: sized((12, 16), (24, 32)),
    "same_size": lambda: sized((12, 16), (12, 16)),
    "odd_sizes": lambda: sized((13, 17), (7, 9)),
    "awkward_ratio": lambda: sized((24, 32), (19, 27)),
    "competition_ratio": lambda: sized((20, 30), (8, 12)),
    "without_level_2": lambda: changed(without_level_2),
    "zeros_in_prediction": lambda: changed(zeros_in_prediction),
    "zeros_in_truth": lambda: changed(zeros_in_truth),
    "trusted_holes": lambda: changed(trusted_holes),
    "mostly_holes": lambda: changed(mostly_holes),
    "negatives": lambda: changed(negatives),
    "nan_outside_the_mask": lambda: changed(nan_outside_the_mask),
    "infinity": lambda: changed(infinity),
    "no_scale": lambda: changed(no_scale),
    "constant": lambda: changed(lambda pred, *_: np.full_like(pred, 0.3)),
    "min_max": lambda: changed(min_max),
    "disparity": lambda: changed(disparity),
    "affine": lambda: changed(lambda pred, *_: pred + np.float32(0.3) * np.median(pred)),
    "float16": lambda: changed(lambda pred, *_: pred.astype(np.float16)),
    "float64": lambda: changed(lambda pred, *_: pred.astype(np.float64) + 1e-9),
    "1x1": lambda: sized((1, 1), (1, 1)),
    "1x1_of_2x3": lambda: sized((1, 1), (2, 3)),
    "1x2": lambda: sized((1, 2), (1, 2)),
    "2x1_of_3x1": lambda: sized((2, 1), (3, 1)),
    "2x3": lambda: sized((2, 3), (2, 3)),
    "2x3_of_1x1": lambda: sized((2, 3), (1, 1)),
    "shares_below_a_thousandth": lambda: one_match(73, 71),
}
NOT_FINITE = {
    "negatives": {"rmse_log"},
    "nan_outside_the_mask": {"abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m"},
    "infinity": {"abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m"},
    "no_scale": {"abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m"},
}


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


@pytest.mark.parametrize("name", CASES)
def test_equals_the_oracle(name: str) -> None:
    prediction, depth, levels = CASES[name]()
    given_arrays = [values.copy() for values in (prediction, depth, levels)]
    expected = oracle(prediction, depth, levels)
    scored = score_frame(name, prediction, depth, levels)
    assert_agrees(scored, expected)
    assert set(scored.reasons) == NOT_FINITE.get(name, set())
    for before, after in zip(given_arrays, (prediction, depth, levels), strict=True):
        np.testing.assert_array_equal(before, after)  # scoring changes nothing of what it was given


def test_the_cases_are_not_degenerate() -> None:
    """Where a case is meant to be imperfect, no metric of it is at its end; else the oracle would prove little."""
    for name in ("truth_grows", "odd_sizes", "awkward_ratio", "without_level_2", "zeros_in_truth", "float16"):
        values = oracle(*CASES[name]())
        assert 0 < values["abs_rel"] < 1, name
        assert 0 < values["delta1"] < 1, name
        assert 0 < values["iou"] < values["f_score"] < 100, name


# Literals


@pytest.mark.parametrize("case", json.loads(FROZEN.read_text()), ids=lambda case: case["name"])
def test_frozen_literals(case: dict[str, Any]) -> None:
    """Numbers that no later change of the oracle or of the scorer may move.

    The inputs are cases of this file with predictions rounded to four decimals, written out once together with what
    `oracle` gave for them. A transcription of the organisers' functions (torch, with every distance of every pair for
    their CUDA extension) gave the same to 1e-5. null stands for NaN and infinity.
    """
    prediction = np.array(case["prediction"], case["dtype"])
    depth = np.array(case["depth_mm"], np.float32) / np.float32(1000)
    scored = score_frame(case["name"], prediction, depth, np.array(case["confidence"], np.uint8))
    assert set(case["expected"]) == set(METRICS)
    assert_agrees(scored, {key: math.nan if value is None else value for key, value in case["expected"].items()})


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
levels_with_a_two = arrays(np.uint8, (4, 6), elements=st.integers(0, 2)).filter(lambda levels: bool(levels.any()))
PERFECT = {
    key: 0.0 if key in ("abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m") else 1.0 for key in METRICS
} | dict.fromkeys(ON_0_TO_100, 100.0)


@settings(max_examples=25, deadline=None)
@given(depths_without_holes, levels_with_a_two, st.integers(-12, 12))
def test_perfect_at_any_power_of_two_is_perfect(depth: Array, levels: Array, power: int) -> None:
    assert score_frame("x", depth * np.float32(2.0**power), depth, levels).values == PERFECT


@settings(max_examples=25, deadline=None)
@given(depths_without_holes, levels_with_a_two, st.integers(-12, 12), st.integers(0, 99))
def test_without_zeros_a_scale_changes_nothing(depth: Array, levels: Array, power: int, seed: int) -> None:
    prediction = guess(depth, 8, 11, seed)
    one = score_frame("x", prediction, depth, levels)
    assert score_frame("x", prediction * np.float32(2.0**power), depth, levels).values == one.values


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 4))
def test_mean_depends_on_neither_order_nor_repetition(values: list[float], draw: Any, times: int) -> None:
    frames = [FrameScore(f"{n}", dict.fromkeys(METRICS, value)) for n, value in enumerate(values)]
    shuffled = frames * times
    draw.shuffle(shuffled)
    expected = math.fsum(values) / len(values)
    for mean in (mean_score(frames), mean_score(shuffled)):
        assert mean.values == pytest.approx(dict.fromkeys(METRICS, expected), rel=1e-9, abs=1e-6)
        assert not mean.reasons


def test_one_nan_frame_makes_the_mean_nan_and_says_which() -> None:
    good = FrameScore("0007", dict.fromkeys(METRICS, 1.0))
    bad = FrameScore("0009", dict.fromkeys(METRICS, 1.0) | {"rmse_log": None}, {"rmse_log": "why"})
    mean = mean_score([good, bad, good])
    assert mean.values == dict.fromkeys(METRICS, 1.0) | {"rmse_log": None}
    assert mean.reasons == {"rmse_log": "1 of 3 frames have no finite value, the first is 0009"}


def test_a_nan_where_nothing_is_measured_poisons_the_whole_frame() -> None:
    scored = score_frame("x", *CASES["nan_outside_the_mask"]())
    assert scored.values["abs_rel"] is None
    assert "NaN" in scored.reasons["abs_rel"]
    assert (scored.values["f_score"], scored.values["delta1"]) == (0.0, 0.0)


def test_zeros_break_scale_invariance() -> None:
    prediction, depth, levels = CASES["zeros_in_prediction"]()
    one, thousand = (score_frame("x", prediction * np.float32(scale), depth, levels).values for scale in (1, 1024))
    assert one["f_score"] == pytest.approx(thousand["f_score"])
    first, second = one["rmse_log"], thousand["rmse_log"]
    assert first is not None
    assert second is not None
    assert second > first + 1  # a zero stays 1e-5 while the rest grows, so it ends 1024 times nearer


def test_an_offset_is_not_forgiven_and_the_truth_is() -> None:
    depth, levels = scene(12, 16)
    offset = score_frame("x", depth + np.float32(np.median(depth)), depth, levels).values
    assert offset["abs_rel"] is not None
    assert offset["abs_rel"] > 0.1
    assert score_frame("x", depth, depth, levels).values == PERFECT


def test_a_trusted_hole_makes_abs_rel_explode() -> None:
    hole = score_frame("x", *CASES["trusted_holes"]()).values["abs_rel"]
    untrusted = score_frame("x", *CASES["zeros_in_truth"]()).values["abs_rel"]
    assert hole is not None
    assert untrusted is not None
    assert hole > 1000
    assert untrusted < 0.2


def test_a_negative_prediction_has_no_logarithm() -> None:
    scored = score_frame("x", *CASES["negatives"]())
    assert [key for key in METRICS if scored.values[key] is None] == ["rmse_log"]
    assert "negative" in scored.reasons["rmse_log"]


@pytest.mark.parametrize(("name", "words"), [("infinity", "infinite values"), ("no_scale", "median is 0")])
def test_reasons_say_what_is_wrong(name: str, words: str) -> None:
    assert words in score_frame("x", *CASES[name]()).reasons["abs_rel"]


def test_f_score_is_not_symmetric_below_a_thousandth() -> None:
    def shares(near: int) -> npt.NDArray[np.float32]:
        return np.where(np.arange(4000) < near, 0.05, 5.0).astype(np.float32)

    assert Distances(shares(3), shares(1)).f_score_and_iou(0.1) == pytest.approx((0.075, 0.075))
    assert Distances(shares(1), shares(3)).f_score_and_iou(0.1) == pytest.approx((0.025, 0.025))
    above = (100 * 2 * 2e-5 / 0.012, 100 * 2e-5 / (0.012 - 2e-5))  # precision and recall of 1 and 0.2 %
    assert Distances(shares(40), shares(8)).f_score_and_iou(0.1) == pytest.approx(above)
    assert Distances(shares(8), shares(40)).f_score_and_iou(0.1) == pytest.approx(above)


def test_below_a_thousandth_f_and_iou_are_the_precision() -> None:
    prediction, depth, levels = CASES["shares_below_a_thousandth"]()
    values = score_frame("x", prediction, depth, levels).values
    assert values["f_score"] == values["iou"] == pytest.approx(100 * 5 / 5183)  # a cross of five rays about one point


def test_confidence_of_zero_everywhere_stops_the_scorer() -> None:
    prediction, depth, levels = CASES["truth_grows"]()
    with pytest.raises(InputError, match=r"Frame 0042 has no pixel of confidence 1"):
        score_frame("0042", prediction, depth, np.zeros_like(levels))


# Point clouds


def test_one_ray_written_out() -> None:
    rays = official_rays(480, 640)
    assert rays.shape == (307200, 3)
    k = 12345  # the depth of row 19, column 185 gets the ray of x = 12345 // 480 = 25, y = 12345 % 480 = 345
    assert rays[k] == pytest.approx([(25 - 945.64465) / 1591.1095, (345 - 722.8234) / 1591.1095, 1.0], rel=1e-6)
    depth = np.zeros((480, 640), np.float32)
    depth[19, 185] = 2.0
    np.testing.assert_array_equal(official_cloud(depth, depth > 0), 2 * rays[k][None])


def test_scipy_and_pykdtree_give_the_same_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pykdtree")
    draw = np.random.default_rng(3)
    pred, truth = draw.uniform(-2, 2, (700, 3)).astype(np.float32), draw.uniform(-2, 2, (900, 3)).astype(np.float32)
    quick = nearest_distances(pred, truth)
    monkeypatch.setitem(sys.modules, "pykdtree.kdtree", None)  # now importing it raises ImportError
    slow = nearest_distances(pred, truth)
    for one, other, by_hand in (
        (quick.from_pred_m, slow.from_pred_m, every_distance(pred, truth)),
        (quick.from_truth_m, slow.from_truth_m, every_distance(truth, pred)),
    ):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-6)
        np.testing.assert_allclose(one, by_hand, rtol=1e-6)


def test_a_point_at_infinity_is_far_from_all_and_a_nan_spoils_the_cloud() -> None:
    truth = np.array([[0, 0, 1], [0, 0, 2]], np.float32)
    far = nearest_distances(np.array([[0, 0, 1.5], [0, 0, np.inf]], np.float32), truth)
    assert far.from_pred_m.tolist() == [0.5, np.inf]
    assert far.from_truth_m.tolist() == [0.5, 0.5]
    spoiled = nearest_distances(np.array([[0, 0, 1.5], [0, 0, np.nan]], np.float32), truth)
    assert np.isnan(spoiled.from_pred_m).all()
    assert np.isnan(spoiled.from_truth_m).all()
