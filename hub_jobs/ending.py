"""How a command ends: what became of the job, for a person and for a machine, and the exit code."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from ..console import note, result
from .outcome import Expired, Failed, Outcome, Succeeded, TimedOut, Unauthorised
from .remedies import remedy_for


def tell(outcome: Outcome) -> None:
    """Say what became of a job, with what helps to go on."""
    match outcome:
        case Succeeded():
            result(f"{outcome.job_id} succeeded: {outcome.url}")
        case Failed():
            result(f"{outcome.job_id} FAILED: {outcome.reason or 'AI Hub gives no reason'}")
            for line in outcome.log:
                note(f"    {line}")
            messages = (outcome.reason, *reversed(outcome.log))
            known = next(filter(None, map(remedy_for, messages)), None)
            note(str(known) if known else "The message is not one that lpcv knows.")
            note(f"See {outcome.url}. The same command shows this again; with --again it orders another job.")
        case TimedOut():
            result(f"{outcome.job_id} still runs after {outcome.waited_s:.0f} s: {outcome.url}")
            note("Type the same command again: it follows the same job.")
        case Expired():
            result(f"{outcome.job_id} is not known there any more: {outcome.url}")
            note("It was deleted, has expired, or belongs to another account. With --again it is ordered anew.")
        case Unauthorised():
            result(f"Not accepted: {outcome.reason}")


def exit_code(outcomes: list[Outcome]) -> int:
    """0 where all succeeded (or still run), 1 where one failed or is gone, 2 where we may not ask."""
    if any(isinstance(each, Unauthorised) for each in outcomes):
        return 2
    return int(any(isinstance(each, Failed | Expired) for each in outcomes))


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": type(outcome).__name__, **asdict(outcome)}


def at(hub: str | None) -> str:
    """What a suggested command needs to stay at the hub that `--hub` named; empty where it named none."""
    return f" --hub {shlex.quote(hub)}" if hub else ""
