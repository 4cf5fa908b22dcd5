"""How a command ends: what became of the job, for a person and for a machine, the exit code, and what comes next."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from ..console import note, result
from .connection import LOCAL
from .history import FAILED, GONE, Record
from .outcome import Expired, Failed, Outcome, Submitted, Succeeded, TimedOut, Unauthorised
from .remedies import remedy_for
from .stand_in.settings import DO_NOT_FIT

VERBS = {"compile": "compile", "profile": "profile", "inference": "infer", "quantize": "quantize"}


def tell(outcome: Outcome, record: Record) -> None:
    """Say what became of a job, with what helps to go on."""
    verb = VERBS[record.type]
    match outcome:
        case Succeeded():
            result(f"{outcome.job_id} succeeded: {outcome.url}")
        case Failed():
            result(f"{outcome.job_id} FAILED: {outcome.reason or 'AI Hub gives no reason'}")
            for line in outcome.log:
                note(f"    {line}")
            messages = (outcome.reason, *reversed(outcome.log))
            known = next(filter(None, map(remedy_for, messages)), None)
            if DO_NOT_FIT in outcome.reason:
                note("Each node stands there with what fits in its place; the job's log has all of them.")
            else:
                note(str(known) if known else "The message is not one that lpcv knows.")
            note(f"See {outcome.url}. `lpcv {verb}` as before shows this again; with --again it orders another job.")
        case Submitted():
            result(f"{outcome.job_id} is submitted: {outcome.url}")
            note(goes_on(record.reached_by))
        case TimedOut():
            result(f"{outcome.job_id} has not ended after {outcome.waited_s:.0f} s: {outcome.url}")
            note(goes_on(record.reached_by))
        case Expired():
            result(f"{outcome.job_id} is not known there any more: {outcome.url}")
            note(f"{whose(record)} With --again, `lpcv {verb}` as before orders it anew.")
        case Unauthorised():
            result(f"Not accepted: {outcome.reason}")


def goes_on(way: str | None) -> str:
    """What becomes of a job that nobody waits for. way: what `--hub` said"""
    where = "It goes on there."
    if way == LOCAL:
        where = "The stand-in ends with this command; the job goes on with the next one that says `--hub local`."
    return f"{where} Type the same command again: it follows the same job."


def whose(record: Record) -> str:
    """Why a job may not be known (404)."""
    way = f"with --hub {record.reached_by}" if record.reached_by else "without --hub"
    return f"It was deleted, has expired, or belongs to another account (it was ordered {way})."


def exit_code(outcomes: list[Outcome]) -> int:
    """0 where all succeeded (or have not ended), 1 where one failed or is gone, 2 where we may not ask."""
    if any(isinstance(each, Unauthorised) for each in outcomes):
        return 2
    return int(any(isinstance(each, Failed | Expired) for each in outcomes))


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": type(outcome).__name__, **asdict(outcome)}


def at(hub: str | None) -> str:
    """What a suggested command needs to stay at the hub that `--hub` named; empty where it named none."""
    return f" --hub {shlex.quote(hub)}" if hub else ""


def next_of(record: Record, data: str = "DIR") -> str:
    """The next likely command for a job, by its type and state. data: the folder of frames"""
    told, way, data = record.intended, at(record.reached_by), shlex.quote(data)
    if record.job_id is None or record.state in (FAILED, GONE):
        again = " --again" if record.job_id else ""
        return {
            "compile": f"lpcv compile RUN --device {shlex.quote(told['device'])}{again}{way}",
            "profile": f"lpcv profile {told.get('compile_job')}{again}{way}",
            "inference": f"lpcv infer {told.get('compile_job')} --data {data}{again}{way}",
            "quantize": f"lpcv quantize RUN --data DIR --precision {told.get('precision')} --on hub{again}{way}",
        }[record.type]
    if not record.finished:
        return f"lpcv jobs wait {record.job_id}{way}"
    return {
        "compile": f"lpcv profile {record.job_id}{way}",
        "profile": f"lpcv infer {told.get('compile_job')} --data {data}{way}",
        "inference": f"lpcv score {record.job_id} --data {data}",
        "quantize": f"lpcv compile {shlex.quote(told.get('out', 'MODEL.onnx'))} --device NAME{way}",
    }[record.type]
