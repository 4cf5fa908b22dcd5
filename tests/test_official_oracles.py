"""The official score implemented twice more, in two manners, and both agree with each other and with `lpcv`.

Neither oracle uses anything of `lpcv` or of the other. `by_arrays` is written from the organisers' definition (LPCVC
2025 Track 3, evaluate_track3.py @ 1ed2ac6) with arrays and every distance of every pair of points. `ByHand` is written
from the description of the score in steps, one number at a time: loops, `math` and float32 scalars. They share one
fact, which is PIL's: NEAREST takes the sample at (i + 0.5) * length / wanted, summed up step by step in doubles.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from lpcv.evaluate.frame_score import FrameScore
from lpcv.evaluate.neighbours_torch import nearest_both_ways as by_torch
from lpcv.evaluate.official import METRICS, score_frame

Array = npt.NDArray[Any]
Case = tuple[Array, Array, Array]
Values = dict[str, float]
ON_0_TO_100 = ("f_score", "iou", "f_score_20cm", "iou_20cm")


# By arrays


def sample_centres(length: int, wanted: int) -> list[int]:
    step = length / wanted
    return [int(at) for at in itertools.islice(itertools.accumulate(itertools.repeat(step), initial=step / 2), wanted)]


def middle_of_array(values: Array) -> Any:
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


def by_arrays(prediction: Array, depth_m: Array, confidence: Array) -> Values | None:
    """None where no pixel has confidence 1: the official script stops."""
    with np.errstate(all="ignore"):
        height, width = prediction.shape
        rows, columns = sample_centres(depth_m.shape[0], height), sample_centres(depth_m.shape[1], width)
        truth, level = depth_m[rows][:, columns], confidence[rows][:, columns]
        if not (level >= 1).any():
            return None
        truth = np.where(truth == 0, np.float32(1e-5), truth)
        pred = np.where(prediction == 0, prediction.dtype.type(1e-5), prediction)
        pred = pred * (middle_of_array(truth) / middle_of_array(pred))
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
        spoiled = np.isnan(pred_points).any(axis=1)
        if spoiled.any() and not spoiled.all():  # the organisers' search depends on their order then: no value
            return {key: float(values.get(key, math.nan)) for key in METRICS}
        from_pred, from_truth = every_distance(pred_points, true_points), every_distance(true_points, pred_points)
        values["f_score"], values["iou"] = f_and_iou(from_pred, from_truth, 0.1)
        values["chamfer_m"] = from_pred.mean() + from_truth.mean()
        values["f_score_20cm"], values["iou_20cm"] = f_and_iou(from_pred, from_truth, 0.2)
    return {key: float(value) for key, value in values.items()}


# By hand


class ByHand:
    """One frame's score, one number at a time."""

    def __init__(self, prediction: Array, depth_m: Array, confidence: Array) -> None:
        self.height, self.width = prediction.shape
        keep = prediction.dtype.type  # the prediction stays in the type it was saved with
        rows, columns = taken(depth_m.shape[0], self.height), taken(depth_m.shape[1], self.width)
        self.truth: list[np.float32] = []
        self.levels: list[int] = []
        said: list[Any] = []
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                depth, value = np.float32(depth_m[row, column]), prediction[y, x]
                self.truth.append(np.float32(1e-5) if depth == 0 else depth)
                said.append(keep(1e-5) if value == 0 else value)
                self.levels.append(int(confidence[row, column]))
        with np.errstate(all="ignore"):
            scale = np.float32(middle(self.truth)) / keep(middle(said))
            self.scaled = [value * scale for value in said]

    def values(self) -> Values | None:
        if not any(level >= 1 for level in self.levels):
            return None
        with np.errstate(all="ignore"):
            return self.pixel_values() | self.cloud_values()

    def pixel_values(self) -> Values:
        absolute, relative, square_relative, square, log_square, ratios = [], [], [], [], [], []
        for truth, pred, level in zip(self.truth, self.scaled, self.levels, strict=True):
            if level < 1:
                continue
            error = abs(float(truth) - float(pred))
            absolute.append(error)
            relative.append(error / float(truth))
            square_relative.append(error**2 / float(truth))
            square.append(error**2)
            log_square.append((natural_log(truth) - natural_log(pred)) ** 2)
            # A NaN is below no threshold. Both ratios of a negative prediction are: it counts as right.
            there, back = float(truth / pred), float(pred / truth)
            ratios.append(math.nan if math.isnan(there) or math.isnan(back) else max(there, back))
        return {
            "abs_rel": mean(relative),
            "sq_rel": mean(square_relative),
            "rmse": math.sqrt(mean(square)),
            "rmse_log": math.sqrt(mean(log_square)),
            **{f"delta{k}": sum(ratio < 1.25**k for ratio in ratios) / len(ratios) for k in (1, 2, 3)},
            "mae": mean(absolute),
        }

    def cloud_values(self) -> Values:
        wanted = 2 if 2 in self.levels else 1
        true_points, pred_points = [], []
        for k, level in enumerate(self.levels):
            if level == wanted:
                # The grid is in matrix order, the depths lie row by row: depth k gets another pixel's ray.
                x, y = k // self.height, k % self.height
                ray = ((x - 945.64465) / 1591.1095, (y - 722.8234) / 1591.1095, 1.0)
                true_points.append(tuple(np.float32(float(self.truth[k]) * along) for along in ray))
                pred_points.append(tuple(np.float32(float(self.scaled[k]) * along) for along in ray))
        unknown = sum(any(math.isnan(axis) for axis in point) for point in pred_points)
        if 0 < unknown < len(pred_points):
            return dict.fromkeys(("chamfer_m", "f_score", "iou", "f_score_20cm", "iou_20cm"), math.nan)
        from_pred, from_truth = nearest(pred_points, true_points)
        values = {"chamfer_m": mean(from_pred) + mean(from_truth)}
        for metres, suffix in ((0.1, ""), (0.2, "_20cm")):
            precision = sum(away < metres for away in from_pred) / len(from_pred)
            recall = sum(away < metres for away in from_truth) / len(from_truth)
            f_score = iou = 100 * precision
            if precision >= 1e-3 or recall >= 1e-3:
                f_score = 100 * 2 * precision * recall / (precision + recall)
                iou = 100 * precision * recall / (precision + recall - precision * recall)
            values |= {f"f_score{suffix}": f_score, f"iou{suffix}": iou}
        return values


def nearest(pred: list[tuple[Any, ...]], truth: list[tuple[Any, ...]]) -> tuple[list[float], list[float]]:
    """Both ways at once; where any coordinate is NaN, nothing is known of any distance."""
    if any(math.isnan(axis) for point in pred for axis in point):
        return [math.nan] * len(pred), [math.nan] * len(truth)
    from_pred, from_truth = [np.float32(math.inf)] * len(pred), [np.float32(math.inf)] * len(truth)
    for i, (x, y, z) in enumerate(pred):
        for j, (other_x, other_y, other_z) in enumerate(truth):
            dx, dy, dz = x - other_x, y - other_y, z - other_z
            away = dx * dx + dy * dy + dz * dz
            if away < from_pred[i]:
                from_pred[i] = away
            if away < from_truth[j]:
                from_truth[j] = away
    return [float(np.sqrt(away)) for away in from_pred], [float(np.sqrt(away)) for away in from_truth]


def taken(length: int, wanted: int) -> list[int]:
    """Which of `length` samples each of `wanted` shows."""
    step = length / wanted
    at, found = step * 0.5, []
    for _ in range(wanted):
        found.append(int(at))
        at += step
    return found


def middle(values: list[Any]) -> float:
    numbers = [float(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else statistics.median(numbers)


def mean(values: list[float]) -> float:
    if any(map(math.isnan, values)):
        return math.nan
    return math.inf if math.inf in values else math.fsum(values) / len(values)


def natural_log(value: Any) -> float:
    """NaN below zero and -inf at zero, as arrays have it."""
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


# Cases


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


def sized(pred: tuple[int, int], truth: tuple[int, int], seed: int = 0) -> Case:
    depth, levels = scene(*truth, seed)
    return guess(depth, *pred, seed + 1), depth, levels


def changed(change: Callable[[Array, Array, Array], Any]) -> Callable[[], Case]:
    """The plain case with something done to (prediction, depth, confidence), in place or as a new prediction."""

    def made() -> Case:
        prediction, depth, levels = sized((12, 16), (9, 12))
        replaced = change(prediction, depth, levels)
        return (prediction if replaced is None else replaced, depth, levels)

    return made


def predicted(change: Callable[[Array], Array]) -> Callable[[], Case]:
    return changed(lambda prediction, *_: change(prediction))


def no_level_2(_: Array, __: Array, levels: Array) -> None:
    levels[levels == 2] = 1


def one_pixel_of_level_2(_: Array, __: Array, levels: Array) -> None:
    levels[levels == 2] = 1
    levels[4, 5] = 2


def levels_beyond_2(_: Array, __: Array, levels: Array) -> None:
    """Trusted as pixels, of no level that makes a cloud: that falls back to level 1."""
    levels[levels == 2] = 3


def one_trusted_pixel(_: Array, __: Array, levels: Array) -> None:
    levels[:] = 0
    levels[4, 5] = 1


def no_trusted_pixel(_: Array, __: Array, levels: Array) -> None:
    levels[:] = 0


def zeros_in_prediction(prediction: Array, *_: Array) -> None:
    prediction[::3, ::2] = 0


def mostly_zeros(prediction: Array, *_: Array) -> None:
    prediction[:, 4:] = 0


def negative_zeros(prediction: Array, *_: Array) -> None:
    prediction[::3, ::2] = -0.0


def half_zeros(prediction: Array, *_: Array) -> Array:
    """In half precision 1e-5 is 1.0014e-5."""
    prediction[::3, ::2] = 0
    return prediction.astype(np.float16)


def zeros_in_truth(_: Array, depth: Array, levels: Array) -> None:
    depth[2:5, 3:7], levels[2:5, 3:7] = 0, 0


def trusted_holes(_: Array, depth: Array, levels: Array) -> None:
    depth[2:5, 3:7], levels[2:5, 3:7] = 0, 2


def mostly_holes(_: Array, depth: Array, levels: Array) -> None:
    depth[:, 2:], levels[:, 2:] = 0, 0


def only_holes(_: Array, depth: Array, __: Array) -> None:
    depth[:] = 0


def negatives(prediction: Array, *_: Array) -> None:
    prediction[1::4, 1::4] *= -1


def nan_outside_the_mask(prediction: Array, _: Array, levels: Array) -> None:
    levels[-1, -1] = 0
    prediction[-1, -1] = np.nan


def infinite(value: float) -> Callable[[Array, Array, Array], None]:
    def change(prediction: Array, _: Array, levels: Array) -> None:
        levels[:, :4] = 2
        prediction[3, 2] = value

    return change


def mostly_infinite(prediction: Array, *_: Array) -> None:
    prediction[:, 4:] = np.inf


def opposites(prediction: Array) -> Array:
    """As many at -0.5 as at 0.5: the median is 0."""
    return np.where(np.arange(prediction.size).reshape(prediction.shape) % 2, np.float32(0.5), np.float32(-0.5))


def min_max(values: Array) -> Array:
    return (values - values.min()) / (values.max() - values.min())


def one_match(height: int, width: int, at_m: int = 230) -> Case:
    """A constant against truth that leaves it by a metre each step: one point of about a thousand is near another."""
    count = height * width
    assert count % 2
    steep = np.arange(count) - count // 2
    depth = np.where(steep < 0, at_m * (1 + steep / (2 * count)) - 1, at_m + 2.0 * steep).reshape(height, width)
    return np.full((height, width), 0.25, np.float32), depth.astype(np.float32), np.full((height, width), 2, np.uint8)


CASES: dict[str, Callable[[], Case]] = {
    "truth_grows": lambda: sized((12, 16), (9, 12)),
    "truth_shrinks": lambda: sized((12, 16), (24, 32)),
    "same_size": lambda: sized((12, 16), (12, 16)),
    "odd_sizes": lambda: sized((13, 17), (7, 9)),
    "awkward_ratio": lambda: sized((24, 32), (19, 27)),
    "samples_at_edges": lambda: sized((6, 21), (4, 2)),  # where summing up in doubles decides
    "competition_ratio": lambda: sized((20, 30), (8, 12)),
    "upright": lambda: sized((17, 11), (16, 12)),
    "no_level_2": changed(no_level_2),
    "levels_beyond_2": changed(levels_beyond_2),
    "one_pixel_of_level_2": changed(one_pixel_of_level_2),
    "one_trusted_pixel": changed(one_trusted_pixel),
    "no_trusted_pixel": changed(no_trusted_pixel),
    "zeros_in_prediction": changed(zeros_in_prediction),
    "mostly_zeros": changed(mostly_zeros),
    "only_zeros": predicted(np.zeros_like),
    "negative_zeros": changed(negative_zeros),
    "zeros_in_truth": changed(zeros_in_truth),
    "trusted_holes": changed(trusted_holes),
    "mostly_holes": changed(mostly_holes),
    "only_holes": changed(only_holes),
    "negatives": changed(negatives),
    "all_negative": predicted(np.negative),
    "nan_outside_the_mask": changed(nan_outside_the_mask),
    "only_nan": predicted(lambda pred: np.full_like(pred, np.nan)),
    "infinity": changed(infinite(np.inf)),
    "minus_infinity": changed(infinite(-np.inf)),
    "mostly_infinite": changed(mostly_infinite),
    "opposites": predicted(opposites),
    "constant": predicted(lambda pred: np.full_like(pred, 0.3)),
    "min_max": predicted(min_max),
    "disparity": predicted(lambda pred: min_max(1 / pred)),
    "affine": predicted(lambda pred: pred + np.float32(0.3) * np.median(pred)),
    "tiny_values": predicted(lambda pred: pred * np.float32(1e-30)),
    "float16": predicted(lambda pred: pred.astype(np.float16)),
    "float16_zeros": changed(half_zeros),
    "float64": predicted(lambda pred: pred.astype(np.float64) + 1e-9),
    "float64_beyond_float32": predicted(lambda pred: pred.astype(np.float64) * 1e200),
    "1x1": lambda: sized((1, 1), (1, 1)),
    "1x1_of_2x3": lambda: sized((1, 1), (2, 3)),
    "1x2": lambda: sized((1, 2), (1, 2)),
    "2x1_of_3x1": lambda: sized((2, 1), (3, 1)),
    "2x3": lambda: sized((2, 3), (2, 3)),
    "2x3_of_1x1": lambda: sized((2, 3), (1, 1)),
    "19x1": lambda: sized((19, 1), (5, 3)),
    "shares_below_a_thousandth": lambda: one_match(13, 79),
}
ERRORS = {"abs_rel", "sq_rel", "rmse", "rmse_log", "mae", "chamfer_m"}
SPOILED = ("nan_outside_the_mask", "only_nan", "infinity", "minus_infinity", "mostly_infinite", "opposites")
NOT_FINITE = {
    "negatives": {"rmse_log"},
    **dict.fromkeys(SPOILED, ERRORS),
    "mostly_infinite": {*ERRORS, *ON_0_TO_100},
}


@cache
def expected(name: str) -> tuple[Values | None, Values | None]:
    """What both oracles say; read only."""
    return by_arrays(*CASES[name]()), ByHand(*CASES[name]()).values()


def close(value: float, key: str, relative: float = 1e-5) -> Any:
    return pytest.approx(value, rel=relative, abs=1e-3 if key in ON_0_TO_100 else 1e-7, nan_ok=True)


@pytest.mark.parametrize("name", CASES)
def test_the_two_oracles_agree(name: str) -> None:
    arrays, hand = expected(name)
    if arrays is None or hand is None:
        assert arrays is hand
        return
    assert set(arrays) == set(hand) == set(METRICS)
    for key, value in hand.items():
        assert arrays[key] == close(value, key), key
    assert {key for key, value in hand.items() if not math.isfinite(value)} == NOT_FINITE.get(name, set())


@pytest.mark.parametrize("name", CASES)
def test_lpcv_agrees_with_both(name: str) -> None:
    prediction, depth, levels = given = CASES[name]()
    before = [values.copy() for values in given]
    assert_equal(score_frame(name, prediction, depth, levels), *expected(name))
    for one, other in zip(before, given, strict=True):
        np.testing.assert_array_equal(one, other)  # scoring changes nothing of what it was given


@pytest.mark.parametrize("name", CASES)
def test_torch_neighbours_give_the_same_values(name: str) -> None:
    assert score_frame(name, *CASES[name](), search=by_torch) == score_frame(name, *CASES[name]())


def assert_equal(scored: FrameScore, *oracles: Values | None) -> None:
    """Finite values as the oracles have them; None, and a reason, exactly where they have NaN or infinity."""
    for oracle in oracles:
        if oracle is None:
            assert scored.stopped
            assert scored.values == dict.fromkeys(METRICS)
            continue
        assert scored.stopped is None
        assert tuple(scored.values) == METRICS
        finite = {key: value for key, value in oracle.items() if math.isfinite(value)}
        assert {key for key, value in scored.values.items() if value is not None} == set(finite)
        assert set(scored.reasons) == set(oracle) - set(finite)
        for key, value in finite.items():
            assert scored.values[key] == close(value, key), key


def test_the_cases_are_not_degenerate() -> None:
    """Where a case is meant to be imperfect, no metric of it is at its end; else the oracles would prove little."""
    for name in ("truth_grows", "odd_sizes", "awkward_ratio", "no_level_2", "zeros_in_truth", "float16"):
        values, _ = expected(name)
        assert values is not None
        assert 0 < values["abs_rel"] < 1, name
        assert 0 < values["delta1"] < 1, name
        assert 0 < values["iou"] < values["f_score"] < 100, name
    rare, _ = expected("shares_below_a_thousandth")
    assert rare is not None
    assert rare["iou"] == rare["f_score"] == pytest.approx(100 / 1027)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_frames_agree(seed: int) -> None:
    draw = np.random.default_rng(seed)
    pred, truth = (tuple(map(int, draw.integers(1, 24, 2))) for _ in range(2))
    prediction, depth, levels = sized(pred, truth, seed)  # type: ignore[arg-type]
    prediction[draw.random(pred) < draw.choice([0, 0.1])] = 0
    depth[draw.random(truth) < draw.choice([0, 0.2])] = 0
    levels[levels > draw.choice([1, 2, 2])] = 1
    case = prediction.astype((np.float16, np.float32, np.float64)[seed % 3]), depth, levels
    assert_equal(score_frame("x", *case), by_arrays(*case), ByHand(*case).values())
