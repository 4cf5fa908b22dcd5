"""The zoo as tables. What was published and measured, and what is estimated here, never share a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...console import note, table
from ...contract import CURRENT as CONTRACT
from ...hub_jobs.htp.estimate import Estimate, NoEstimate
from ...hub_jobs.verdict import milliseconds
from ...train.zoo.variants import WEIGHTS, Published, Variant

if TYPE_CHECKING:
    from .latency import Estimated

COLUMNS = ("name", "works at", "emits", "written as", "published by", "F-Score", "MEASURED by them, ms")
NONE = "-"


def show_zoo(variants: Sequence[Variant]) -> None:
    """The tables of `lpcv zoo`."""
    rows = [
        (
            one.name, f"{one.size}x{one.size}", f"{one.kind}: {one.output}", written(one), one.published.who,
            NONE if one.published.f_score is None else f"{one.published.f_score:.2f}", _measured(one.published),
        )
        for one in variants
    ]  # fmt: skip
    table("Depth-Anything-V2-Small, as it was submitted", COLUMNS, rows, names=True)
    lessons = [(one.name, one.teaches, one.licence, one.published.source) for one in variants]
    table("What each teaches", ("name", "teaches", "licence", "source"), lessons, names=True)
    note(f"Scores and latencies are the teams' own; the budget is {CONTRACT.latency_budget_ms:g} ms.")
    for kind, name in WEIGHTS.items():
        note(f"Weights of the {kind} ones: {name}")


def show_estimates(found: Sequence[Estimated], device: str, runtime: str) -> None:
    """The table of `lpcv zoo estimate`, and what the estimates rest on."""
    rows = [
        (
            one.variant.name,
            "every node" if one.fits else "no",
            _estimated(one.told),
            _measured(one.variant.published),
        )
        for one in found
    ]
    columns = ("name", f"fits the {device}", f"ESTIMATED here, ms, {device}, {runtime}", "MEASURED by its team, ms")
    table("Estimated beside measured: another device, another year's compiler", columns, rows, names=True)
    for one in found:
        if not one.fits:
            note(f"{one.variant.name}: {' '.join(one.misfits[:3]) or one.outcome.sentence}")
        elif isinstance(one.told, NoEstimate):
            note(f"{one.variant.name}: {one.told.sentence}")
    for basis in dict.fromkeys(one.told.basis for one in found if isinstance(one.told, Estimate)):
        note(f"Basis: {basis}.")


def written(variant: Variant) -> str:
    """ "mirrored and averaged, split heads, batchnorm" """
    return ", ".join(
        [*(["mirrored and averaged"] if variant.flip else []), f"{variant.heads} heads", variant.normalisation]
    )


def _measured(published: Published) -> str:
    if published.latency_ms is None:
        return NONE
    return f"{published.latency_ms:g} ({published.device or 'device not published'})"


def _estimated(told: Estimate | NoEstimate | None) -> str:
    if not isinstance(told, Estimate):
        return NONE
    return f"{milliseconds(told.ms)} ({milliseconds(told.low_ms)} to {milliseconds(told.high_ms)})"
