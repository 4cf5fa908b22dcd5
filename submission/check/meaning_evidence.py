"""All evidence on what the output means, gathered frame by frame, and the findings in the order they explain another.

A wrong input or a map on its side explains everything after it: what follows is then undecided, and says why, instead
of failing for the same reason under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...data.folder import FrameFolder, spread
from ...data.frame import Frame
from . import meaning, meaning_bend, meaning_input, meaning_scale, meaning_view
from .findings import Finding, failures
from .meaning import LEAST_FRAMES, LEAST_SPREAD, FrameMeaning
from .meaning_bend import FrameBend
from .meaning_compare import Map
from .meaning_input import MOST_PROBED, Answer, FrameInput, Tensor
from .meaning_scale import FrameScale

NAMES = (*meaning.NAMES, meaning_view.NAME, *meaning_input.NAMES, *meaning_scale.NAMES, meaning_bend.NAME)


@dataclass
class Evidence:
    """What the varied frames say. seen: how many frames with truth were looked at, the nearly flat ones included."""

    seen: int = 0
    meanings: list[FrameMeaning] = field(default_factory=list)
    turned: list[dict[str, float]] = field(default_factory=list)
    inputs: list[FrameInput] = field(default_factory=list)
    scales: list[FrameScale] = field(default_factory=list)
    bends: list[FrameBend] = field(default_factory=list)

    def add(self, frame: Frame, output: Map, swapped: Map, picture: Tensor, answer: Answer) -> None:
        """output, swapped: (H, W) finite, the answers to `picture` and to it in BGR."""
        found, scale = meaning.measure(frame, output, swapped), meaning_scale.measure_scale(frame, output)
        bend = meaning_bend.measure_bend(frame, output)
        if found is None or scale is None or bend is None:
            return
        self.meanings.append(found)
        self.scales.append(scale)
        self.bends.append(bend)
        self.turned.append(meaning_view.turned_ranks(frame, output))
        if len(self.inputs) < MOST_PROBED:
            probed = meaning_input.measure_input(frame, output, swapped, found, picture, answer)
            self.inputs += [probed] if probed else []


def undecided(reason: str) -> list[Finding]:
    """All findings of meaning, none of them decided."""
    return [*meaning.undecided(reason), *(_later(name, reason) for name in NAMES[len(meaning.NAMES) :])]


def findings(evidence: Evidence, gain: meaning_scale.Gain, offset_hidden: str = "") -> list[Finding]:
    """The findings under `NAMES`; gain: as `gain_on` makes it.

    offset_hidden: why no offset can be told from these maps, where something outside the meaning says so
    """
    count = len(evidence.meanings)
    basis = meaning.basis_of(count, evidence.seen)
    first = meaning.meaning_findings(evidence.meanings, evidence.seen)
    if count < LEAST_FRAMES:
        return undecided(first[0].found)
    inputs = meaning_input.input_findings(evidence.inputs, evidence.seen)
    if blamed := failures(inputs):
        besides = meaning_input.guilty_probe(evidence.inputs) in meaning_input.IN_BGR
        colour = [meaning.bgr_finding(evidence.meanings, basis, f"see {blamed[0].name}")] if besides else []
        return _all_but([*colour, *inputs], f"see {blamed[0].name}: the input is not what the model wants")
    saturation = meaning_scale.saturation_finding(evidence.scales, basis, stretched=bool(offset_hidden))
    if float(np.median([one.spread for one in evidence.meanings])) < LEAST_SPREAD:
        certain = [saturation] if saturation.state == "fail" else []
        return _all_but(certain, first[0].found)
    turned = meaning_view.turned_finding(evidence.meanings, evidence.turned, basis)
    if turned.state == "fail":
        return _all_but([turned, *inputs, saturation], f"see {turned.name}: the map lies on its side")
    blamed = failures([*first, saturation])
    bend, offset = meaning_bend.NAME, meaning_scale.NAMES[1]
    if blamed or offset_hidden or first[0].state != "pass":
        # Each of these bends the map or hides its zero; an offset fitted to it would be no constant to subtract.
        why = f"see {blamed[0].name}" if blamed else f"the direction of depth is undecided {basis}"
        shape = [_later(name, offset_hidden or why) for name in (offset, bend)]
    else:
        bent = meaning_bend.bend_finding(evidence.bends, gain, basis)
        straight = bent.state != "fail"
        shape = [
            meaning_scale.offset_finding(evidence.scales, gain, basis) if straight else _later(offset, f"see {bend}"),
            bent,
        ]
    return [*first, turned, *inputs, saturation, *shape]


def gain_on(frames: FrameFolder, predict: Callable[[Frame], Map]) -> meaning_scale.Gain:
    """predict: the model's (H, W) map for a frame, run again, since maps are not kept."""

    def gain(repairs: dict[str, meaning_scale.Repair]) -> tuple[float, float]:
        chosen = [frames.frame(name) for name in spread(list(repairs), meaning_scale.SCORED_FRAMES)]
        scores = [meaning_scale.official_scores(one, predict(one), repairs[one.name]) for one in chosen]
        plain, without = np.mean(np.array(scores, np.float64), axis=0)
        return float(plain), float(without)

    return gain


def _all_but(kept: Sequence[Finding], reason: str) -> list[Finding]:
    """The findings under `NAMES`: these, and the others undecided."""
    by_name = {finding.name: finding for finding in [*undecided(reason), *kept]}
    return [by_name[name] for name in NAMES]


def _later(name: str, reason: str) -> Finding:
    if name == meaning_view.NAME:
        return meaning_view.finding("undecided", reason)
    if name == meaning_bend.NAME:
        return meaning_bend.finding("undecided", reason)
    module = meaning_input if name in meaning_input.NAMES else meaning_scale
    return module.finding(module.NAMES.index(name), "undecided", reason)
