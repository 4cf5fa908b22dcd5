"""Predictions that a job of AI Hub computed: which folder they are in, of which frames they are, and who computed them.

`lpcv infer` brings them; here they are only read. A job is given by its id where a path could stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..console import count, note, some
from ..data.folder import FrameFolder
from ..errors import InputError
from ..files import sha256_file
from ..hub_folder import SAME_HUB, HubFolder, is_job_id
from ..prediction_folder import DESCRIPTION, described
from .baseline import CONSTANT


def job_of(source: str | Path) -> str | None:
    """The job's id where `source` is one: it looks like one, and no file or folder has that name."""
    if not isinstance(source, str) or source == CONSTANT or Path(source).exists():
        return None
    return source if is_job_id(source) else None


def frames_given(sources: Sequence[str], frames: FrameFolder) -> FrameFolder:
    """Those of the frames that every job among the sources was given, which is said where it is not all of them.

    Raises InputError where none is left, or a job is not known or not finished.
    """
    for job in filter(None, map(job_of, sources)):
        told = _described(job, HubFolder().predictions_of(job))
        given = frozenset(told["frames"])
        names = tuple(name for name in frames.names if name in given)
        by = f"job {job}, computed by {told['computed_by']},"
        if not names:
            raise InputError(
                f"None of the frames chosen in {frames.root} is one that {by} was given.",
                f"It was given {some(told['frames'])}.",
            )
        note(f"{count(len(names), 'frame')} of {len(frames)}: those that {by} was given.")
        if missing := [name for name in told["frames"] if name not in frames.images]:
            note(
                f"Job {job} was also given {count(len(missing), 'frame')} that {frames.root} has not: {some(missing)}."
            )
        frames = frames.subset(names)
    return frames


def predictions_of(job: str, frames: FrameFolder) -> tuple[Path, str]:
    """The folder with a job's predictions of these frames, and what to call it.

    Raises InputError where the job is not known, was not given one of the frames or another picture of that name, or
    has no prediction of it yet; MissingStepError where its outputs have not been fetched.
    """
    root = HubFolder().predictions_of(job)
    told = _described(job, root)
    given = frozenset(told["frames"])
    for name in frames.names:
        if name not in given:
            raise InputError(f"Job {job} was not given frame {name}.", f"It was given {some(told['frames'])}.")
    missing = [name for name in frames.names if not (root / f"{name}.npy").is_file()]
    if missing:
        raise InputError(
            f"Job {job} has no prediction yet for {len(missing)} of {count(len(frames), 'frame')}, the first is "
            f"{missing[0]}.",
            "Type the `lpcv infer` command again, which goes on where it stopped.",
        )
    pictures: dict[str, str] = told.get("images_sha256", {})
    for name in frames.names:
        if pictures.get(name, sha := sha256_file(frames.images[name])) != sha:
            raise InputError(
                f"{frames.images[name]} is another picture than the frame {name} that job {job} was given.",
                "Give --data the folder that `lpcv infer` was given.",
            )
    return root, f"{job}, computed by {told['computed_by']}"


def computer_of(job: str) -> str:
    """What computed a job's predictions, in short: "this CPU", "Samsung Galaxy S24". Raises as `predictions_of`."""
    by = str(_described(job, HubFolder().predictions_of(job))["computed_by"])
    return "this CPU" if by.startswith("this CPU") else by.removesuffix(" (AI Hub)")


def _described(job: str, root: Path) -> dict[str, Any]:
    """What the folder says; it names its frames and what computed them."""
    told = described(root)
    if told is None or not told.get("frames") or "computed_by" not in told:
        raise InputError(
            f"{root / DESCRIPTION} does not say which frames job {job} was given, and what computed them.",
            f"Remove {root}, and `lpcv jobs wait {job}` fetches the predictions again. {SAME_HUB}",
        )
    return told
