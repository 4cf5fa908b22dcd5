"""Orders for running frames on a device: one for each slice, all of one set of predictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from ..data.folder import FrameFolder
from ..files import sha256_file
from .desk import Desk
from .frames import slices
from .history import Record
from .models import compiled
from .order import Order, set_of

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


def filed(desk: Desk, records: Sequence[Record], orders: Sequence[Order]) -> list[Record]:
    """The jobs of one command's orders, their predictions all in one set, which the ledger keeps where it is new.

    A slice's job may be an earlier command's, whose set had other frames, or may have been ordered again alone. Jobs
    that make no predictions stay as they are.
    """
    turns = [record.intended["nth"] for record in records]
    return [_filed(desk, record, order, turns) for record, order in zip(records, orders, strict=True)]


def _filed(desk: Desk, record: Record, order: Order, turns: Sequence[int]) -> Record:
    if "set" not in order.kept:
        return record
    kept = json.loads(json.dumps({**order.kept, "set": set_of(order.kept["set"], turns)}))  # as the ledger gives it
    changed = {what: value for what, value in kept.items() if record.intended.get(what) != value}
    if changed:
        desk.add("filed", record.key, record.job_id, **changed)
    return replace(record, intended={**record.intended, **changed})
