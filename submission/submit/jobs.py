"""Which job is submitted: the newest finished compile job of this very model for the contract's device and runtime.

AI Hub lists one phone under several names, so a job for `Samsung Galaxy S24` counts as one for the contract's
`Samsung Galaxy S24 (Family)`: `hub_jobs.devices.same_chip` is the one rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...contract import Edition
from ...errors import InputError
from ...hub_jobs.desk import Desk
from ...hub_jobs.devices import same_chip
from ...hub_jobs.history import SUCCESS, Record, newest, of_model

RUNTIME = "--target_runtime"


@dataclass(frozen=True)
class Jobs:
    """What the ledger knows of a model at one hub.

    chosen: the compile job to share, None where none has finished
    running, finished: the newest of the contract's device and runtime that is newer than that, and has not ended; and
        the newest that has, where another was named
    profile: the newest finished profile of `chosen` on its own device, or under another of its names
    """

    chosen: Record | None
    running: Record | None
    profile: Record | None
    finished: Record | None = None


def chosen_jobs(desk: Desk, model_sha256: str, edition: Edition, job_id: str | None = None) -> Jobs:
    """Only what belongs to this hub's account counts, so that a rehearsal's job is never sent for a real one.

    A job of another runtime is chosen only where there is none of the contract's.
    job_id: a compile job that was named on the command line, for whatever device and runtime
    Raises InputError where that is no compile job, of another model or hub, or has not succeeded.
    """
    known, devices = desk.records(), edition.devices
    ours = [
        record
        for record in of_model(known, model_sha256)
        if record.type == "compile" and same_chip(record.intended["device"], devices)
    ]
    fitting = [record for record in ours if runtime_of(record) == edition.target_runtime]
    done = newest(record for record in fitting if record.state == SUCCESS)
    if job_id is not None:
        chosen = _named(desk, job_id, model_sha256)
    else:
        chosen = done or newest(record for record in ours if record.state == SUCCESS)
    since = chosen.submission if chosen else -1
    running = newest(record for record in fitting if not record.finished and record.submission > since)
    newer = done if done and done.submission > since else None
    return Jobs(chosen, running, _profile(known, chosen, devices), newer)


def runtime_of(record: Record) -> str | None:
    """The runtime that a compile job was ordered for, None where its options name none."""
    words = [part for word in record.intended["options"].split() for part in word.split("=", 1)]
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word == RUNTIME), None)


def _named(desk: Desk, job_id: str, model_sha256: str) -> Record:
    record = desk.record(job_id)
    if record.type != "compile":
        raise InputError(
            f"{job_id} is a {record.type} job, and the organisers take compile jobs.",
            f"Give its compile job, {record.intended.get('compile_job', 'of `lpcv jobs`')}.",
        )
    if record.intended["model_sha256"] != model_sha256:
        raise InputError(
            f"{job_id} was compiled from another model than the run's model.onnx as it is now.",
            "Leave --job away, or name the run it belongs to.",
        )
    if record.state != SUCCESS:
        raise InputError(
            f"{job_id} has not succeeded ({(record.state or 'unknown').lower()}).", f"See `lpcv jobs show {job_id}`."
        )
    return record


def _profile(known: Sequence[Record], chosen: Record | None, devices: Sequence[str]) -> Record | None:
    if chosen is None:
        return None
    device = chosen.intended["device"]
    return newest(
        record
        for record in known
        if record.type == "profile"
        and record.state == SUCCESS
        and record.intended["compile_job"] == chosen.job_id
        and same_phone(record.intended["device"], device, devices)
    )


def same_phone(one: str, other: str, devices: Sequence[str]) -> bool:
    """A profile of a compile job counts on the job's own device, and on the contract's under any of its names."""
    return one == other or (same_chip(one, devices) and same_chip(other, devices))
