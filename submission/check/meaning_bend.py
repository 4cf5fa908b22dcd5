"""Whether the output is a straight line of depth, or a curve: its logarithm, root, square, a constant less 1 / depth.

A curve of depth rises where depth rises, so its direction is right; and the shift of the line that is fitted to it is
no offset: subtracting that repairs nothing. So the line is compared with curves before an offset is named, and what the
bend costs is the official score itself, with and without it, on a few frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...contract import CURRENT as CONTRACT
from ...data.frame import Frame
from .findings import Finding, State
from .meaning import CONSISTENT_SHARE, MOST_WORST
from .meaning_compare import Map, trusted_pair

NAME = "linear in depth"
STRAIGHT = ""
CURVES: dict[str, tuple[Callable[[Map], Map], Callable[[Map], Map]]] = {
    # of depth in metres, and back; 1 / depth with a factor below 0, since the output rises
    STRAIGHT: (lambda depth: depth, lambda value: value),
    "log depth": (np.log, lambda value: np.exp(np.clip(value, -5, 6))),
    "log(1 + depth)": (np.log1p, lambda value: np.expm1(np.clip(value, 0, 6))),
    "the square root of depth": (np.sqrt, lambda value: np.maximum(value, 0) ** 2),
    "the square of depth": (np.square, lambda value: np.sqrt(np.maximum(value, 0))),
    "a constant minus 1 / depth": (lambda depth: 1 / depth, lambda value: 1 / np.maximum(value, 1e-2)),
}
LEAST_UNEXPLAINED = 0.003
"""Share of the output's variance that a straight line may leave unexplained before a curve is looked for."""
CLEARLY = 2.0
"""By how much less a curve must leave unexplained than the line."""
LEAST_GAIN = 2.0
"""Points of the official F-Score that undoing the curve must bring for the finding to fail."""

Unbend = Callable[[Map], Map]
Gain = Callable[[dict[str, Unbend]], tuple[float, float]]
"""Frame's name -> its repair; gives the mean official F-Score without and with it."""


@dataclass(frozen=True)
class FrameBend:
    """What one varied frame says, by curve of `CURVES`.

    unexplained: share of the output's variance, 0 to 1; line: (factor, shift) with which the curve gives the output
    """

    name: str
    unexplained: dict[str, float]
    line: dict[str, tuple[float, float]]

    def unbend(self, curve: str) -> Unbend:
        """Output -> depth in metres, not below what the scorer takes for zero."""
        factor, shift = self.line[curve]
        back = CURVES[curve][1]
        least = np.float32(CONTRACT.zero_replacement_m)
        return lambda output: np.maximum(back((output - shift) / factor), least).astype(np.float32)


def measure_bend(frame: Frame, prediction: Map) -> FrameBend | None:
    """prediction: (H, W) finite. None where the frame says nothing; see meaning_compare.trusted_pair."""
    found = trusted_pair(frame, prediction)
    if found is None:
        return None
    true, given = found
    off = given - given.mean()
    total = float(np.sum(off * off))
    unexplained, line = {}, {}
    for curve, (of, _) in CURVES.items():
        bent = of(true)
        around = bent - bent.mean()
        factor = float(np.sum(around * off) / np.sum(around * around))
        line[curve] = (factor, float(given.mean() - factor * bent.mean()))
        left = float(np.sum((off - factor * around) ** 2))
        unexplained[curve] = left / total if total > 0 else 1.0
    return FrameBend(frame.name, unexplained, line)


def bend_finding(evidence: Sequence[FrameBend], gain: Gain, basis: str) -> Finding:
    """`gain` is asked only where a curve explains clearly more than a line, on nearly every frame."""
    means = {curve: float(np.mean([one.unexplained[curve] for one in evidence])) for curve in CURVES}
    best = min((curve for curve in CURVES if curve != STRAIGHT), key=lambda curve: means[curve])
    found = f"a straight line leaves {means[STRAIGHT]:.1%} of the output unexplained, {best} {means[best]:.1%} {basis}"
    less = [math.log(max(one.unexplained[STRAIGHT], 1e-9) / max(one.unexplained[best], 1e-9)) for one in evidence]
    alike = np.mean([value > 0 and one.line[best][0] != 0 for value, one in zip(less, evidence, strict=True)])
    if means[STRAIGHT] < LEAST_UNEXPLAINED or np.median(less) < math.log(CLEARLY) or alike < CONSISTENT_SHARE:
        return finding("pass", found)
    plain, without = gain({one.name: one.unbend(best) for one in evidence if one.line[best][0] != 0})
    if not np.isfinite(without - plain):
        return finding("undecided", f"{found}: the official score of these frames is not finite")
    found = f"{found}; predicted F-Score {plain:.1f}, {without:.1f} straightened ({without - plain:+.1f})"
    if without - plain < LEAST_GAIN:
        return finding("pass", found)
    worst = sorted(evidence, key=lambda one: -one.unexplained[STRAIGHT])[:MOST_WORST]
    return finding("fail", f"bent: {best}: {found}", tuple(one.name for one in worst))


def finding(state: State, found: str, worst: tuple[str, ...] = ()) -> Finding:
    return Finding(
        NAME,
        state,
        "a straight line of depth, not its logarithm, root or square",
        found,
        "The scorer fits one scale: it does not undo a curve, and neither does subtracting an offset. On varied "
        "frames depth itself scores 98, log(1 + depth) 89, its square root 77, its square 76.",
        "Emit depth itself (a loss on log depth is fine, an output in log depth is not), or undo the curve as the "
        "model's last step where it is the same on every picture: exp of a logarithm, the square of a root.",
        worst,
    )
