"""Following a job to its end, and what became of it."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from ..console import note
from ..errors import Interrupted
from .desk import Desk
from .ending import goes_on
from .faults import GoneError, RefusedError, UnauthorisedError, UnavailableError
from .history import FAILED, GONE, SUCCESS, Record
from .outcome import Expired, Failed, Outcome, Submitted, Succeeded, TimedOut, Unauthorised

POLL_S = 10.0  # as the client does (client.py, Job._polling_interval)
REHEARSAL_POLL_S = 0.3  # the stand-in holds its answer until the job ends
STILL_S = 60.0  # a line now and then, so that nobody thinks it hangs


def follow(desk: Desk, record: Record, timeout_s: float | None = None) -> Outcome:
    """Wait until the job ends, or for `timeout_s`; every change of state goes to the ledger.

    timeout_s: as exact as the server is quick to answer; a stand-in holds its answer for up to 15 s
    Raises UnavailableError where AI Hub is away for long, Interrupted on Ctrl-C: the job is not stopped by either.
    """
    began = told = time.monotonic()
    poll_s = REHEARSAL_POLL_S if desk.connection.rehearsal else POLL_S
    try:
        while (outcome := look(desk, record := asked(desk, record))) is None:
            now = time.monotonic()
            left_s = math.inf if timeout_s is None else timeout_s - (now - began)
            if left_s <= 0:
                return TimedOut(record.job_id or "", record.url or "", now - began)
            if now - told >= STILL_S:
                told = now
                note(f"{record.type} job {record.job_id}: still running, {now - began:.0f} s")
            time.sleep(min(poll_s, left_s))
    except UnauthorisedError as error:
        return Unauthorised(error.problem, error.remedy)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped waiting for {record.type} job {record.job_id} ({record.url}).", goes_on(desk.way)
        ) from None
    return outcome


def without_waiting(desk: Desk, record: Record) -> Outcome:
    """What has become of the job by now."""
    try:
        return look(desk, glimpsed(desk, record)) or Submitted(record.job_id or "", record.url or "")
    except UnauthorisedError as error:
        return Unauthorised(error.problem, error.remedy)


def recorded(record: Record, log: tuple[str, ...] = ()) -> Outcome | None:
    """The outcome that a record's state stands for; None where the job has not ended. log: of a failed job"""
    job_id, url = record.job_id or "", record.url or ""
    if record.state == SUCCESS:
        return Succeeded(job_id, url)
    if record.state == FAILED:
        return Failed(job_id, url, record.reason, log)
    return Expired(job_id, url) if record.state == GONE else None


def look(desk: Desk, record: Record) -> Outcome | None:
    """The same, with the end of a failed job's log."""
    return recorded(record, _log_tail(desk, record.job_id or "") if record.state == FAILED else ())


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
        state, reason, ran_on = status.state, status.reason, status.hub_version
    except GoneError as error:
        state, reason, ran_on = GONE, str(error), ""
    if state != record.state:
        desk.add("state", record.key, record.job_id, state=state, reason=reason, hub_version=ran_on)
        note(f"{record.type} job {record.job_id}: {state.lower().replace('_', ' ')}")
    return replace(record, state=state, reason=reason, hub_version=ran_on)


def glimpsed(desk: Desk, record: Record) -> Record:
    """As `asked`, but at once: a stand-in holds its answer about a job that runs, and its list it does not hold."""
    if record.finished and record.state != GONE:
        return record
    listed = next((each.state for each in desk.hub.summaries() if each.job_id == record.job_id), None)
    return record if listed not in (None, SUCCESS, FAILED) else asked(desk, record)
