"""What a model does with pictures: finite, within the range, the same twice, another map for another picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...console import some
from ...contract import CURRENT as CONTRACT
from ...data.frame import Frame
from .findings import Finding, State, state_of
from .meaning import KNOWS_VIEW
from .meaning_compare import likeness, sample
from .model import Map, as_map, is_one_finite_map

ABOVE_RANGE = 1e-5
"""Interpolation in float32 may round a 1 upwards. Nothing is allowed below the range: the official score takes the
logarithm of the scaled prediction, and one negative pixel makes it NaN."""
REPEAT_TOLERANCE = 1e-6
STRETCH_MARGIN = 1e-3
"""A map that comes this near to both ends of the range on every frame has been stretched to them. Of the output's own
range where the ends are other constants: least and greatest value then vary by less than this from frame to frame."""
MIDDLES_DIFFER = 0.02
"""Share of its range by which the median of a map must vary over the frames before equal ends say anything: pictures of
one unmoving scene have equal ends without any stretching."""
PLATEAU_SHARE = 0.002
"""Share of pixels at an end from which that end is a clamp's: stretching puts one pixel there, or few. Both ends of a
map must be a clamp's to count as such: relative inverse depth has its sky at 0 and is stretched all the same."""

CUTS_ALIKE, CUTS_DIFFER = 1.1, 1.25
"""Ratio of the depths (the frames' 90th percentile to their 10th) at which maps are cut off: up to the one they are a
clamp's, which cuts at one depth, from the other a stretch's between two percentiles."""
LEAST_CUT = 3
"""Frames whose maps are cut off that are needed to tell."""


@dataclass(frozen=True)
class Range:
    """Of a real frame's map: least, median, greatest value; share of pixels at the end that has fewer.

    cuts: the depths at which it ends, in metres; None without truth or plateaus, or where it does not follow depth
    """

    low: float
    middle: float
    high: float
    at_end: float
    cuts: tuple[float, float] | None = None


@dataclass
class Behaviour:
    """What was seen of the outputs, gathered picture by picture so that no map is kept."""

    pictures: int = 0
    shape: tuple[int, ...] = ()
    not_finite: list[str] = field(default_factory=list)
    low: float = float("inf")
    high: float = float("-inf")
    outside: list[str] = field(default_factory=list)
    first: Map | None = None
    answers: bool = False
    repeat_difference: float = 0.0
    ranges: list[Range] = field(default_factory=list)
    whole_numbers: bool = False

    def add(self, name: str, output: Map, frame: Frame | None = None) -> None:
        """frame: the real one that the picture is of, None for a synthetic picture."""
        self.pictures += 1
        self.shape, self.whole_numbers = output.shape, output.dtype.kind in "iub"
        if self.first is None:
            self.first = output
        self.answers |= not np.array_equal(output, self.first, equal_nan=True)
        finite = output[np.isfinite(output)]
        if finite.size < output.size:
            self.not_finite.append(name)
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        least, most = CONTRACT.output_range
        if low < least or high > most + ABOVE_RANGE:
            self.outside.append(name)
        if frame is not None:
            at_end = min(float(np.mean(finite == low)), float(np.mean(finite == high)))
            cuts = _cuts(frame, as_map(output)) if is_one_finite_map(output) and at_end >= PLATEAU_SHARE else None
            self.ranges.append(Range(low, float(np.median(finite)), high, at_end, cuts))


def _cuts(frame: Frame, output: Map) -> tuple[float, float] | None:
    """The depths, in metres, below and beyond which a map that rises with depth, or falls, is at its ends.

    None where it does neither clearly: its ends then say nothing of depth.
    """
    if frame.depth_m is None:
        return None
    truth, given = sample(frame.depth_m), sample(output)
    known = truth > 0
    if not known.any():
        return None
    truth, given = truth[known], given[known]
    # The map's own ends, of which a coarse sample may have none: then that end is beyond all depth that is known.
    shares = [float(np.mean(given == end)) for end in (output.min(), output.max())]
    alike = likeness(truth, given)
    if abs(alike) < KNOWS_VIEW:
        return None
    if alike < 0:
        shares.reverse()
    near, far = np.quantile(truth, (shares[0], 1 - shares[1]))
    return float(near), float(far)


def behaviour_findings(seen: Behaviour) -> list[Finding]:
    on_all = f"on {seen.pictures} pictures"
    values = f"{seen.low:.6g} to {seen.high:.6g} {on_all}"
    nothing = not np.isfinite(seen.low)
    found: dict[str, tuple[State, str]] = {
        "finite": (
            state_of(not seen.not_finite),
            f"NaN or infinity on {some(seen.not_finite)}" if seen.not_finite else f"finite {on_all}",
        ),
        "range": ("undecided", "no finite value")
        if nothing
        else (state_of(not seen.outside), f"{values}; outside on {some(seen.outside)}" if seen.outside else values),
        "deterministic": (
            state_of(seen.repeat_difference <= REPEAT_TOLERANCE),
            f"two runs on one picture differ by {seen.repeat_difference:.3g}",
        ),
        "answers the picture": ("undecided", "no finite value")
        if nothing
        else (state_of(seen.answers), f"{'different maps' if seen.answers else 'one and the same map'} {on_all}"),
        "no stretching": stretching(seen.ranges),
    }
    for name in ("answers the picture", "no stretching"):
        if seen.whole_numbers and found[name][0] == "fail":  # 0.4 m and 0.6 m of 10 are both 0 then
            found[name] = "undecided", f"see output type: {found[name][1]}, in whole numbers"
    return [BEHAVIOUR[name](*found[name]) for name in BEHAVIOUR]


def stretching(ranges: list[Range]) -> tuple[State, str]:
    real = len(ranges)
    if real < 2:
        return "undecided", "at least two real frames are needed, use --data"
    least, most = CONTRACT.output_range
    count = sum(one.low <= least + STRETCH_MARGIN and one.high >= most - STRETCH_MARGIN for one in ranges)
    found = f"{count} of {real} frames reach both {least:g} and {most:g}"
    if count == real:
        return "fail", found
    lows, middles, highs = (np.array([getattr(one, key) for one in ranges]) for key in ("low", "middle", "high"))
    span = float(np.median(highs - lows))
    pinned = max(np.ptp(lows), np.ptp(highs)) <= STRETCH_MARGIN * span
    if span <= 0 or not pinned or np.ptp(middles) < MIDDLES_DIFFER * span:
        return "pass", found
    found = f"all {real} frames reach from {np.median(lows):.4g} to {np.median(highs):.4g}"
    if np.median([one.at_end for one in ranges]) < PLATEAU_SHARE:
        return "fail", found
    return _clamped([one.cuts for one in ranges if one.cuts is not None], found)


def _clamped(cuts: list[tuple[float, float]], found: str) -> tuple[State, str]:
    """Many pixels at both ends are a clamp's, which cuts at one depth, or a stretch's between two percentiles."""
    if len(cuts) < LEAST_CUT:
        return "undecided", f"{found}, many pixels at both: frames with depth would tell a clamp from stretching"
    low, high = np.quantile(np.array(cuts), (0.1, 0.9), axis=0)
    near, far = (f"{first:.2f} to {last:.2f} m" for first, last in zip(low, high, strict=True))
    found = f"{found}, cut off nearer than {near} and beyond {far}"
    if np.any(high >= CUTS_DIFFER * low):
        return "fail", f"{found}, another depth on each frame"
    if np.all(high <= CUTS_ALIKE * low):
        return "pass", f"{found}: a clamp's, at one depth"
    return "undecided", f"{found}: too alike to tell a clamp from stretching between percentiles"


def _behaviour_finding(name: str, expected: str, why: str, remedy: str) -> Callable[[State, str], Finding]:
    return lambda state, found: Finding(name, state, expected, found, why, remedy)


_LEAST, _MOST = CONTRACT.output_range
BEHAVIOUR: dict[str, Callable[[State, str], Finding]] = {
    name: _behaviour_finding(name, expected, why, remedy)
    for name, expected, why, remedy in (
        (
            "finite",
            "neither NaN nor infinity",
            "One NaN makes the frame's median, and with it the official mean over all frames, NaN.",
            "Look for a division or a logarithm of zero; black and white pictures find it.",
        ),
        (
            "range",
            f"within {_LEAST:g} to {_MOST:g}",
            "The contract fixes the range, and a negative value makes the official rmse_log NaN.",
            "End the model with a sigmoid or a clamp; emit depth / max_depth.",
        ),
        (
            "deterministic",
            "the same map twice",
            "A score that cannot be repeated cannot be compared.",
            "Export in evaluation mode: no dropout and no random operator in the graph.",
        ),
        (
            "answers the picture",
            "another map for another picture",
            "A constant map scores 63 on the 23 real frames (98 on flat ones, 32 on varied ones), which hides that "
            "nothing was learned.",
            "Look for dead activations or weights that were not loaded.",
        ),
        (
            "no stretching",
            f"a range that is not the same, {_LEAST:g} to {_MOST:g} or another, on every frame",
            "Per-image min-max normalisation moves the zero of depth, and the scorer fits no offset: it costs a fifth "
            "of the F-Score on varied frames (from 98 to 79), 27 % over all 23 real ones.",
            "Divide by one constant (max_depth) instead of each image's own minimum and maximum.",
        ),
    )
}  # fmt: skip


def difference(first: Map, second: Map) -> float:
    """Greatest absolute difference; a NaN equals a NaN, and nothing else."""
    if first.shape != second.shape or not np.array_equal(np.isnan(first), np.isnan(second)):
        return float("inf")
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return float(np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=0.0).max(initial=0.0))
