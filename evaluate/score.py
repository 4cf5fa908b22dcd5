"""Score a source of predictions over a folder of frames, and write what came out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..console import track
from ..data.folder import FrameFolder, open_folder, select
from ..errors import InputError
from ..files import read_json, write_json, write_text
from ..runs import Run
from .official import METRICS, PROTOCOL, FrameScore, mean_score, score_frame
from .predictions import Source


@dataclass(frozen=True)
class Score:
    """The frames' scores and their mean, with what was scored on what.

    trained_on: how many of the frames the run was trained on; None where that is not known (no run was scored)
    """

    source: str
    source_sha256: str
    data_sha256: str
    mean: FrameScore
    frames: tuple[FrameScore, ...]
    trained_on: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "source": self.source,
            "source_sha256": self.source_sha256,
            "data_sha256": self.data_sha256,
            "frames_scored": len(self.frames),
            "frames_trained_on": self.trained_on,
            "mean": _row(self.mean),
            "frames": [{"frame": frame.frame, **_row(frame)} for frame in self.frames],
        }

    def write_json(self, path: Path) -> None:
        write_json(path, self.as_json())

    def write_csv(self, path: Path) -> None:
        """One row per frame and the mean last; an officially NaN value is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("frame", *METRICS))
        for row in (*self.frames, self.mean):
            writer.writerow((row.frame, *(row.values[key] for key in METRICS)))
        write_text(path, text.getvalue())


def score_source(source: Source, frames: FrameFolder) -> Score:
    """Official score of every frame. Raises InputError for a frame without truth or confidence."""
    rows = []
    for frame in track(frames, f"scoring {source.label}", len(frames)):
        if frame.depth_m is None or frame.confidence is None:
            raise InputError(
                f"{frames.root} lacks depth or confidence of frame {frame.name}; the official score needs both.",
                "Add depth_raw/ and depth_conf/; `lpcv data make` writes a folder that has them.",
            )
        if not frame.depth_m.any():
            raise InputError(
                f"{frames.depths[frame.name]} has no measurement in it: every pixel is 0.",
                f"Remove frame {frame.name} from the evaluation set.",
            )
        rows.append(score_frame(frame.name, source.predict(frame.name, frame.rgb), frame.depth_m, frame.confidence))
    return Score(source.label, source.sha256(), frames.fingerprint(), mean_score(rows), tuple(rows))


def trained_on(run: Run, frames: FrameFolder) -> int:
    """How many of these frames the run was trained on, by folder and name."""
    content = read_json(run.config)
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, dict) or not isinstance(inputs.get("data"), str):
        raise InputError(f"{run.config} does not name the run's inputs.", "Restore it, or start a new run.")
    if Path(inputs["data"]).resolve() != frames.root.resolve():
        return 0
    return len(set(select(open_folder(frames.root), inputs.get("frames")).names) & set(frames.names))


def _row(score: FrameScore) -> Mapping[str, Any]:
    return {**score.values, **({"reasons": dict(score.reasons)} if score.reasons else {})}
