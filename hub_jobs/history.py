"""What the ledger's events amount to: one record for each job that was ever meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..files import sha256_file
from .connection import DEFAULT
from .ledger import Event, Ledger

SUCCESS, FAILED, GONE = "SUCCESS", "FAILED", "GONE"
TERMINAL = (SUCCESS, FAILED, GONE)
BY_MARK = "mark"  # how a job became known that this ledger never ordered


@dataclass(frozen=True)
class Record:
    """A job from intention to sharing.

    intended: type, title, name, device, options, base, nth, rehearsal ... as `order.Order.facts` wrote them, and the
        set of predictions as the newest command filed it
    in_doubt: a submission was begun and nothing is known of its end
    state: AI Hub's word (CREATED, SUCCESS, FAILED ...) or GONE; None before the first answer
    submission: the number of the ledger's event: clocks move; adopted: ordered elsewhere, found by its mark
    hub_version: what the server says it ran on, once the job has ended
    fetched: what -> {"path": relative to the hub folder, "sha256": ...}
    """

    hub: str
    key: str
    intended: dict[str, Any]
    intended_at: str
    in_doubt: bool = False
    job_id: str | None = None
    url: str | None = None
    submitted_at: str | None = None
    submission: int = 0
    adopted: bool = False
    state: str | None = None
    reason: str = ""
    hub_version: str = ""
    fetched: dict[str, dict[str, Any]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        return self.state in TERMINAL

    @property
    def reached_by(self) -> str | None:
        """What `--hub` said when it was ordered, None where it said nothing."""
        way = self.intended["reached_by"]
        return None if way == DEFAULT else way

    @property
    def type(self) -> str:
        return self.intended["type"]


def record_of(events: Iterable[Event]) -> Record | None:
    """The record of one key's events; None where nothing was intended under it (an upload)."""
    record: Record | None = None
    for event in events:
        facts = event.facts
        if event.event == "intended" and record is None:
            record = Record(event.hub, event.key, facts, event.at)
        elif record is None:
            continue
        elif event.event == "attempted":
            record = replace(record, in_doubt=True)
        elif event.event == "refused":
            record = replace(record, in_doubt=False)
        elif event.event == "submitted" and record.job_id is None:
            record = replace(
                record, in_doubt=False, job_id=event.job_id, url=facts["url"], submitted_at=event.at, state="CREATED",
                submission=event.number, adopted=facts.get("known_by") == BY_MARK,
            )  # fmt: skip
        elif event.event == "state":
            record = replace(record, state=facts["state"], reason=facts.get("reason", ""))
            record = replace(record, hub_version=facts.get("hub_version", ""))
        elif event.event == "filed":
            record = replace(record, intended={**record.intended, **facts})
        elif event.event == "fetched":
            record = replace(record, fetched={**record.fetched, facts["what"]: facts})
        elif event.event == "shared":
            record = replace(record, shared=tuple(facts["with"]))
    return record


def records(ledger: Ledger) -> list[Record]:
    """Every record, oldest intention first."""
    by_key: dict[tuple[str, str], list[Event]] = {}
    for event in ledger.all():
        by_key.setdefault((event.hub, event.key), []).append(event)
    return [record for events in by_key.values() if (record := record_of(events)) is not None]


def record_of_job(ledger: Ledger, job_id: str) -> Record | None:
    """None where this ledger does not know the job."""
    return record_of(ledger.of_job(job_id))


def of_model(found: Iterable[Record], model_sha256: str) -> list[Record]:
    """Jobs that were made from this very model, in the order of their submission; what has no id yet is none."""
    ours = [each for each in found if each.job_id and each.intended.get("model_sha256") == model_sha256]
    return sorted(ours, key=lambda each: each.submission)


def is_measured(record: Record, kind: str) -> bool:
    """Whether it is a `kind` of job that ended well on a device; what does not say that it was one was a rehearsal."""
    return record.type == kind and record.state == SUCCESS and record.intended.get("rehearsal") is False


def kept_file(record: Record, what: str, root: Path) -> Path | None:
    """What was fetched of a job before, if it is still there and unchanged. root: of the hub folder"""
    told = record.fetched.get(what)
    path = root / told["path"] if told else None
    return path if path and path.is_file() and told and sha256_file(path) == told["sha256"] else None


def latest(found: Iterable[Record], base: str) -> Record | None:
    """The newest turn of an order's content."""
    return max((each for each in found if each.intended["base"] == base), key=lambda each: each.intended["nth"],
               default=None)  # fmt: skip


def newest(found: Iterable[Record]) -> Record | None:
    """The job that was submitted last, however the clock has moved."""
    return max((each for each in found if each.job_id), key=lambda each: each.submission, default=None)


def unfinished(found: Iterable[Record]) -> list[Record]:
    """Jobs to be waited for. One that was not known there is asked for again, unless it has been ordered anew."""
    every = list(found)
    turns = {(each.hub, each.intended["base"], each.intended["nth"]) for each in every}
    return [
        each
        for each in every
        if each.job_id
        and (
            not each.finished
            or (each.state == GONE and (each.hub, each.intended["base"], each.intended["nth"] + 1) not in turns)
        )
    ]


def spent_today(found: Iterable[Record], hub: str) -> int:
    """Jobs that this ledger submitted to `hub` since midnight of this machine's clock."""
    today = datetime.now().astimezone().date()
    return sum(
        datetime.fromisoformat(record.submitted_at).astimezone().date() == today
        for record in found
        if record.hub == hub and record.submitted_at is not None and not record.adopted
    )
