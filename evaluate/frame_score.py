"""What a protocol says of one frame, and the mean over frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..console import count

Values = Mapping[str, float | None]
OPTIONAL = (
    "reasons",
    "remarks",
    "stopped",
    "alignment",
    "parts",
    "other_size",
)  # fields that a row of JSON has only where needed


@dataclass(frozen=True)
class FrameScore:
    """All metrics of one frame under one protocol.

    values: metric -> value; None where it is not a finite number, with its reason beside it
    reasons: metric -> why it has no finite value
    remarks: metric -> what explains a value that misleads, in one line
    stopped: why the protocol gives this frame no value at all (the official script would stop with an exception here);
        None for a frame that was scored. A stopped frame has None for every metric.
    alignment: the parameters that were fitted, e.g. {"scale": 3.2} or {"scale": 0.4, "shift": 0.1}
    parts: part of the frame -> {"pixels": n, metric: value}, e.g. "truth 1-2 m", "confidence 2"; see breakdown.py
    other_size: "WIDTHxHEIGHT" of the prediction, where the protocol's numbers depend on it and the contract asks for
        another; None otherwise
    """

    frame: str
    values: Values
    reasons: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    stopped: str | None = None
    alignment: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    other_size: str | None = None

    @classmethod
    def of(cls, frame: str, measured: Mapping[str, float], why_not_finite: str, **more: Any) -> FrameScore:
        """From measured numbers, of which some may be NaN or infinite."""
        reasons = {key: why_not_finite for key, value in measured.items() if not math.isfinite(value)}
        return cls(frame, {k: None if k in reasons else float(v) for k, v in measured.items()}, reasons, **more)

    @classmethod
    def stop(cls, frame: str, metrics: Sequence[str], why: str) -> FrameScore:
        """A frame that the protocol cannot score."""
        return cls(frame, dict.fromkeys(metrics), stopped=why)

    def as_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {"frame": self.frame, **self.values}
        for key in OPTIONAL:
            if content := getattr(self, key):
                row[key] = content
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any], metrics: Sequence[str]) -> FrameScore:
        """The inverse of `as_json`. Raises KeyError where a metric is missing."""
        more = {key: row[key] for key in OPTIONAL if key in row}
        return cls(row["frame"], {key: row[key] for key in metrics}, **more)


def mean_score(frames: Sequence[FrameScore], metrics: Sequence[str]) -> FrameScore:
    """The mean of each column over the frames that were scored.

    One frame that is officially NaN makes the mean officially NaN: None, with a reason. Stopped frames have no column;
    who prints a mean says how many there are.
    """
    scored = [frame for frame in frames if frame.stopped is None]
    if not scored:
        reason = "no frame could be scored"
        return FrameScore("mean", dict.fromkeys(metrics), dict.fromkeys(metrics, reason))
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for key in metrics:
        column = [frame.values[key] for frame in scored]
        present = [value for value in column if value is not None]
        if len(present) == len(column):
            values[key] = float(np.mean(present))
        else:
            values[key] = None
            spoiled = [frame.frame for frame in scored if frame.values[key] is None]
            reasons[key] = (
                f"no finite value in {len(spoiled)} of {count(len(scored), 'frame')}, the first is {spoiled[0]}"
            )
    return FrameScore("mean", values, reasons)
