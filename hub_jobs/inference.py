"""Orders for running frames on a device: one for each slice, all of one set of predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..data.folder import FrameFolder
from ..files import sha256_file
from .frames import slices
from .history import Record
from .models import compiled
from .order import Order

SET_DIGITS = 12


def orders_of(base: Record, folder: FrameFolder, frames_per_job: int, device: str | None, options: str) -> list[Order]:
    """base: the compile job; device: None is what it was compiled for. The set is named after what it is made of."""
    where = device or base.intended["device"]
    parts = slices(folder, frames_per_job)
    images = {name: sha256_file(folder.images[name]) for name in folder.names}
    content = "\n".join([str(base.job_id), where, options, *(part.dataset.sha256 for part in parts)])
    made = f"{base.job_id}-{hashlib.sha256(content.encode()).hexdigest()[:SET_DIGITS]}"
    return [
        Order(
            "inference", f"{base.intended['title']} {part.names[0]}-{part.names[-1]}", compiled(base), where, options,
            dataset=part.dataset,
            kept={"set": made, "frames": part.names, "set_frames": folder.names, "images_sha256": images},
        )
        for part in parts
    ]  # fmt: skip


def in_set(record: Record, turn: int, kept: Mapping[str, Any] | None = None) -> Record:
    """The record, of the set of predictions that it belongs to now; other than inference jobs it leaves as they are.

    turn: how often it was ordered again; each has a folder of its own, so that no job's numbers pass for another's
    kept: what the order says that used an earlier one's job again: its set may have more frames
    """
    told = {**record.intended, **(kept or {})}
    if "set" not in told:
        return record
    return replace(record, intended={**told, "set": f"{told['set']}-{turn}" if turn else told["set"]})
