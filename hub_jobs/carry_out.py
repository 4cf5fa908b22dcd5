"""What `lpcv compile`, `profile` and `infer` do with their orders: submit, follow, fetch, say what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..console import next_step, note, result
from ..files import demand_writable, write_json
from ..hub_folder import HubFolder
from . import plan
from .collect import collect, npu_report
from .collect import facts as origin
from .desk import Desk, desk
from .dispatch import dispatch
from .ending import as_json, at, exit_code, next_of, tell
from .faults import UnauthorisedError
from .history import SUCCESS, Record
from .inference import filed
from .options import How
from .order import Order
from .outcome import Outcome, Submitted, Succeeded, TimedOut, Unauthorised
from .stand_in.settings import npu_version
from .waiting import follow, without_waiting

Orders = Callable[[Desk], Sequence[Order]]
Show = Callable[[Record, Path], tuple[dict[str, Any], int]]  # prints a fetched result; its facts, and an exit code


def carry_out(
    orders_of: Orders, how: How, *, show: Show | None = None, picture: Path | None = None, data: str = "DIR"
) -> None:
    """Everything from the orders to the exit code, which is raised as click does it.

    picture: a file that `show` will write; data: the folder of frames, for the next command
    """
    demand_writable({"--json": how.json_file, "--picture": picture}, pictures=["--picture"])
    folder, told, code = HubFolder(), list[dict[str, Any]](), 0

    def write() -> None:
        if how.json_file:
            write_json(how.json_file, told[0] if len(told) == 1 else told)

    try:
        if how.dry_run:
            with plan.looking(how.hub, folder) as here:
                told += plan.show(here, orders_of(here), how.again)
        else:
            with desk(how.hub, folder) as opened:
                code = _ordered(opened, orders_of, how, show, data, told)
    except UnauthorisedError as error:
        told.append(as_json(Unauthorised(error.problem, error.remedy)))
        write()
        raise
    write()
    raise click.exceptions.Exit(code)


def _ordered(desk: Desk, orders_of: Orders, how: How, show: Show | None, data: str, told: list[dict[str, Any]]) -> int:
    """The exit code; what came of each job goes to `told`."""
    if desk.connection.rehearsal:
        note(rehearsing(npu_version()))
    orders = orders_of(desk)
    plan.agree(desk, orders, how.again, how.yes)
    sent = [dispatch(desk, order, again=how.again) for order in orders]  # all on their way, then wait
    ended: list[tuple[Record, Outcome]] = []
    worst = 0
    for record in filed(desk, sent, orders):
        outcome = follow(desk, record, how.timeout_s) if how.wait else without_waiting(desk, record)
        if isinstance(outcome, Unauthorised):
            raise UnauthorisedError(outcome.reason, outcome.remedy)
        tell(outcome, record)
        facts, code = _taken(desk, record, outcome, show)
        told.append(facts)
        worst = max(worst, code)
        ended.append((record, outcome))
    next_step(_next(desk, ended, data))
    return max(worst, exit_code([outcome for _, outcome in ended]))


def rehearsing(npu: str | None) -> str:
    """What a rehearsal's results are worth. npu: the version of Qualcomm's compiler, None where it takes no part"""
    said = "A rehearsal: the stand-in computes on this CPU. Its times say nothing about a device."
    if npu is None:
        return f"{said} Nor does anything else of it."
    return f"{said} Whether the model fits the NPU is the word of Qualcomm's compiler; a latency is estimated by it."


def _taken(desk: Desk, record: Record, outcome: Outcome, show: Show | None) -> tuple[dict[str, Any], int]:
    """What a job that has succeeded gives, fetched and shown; facts for a machine, and an exit code."""
    record = desk.seen(record)
    told = {**as_json(outcome), "type": record.type, **origin(record)}
    if not isinstance(outcome, Succeeded):
        return told, 0
    path = collect(desk, record)
    told |= {"fetched": str(path)}
    if record.intended["rehearsal"]:
        told |= {"npu": npu_report(desk, record)}
    if show is None:
        result(f"{path}")
        return told, 0
    shown, code = show(record, path)
    return told | shown, code


def _next(desk: Desk, ended: Sequence[tuple[Record, Outcome]], data: str) -> str:
    """The next likely command."""
    done = [replace(record, state=SUCCESS) for record, outcome in ended if isinstance(outcome, Succeeded)]
    runs = [record for record, outcome in ended if isinstance(outcome, Submitted | TimedOut)]
    if done or len(runs) == 1:
        return next_of((done or runs)[-1], data)
    return f"lpcv jobs wait{at(desk.way)}" if runs else f"lpcv jobs show {ended[-1][0].job_id}"
