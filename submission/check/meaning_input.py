"""Whether the model wants the input that the contract feeds it: RGB from 0 to 255, normalised inside the model.

Each probe is the picture changed in the way that would undo ONE mistake in the model's normalisation. Where the answer
to a probe fits the truth much better than the answer to the picture itself, that mistake was made. Rank correlation and
error must agree, on nearly every frame: a weak model may gain a little of one of them from a paler picture by chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.frame import Frame
from .findings import Finding, State
from .meaning import (
    CONSISTENT_SHARE,
    KNOWS_DEPTH,
    KNOWS_VIEW,
    VIEW_MARGIN,
    VIEWS,
    Map,
    aligned_error,
    rank_correlation,
    shrink,
    varied,
)

Tensor = npt.NDArray[np.float32]
Answer = Callable[[Tensor], "Map | None"]
"""(1, 3, H, W) float32 -> the model's (H, W) map, None where it gives no finite one."""

MOST_PROBED = 4
"""Varied frames that are probed: each costs one run per probe, and the mistakes are the same on every frame."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)
"""Of ImageNet, in parts of 1; every encoder in use is trained on pictures normalised by them."""
ERROR_GAIN = 0.25
"""Least mean fall of ln(error) at which a probe fits much better."""

NAMES = ("input range", "normalisation")
RANGE, NORMALISATION = NAMES
EXPECTED = ("made for pictures from 0 to 255", "normalised once, inside the model")


@dataclass(frozen=True)
class Probe:
    """blames: the finding; feed: what undoes the mistake; mistake, remedy: in words."""

    blames: str
    feed: Callable[[Tensor], npt.NDArray[Any]]
    mistake: str
    remedy: str


PROBES: dict[str, Probe] = {
    "x / 255": Probe(
        RANGE, lambda x: x / 255, "it expects 0 to 1", "Divide by 255 inside the model, before all else."
    ),
    "(x / 255 - mean) / std": Probe(
        NORMALISATION, lambda x: (x / 255 - MEAN) / STD, "it does not normalise at all",
        "Put x / 255, minus the mean, divided by the standard deviation at the beginning of the model.",
    ),
    "(x - 255 mean) / std": Probe(
        NORMALISATION, lambda x: (x - 255 * MEAN) / STD, "it divides by 255, but leaves out mean and deviation",
        "Subtract the mean and divide by the standard deviation inside the model, after x / 255.",
    ),
    "x std + 255 mean": Probe(
        NORMALISATION, lambda x: x * STD + 255 * MEAN, "it applies mean and deviation twice",
        "Normalise either in the wrapper or in the network (an image processor, a folded first layer), not in both.",
    ),
    "255 x": Probe(
        NORMALISATION, lambda x: x * 255, "it divides by 255 twice", "Divide by 255 once: remove one of the two."
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FrameInput:
    """What one varied frame says. fits: greatest |rank correlation| of the answer to the picture, over all views.

    rank, error: of the answers to the picture ("") and to each probe, with the truth as it is; see meaning.py
    """

    name: str
    fits: float
    rank: dict[str, float]
    error: dict[str, float]


def measure_input(frame: Frame, prediction: Map, picture: Tensor, answer: Answer) -> FrameInput | None:
    """prediction: (H, W) finite, the answer to picture. None where the frame says nothing; see meaning.varied."""
    found = varied(frame)
    if found is None:
        return None
    truth, mask = found
    plain = shrink(prediction)
    ranks, errors = {"": rank_correlation(truth[mask], plain[mask])}, {"": aligned_error(truth[mask], plain[mask])}
    for name, probe in PROBES.items():
        given = answer(np.ascontiguousarray(probe.feed(picture), np.float32))
        small = None if given is None else shrink(given)[mask]
        ranks[name] = 0.0 if small is None else rank_correlation(truth[mask], small)
        errors[name] = math.inf if small is None else aligned_error(truth[mask], small)
    fits = max(abs(rank_correlation(turn(truth)[turn(mask)], plain[turn(mask)])) for turn in VIEWS.values())
    return FrameInput(frame.name, fits, ranks, errors)


def input_findings(evidence: Sequence[FrameInput], of: int) -> list[Finding]:
    """The two findings; at most one fails, the one that the best probe blames.

    evidence: of at least one frame; of: how many frames were looked at
    """
    basis = f"on {len(evidence)} of {of} frames"
    means = {name: _mean(evidence, name) for name in PROBES}
    raw, fits = _mean(evidence, ""), float(np.mean([one.fits for one in evidence]))
    guilty = [name for name in PROBES if _explains(evidence, name)]
    best = max(guilty, key=lambda name: means[name]) if guilty else None
    return [_judged(index, best, raw, fits, means, basis) for index in range(len(NAMES))]


def _judged(index: int, best: str | None, raw: float, fits: float, means: dict[str, float], basis: str) -> Finding:
    own = max((name for name in PROBES if PROBES[name].blames == NAMES[index]), key=lambda name: means[name])
    found = f"rank correlation with truth {raw:+.2f} fed x, {means[best or own]:+.2f} fed {best or own} {basis}"
    if best is not None and PROBES[best].blames == NAMES[index]:
        return finding(index, "fail", f"{PROBES[best].mistake}: {found}", PROBES[best].remedy)
    if best is not None:
        return finding(index, "undecided", f"see {PROBES[best].blames}: {found}")
    if fits < KNOWS_DEPTH:
        return finding(index, "undecided", f"no clear correlation with depth, however it is fed: {found}")
    return finding(index, "pass", found)


def _explains(evidence: Sequence[FrameInput], probe: str) -> bool:
    rank_gains = [one.rank[probe] - one.rank[""] for one in evidence]
    better = np.mean([one.rank[probe] > one.rank[""] and one.error[probe] < one.error[""] for one in evidence])
    finite = [one for one in evidence if 0 < one.error[probe] < math.inf]
    if _mean(evidence, probe) < KNOWS_VIEW or np.mean(rank_gains) < VIEW_MARGIN or better < CONSISTENT_SHARE:
        return False
    # An infinite error of the picture's own answer (a median that is not positive) counts as a great one.
    gain = np.mean([math.log(min(one.error[""], 1e3) / one.error[probe]) for one in finite])
    return bool(gain >= ERROR_GAIN)


def finding(index: int, state: State, found: str, remedy: str = "") -> Finding:
    return Finding(
        NAMES[index],
        state,
        EXPECTED[index],
        found,
        "The organisers feed RGB from 0 to 255 and normalise nothing. A network that gets numbers it has never seen "
        "answers little better than a constant, which scores 32 on varied frames where the truth scores 98.",
        remedy or "Keep x / 255, mean and standard deviation inside the model, each once, as in training.",
    )


def _mean(evidence: Sequence[FrameInput], name: str) -> float:
    return float(np.mean([one.rank[name] for one in evidence]))
