"""Whether the model wants the input that the contract feeds it: RGB from 0 to 255, normalised inside the model.

Each probe is the picture changed in the way that would undo ONE mistake in the model's normalisation. Where the answer
to a probe fits the truth much better than the answer to the picture itself, that mistake was made. Rank correlation and
error must agree, on nearly every frame: a weak model may gain a little of one of them from a paler picture by chance.
A model that gives inverse depth makes the same mistakes, so an answer may also fit by falling where the truth rises.
Where no probe fits, each is tried again with red and blue exchanged: a model may be wrong in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.frame import Frame
from .findings import Finding, State
from .meaning import (
    CONSISTENT_SHARE,
    KNOWS_DEPTH,
    KNOWS_VIEW,
    MOST_WORST,
    UPRIGHT,
    VIEW_MARGIN,
    FrameMeaning,
)
from .meaning_compare import Map, aligned_error, inverse_error, likeness, ranks, shrink, varied

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
    "x / 127.5 - 1": Probe(
        RANGE, lambda x: x / 127.5 - 1, "it expects -1 to 1",
        "Put x / 127.5 - 1 (mean and deviation 0.5) at the beginning of the model.",
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
    "127.5 (x + 1)": Probe(
        NORMALISATION, lambda x: 127.5 * (x + 1), "it scales to -1 to 1 twice",
        "Scale either in the wrapper or in the network, not in both.",
    ),
    "255 x": Probe(
        NORMALISATION, lambda x: x * 255, "it divides by 255 twice", "Divide by 255 once: remove one of the two."
    ),
}  # fmt: skip


BGR = ", in BGR"
SWAPPED = "x" + BGR
IN_BGR: dict[str, Probe] = {
    name + BGR: replace(probe, feed=lambda x, feed=probe.feed: feed(x[:, ::-1]), mistake=f"{probe.mistake}, and BGR")
    for name, probe in PROBES.items()
}
ALL_PROBES = PROBES | IN_BGR


@dataclass(frozen=True)
class FrameInput:
    """What one varied frame says. fits: greatest |rank correlation| of the answer to the picture, over all views.

    rank: of the answers to the picture ("" and `SWAPPED`) and to each probe that was tried, with the truth, -1 to 1
    error: of the same answers taken as depth; inverse: taken as inverse depth; see meaning_compare.py
    """

    name: str
    fits: float
    rank: dict[str, float]
    error: dict[str, float]
    inverse: dict[str, float]


def measure_input(
    frame: Frame, prediction: Map, swapped: Map, known: FrameMeaning, picture: Tensor, answer: Answer
) -> FrameInput | None:
    """prediction, swapped: (H, W) finite, the answers to picture and to it in BGR; known: what they mean.

    None where the frame says nothing; see `varied`.
    """
    found = varied(frame)
    if found is None:
        return None
    truth, mask = found
    true, order = truth[mask], ranks(truth[mask])
    rank = {"": known.rank[UPRIGHT], SWAPPED: known.swapped.rank[UPRIGHT]}
    answers = {"": shrink(prediction)[mask], SWAPPED: shrink(swapped)[mask]}

    def probe(probes: Mapping[str, Probe]) -> None:
        for name, one in probes.items():
            given = answer(np.ascontiguousarray(one.feed(picture), np.float32))
            rank[name] = 0.0
            if given is not None:
                answers[name] = shrink(given)[mask]
                rank[name] = likeness(order, ranks(answers[name]))

    probe(PROBES)
    fits = max(map(abs, known.rank.values()))
    if max(fits, *map(abs, known.swapped.rank.values()), *map(abs, rank.values())) < KNOWS_VIEW:
        probe(IN_BGR)
    error, inverse = (
        {name: compare(true, answers[name]) if name in answers else math.inf for name in rank}
        for compare in (aligned_error, inverse_error)
    )
    return FrameInput(frame.name, fits, rank, error, inverse)


def input_findings(evidence: Sequence[FrameInput], of: int) -> list[Finding]:
    """The two findings; at most one fails, the one that the best probe blames.

    evidence: of at least one frame; of: how many frames were looked at
    """
    basis = f"on {len(evidence)} of {of} frames"
    means = {name: _mean(evidence, name) for name in ALL_PROBES}
    guilty = guilty_probe(evidence)
    return [_judged(index, guilty, evidence, means, basis) for index in range(len(NAMES))]


def guilty_probe(evidence: Sequence[FrameInput]) -> str | None:
    """The probe that explains the answers best; one of `IN_BGR` where the colour order is wrong besides."""
    guilty = [name for name in ALL_PROBES if _explains(evidence, name)]
    return max(guilty, key=lambda name: abs(_mean(evidence, name))) if guilty else None


def _judged(
    index: int, best: str | None, evidence: Sequence[FrameInput], means: dict[str, float], basis: str
) -> Finding:
    own = max((name for name in PROBES if PROBES[name].blames == NAMES[index]), key=lambda name: abs(means[name]))
    found = (
        f"rank correlation with truth {_mean(evidence, ''):+.2f} fed x, {means[best or own]:+.2f} fed {best or own} "
        f"{basis}"
    )
    if best is not None and ALL_PROBES[best].blames == NAMES[index]:
        guilty = ALL_PROBES[best]
        worst = sorted(evidence, key=lambda one: abs(one.rank[""]))[:MOST_WORST]
        return finding(index, "fail", f"{guilty.mistake}: {found}", guilty.remedy, tuple(one.name for one in worst))
    if best is not None:
        return finding(index, "undecided", f"see {ALL_PROBES[best].blames}: {found}")
    if float(np.mean([one.fits for one in evidence])) < KNOWS_DEPTH:
        return finding(index, "undecided", f"no clear correlation with depth, however it is fed: {found}")
    return finding(index, "pass", found)


def _explains(evidence: Sequence[FrameInput], probe: str) -> bool:
    """Whether the answers to the probe fit the truth, or its inverse, clearly and consistently better."""
    tried = [one for one in evidence if probe in one.rank]
    if not tried or len(tried) < CONSISTENT_SHARE * len(evidence):
        return False
    mean = _mean(tried, probe)
    sign = math.copysign(1, mean)
    # A picture in BGR with a probe on top must beat the picture in BGR, not only the picture.
    plain = ("", SWAPPED) if probe in IN_BGR else ("",)
    ranks = [(sign * one.rank[probe], max(abs(one.rank.get(name, 0.0)) for name in plain)) for one in tried]
    told = [one.error if sign > 0 else one.inverse for one in tried]
    errors = [(error[probe], min(error.get(name, math.inf) for name in plain)) for error in told]
    better = [fed > raw and error < own for (fed, raw), (error, own) in zip(ranks, errors, strict=True)]
    if abs(mean) < KNOWS_VIEW or np.mean([fed - raw for fed, raw in ranks]) < VIEW_MARGIN:
        return False
    if np.mean(better) < CONSISTENT_SHARE:
        return False
    # An infinite error of the picture's own answer (a median that is not positive) counts as a great one.
    gains = [math.log(min(own, 1e3) / max(error, 1e-6)) for error, own in errors if error < math.inf]
    return bool(gains) and float(np.mean(gains)) >= ERROR_GAIN


def finding(index: int, state: State, found: str, remedy: str = "", worst: tuple[str, ...] = ()) -> Finding:
    return Finding(
        NAMES[index],
        state,
        EXPECTED[index],
        found,
        "The organisers feed RGB from 0 to 255 and normalise nothing. A network that gets numbers it has never seen "
        "answers little better than a constant, which scores 32 on varied frames where the truth scores 98.",
        remedy or "Keep x / 255, mean and standard deviation inside the model, each once, as in training.",
        worst,
    )


def _mean(evidence: Sequence[FrameInput], name: str) -> float:
    """Over the frames that the probe was tried on; 0 where it was on none."""
    return float(np.mean([one.rank[name] for one in evidence if name in one.rank] or [0.0]))
