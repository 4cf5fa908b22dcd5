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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.frame import Frame
from .findings import Finding, State
from .meaning_compare import Map, aligned_error, inverse_error, likeness, ranks, shrink, varied

LEAST_FRAMES = 3
"""Fewer varied frames than this decide nothing: one odd room must not fail a model."""
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
LEAST_BEND = 0.02
"""Least mean difference of two correlations from which inverse depth is told from a constant minus depth."""
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
    "The scorer takes one scale per image and no inverse: min-max normalised inverse depth scores 61 on varied frames "
    "where the truth scores 98.",
    "The organisers feed RGB; a model that was trained on BGR is scored on colours it has never seen.",
    "A mirrored map puts every object at the wrong place, and the scorer compares place by place.",
    "An upside-down map puts the floor at the ceiling, and the scorer compares place by place.",
)
REMEDY = (
    "Emit depth, linear in metres and zero at the camera (depth / max_depth), not its inverse nor 1 minus it.",
    "Read images as RGB in training (OpenCV reads BGR), or swap the channels inside the model.",
    "Look for a horizontal flip that is applied to the image but not to the depth, or the other way round.",
    "Look for a vertical flip, or a bottom-up image format, between the image and the map.",
)


@dataclass(frozen=True)
class Fit:
    """How one answer fits the truth of its frame, by view of the truth.

    rank: rank correlation, -1 to 1; bend: by how much it is straighter against 1/truth than against the truth
    error, inverse: mean relative error taken as depth, after one ratio of medians, and as inverse depth
    """

    rank: dict[str, float]
    error: dict[str, float]
    inverse: dict[str, float]
    bend: dict[str, float]

    def wrong_by(self, view: str, sign: int) -> float:
        """The error of an answer that rises with the truth (sign 1) or falls."""
        return (self.error if sign > 0 else self.inverse)[view]


@dataclass(frozen=True)
class FrameMeaning:
    """What one varied frame says: of the answer to it, and to it with red and blue exchanged.

    spread: of the prediction, (90th - 10th percentile) / |median|
    """

    name: str
    fit: Fit
    swapped: Fit
    spread: float

    @property
    def rank(self) -> dict[str, float]:
        return self.fit.rank


def measure(frame: Frame, prediction: Map, swapped: Map) -> FrameMeaning | None:
    """Compare a frame's truth with the prediction for it and for its BGR version, both (H, W) and finite.

    None where the frame has no depth, too little trusted depth, or is nearly flat.
    """
    found = varied(frame)
    if found is None:
        return None
    truth, mask = found
    plain = shrink(prediction)
    return FrameMeaning(frame.name, _fit(truth, mask, plain), _fit(truth, mask, shrink(swapped)), _spread(plain))


def _fit(truth: Map, mask: Map, answer: Map) -> Fit:
    # Each view undoes itself: the map turned and held against the truth gives the same pairs as the truth turned.
    maps = {view: turn(answer)[mask] for view, turn in VIEWS.items()}
    true, order = truth[mask], ranks(truth[mask])
    return Fit(
        {view: likeness(order, ranks(given)) for view, given in maps.items()},
        {view: aligned_error(true, given) for view, given in maps.items()},
        {view: inverse_error(true, given) for view, given in maps.items()},
        {view: abs(likeness(1 / true, given)) - abs(likeness(true, given)) for view, given in maps.items()},
    )


def _spread(prediction: Map) -> float:
    low, middle, high = np.percentile(prediction, (10, 50, 90))
    return float((high - low) / abs(middle)) if middle else math.inf


def undecided(reason: str) -> list[Finding]:
    """All findings of meaning, none of them decided."""
    return [_finding(index, "undecided", reason) for index in range(len(NAMES))]


def meaning_findings(evidence: Sequence[FrameMeaning], seen: int) -> list[Finding]:
    """The four findings; `seen`: how many frames were looked at, the nearly flat ones included."""
    basis = basis_of(len(evidence), seen)
    if len(evidence) < LEAST_FRAMES:
        return undecided(
            f"only flat scenes or too few: {LEAST_FRAMES} frames with varied depth are needed, this rests {basis}"
        )
    if (spread := float(np.median([one.spread for one in evidence]))) < LEAST_SPREAD:
        return undecided(f"the output varies by {spread:.1%} within a frame {basis}: it says nothing yet, train longer")
    colour = _colour(evidence, _best_view(evidence), basis)
    if fed_bgr(evidence):
        # Its answers to RGB mean nothing; what it would answer to the colours that it knows has a meaning.
        colour = bgr_finding(evidence, basis)
        evidence, basis = [replace(one, fit=one.swapped) for one in evidence], f"fed BGR, {basis}"
    view = _best_view(evidence)
    return [
        _direction(evidence, view, basis),
        colour,
        _mirror(evidence, view, 2, "left-right", basis),
        _mirror(evidence, view, 3, "up-down", basis),
    ]


def basis_of(varied_frames: int, seen: int) -> str:
    return f"on {seen} frames" if varied_frames == seen else f"on {varied_frames} of {seen} frames (varied ones)"


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
    kind = falling([one.fit.bend[view] for one in evidence])
    return _finding(0, "fail", f"{kind}: {found}", _worst(evidence, lambda one: one.rank[view]))


def falling(bends: Sequence[float]) -> str:
    """What falls where depth rises: named where nearly all frames say the same, and clearly."""
    mean = _mean(bends)
    alike = np.mean([value * mean > 0 for value in bends])
    if abs(mean) < LEAST_BEND or alike < CONSISTENT_SHARE:
        return "inverse or inverted depth"
    return "inverse depth" if mean > 0 else "inverted depth (a constant minus depth)"


def fed_bgr(evidence: Sequence[FrameMeaning]) -> bool:
    """Whether the answers to BGR fit the truth, in whatever view and direction, and those to RGB clearly less."""
    plain, other = ({view: _mean(fit.rank[view] for fit in fits) for view in VIEWS} for fits in _pairs(evidence))
    own, best = (max(means, key=lambda view: abs(means[view])) for means in (plain, other))
    sign = 1 if other[best] >= 0 else -1
    if abs(other[best]) < KNOWS_VIEW or abs(other[best]) - abs(plain[own]) < VIEW_MARGIN:
        return False
    better = [
        abs(one.swapped.rank[best]) > abs(one.rank[own])
        and one.swapped.wrong_by(best, sign) < one.fit.wrong_by(own, sign)
        for one in evidence
    ]
    return float(np.mean(better)) >= CONSISTENT_SHARE


def bgr_finding(evidence: Sequence[FrameMeaning], basis: str, besides: str = "") -> Finding:
    """The failure of the colour order. besides: what else is wrong, so that BGR alone does not fit either."""
    rgb, bgr = (_mean(max(map(abs, fit.rank.values())) for fit in fits) for fits in _pairs(evidence))
    found = f"BGR: rank correlation with truth up to {rgb:.2f} fed RGB, {bgr:.2f} fed BGR {basis}"
    found += f"; {besides}" if besides else ""
    gains = {one.name: max(map(abs, one.rank.values())) for one in evidence}
    return _finding(1, "fail", found, _worst(evidence, lambda one: gains[one.name]))


def _pairs(evidence: Sequence[FrameMeaning]) -> tuple[list[Fit], list[Fit]]:
    return [one.fit for one in evidence], [one.swapped for one in evidence]


def _colour(evidence: Sequence[FrameMeaning], view: str, basis: str) -> Finding:
    rank, swapped = (_mean(fit.rank[view] for fit in fits) for fits in _pairs(evidence))
    if max(abs(rank), abs(swapped)) < KNOWS_DEPTH:
        return _finding(1, "undecided", f"no clear correlation with depth in either order {basis}")
    sign = 1 if max(rank, swapped, key=abs) > 0 else -1
    errors = {one.name: (one.fit.wrong_by(view, sign), one.swapped.wrong_by(view, sign)) for one in evidence}
    finite = [one for one in evidence if all(0 < error < np.inf for error in errors[one.name])]
    if len(finite) < LEAST_FRAMES:
        return _finding(1, "undecided", f"too few frames give an error in both orders {basis}")
    gains = {one.name: math.log(errors[one.name][1] / errors[one.name][0]) for one in finite}
    gain, for_rgb = _mean(gains.values()), float(np.mean([value > 0 for value in gains.values()]))
    fed = [_mean(errors[one.name][index] for one in finite) for index in (0, 1)]
    found = f"error {fed[0]:.3f} fed RGB, {fed[1]:.3f} fed BGR {basis}"
    if gain >= COLOUR_PASS and for_rgb >= CONSISTENT_SHARE:
        return _finding(1, "pass", found)
    # Two measures must agree before a model is called wrong: the error can fall by chance on few, similar frames.
    clear = sign * swapped >= KNOWS_DEPTH and sign * swapped > sign * rank
    if gain <= -COLOUR_FAIL and 1 - for_rgb >= CONSISTENT_SHARE and clear:
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


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))
