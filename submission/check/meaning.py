"""What a model's output means, judged against truth: depth or its inverse, colour order, mirrored or upside down.

The evidence is Spearman's rank correlation with the truth (it does not care for scale, offset or any monotone curve)
and, for the colour order, the error after the official alignment by one ratio of medians. Only frames whose truth is
not nearly flat say anything: on a flat one an inverse, a mirrored and a good map look alike.

The four views of the truth are taken together: an upside-down map of a room correlates NEGATIVELY with the truth (the
floor is near, the far wall is above it) and would be taken for inverse depth if the views were judged one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from ...data.frame import Frame, Level
from ...data.resize import smooth
from .findings import Finding, State

Map = npt.NDArray[Any]

GRID = (160, 120)
"""(width, height) that truth and prediction are compared at: 19,200 points rank in 2 ms, and no mirror shifts them."""
LEAST_FRAMES = 3
"""Fewer varied frames than this decide nothing: one odd room must not fail a model."""
LEAST_TRUSTED_SHARE = 0.05
FLAT_RATIO = 1.5
"""A frame is nearly flat where the 90th percentile of its trusted depth is below 1.5 times the 10th. Of the 23 real
frames that this was set on, the 11 of one flat scene have 1.1 to 1.47, the 12 others 1.68 to 8.7."""
KNOWS_DEPTH = 0.3
"""Least mean rank correlation from which a direction is read.
Six untrained students gave -0.22 to 0.24 on the 12 varied real frames."""
KNOWS_VIEW = 0.5
"""Least mean rank correlation from which a map is called mirrored: a scene is partly its own mirror image."""
VIEW_MARGIN = 0.1
CONSISTENT_SHARE = 0.75
COLOUR_PASS, COLOUR_FAIL = 0.05, 0.10
"""Mean change of ln(error) that counts. Failing needs the larger one: exchanging red and blue changes a good model's
error by a few per cent in either direction."""
LEAST_SPREAD = 0.05
"""A map whose 90th percentile is nearer than this to its 10th, as a share of its median, says nothing yet: a student of
five steps spreads by 0.02, and the varied truth that it is held against by at least 0.4."""
MOST_WORST = 3

VIEWS: dict[str, Callable[[Map], Map]] = {
    "as it is": lambda values: values,
    "left-right": lambda values: values[:, ::-1],
    "up-down": lambda values: values[::-1],
    "both": lambda values: values[::-1, ::-1],
}
UPRIGHT = "as it is"

NAMES = ("depth direction", "colour order", "left-right", "up-down")
EXPECTED = ("depth: near small, far large", "RGB", "not mirrored", "not upside down")
WHY = (
    "The scorer takes one scale per image and no inverse: inverse depth loses a third of the F-Score on varied scenes.",
    "The organisers feed RGB; a model that was trained on BGR is scored on colours it has never seen.",
    "A mirrored map puts every object at the wrong place, and the scorer compares place by place.",
    "An upside-down map puts the floor at the ceiling, and the scorer compares place by place.",
)
REMEDY = (
    "Emit depth, linear in metres and zero at the camera (depth / max_depth), not its inverse.",
    "Read images as RGB in training (OpenCV reads BGR), or swap the channels inside the model.",
    "Look for a horizontal flip that is applied to the image but not to the depth, or the other way round.",
    "Look for a vertical flip, or a bottom-up image format, between the image and the map.",
)


@dataclass(frozen=True)
class FrameMeaning:
    """What one varied frame says.

    rank: view of the truth -> rank correlation of the prediction with it, -1 to 1
    rank_swapped: the same for red and blue exchanged at the input
    error, error_swapped: view -> mean |truth - prediction| / truth after alignment by one ratio of medians
    spread: of the prediction, (90th - 10th percentile) / |median|
    """

    name: str
    rank: dict[str, float]
    rank_swapped: dict[str, float]
    error: dict[str, float]
    error_swapped: dict[str, float]
    spread: float = math.inf


def measure(frame: Frame, prediction: Map, swapped: Map) -> FrameMeaning | None:
    """Compare a frame's truth with the prediction for it and for its BGR version, both (H, W) and finite.

    None where the frame has no depth, too little trusted depth, or is nearly flat.
    """
    found = varied(frame)
    if found is None:
        return None
    truth, mask = found
    plain, other = shrink(prediction), shrink(swapped)
    views = {view: (turn(truth)[turn(mask)], turn(mask)) for view, turn in VIEWS.items()}
    return FrameMeaning(
        frame.name,
        {view: rank_correlation(true, plain[where]) for view, (true, where) in views.items()},
        {view: rank_correlation(true, other[where]) for view, (true, where) in views.items()},
        {view: aligned_error(true, plain[where]) for view, (true, where) in views.items()},
        {view: aligned_error(true, other[where]) for view, (true, where) in views.items()},
        _spread(plain),
    )


def varied(frame: Frame) -> tuple[Map, Map] | None:
    """The truth in metres and where it is trusted, both at `GRID`'s size; None where `measure` says nothing."""
    if frame.depth_m is None:
        return None
    trusted = frame.depth_m > 0
    if frame.confidence is not None:
        trusted &= frame.confidence >= (Level.HIGH if (frame.confidence == Level.HIGH).any() else Level.MEDIUM)
    truth, mask = sample(frame.depth_m), sample(trusted)
    if mask.mean() < LEAST_TRUSTED_SHARE:
        return None
    low, high = np.percentile(truth[mask], (10, 90))
    return None if high < FLAT_RATIO * low else (truth, mask)


def _spread(prediction: Map) -> float:
    low, middle, high = np.percentile(prediction, (10, 50, 90))
    return float((high - low) / abs(middle)) if middle else math.inf


def rank_correlation(truth: Map, prediction: Map) -> float:
    """Spearman's, -1 to 1, ties with their mean rank; 0 where either is constant, since a constant orders nothing."""
    first, second = rankdata(truth), rankdata(prediction)
    first -= first.mean()
    second -= second.mean()
    # Sums, not dot products: these short ones wait for BLAS's threads several times longer than they take.
    length = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    return float(np.sum(first * second)) / length if length > 0 else 0.0


def aligned_error(truth: Map, prediction: Map) -> float:
    """abs_rel after one ratio of medians over the trusted pixels; infinite where the prediction's median is not > 0."""
    middle = float(np.median(prediction))
    if middle <= 0:
        return float("inf")
    return float(np.mean(np.abs(truth - prediction * (np.median(truth) / middle)) / truth))


def shrink(prediction: Map) -> Map:
    """An (H, W) map at `GRID`'s size, averaged over areas."""
    return smooth(np.asarray(prediction, np.float32), GRID)


def undecided(reason: str) -> list[Finding]:
    """All findings of meaning, none of them decided."""
    return [_finding(index, "undecided", reason) for index in range(len(NAMES))]


def meaning_findings(evidence: Sequence[FrameMeaning], seen: int) -> list[Finding]:
    """The four findings; `seen`: how many frames were looked at, the nearly flat ones included."""
    basis = f"on {len(evidence)} of {seen} frames (the rest nearly flat, or with too little depth)"
    if len(evidence) == seen:
        basis = f"on {seen} frames"
    if len(evidence) < LEAST_FRAMES:
        return undecided(f"only flat scenes or too few: {LEAST_FRAMES} varied frames are needed, this rests {basis}")
    if (spread := float(np.median([one.spread for one in evidence]))) < LEAST_SPREAD:
        return undecided(f"the output varies by {spread:.1%} within a frame {basis}: it says nothing yet, train longer")
    view = _best_view(evidence)
    return [
        _direction(evidence, view, basis),
        _colour(evidence, view, basis),
        _mirror(evidence, view, 2, "left-right", basis),
        _mirror(evidence, view, 3, "up-down", basis),
    ]


def _best_view(evidence: Sequence[FrameMeaning]) -> str:
    """The upright view, unless another one fits clearly and consistently better."""
    means = {view: _mean(one.rank[view] for one in evidence) for view in VIEWS}
    best = max(means, key=lambda view: abs(means[view]))
    better = np.mean([abs(one.rank[best]) > abs(one.rank[UPRIGHT]) for one in evidence])
    clear = abs(means[best]) >= KNOWS_VIEW and abs(means[best]) - abs(means[UPRIGHT]) >= VIEW_MARGIN
    return best if clear and better >= CONSISTENT_SHARE else UPRIGHT


def _direction(evidence: Sequence[FrameMeaning], view: str, basis: str) -> Finding:
    mean = _mean(one.rank[view] for one in evidence)
    found = f"rank correlation with truth {mean:+.2f} {basis}"
    if mean >= KNOWS_DEPTH:
        return _finding(0, "pass", found)
    if mean > -KNOWS_DEPTH:
        return _finding(0, "undecided", f"{found}: too weak to tell depth from its inverse")
    return _finding(0, "fail", f"inverse depth: {found}", _worst(evidence, lambda one: one.rank[view]))


def _colour(evidence: Sequence[FrameMeaning], view: str, basis: str) -> Finding:
    rank, swapped = _mean(one.rank[view] for one in evidence), _mean(one.rank_swapped[view] for one in evidence)
    if max(rank, swapped) < KNOWS_DEPTH:
        return _finding(1, "undecided", f"no clear correlation with depth in either order {basis}")
    finite = [one for one in evidence if 0 < one.error[view] < np.inf and 0 < one.error_swapped[view] < np.inf]
    if len(finite) < LEAST_FRAMES:
        return _finding(1, "undecided", f"too few frames give an error in both orders {basis}")
    gains = {one.name: float(np.log(one.error_swapped[view] / one.error[view])) for one in finite}
    gain, for_rgb = _mean(gains.values()), float(np.mean([value > 0 for value in gains.values()]))
    found = (
        f"error {_mean(one.error[view] for one in finite):.3f} fed RGB, "
        f"{_mean(one.error_swapped[view] for one in finite):.3f} fed BGR {basis}"
    )
    if gain >= COLOUR_PASS and for_rgb >= CONSISTENT_SHARE:
        return _finding(1, "pass", found)
    # Two measures must agree before a model is called wrong: the error can fall by chance on few, similar frames.
    if gain <= -COLOUR_FAIL and 1 - for_rgb >= CONSISTENT_SHARE and swapped >= KNOWS_DEPTH and swapped > rank:
        return _finding(1, "fail", f"BGR: {found}", _worst(finite, lambda one: gains[one.name]))
    return _finding(1, "undecided", f"{found}: these frames do not tell the two orders apart, which is no fault")


def _mirror(evidence: Sequence[FrameMeaning], best: str, index: int, axis: str, basis: str) -> Finding:
    upright, mirrored = _mean(one.rank[UPRIGHT] for one in evidence), _mean(one.rank[axis] for one in evidence)
    found = f"rank correlation {upright:+.2f} with the truth, {mirrored:+.2f} with its mirror image {basis}"
    if best in (axis, "both"):
        shown = f"{found}, {_mean(one.rank['both'] for one in evidence):+.2f} turned by 180 degrees"
        found = f"{'mirrored' if axis == 'left-right' else 'upside down'}: {shown if best == 'both' else found}"
        return _finding(
            index, "fail", found, _worst(evidence, lambda one: abs(one.rank[UPRIGHT]) - abs(one.rank[best]))
        )
    if best != UPRIGHT:
        turned = _mean(one.rank[best] for one in evidence), _mean(one.rank["both"] for one in evidence)
        return _finding(index, "pass", f"{turned[0]:+.2f} mirrored {best} alone, {turned[1]:+.2f} both ways {basis}")
    sign = 1 if upright >= 0 else -1
    if abs(upright) >= KNOWS_DEPTH and sign * (upright - mirrored) >= VIEW_MARGIN:
        return _finding(index, "pass", found)
    reason = "the model is too weak" if abs(upright) < KNOWS_DEPTH else "these scenes are too alike their mirror images"
    return _finding(index, "undecided", f"{found}: {reason} to tell")


def _worst(evidence: Sequence[FrameMeaning], goodness: Callable[[FrameMeaning], float]) -> tuple[str, ...]:
    return tuple(one.name for one in sorted(evidence, key=goodness)[:MOST_WORST])


def _finding(index: int, state: State, found: str, worst: tuple[str, ...] = ()) -> Finding:
    return Finding(NAMES[index], state, EXPECTED[index], found, WHY[index], REMEDY[index], worst)


def sample(values: Map) -> Map:
    """Nearest values at the centres of `GRID`'s cells; never an average, which would invent depth across an edge."""
    rows = ((np.arange(GRID[1]) + 0.5) * values.shape[0] / GRID[1]).astype(int)
    columns = ((np.arange(GRID[0]) + 0.5) * values.shape[1] / GRID[0]).astype(int)
    return values[np.ix_(rows, columns)]


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
