"""The field's way to score a frame: resize, mask, crop, align, clamp, measure; and the protocol built of these parts.

A `Benchmark` is what a data set's papers agree on; a `Way` is what they differ in, how a prediction is brought to the
truth's scale. `protocol_of` joins one of each under one name. All arithmetic is float64; the reference scripts compute
in float32, which moves the sixth digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from ..data.frame import Frame
from . import alignment, metrics
from .boundary import KEYS as BOUNDARY_KEYS
from .boundary import boundary_metrics
from .breakdown import parts_of
from .frame_score import FrameScore
from .kinds import as_inverse_depth, demand_kind
from .protocol import Comparison, Prediction, Protocol

Values = npt.NDArray[np.float64]
Box = tuple[tuple[int, int], tuple[int, int]]  # rows and columns, half-open
Fit = Callable[[Values, Values, float, float], alignment.Aligned]

MEASURES: Mapping[str, Callable[[Values, Values], float]] = {
    "abs_rel": metrics.abs_rel,
    "sq_rel": metrics.sq_rel,
    "rmse": metrics.rmse,
    "rmse_log": metrics.rmse_log,
    "log10": metrics.log10,
    "rmse_log10": metrics.rmse_log10,
    "delta1": partial(metrics.delta, power=1),
    "delta2": partial(metrics.delta, power=2),
    "delta3": partial(metrics.delta, power=3),
    "mae": metrics.mae,
    "silog": metrics.silog,
    "si_rmse": metrics.si_rmse,
    "irmse": metrics.irmse,
    "sq_rel_kitti": metrics.sq_rel_kitti,
}
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


@dataclass(frozen=True)
class Crop:
    """The part of a truth map of (height, width) that is scored."""

    text: str
    box: Callable[[int, int], Box]
    only_for: tuple[tuple[int, int], ...] = ()  # the (height, width) that it is defined for; none named is any
    least: tuple[int, int] = (1, 1)  # the (height, width) that it fits into

    def why_not(self, height: int, width: int) -> str | None:
        """Why a truth map of this size cannot be cropped; None where it can."""
        if self.only_for and (height, width) not in self.only_for:
            wanted = " or ".join(f"{columns}x{rows}" for rows, columns in self.only_for)
        elif height < self.least[0] or width < self.least[1]:
            wanted = f"{self.least[1]}x{self.least[0]} or larger"
        else:
            return None
        return f"its truth is {width}x{height}, and the crop is defined for {wanted}"


@dataclass(frozen=True)
class Benchmark:
    """What a data set's papers agree on.

    nearer_m, farther_m: truth is valid strictly between them; clamp_m: what an aligned prediction is clamped to
    interpolation: how a prediction is brought to the truth's size
    """

    name: str
    purpose: str
    crop: Crop
    nearer_m: float
    farther_m: float
    clamp_m: tuple[float, float]
    interpolation: str
    metrics: tuple[str, ...]
    ranks: str
    source: str


@dataclass(frozen=True)
class Way:
    """How a prediction is brought to the truth's scale.

    suffix, short: what it adds to the protocol's name and to its purpose
    inverse: predictions are turned into inverse depth before they are resized and given to `fit`
    fit: (truth, prediction, near, far) of the valid pixels -> metres, parameters
    aligned_in: what the parameters apply to, as in `Protocol`
    """

    suffix: str
    short: str
    text: str
    weakest_kind: str
    inverse: bool
    fit: Fit
    source: str
    aligned_in: str = "depth"


def protocol_of(benchmark: Benchmark, way: Way) -> Protocol:
    near, far = benchmark.clamp_m
    name = benchmark.name + way.suffix
    clamped = f"{near:g} to {far:g} m" if math.isfinite(far) else f"{near:g} m and more"
    bounds = [f"> {benchmark.nearer_m:g} m"] + [f"< {benchmark.farther_m:g} m"] * math.isfinite(benchmark.farther_m)
    return Protocol(
        name=name,
        purpose=f"{benchmark.purpose}; {way.short}",
        weakest_kind=way.weakest_kind,
        needs=("depth",),
        resize=f"prediction to the truth's size, {benchmark.interpolation}, as "
        + ("inverse depth; depths of 0 or less count as the smallest positive one" if way.inverse else "depth"),
        valid=f"truth {' and '.join(bounds)}; confidence is not used",
        crop=benchmark.crop.text,
        cap=f"the aligned prediction is clamped to {clamped}" if near > 0 else "none",
        alignment=way.text,
        aligned_in=way.aligned_in,
        metrics=benchmark.metrics,
        ranks=benchmark.ranks,
        aggregation="mean over frames of each frame's mean over its pixels",
        source=f"{benchmark.source}; {way.source}",
        score=partial(score_frame, name=name, benchmark=benchmark, way=way),
        compare=partial(compare, benchmark=benchmark, way=way),
    )


def score_frame(
    frame: Frame, prediction: Prediction, kind: str, *, name: str, benchmark: Benchmark, way: Way
) -> FrameScore:
    """Score one frame; stopped where no pixel is valid or the crop does not fit.

    prediction: (H, W) floating of `kind`, any size. Raises InputError for a kind that is too weak.
    """
    demand_kind(kind, way.weakest_kind, f"protocol {name}")
    assert frame.depth_m is not None  # the protocol's `needs` saw to it
    truth = frame.depth_m.astype(np.float64)
    if why := benchmark.crop.why_not(*truth.shape):
        return FrameScore.stop(frame.name, benchmark.metrics, why)
    valid = valid_pixels(truth, benchmark)
    if not valid.any():
        why = f"no pixel has truth within the protocol's range and crop ({benchmark.crop.text})"
        return FrameScore.stop(frame.name, benchmark.metrics, why)
    with np.errstate(all="ignore"):  # what is not finite becomes None with a reason
        given, parameters = _fitted(prediction, kind, truth, valid, benchmark, way)
        pred = in_metres(given[valid], parameters, benchmark, way)
        values = {key: MEASURES[key](truth[valid], pred) for key in benchmark.metrics if key in MEASURES}
        pred_m = np.full(truth.shape, np.nan)
        pred_m[valid] = pred
        if set(BOUNDARY_KEYS) & set(benchmark.metrics):
            values |= boundary_metrics(np.where(valid, truth, np.nan), pred_m)
        parts = parts_of(truth, pred_m, frame.confidence, valid)
    return FrameScore.of(
        frame.name,
        {key: values[key] for key in benchmark.metrics},
        _why_not_finite(prediction, pred, parameters),
        alignment={key: value for key, value in parameters.items() if math.isfinite(value)},
        parts=parts,
    )


def compare(frame: Frame, prediction: Prediction, kind: str, *, benchmark: Benchmark, way: Way) -> Comparison:
    """What `score_frame` compares of a frame that it does not stop at, on the truth's grid."""
    assert frame.depth_m is not None  # the protocol's `needs` saw to it
    truth = frame.depth_m.astype(np.float64)
    valid = valid_pixels(truth, benchmark)
    with np.errstate(all="ignore"):
        given, parameters = _fitted(prediction, kind, truth, valid, benchmark, way)
        return Comparison(truth, in_metres(given, parameters, benchmark, way), valid)


def _fitted(
    prediction: Prediction, kind: str, truth: Values, valid: npt.NDArray[np.bool_], benchmark: Benchmark, way: Way
) -> tuple[Values, Mapping[str, float]]:
    """The prediction at the truth's size, in the space that the way works in; what it fits on the valid pixels."""
    given = resize(in_space(prediction, kind, inverse=way.inverse), truth.shape, benchmark.interpolation)
    return given, way.fit(truth[valid], given[valid], *benchmark.clamp_m)[1]


def in_metres(given: Values, parameters: Mapping[str, float], benchmark: Benchmark, way: Way) -> Values:
    """Values in the space that the way works in, of any shape, aligned with what it fitted, and clamped."""
    near, far = benchmark.clamp_m
    if way.aligned_in == "inverse depth":
        aligned = alignment.aligned_in_inverse_depth(given, parameters, near, far)
    else:
        aligned = alignment.aligned_in_depth(1 / given if way.inverse else given, parameters)
    return np.clip(aligned, near, far)


def valid_pixels(truth_m: Values, benchmark: Benchmark) -> npt.NDArray[np.bool_]:
    """(H, W): truth within the benchmark's range and crop."""
    (top, bottom), (left, right) = benchmark.crop.box(*truth_m.shape)
    valid = np.zeros(truth_m.shape, bool)
    inside = truth_m[top:bottom, left:right]
    valid[top:bottom, left:right] = (inside > benchmark.nearer_m) & (inside < benchmark.farther_m)
    return valid


def in_space(prediction: Prediction, kind: str, *, inverse: bool) -> Values:
    """The prediction as depth or inverse depth, float64; a depth of 0 or less counts as the smallest positive one."""
    values = prediction.astype(np.float64)
    if not inverse or kind == "affine_inverse_depth":
        return values
    nothing = np.isfinite(values) & (values <= 0)
    if nothing.any() and (values > 0).any():
        values = np.where(nothing, values[values > 0].min(), values)
    return as_inverse_depth(values, kind)


def resize(values: Values, shape: tuple[int, ...], interpolation: str) -> Values:
    """(h, w) -> `shape`, pixel centres at halves, no smoothing where it shrinks: as OpenCV's `resize`."""
    if values.shape == shape:
        return values
    return cv2.resize(values, (shape[1], shape[0]), interpolation=INTERPOLATIONS[interpolation]).astype(np.float64)


def _why_not_finite(prediction: Prediction, pred: Values, parameters: Mapping[str, float]) -> str:
    if np.isnan(prediction).any():
        return "the prediction holds NaN"
    if not np.isfinite(prediction).all():
        return "the prediction holds infinite values"
    if not all(map(math.isfinite, parameters.values())):
        return "no scale can be fitted: the prediction is 0 or negative where the fit needs it to be positive"
    if (pred <= 0).any():
        return "the aligned prediction is 0 or negative at some pixel, and has no logarithm there"
    return "the prediction has values without a finite inverse"
