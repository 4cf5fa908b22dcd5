"""What a scoring says: per frame, on average, by group and by part, with what was scored on what."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..console import count
from ..contract import CURRENT as CONTRACT
from ..files import write_json, write_text
from .breakdown import GroupMean, column_interval, group_means, part_means
from .frame_score import FrameScore, mean_score
from .protocol import Protocol
from .statistics import METHOD, Interval


@dataclass(frozen=True)
class Score:
    """The frames' scores and their mean under one protocol.

    intervals: metric -> the 95 % interval of its mean; None where there is no mean, or fewer than
        statistics.LEAST_FRAMES frames are behind it
    groups: label -> the mean of its frames; parts: part of a frame -> its means (breakdown.py)
    trained_on: how many of the frames the run was trained on; None where that is not known (no run was scored)
    beside: the same predictions under further protocols
    """

    protocol: Protocol
    source: str
    kind: str
    source_sha256: str
    data_sha256: str
    mean: FrameScore
    frames: tuple[FrameScore, ...]
    intervals: Mapping[str, Interval | None]
    groups: Mapping[str, GroupMean]
    parts: Mapping[str, Mapping[str, float | None]]
    trained_on: int | None = None
    beside: tuple[Score, ...] = ()

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        source: str,
        kind: str,
        hashes: tuple[str, str],
        frames: tuple[FrameScore, ...],
        labels: Mapping[str, str],
    ) -> Score:
        """From the frames' scores; hashes: of the source and of the data; labels: frame -> its group."""
        mean = mean_score(frames, protocol.metrics)
        intervals = {key: column_interval(frames, key) for key in protocol.metrics}
        return cls(
            protocol, source, kind, *hashes, mean, frames, intervals,
            group_means(frames, labels, protocol.metrics, protocol.ranks), part_means(frames),
        )  # fmt: skip

    @property
    def size_warning(self) -> str | None:
        """Why these numbers cannot be set beside others: predictions of another size than the contract's."""
        sizes = [frame.other_size for frame in self.frames if frame.other_size is not None]
        if not sizes:
            return None
        seen = ", ".join(dict.fromkeys(sizes))
        width, height = CONTRACT.image_size
        return (
            f"the predictions of {len(sizes)} of {count(len(self.frames), 'frame')} are {seen}, and the contract asks "
            f"for {width}x{height}: the official rays, and with them the F-Score, depend on the size, so these numbers "
            "cannot be set beside others"
        )

    @property
    def stopped(self) -> tuple[FrameScore, ...]:
        """The frames that the protocol gives no value."""
        return tuple(frame for frame in self.frames if frame.stopped is not None)

    @property
    def flawless(self) -> bool:
        """No frame was stopped and no value is missing, here and beside."""
        return all(
            not score.stopped and not any(frame.reasons for frame in score.frames) for score in (self, *self.beside)
        )

    def as_json(self) -> dict[str, Any]:
        """The same scoring gives the same JSON: no date, no duration."""
        return {
            "protocol": self.protocol.name,
            "protocol_described": dict(self.protocol.described()),
            "source": self.source,
            "source_kind": self.kind,
            "source_sha256": self.source_sha256,
            "data_sha256": self.data_sha256,
            "frames_scored": len(self.frames) - len(self.stopped),
            "frames_stopped": {frame.frame: frame.stopped for frame in self.stopped},
            "frames_trained_on": self.trained_on,
            "size_warning": self.size_warning,
            "mean": _without_name(self.mean),
            "interval_95": {key: None if ends is None else list(ends) for key, ends in self.intervals.items()},
            "interval_method": METHOD,
            "groups": {
                label: {
                    "frames": group.frames,
                    "frames_stopped": group.stopped,
                    "mean": _without_name(group.mean),
                    "interval_95": None if group.interval is None else list(group.interval),
                }
                for label, group in self.groups.items()
            },
            "parts": {part: dict(means) for part, means in self.parts.items()},
            "frames": [frame.as_json() for frame in self.frames],
            **({"beside": [each.as_json() for each in self.beside]} if self.beside else {}),
        }

    def write_json(self, path: Path) -> None:
        write_json(path, self.as_json())

    def write_csv(self, path: Path) -> None:
        """One row per frame and the mean last; a value that is not finite, or a stopped frame's, is an empty cell.

        Protocols beside the first have columns of their own, `PROTOCOL:metric`. The last column says in each row what
        was scored, for a job also what computed it, so that rows of two files may stand in one table.
        """
        columns = [("", self), *((f"{each.protocol.name}:", each) for each in self.beside)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        metrics = [f"{prefix}{key}" for prefix, score in columns for key in score.protocol.metrics]
        writer.writerow(("frame", *metrics, "source"))
        for index, name in enumerate([*(frame.frame for frame in self.frames), "mean"]):
            rows = [(score, (*score.frames, score.mean)[index]) for _, score in columns]
            values = [row.values[key] for score, row in rows for key in score.protocol.metrics]
            writer.writerow((name, *values, self.source))
        write_text(path, text.getvalue())


def _without_name(score: FrameScore) -> Mapping[str, Any]:
    return {key: value for key, value in score.as_json().items() if key != "frame"}
