"""Whether the output is depth up to ONE scale: no offset, and not cut off at the ends of its range.

An offset is looked for by least squares in both directions, truth from output and output from truth, and the smaller of
the two counts: a weak model that shrinks towards the mean shows an offset in one direction only, and removing that
would not be a repair. What it costs is the official score itself, with and without it, on a few frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...contract import CURRENT as CONTRACT
from ...data.frame import Frame, Level
from ...evaluate.alignment import least_squares_in_depth
from ...evaluate.official import score_frame
from .findings import Finding, State
from .meaning import CONSISTENT_SHARE, MOST_WORST
from .meaning_compare import Map, aligned_error, trusted_pair

NAMES = ("no saturation", "no offset")
SATURATED_SHARE = 0.10
"""Mean share of trusted pixels exactly at an end of the range from which the map is called cut off. The nearest and
farthest points of a good map reach the ends too, but are few."""
SMALL_OFFSET = 0.10
"""An offset below this share of the output's median is left alone: 0.23 (30 % of the depth's median) costs 6 points."""
UNLIKE = 0.5
"""Median deviation of the frames' offsets, as a share of their median, up to which they are one offset."""
LEAST_GAIN = 2.0
"""Points of the official F-Score that removing an offset must bring for the finding to fail."""
SCORED_FRAMES = 3
"""Frames that the gain is computed on, twice each; a score takes up to a second."""

EXPECTED = ("hardly a pixel at an end of the range", "zero at the camera: one scale fits as well as scale and shift")
WHY = (
    "Pixels at the end of the range are all alike, whatever depth they have: the scorer compares points within 10 cm, "
    "and one and the same depth everywhere scores 32 on varied frames where the truth scores 98.",
    "The scorer fits one scale and no shift: depth plus an offset of its median scores 75 on varied frames where depth "
    "itself scores 98, and 92 with an offset of 30 % of its median.",
)
REMEDY = (
    "Divide by a larger max_depth, and look for a sigmoid whose input is too large or a clamp that is too tight.",
    "Train the output as depth / max_depth, from zero at the camera (a shift-invariant loss leaves the offset free); "
    "where the offset is the same on every frame, subtract it as the model's last step.",
)

Repair = Callable[[Map], Map]
Gain = Callable[[dict[str, Repair]], tuple[float, float]]
"""Frame's name -> its repair; gives the mean official F-Score without and with it."""


@dataclass(frozen=True)
class FrameScale:
    """What one varied frame says.

    at_low, at_high: shares of trusted pixels exactly at the range's ends, 0 to 1
    own: the map's own least and greatest value; at_own: shares of trusted pixels exactly there
    offset: in the output's unit; share: of the output's median
    error_scale, error_affine: mean |truth - fit| / truth after one ratio of medians, and after scale and shift
    """

    name: str
    at_low: float
    at_high: float
    offset: float
    share: float
    error_scale: float
    error_affine: float
    own: tuple[float, float] = CONTRACT.output_range
    at_own: tuple[float, float] = (0.0, 0.0)

    def without_offset(self) -> Repair:
        least = np.float32(CONTRACT.zero_replacement_m)
        return lambda output: np.maximum(output - np.float32(self.offset), least)


def measure_scale(frame: Frame, prediction: Map) -> FrameScale | None:
    """prediction: (H, W) finite. None where the frame says nothing; see meaning_compare.trusted_pair."""
    found = trusted_pair(frame, prediction)
    if found is None:
        return None
    true, given = found
    least, most = CONTRACT.output_range
    fit, forwards = least_squares_in_depth(true, given)
    _, backwards = least_squares_in_depth(given, true)
    pair = (-forwards["shift"] / forwards["scale"], backwards["shift"]) if forwards["scale"] > 0 else (0.0, 0.0)
    offset = min(pair, key=abs) if pair[0] * pair[1] > 0 else 0.0
    middle = float(np.median(given))
    own = float(prediction.min()), float(prediction.max())
    return FrameScale(
        frame.name,
        float(np.mean(given == least)),
        float(np.mean(given == most)),
        offset,
        offset / middle if middle > 0 else 0.0,
        aligned_error(true, given),
        float(np.mean(np.abs(true - fit) / true)),
        own,
        (float(np.mean(given == own[0])), float(np.mean(given == own[1]))),
    )


def official_scores(frame: Frame, prediction: Map, repair: Repair) -> tuple[float, float]:
    """The official F-Score of `frame` for the prediction, (H, W), and for it repaired; NaN where it stops.

    A frame whose confidence is unknown is trusted wherever it has depth.
    """
    if frame.depth_m is None:
        raise ValueError(f"frame {frame.name} has no depth")
    level = frame.confidence
    level = np.where(frame.depth_m > 0, Level.HIGH, Level.LOW).astype(np.uint8) if level is None else level
    first, second = (
        score_frame(frame.name, values, frame.depth_m, level).values.get(CONTRACT.ranking_metric)
        for values in (prediction, repair(prediction))
    )
    return (np.nan if first is None else first, np.nan if second is None else second)


def saturation_finding(evidence: Sequence[FrameScale], basis: str, *, stretched: bool = False) -> Finding:
    """stretched: the ends are each frame's own, as "no stretching" says, so that only the contract's count."""
    low, high = (float(np.mean([getattr(one, side) for one in evidence])) for side in ("at_low", "at_high"))
    least, most = CONTRACT.output_range
    found = f"{low:.1%} of the trusted pixels at {least:g}, {high:.1%} at {most:g} {basis}"
    if low + high >= SATURATED_SHARE:
        return finding(0, "fail", found, _worst(evidence, lambda one: one.at_low + one.at_high))
    for end in () if stretched else (0, 1):
        reached = _at_one_end(evidence, end)
        share = sum(one.at_own[end] for one in reached) / len(evidence)
        if share >= SATURATED_SHARE:
            value, word = reached[0].own[end], ("least", "greatest")[end]
            found = (
                f"{share:.1%} of the trusted pixels at {value:.4g}, the {word} value on {len(reached)} frames, {basis}"
            )
            return finding(0, "fail", found, _worst(reached, lambda one, end=end: one.at_own[end]))
    return finding(0, "pass", found)


def _at_one_end(evidence: Sequence[FrameScale], end: int) -> Sequence[FrameScale]:
    """The frames whose maps end at the outermost value of all; none where less than half do: it is no clamp's."""
    outermost = (min, max)[end](one.own[end] for one in evidence)
    reached = [one for one in evidence if np.isclose(one.own[end], outermost, rtol=1e-6, atol=0)]
    return reached if len(reached) > 1 and 2 * len(reached) >= len(evidence) else []


def _worst(evidence: Sequence[FrameScale], badness: Callable[[FrameScale], float]) -> tuple[str, ...]:
    return tuple(one.name for one in sorted(evidence, key=badness, reverse=True)[:MOST_WORST])


def offset_finding(evidence: Sequence[FrameScale], gain: Gain, basis: str) -> Finding:
    """`gain` is asked only where the offset is notable and the frames agree on it."""
    offsets, shares = (np.array([getattr(one, key) for one in evidence]) for key in ("offset", "share"))
    before, after = (float(np.mean([getattr(one, key) for one in evidence])) for key in ("error_scale", "error_affine"))
    found = (
        f"offset {np.median(offsets):+.3f}, {abs(np.median(shares)):.0%} of the output's median; "
        f"error {before:.3f} with one scale, {after:.3f} with scale and shift {basis}"
    )
    notable = np.abs(shares) >= SMALL_OFFSET
    if notable.mean() < 1 - CONSISTENT_SHARE or (abs(np.median(shares)) < SMALL_OFFSET and not _mixed(shares)):
        return finding(1, "pass", found)
    if not _agree(offsets, shares):
        return finding(1, "undecided", f"{found}: the frames do not agree on one offset")
    plain, without = gain({one.name: one.without_offset() for one in evidence})
    if not np.isfinite(without - plain):
        return finding(1, "undecided", f"{found}: the official score of these frames is not finite")
    found = f"{found}; predicted F-Score {plain:.1f}, {without:.1f} without it ({without - plain:+.1f})"
    if without - plain < LEAST_GAIN:
        return finding(1, "pass", found)
    return finding(1, "fail", found, _worst(evidence, lambda one: abs(one.share)))


def _mixed(shares: Map) -> bool:
    """Whether large offsets of both signs cancel in the median."""
    return bool((shares >= SMALL_OFFSET).mean() > 0.25 and (shares <= -SMALL_OFFSET).mean() > 0.25)


def _agree(offsets: Map, shares: Map) -> bool:
    """One sign on nearly all frames, and one size, be it in the output's unit or as a share of the median."""
    sign = np.sign(np.median(shares))
    if sign == 0 or np.mean(np.sign(shares) == sign) < CONSISTENT_SHARE:
        return False
    unlike = [np.median(np.abs(values - np.median(values))) / abs(np.median(values)) for values in (offsets, shares)]
    return bool(min(unlike) <= UNLIKE)


def finding(index: int, state: State, found: str, worst: tuple[str, ...] = ()) -> Finding:
    return Finding(NAMES[index], state, EXPECTED[index], found, WHY[index], REMEDY[index], worst)
