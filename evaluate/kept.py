"""What scoring has to do with a run: which of the frames it was trained on, and the official score that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..console import count, note
from ..data.folder import FrameFolder, open_folder, select
from ..errors import InputError
from ..files import read_json
from ..runs import Run, is_run
from .baseline import CONSTANT
from .official import OFFICIAL
from .protocol import Protocol
from .result import Score


def with_training(score: Score, source: str | Path, frames: FrameFolder) -> Score:
    """The score of a run with how many of these frames it was trained on, which is said; any other as it is.

    source: as `open_source` takes it
    """
    if source == CONSTANT or not is_run(Path(source)):
        return score
    seen = trained_on(Run(Path(source)), frames)
    if seen:
        note(f"{source} was TRAINED on {seen} of these {count(len(frames), 'frame')}: this is no held-out score.")
    beside = [replace(each, trained_on=seen) for each in score.beside]
    return replace(score, trained_on=seen, beside=tuple(beside))


def kept_in(source: str | Path, protocols: Sequence[Protocol]) -> Path | None:
    """Where a run keeps its official score; None for what is no run, or where that score is not asked for."""
    official = any(protocol.name == OFFICIAL.name for protocol in protocols)
    return Run(Path(source)).score if official and source != CONSTANT and is_run(Path(source)) else None


def keep_official(score: Score, path: Path) -> None:
    """Write the official one of these scores; say so where it replaces a score of other frames."""
    official = next(each for each in (score, *score.beside) if each.protocol.name == OFFICIAL.name)
    try:
        before = read_json(path)
        others = len(before["frames"]) if before["data_sha256"] != official.data_sha256 else 0
    except (InputError, LookupError, TypeError):  # none, or damaged: it goes either way
        others = 0
    if others:
        held = f"{others} other{'' if others == 1 else 's'}"
        note(f"{path} now holds the score of these {count(len(official.frames), 'frame')}; before, that of {held}.")
    replace(official, beside=()).write_json(path)


def trained_on(run: Run, frames: FrameFolder) -> int:
    """How many of these frames the run was trained on, by folder and name."""
    content = read_json(run.config)
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, dict) or not isinstance(inputs.get("data"), str):
        raise InputError(f"{run.config} does not name the run's inputs.", "Restore it, or start a new run.")
    if Path(inputs["data"]).resolve() != frames.root.resolve():
        return 0
    return len(set(select(open_folder(frames.root), inputs.get("frames")).names) & set(frames.names))
