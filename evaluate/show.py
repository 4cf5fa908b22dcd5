"""A score as tables on stdout, with what must be known of it on stderr."""

from __future__ import annotations

from collections.abc import Iterator

from ..console import note, table
from .metrics import FACTS
from .result import Score
from .statistics import Interval

MOST_NAMED = 5  # frames that a line names; all of them stand in the JSON


def show(score: Score, on_what: str) -> None:
    """The means with their intervals, the breakdowns, then every reason for a missing or misleading value."""
    everything = (score, *score.beside)
    for each in everything:
        _describe(each)
    columns = [column for each in everything for column in (each.protocol.name, "95 %")]
    keys = list(dict.fromkeys(key for each in everything for key in each.protocol.metrics))
    table(f"{score.source} on {on_what}: mean", ("metric", *columns, "unit", "better"), _means(everything, keys))
    if len(score.groups) > 1:
        _show_groups(score)
    if score.parts:
        _show_parts(score)
    for each in everything:
        for line in remarks(each):
            note(line)


def _describe(score: Score) -> None:
    """The protocol, in the lines that decide what its numbers can be set beside."""
    told = score.protocol.described()
    note(f"Protocol {told['name']}: {told['purpose']}")
    note(f"  resize: {told['resize']}; crop: {told['crop']}; cap: {told['cap']}")
    note(f"  valid: {told['valid']}; alignment: {told['alignment']}; {told['aggregation']}. Source: {told['source']}")


def remarks(score: Score) -> Iterator[str]:
    """One line for each thing that must be known of these numbers: stopped frames, NaN, values that mislead."""
    name, count = score.protocol.name, len(score.frames)
    reasons: dict[str, list[str]] = {}
    for frame in score.stopped:
        reasons.setdefault(frame.stopped or "", []).append(frame.frame)
    for reason, frames in reasons.items():
        number = f"{len(frames)} of {count} frames have NO score and are not in the mean"
        yield f"{name}: {number} ({_some(frames)}): {reason}."
    blamed: dict[str, list[str]] = {}
    for key, reason in score.mean.reasons.items():
        blamed.setdefault(reason, []).append(key)
    for reason, keys in blamed.items():
        yield f"{name}: {', '.join(keys)} {'is' if len(keys) == 1 else 'are'} not finite: {reason}."
    causes: dict[str, list[str]] = {}
    for frame in score.frames:
        for reason in dict.fromkeys(frame.reasons.values()):
            causes.setdefault(reason, []).append(frame.frame)
    for reason, frames in causes.items():
        yield f"{name}: in {_some(frames)} {reason}."
    misled: dict[str, list[str]] = {}
    for frame in score.frames:
        for key, line in frame.remarks.items():
            misled.setdefault(key, []).append(f"{frame.frame}: {line}")
    for key, lines in misled.items():
        yield f"{name}: {key} misleads in {len(lines)} of {count} frames, e.g. {lines[0]}."


def _means(scores: tuple[Score, ...], keys: list[str]) -> Iterator[tuple[str, ...]]:
    for key in keys:
        cells: list[str] = []
        for score in scores:
            known = key in score.protocol.metrics
            cells += [value_text(score.mean.values[key]) if known else "", interval_text(score.intervals.get(key))]
        better = FACTS[key].better + (" (this one ranks)" if key == scores[0].protocol.ranks else "")
        yield (key, *cells, FACTS[key].unit, better)


def _show_groups(score: Score) -> None:
    keys = _telling(score)
    rows = [
        (label, _count(group.frames, group.stopped), *(value_text(group.mean.values[key]) for key in keys))
        for label, group in score.groups.items()
    ]
    table("By group", ("group", "frames", *keys), rows, numbers=True)


def _show_parts(score: Score) -> None:
    keys = [key for key in next(iter(score.parts.values())) if key not in ("frames", "pixels")]
    rows = [
        (part, f"{means['frames']}", f"{means['pixels']:,}", *(value_text(means[key]) for key in keys))
        for part, means in score.parts.items()
    ]
    table("By depth and confidence (means over the frames that have them)", ("part", "frames", "pixels", *keys), rows,
          numbers=True)  # fmt: skip


def _telling(score: Score) -> list[str]:
    """The ranking metric and up to four more."""
    ranks = score.protocol.ranks
    return [ranks, *[key for key in score.protocol.metrics if key != ranks][:4]]


def value_text(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"


def interval_text(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _count(frames: int, stopped: int) -> str:
    return f"{frames - stopped} of {frames}" if stopped else f"{frames}"


def _some(frames: list[str]) -> str:
    more = len(frames) - MOST_NAMED
    return ", ".join(frames[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
