"""Who computed what, on which frames, with which score: numbers over different frames never share a row's place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...console import track
from ...data.folder import FrameFolder
from ...errors import InputError, first_line
from ...evaluate.frame_score import FrameScore, mean_score
from ...evaluate.journal import Journal
from ...evaluate.official import OFFICIAL
from ...evaluate.predictions import Source
from ...evaluate.score import score_source
from ...onnx_session import open_session
from .frames import Array, Compute, Feed

ONNX_RUNTIME, QDQ, EMULATOR = "ONNX Runtime", "ONNX Runtime QDQ", "HTP emulator"
SHOWN = ("f_score", "abs_rel")


@dataclass(frozen=True)
class Difference:
    """Of two outputs, absolute: the mean over pixels and frames, and the largest; not finite where an output is not."""

    mean: float
    largest: float

    def as_json(self) -> dict[str, float | None]:
        values = {"mean": self.mean, "largest": self.largest}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


@dataclass(frozen=True)
class Row:
    """precision as computed by `engine` on the frames `names`.

    scores: of these frames, official; None where there is no truth; from_float: on the same frames, None for float
    itself; context_bytes: of what an NPU would load, None for float; stopped: why there are no numbers
    not_finite: those of the frames whose output holds NaN or infinity
    """

    precision: str
    engine: str
    names: tuple[str, ...]
    scores: tuple[FrameScore, ...] | None = None
    from_float: Difference | None = None
    context_bytes: int | None = None
    stopped: str | None = None
    not_finite: tuple[str, ...] = ()

    @property
    def mean(self) -> FrameScore | None:
        return None if self.scores is None else mean_score(self.scores, OFFICIAL.metrics)

    def on(self, names: Sequence[str]) -> Row:
        """The same computation's scores on some of its frames; the difference is another one then."""
        wanted = frozenset(names)
        kept = None if self.scores is None else tuple(score for score in self.scores if score.frame in wanted)
        spoiled = tuple(name for name in self.not_finite if name in wanted)
        return replace(self, names=tuple(names), scores=kept, from_float=None, not_finite=spoiled)

    def as_json(self) -> dict[str, Any]:
        mean = self.mean
        return {
            "precision": self.precision,
            "computed_by": self.engine,
            "frames": list(self.names),
            "mean": None if mean is None else {key: mean.values[key] for key in OFFICIAL.metrics},
            "frame_scores": None if self.scores is None else [score.as_json() for score in self.scores],
            "difference_from_float_on_the_same_frames": self.from_float and self.from_float.as_json(),
            "context_bytes": self.context_bytes,
            "stopped": self.stopped,
            "frames_not_finite": list(self.not_finite),
        }


class Watched:
    """A computation that remembers what it was asked for, and of which frames the output was not finite."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._finite: dict[str, bool] = {}

    def __call__(self, name: str) -> Array:
        output = self._compute(name)
        self._finite[name] = bool(np.isfinite(output).all())
        return output

    def not_finite(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the names, each of which is computed for it where it has not been."""
        if missing := [name for name in names if name not in self._finite]:
            for name in track(missing, "looking for NaN and infinity"):
                self(name)
        return tuple(name for name in names if not self._finite[name])


def computing(model: Path, feed: Feed) -> Compute:
    """frame -> the model's output, by ONNX Runtime. Raises InputError where it cannot be loaded, or later run."""
    session = open_session(model)
    (given,) = session.get_inputs()

    def compute(name: str) -> Array:
        try:
            return np.asarray(session.run(None, {given.name: feed.array(name)})[0])
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            reason = first_line(error)
            raise InputError(f"ONNX Runtime cannot run {model} ({reason}).", f"Run `lpcv check {model}`.") from error

    return compute


def difference(ours: Compute, theirs: Compute, names: Sequence[str], what: str) -> Difference:
    """Between two computations of the same frames."""
    means, largest = [], []
    for name in track(list(names), f"comparing {what}"):
        one, other = ours(name), theirs(name)
        gap = _gap(one, other)
        means.append(float(gap.mean()))
        largest.append(float(gap.max()))
    return Difference(float(np.mean(means)), float(np.max(largest)))


def scored(
    source: Source, frames: FrameFolder, workers: int, kept: Path, finish: list[Journal]
) -> tuple[FrameScore, ...]:
    """Official scores of the frames; an interrupted scoring goes on. Its journal is put into `finish`."""
    journal = Journal.beside(kept, source, frames, (OFFICIAL,))
    finish.append(journal)
    return score_source(source, frames, (OFFICIAL,), workers=workers, journal=journal).frames


def _gap(one: Array, other: Array) -> Array:
    if one.shape != other.shape:
        raise ValueError(f"outputs of {one.shape} and {other.shape} cannot be compared")
    with np.errstate(invalid="ignore"):
        return np.abs(one.astype(np.float64) - other)
