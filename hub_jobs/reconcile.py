"""Jobs whose submission was cut off, found again by the mark in their names."""

from __future__ import annotations

from dataclasses import dataclass

from .answers import Summary
from .desk import Desk
from .history import Record
from .order import MARK, SHORT_KEY


@dataclass(frozen=True)
class Reconciled:
    """adopted: now in the ledger; absent: intended, and not there; strangers: marked, but not of this ledger."""

    adopted: list[Summary]
    absent: list[Record]
    strangers: list[Summary]


def reconcile(desk: Desk) -> Reconciled:
    """Compare the ledger with AI Hub's list; what was cut off and is there is written down as submitted."""
    mine, marked = desk.records(), desk.marked
    adopted, absent = [], []
    for record in mine:
        if record.job_id is not None:
            continue
        there = [job for job in marked if MARK + record.key[:SHORT_KEY] in job.name]
        if there:
            oldest = there[-1]
            desk.add("submitted", record.key, oldest.job_id, url=oldest.url, known_by="reconcile")
            adopted.append(oldest)
        else:
            absent.append(record)
    known = {record.job_id for record in mine} | {job.job_id for job in adopted}
    return Reconciled(adopted, absent, [job for job in marked if job.job_id not in known])
