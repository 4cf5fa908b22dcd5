"""Models side by side: which differences are real.

The first model is the baseline. A difference is taken over the frames for which both models have a finite value, and
says how many were left out; a mean is the protocol's own, so it is not finite where one frame's value is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..console import note
from ..data.folder import FrameFolder
from ..errors import InputError
from . import statistics
from .baseline import CONSTANT
from .footprint import Footprint, footprint
from .jobs import computer_of, job_of
from .journal import Journal
from .kept import with_training
from .kinds import demand_kind
from .metrics import FACTS
from .predictions import OnnxModel, PredictionFolder, Source, open_source
from .protocol import Protocol
from .result import Score
from .score import score_source
from .statistics import Difference, paired_difference

BETTER, WORSE, SAME, TOO_FEW = "better", "worse", "not told apart", "too few frames to tell"


@dataclass(frozen=True)
class Compared:
    """One model: its scores by protocol, in the order asked for, and its footprint, or why it has none."""

    label: str
    scores: tuple[Score, ...]
    footprint: Footprint | None
    why_no_footprint: str | None = None


@dataclass(frozen=True)
class Against:
    """One metric of one model against the baseline's. difference: None where no frame has a value from both."""

    metric: str
    difference: Difference | None
    left_out: int

    @property
    def verdict(self) -> str:
        """What the paired interval says of the model: better, worse, not told apart, too few frames to tell."""
        if self.difference is None or self.difference.frames < statistics.LEAST_FRAMES:
            return TOO_FEW
        if not self.difference.real:
            return SAME
        return BETTER if (self.difference.mean > 0) == (FACTS[self.metric].better == "higher") else WORSE


def open_sources(
    sources: Sequence[str], frames: FrameFolder, protocols: Sequence[Protocol], kind: str | None
) -> list[Source]:
    """Open all, so that a wrong one is found before any is scored.

    sources: as `open_source` takes them; the first one is the baseline
    kind: what models and folders hold that do not say so themselves
    Raises InputError for fewer than two sources, or one that cannot be opened or that a protocol cannot take.
    """
    if len(sources) < 2:
        raise InputError("There is only one source, so nothing to compare.", f"Give two or more; `{CONSTANT}` is one.")
    opened = [open_source(source, frames, kind, threads=1, insist=False) for source in sources]
    for source in opened:
        for protocol in protocols:
            demand_kind(source.kind, protocol.weakest_kind, f"protocol {protocol.name}")
    return [*opened]


def compared(
    sources: Sequence[str],
    opened: Sequence[Source],
    frames: FrameFolder,
    protocols: Sequence[Protocol],
    runs: int,
    workers: int = 1,
    journals: Sequence[Journal] = (),
) -> list[Compared]:
    """Time all of them while nothing else runs; then score.

    sources: what `opened` is called; runs: timed runs of a model, 0 = no time
    workers: as in `score_source`; journals: as there, one for each source, or none
    Raises InputError for one that cannot be scored, Interrupted on Ctrl-C where there are journals.
    """
    costs = [_footprint(source, runs) for source in opened]
    models: list[Compared] = []
    each = zip(labels_of_sources(sources), sources, opened, costs, journals or [None] * len(opened), strict=True)
    for label, path, source, (cost, why), journal in each:
        score = score_source(source, frames, protocols, workers=workers, journal=journal)
        score = with_training(score, path, frames)
        models.append(Compared(label, (score, *score.beside), cost, why))
    return models


def labels_of_sources(sources: Sequence[str]) -> list[str]:
    """Short names that differ: the last part of a path where it tells them apart, else the whole path, else counted.

    A job's id is followed by what computed its predictions, "jgzr4x9o5 (Samsung Galaxy S24)" or "jlocal3k2 (this CPU)".
    """
    short = [_short(source) for source in sources]
    names = [own if short.count(own) == 1 else source for own, source in zip(short, sources, strict=True)]
    return [name if not (n := names[:at].count(name)) else f"{name} ({n + 1})" for at, name in enumerate(names)]


def _short(source: str) -> str:
    if job := job_of(source):
        return f"{job} ({computer_of(job)})"
    return Path(source).stem if source.endswith(".onnx") else Path(source).name or source


def _footprint(source: Source, runs: int) -> tuple[Footprint | None, str | None]:
    """Of a model; otherwise none, with the reason."""
    if isinstance(source, OnnxModel):
        if runs:
            note(f"timing {source.label} on this CPU")
        return footprint(source, runs), None
    return None, "predictions" if isinstance(source, PredictionFolder) else "no model"


def against(ours: Score, baseline: Score) -> Mapping[str, Against]:
    """Metric -> how the one score stands to the other, paired by frame."""
    return {metric: _against(ours, baseline, metric) for metric in ours.protocol.metrics}


def paired(ours: Score, baseline: Score, metric: str) -> Mapping[str, tuple[float, float]]:
    """Frame -> (the baseline's value, ours), of the frames for which both have a finite value."""
    theirs = {frame.frame: frame.values[metric] for frame in baseline.frames}
    pairs = {frame.frame: (theirs[frame.frame], frame.values[metric]) for frame in ours.frames}
    return {frame: (base, own) for frame, (base, own) in pairs.items() if base is not None and own is not None}


def _against(ours: Score, baseline: Score, metric: str) -> Against:
    pairs = list(paired(ours, baseline, metric).values())
    difference = paired_difference([own for _, own in pairs], [base for base, _ in pairs]) if pairs else None
    return Against(metric, difference, len(ours.frames) - len(pairs))
