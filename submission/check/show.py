"""The findings as a person sees them: a table, why each failure matters, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...console import count, next_step, note, table
from ...contract import CURRENT
from .findings import COLUMNS, Finding, State, failures, table_rows
from .latency import ESTIMATED, MEASURED

STATES: tuple[State, ...] = ("pass", "fail", "undecided")


def show(findings: Sequence[Finding], model: Path, data: Path | None, picture: Path | None) -> None:
    """picture: what was drawn for a failed finding of meaning, None where nothing was."""
    latencies = [finding for finding in findings if finding.name in (ESTIMATED, MEASURED)]
    rest = [finding for finding in findings if finding not in latencies]
    table(f"{model} against {CURRENT.name}", COLUMNS, table_rows(rest))
    if latencies:
        # Side by side and never below each other: an estimate is no measurement.
        table(
            f"Latency, the budget is {CURRENT.latency_budget_ms:g} ms",
            ("state", *(finding.name.capitalize() for finding in latencies)),
            [("state", *(finding.state for finding in latencies)), ("found", *(one.found for one in latencies))],
        )
    for finding in failures(findings):
        note(f"FAILED {finding.sentence()}")
    if picture:
        note(f"Look at {picture}.")
    said = ", ".join(f"{sum(one.state == state for one in findings)} {state}" for state in STATES)
    note(f"{count(len(findings), 'finding')}: {said}. --json FILE tells of each why it matters and what to do.")
    if not failures(findings):
        next_step(f"lpcv score {model} --data {data or 'DIR'}")
