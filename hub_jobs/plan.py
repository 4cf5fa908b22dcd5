"""Before anything is done: what a command would do, whether it was done before, and may it?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from ..console import note, table
from ..errors import UnknownNameError
from ..hub_folder import HubFolder
from .client import HubClient
from .connection import DEFAULT, LOCAL, Connection, config_path, read_connection
from .desk import Desk
from .devices import nearest, recorded
from .dispatch import marked
from .history import latest, spent_today
from .ledger import Ledger
from .order import Order
from .waiting import glimpsed


@dataclass(frozen=True)
class Step:
    """What would become of an order. job_id: the job that is used again, or that a new one would stand beside"""

    order: Order
    new: bool
    spends: str
    job_id: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """For a machine."""
        order = self.order
        told = {"type": order.type, "title": order.title, "device": order.device, "options": order.options}
        return {**told, "new_job": self.new, "spends": self.spends, "job_id": self.job_id}


@contextmanager
def looking(hub: str | None, folder: HubFolder) -> Iterator[Desk]:
    """A desk at which nothing is sent and not a byte is changed."""
    ini = folder.stand_in / "client.ini"
    if hub != LOCAL:
        connection = read_connection(config_path(hub), hub or DEFAULT)
    elif ini.is_file():
        connection = read_connection(ini, LOCAL)
    else:
        connection = Connection(LOCAL, ini, "http://127.0.0.1/", "http://127.0.0.1/", "", stand_in="not started yet")
    with Ledger(folder.ledger, read_only=True) as ledger:
        yield Desk(HubClient(connection), ledger, folder)


def step(desk: Desk, order: Order, again: bool) -> Step:
    """Which job would be used again, or that one would be spent; as far as the ledger knows."""
    last = latest(desk.records(), order.base(desk.connection))
    if last is None:
        return Step(order, True, "a new job")
    if last.job_id is None:
        return Step(
            order, True, "a look for the job that was cut off, else a new one" if last.in_doubt else "a new job"
        )
    state = (last.state or "").lower()
    if not again:
        return Step(order, False, f"none: {last.job_id} is used again ({state})", last.job_id)
    if last.finished:
        return Step(order, True, f"a new job beside {last.job_id} ({state})", last.job_id)
    return Step(order, True, f"a new job if {last.job_id} has ended by then, else none ({state})", last.job_id)


def show(desk: Desk, orders: Sequence[Order], again: bool) -> list[dict[str, Any]]:
    """The plan as a table on stdout, and as facts. Raises UnknownNameError for a device that a stand-in has not."""
    steps = [step(desk, order, again) for order in orders]
    where = desk.connection
    if any(each.new for each in steps):
        _demand_devices(desk, [each.order.device for each in steps if each.new and each.order.device])
    rows = [(each.order.type, each.order.title, each.order.device, each.order.options, each.spends) for each in steps]
    table(
        f"Would be done at {where.called}: {desk.owner}, by {where.config_file}",
        ("job", "title", "device", "options", "spends"),
        rows,
    )
    if any(each.new for each in steps):
        note(f"The list of {where.called} was not asked: a job that was ordered elsewhere is found there and used.")
    spent = spent_today(desk.records(), desk.owner)
    note(f"Submitted there today, by this ledger: {spent}. Nothing was sent or written.")
    return [each.facts for each in steps]


def agree(desk: Desk, orders: Sequence[Order], again: bool, yes: bool) -> None:
    """Ask before jobs of a real account are spent, where somebody can be asked. Raises click.Abort on a no."""
    if desk.connection.rehearsal:
        return
    if again:  # whether the last one has ended decides what is spent
        for order in orders:
            last = latest(desk.records(), order.base(desk.connection))
            if last and last.job_id:
                glimpsed(desk, last)
    new = sum(_spends(desk, order, again) for order in orders)
    if new == 0:
        return
    spent = spent_today(desk.records(), desk.owner)
    text = f"This spends {new} job{'s' * (new != 1)} at {desk.connection.api_url} ({spent} today so far)."
    if yes or not sys.stdin.isatty():
        note(text)
    else:
        click.confirm(f"{text} Go on?", default=True, abort=True, err=True)


def _spends(desk: Desk, order: Order, again: bool) -> bool:
    last = latest(desk.records(), order.base(desk.connection))
    if last is None and not again:
        return not marked(desk.marked, order.key(desk.connection))
    if again and last and last.job_id:
        return last.finished
    return step(desk, order, again).new


def _demand_devices(desk: Desk, wanted: Sequence[str]) -> None:
    if not desk.connection.rehearsal:
        note("Whether AI Hub has the device was not asked.")
        return
    known = [device.name for device in recorded()]
    for name in wanted:
        if name not in known:
            raise UnknownNameError("device", name, nearest(name, known) or known)
