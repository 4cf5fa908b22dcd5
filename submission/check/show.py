"""The findings as a person sees them: a table, why each failure matters, and what to type next."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...console import count, next_step, note, result
from ...contract import CURRENT
from .findings import COLUMNS, GROUPS, STATES, Finding, State, failures

WIDTH = 100
"""Columns where the output is no terminal."""
COLOURS: dict[State, str] = {"pass": "green", "fail": "bold red", "undecided": "yellow"}
RATIOS = {"expected": 2, "found": 3}
"""How columns share what width is left; a latency's two share it as their text wants."""
FAILED = "failed"


def show(findings: Sequence[Finding], model: Path, data: Path | None, json_file: Path | None = None) -> None:
    """json_file: where the findings were written to, None where nowhere."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    latencies = [finding for finding in findings if finding.group == "latency"]
    result(f"{model} against {CURRENT.name}")
    console.print(_table([finding for finding in findings if finding not in latencies]))
    if latencies:
        result(f"Latency, the budget is {CURRENT.latency_budget_ms:g} ms")
        console.print(_side_by_side(latencies))
    for finding in failures(findings):
        note(f"FAILED {finding.sentence()}")
    said = ", ".join(f"{sum(one.state == state for one in findings)} {state}" for state in STATES)
    more = f"Written to {json_file}." if json_file else "--json FILE says more of each."
    note(f"{count(len(findings), 'finding')}: {said}. {more}")
    if failures(findings):
        return
    meaning = [finding.state for finding in findings if finding.group == "meaning"]
    if set(meaning) == {"undecided"}:
        note("What the output means was not judged: that takes varied frames with truth.")
        next_step(f"lpcv check {model} --data DIR")
    elif model.is_dir() or model.suffix == ".onnx":  # what can be scored
        next_step(f"lpcv score {model} --data {data}")


def sections(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """What failed, then the rest by group in the order of the table; no finding twice, no empty section."""
    failed = failures(findings)
    rest = [finding for finding in findings if finding not in failed]
    grouped = {group: [one for one in rest if one.group == group] for group in (*GROUPS, "")}
    for heading, members in {FAILED: failed, **grouped}.items():
        if members:
            yield heading or "other", members


def _table(findings: Sequence[Finding]) -> Table:
    table = _columns(*COLUMNS)
    for heading, members in sections(findings):
        table.add_section()
        table.add_row(Text(heading, style=COLOURS["fail"] if heading == FAILED else "bold"))
        for one in members:
            table.add_row(Text(f"  {one.name}"), _state(one), Text(one.expected, style="dim"), Text(one.found))
    return table


def _side_by_side(latencies: Sequence[Finding]) -> Table:
    """Each in a column of its own, never below the other: an estimate is no measurement."""
    table = _columns("", *(finding.name for finding in latencies))
    table.add_row("state", *map(_state, latencies))
    table.add_row("found", *(Text(finding.found) for finding in latencies))
    return table


def _columns(first: str, *rest: str) -> Table:
    table = Table(box=HORIZONTALS, expand=True, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in rest:
        table.add_column(name, no_wrap=name == "state", overflow="fold", ratio=RATIOS.get(name))
    return table


def _state(finding: Finding) -> Text:
    return Text(finding.state, style=COLOURS[finding.state])
