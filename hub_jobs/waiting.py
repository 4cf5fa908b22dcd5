"""Following a job to its end, and what became of it."""

from __future__ import annotations

import time
from dataclasses import replace

from ..console import note
from ..errors import Interrupted
from .desk import Desk
from .faults import GoneError, RefusedError, UnavailableError
from .history import FAILED, GONE, SUCCESS, Record
from .outcome import Expired, Failed, Outcome, Succeeded, TimedOut

POLL_S = 10.0  # as the client does (client.py, Job._polling_interval)
REHEARSAL_POLL_S = 0.3  # the stand-in holds its answer until the job ends
STILL_S = 60.0  # a line now and then, so that nobody thinks it hangs


def follow(desk: Desk, record: Record, timeout_s: float | None = None) -> Outcome:
    """Wait until the job ends, or for `timeout_s`; every change of state goes to the ledger.

    Raises UnavailableError where AI Hub is away for long, Interrupted on Ctrl-C: the job goes on in both cases.
    """
    began = told = time.monotonic()
    try:
        while (outcome := look(desk, record := asked(desk, record))) is None:
            now = time.monotonic()
            if timeout_s is not None and now - began >= timeout_s:
                return TimedOut(record.job_id or "", record.url or "", now - began)
            if now - told >= STILL_S:
                told = now
                note(f"{record.type} job {record.job_id}: still running, {now - began:.0f} s")
            time.sleep(REHEARSAL_POLL_S if desk.connection.rehearsal else POLL_S)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped waiting; {record.type} job {record.job_id} goes on ({record.url}).",
            "Type the same command again: it follows the same job.",
        ) from None
    return outcome


def look(desk: Desk, record: Record) -> Outcome | None:
    """The outcome that a record's state stands for; None while the job runs."""
    job_id, url = record.job_id or "", record.url or ""
    if record.state == SUCCESS:
        return Succeeded(job_id, url)
    if record.state == FAILED:
        return Failed(job_id, url, record.reason, _log_tail(desk, job_id))
    return Expired(job_id, url) if record.state == GONE else None


def _log_tail(desk: Desk, job_id: str) -> tuple[str, ...]:
    """The last lines of a failed job's log; none where it cannot be had, since the reason matters more."""
    try:
        return desk.hub.log_tail(job_id, desk.folder.job(job_id))
    except (GoneError, RefusedError, UnavailableError) as error:
        note(f"Its log cannot be had: {error.problem}")
        return ()


def asked(desk: Desk, record: Record) -> Record:
    """The record as AI Hub sees it now; a job that has ended is not asked for again.

    One that was not known there is: a 404 may have come from in between, or with another account's token.
    """
    if record.finished and record.state != GONE:
        return record
    try:
        status = desk.hub.status(record.job_id or "")
        state, reason = status.state, status.reason
    except GoneError as error:
        state, reason = GONE, str(error)
    if state != record.state:
        desk.add("state", record.key, record.job_id, state=state, reason=reason)
        note(f"{record.type} job {record.job_id}: {state.lower().replace('_', ' ')}")
    return replace(record, state=state, reason=reason)
