"""Which job is submitted: the newest finished compile job of this very model for the contract's device.

AI Hub lists one phone under several names, so a job for `Samsung Galaxy S24` counts as one for the contract's
`Samsung Galaxy S24 (Family)`: `check.latency.is_contracts` is the one rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ...hub_jobs.desk import Desk
from ...hub_jobs.history import SUCCESS, Record, newest
from ..check.latency import is_contracts


@dataclass(frozen=True)
class Jobs:
    """What the ledger knows of a model at one hub.

    chosen: the compile job to share, None where none has finished; running: a newer one that has not ended
    profile: the newest finished profile of `chosen` on its own device, or under another of its names
    """

    chosen: Record | None
    running: Record | None
    profile: Record | None


def jobs_of(desk: Desk, model_sha256: str, devices: Sequence[str], job_id: str | None = None) -> Jobs:
    """Only what belongs to this hub's account counts, so that a rehearsal's job is never sent for a real one.

    job_id: a compile job that was named on the command line, for whatever device
    Raises InputError where that is no compile job, of another model or hub, or has not succeeded.
    """
    known = desk.records()
    compiled = [
        record
        for record in known
        if record.type == "compile" and record.job_id and record.intended["model_sha256"] == model_sha256
    ]
    ours = [record for record in compiled if is_contracts(record.intended["device"], devices)]
    if job_id is not None:
        chosen = _named(desk, job_id, model_sha256)
    else:
        chosen = newest(record for record in ours if record.state == SUCCESS)
    since = chosen.submission if chosen else -1
    running = newest(record for record in ours if not record.finished and record.submission > since)
    return Jobs(chosen, None if job_id else running, _profile(known, chosen, devices))


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
    return one == other or (is_contracts(one, devices) and is_contracts(other, devices))
