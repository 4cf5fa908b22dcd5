"""Before anything is done: what a command would do, whether it was done before, and may it?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ..console import note, table
from ..hub_folder import HubFolder
from .client import Hub
from .connection import DEFAULT, LOCAL, Connection, config_path, read_connection
from .desk import Desk
from .dispatch import latest
from .history import records, spent_today
from .ledger import Ledger
from .order import Order


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
        yield Desk(Hub(connection), ledger, folder)


def what_would_be_done(desk: Desk, order: Order, again: bool) -> str:
    """One clause: which job would be used again, or that one would be spent."""
    last = latest(
        [each for each in records(desk.ledger) if each.hub == desk.connection.identity], order.base(desk.connection)
    )
    if last is None or last.job_id is None:
        return (
            "a new job" if last is None or not last.in_doubt else "a look for the job that was cut off, else a new one"
        )
    if again and last.finished:
        return f"a new job beside {last.job_id} ({(last.state or '').lower()})"
    return f"none: {last.job_id} is used again ({(last.state or '').lower()})"


def show(desk: Desk, orders: Sequence[Order], again: bool) -> None:
    """The plan as a table on stdout."""
    rows = [
        (order.type, order.title, order.device, order.options, what_would_be_done(desk, order, again))
        for order in orders
    ]
    where = desk.connection
    place = f"{where.called}: {where.identity}, by {where.config_file}"
    table(f"Would be done at {place}", ("job", "title", "device", "options", "spends"), rows)
    spent = spent_today(records(desk.ledger), where.identity)
    note(f"Submitted there today, by this ledger: {spent}. Nothing was sent or written.")


def agree(desk: Desk, orders: Sequence[Order], again: bool, yes: bool) -> None:
    """Ask before jobs of a real account are spent, where somebody can be asked. Raises click.Abort on a no."""
    plans = [what_would_be_done(desk, order, again) for order in orders]
    new = sum(not plan.startswith("none") for plan in plans)
    if desk.connection.rehearsal or new == 0:
        return
    spent = spent_today(records(desk.ledger), desk.connection.identity)
    text = f"This spends {new} job{'s' * (new != 1)} at {desk.connection.api_url} ({spent} today so far)."
    if yes or not sys.stdin.isatty():
        note(text)
    else:
        click.confirm(f"{text} Go on?", default=True, abort=True, err=True)
