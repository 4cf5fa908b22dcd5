"""What a person sees: notes and progress on stderr, results on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Item = TypeVar("Item")
LINE_EVERY_S = 10.0


def note(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def result(text: str) -> None:
    """One line on stdout."""
    print(text, flush=True)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are: "a, b, c and 4 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def count(number: int, noun: str, ending: str = "s") -> str:
    """ "1 frame", "2,000 frames", "3 batches". ending: of the plural"""
    return f"{number:,} {noun}{ending * (number != 1)}"


def next_step(command: str) -> None:
    """The next likely command, on stderr."""
    note(f"Next: {command}")


class Steps:
    """Which step of how many has begun, on stderr, for a command that takes minutes in each of them."""

    def __init__(self, total: int) -> None:
        self.total, self.begun = total, 0

    def begin(self, what: str) -> None:
        self.begun += 1
        note(f"Step {self.begun} of {self.total}: {what}")

    def remain(self, number: int) -> None:
        """So many are still to come, where it turned out to be fewer than were planned."""
        self.total = self.begun + number


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False, names: bool = False
) -> None:
    """A table on stdout, its title above it.

    numbers: every column after the first is right-aligned; names: the first is for typing again, and is never folded
    """
    result(title)
    drawn = Table()
    for index, column in enumerate(columns):
        drawn.add_column(
            escape(column), justify="right" if numbers and index else "left", overflow="fold",
            no_wrap=names and not index,
        )  # fmt: skip
    for row in rows:
        drawn.add_row(*(escape(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 140).print(drawn)


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items; show how many are done and the time left (a bar on a terminal, else a line now and then)."""
    known = total if total is not None else len(items) if isinstance(items, Sequence) else None
    with Meter(what, known) as meter:
        for item in items:
            yield item
            meter.advance()


class Meter:
    """A progress bar with the time left, on stderr; where stderr is no terminal, a line every ten seconds."""

    def __init__(self, what: str, total: int | None, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self._began_at, self._began_with = time.monotonic(), done
        self._last_line = self._began_at
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}"), console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._bar.add_task(what, total=total, completed=done, detail="")

    def __enter__(self) -> Meter:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        else:
            note(f"{self.what}: {self.done} done in {time.monotonic() - self._began_at:.0f} s")

    def advance(self, detail: str = "") -> None:
        self.done += 1
        if self._bar:
            self._bar.update(self._task, advance=1, detail=detail)
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            note(f"{self.what}: {self.done}{self._left(now)} {detail}".rstrip())

    def _left(self, now: float) -> str:
        if self.total is None:
            return ""
        rate = (self.done - self._began_with) / (now - self._began_at)
        return f"/{self.total}, about {(self.total - self.done) / rate:.0f} s left"
