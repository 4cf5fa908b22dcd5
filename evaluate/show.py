"""A score as tables and lines on stdout, with what must be known of it on stderr."""

from __future__ import annotations

from collections.abc import Iterator

from ..console import count, note, result, some, table
from .numbers import number, unit_and_direction, with_interval
from .protocol import Protocol
from .result import Score
from .statistics import FEW_FRAMES


def show(score: Score, on_what: str, *, always_groups: bool = False) -> None:
    """The means with their intervals and protocols, the breakdowns; every reason for a missing or misleading value.

    always_groups: also where there is only one group
    """
    everything = (score, *score.beside)
    names = [each.protocol.name for each in everything]
    keys = list(dict.fromkeys(key for each in everything for key in each.protocol.metrics))
    table(f"{score.source} on {on_what}: mean [95 % interval]", ("metric", *names, "unit; better"),
          _means(everything, keys))  # fmt: skip
    for each in everything:
        result(told(each.protocol))
    if always_groups or len(score.groups) > 1:
        _show_groups(score)
    if score.parts:
        _show_parts(score)
    for each in everything:
        for line in remarks(each):
            note(line)
    if len(score.frames) < FEW_FRAMES:
        note(f"Only {count(len(score.frames), 'frame')}: an interval is too narrow then, and there is none below six.")


def told(protocol: Protocol) -> str:
    """The protocol in a paragraph: all that decides what its numbers can be set beside."""
    said = protocol.described()
    parts = "; ".join(f"{key} {said[key]}" for key in ("resize", "valid", "crop", "cap", "alignment", "aggregation"))
    return f"{protocol.name}: {parts}. Source: {protocol.source}."


def remarks(score: Score) -> Iterator[str]:
    """One line for each thing that must be known of these numbers: size, stopped frames, NaN, values that mislead."""
    name, of_all = score.protocol.name, f"of {count(len(score.frames), 'frame')}"
    if score.size_warning:
        yield f"{name}: {score.size_warning}."
    reasons: dict[str, list[str]] = {}
    for frame in score.stopped:
        reasons.setdefault(frame.stopped or "", []).append(frame.frame)
    for reason, frames in reasons.items():
        yield f"{name}: NO score for {len(frames)} {of_all}, left out of the mean ({some(frames)}): {reason}."
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
        yield f"{name}: in {some(frames)} {reason}."
    misled: dict[str, list[str]] = {}
    for frame in score.frames:
        for key, line in frame.remarks.items():
            misled.setdefault(key, []).append(f"{frame.frame}: {line}")
    for key, lines in misled.items():
        yield f"{name}: {key} misleads in {len(lines)} {of_all}, e.g. {lines[0]}."


def _means(scores: tuple[Score, ...], keys: list[str]) -> Iterator[tuple[str, ...]]:
    for key in keys:
        cells = [
            with_interval(key, score.mean.values[key], score.intervals[key]) if key in score.protocol.metrics else ""
            for score in scores
        ]
        yield (f"{key} (ranks)" if key == scores[0].protocol.ranks else key, *cells, unit_and_direction(key))


def _show_groups(score: Score) -> None:
    ranks = score.protocol.ranks
    others = [key for key in score.protocol.metrics if key != ranks][:4]
    rows = [
        (
            label,
            _scored_of(group.frames, group.stopped),
            with_interval(ranks, group.mean.values[ranks], group.interval),
            *(number(key, group.mean.values[key]) for key in others),
        )
        for label, group in score.groups.items()
    ]
    table("By group", ("group", "frames", f"{ranks} [95 % interval]", *others), rows, numbers=True)


def _show_parts(score: Score) -> None:
    keys = [key for key in next(iter(score.parts.values())) if key not in ("frames", "pixels")]
    rows = [
        (part, f"{means['frames']}", f"{means['pixels']:,}", *(number(key, means[key]) for key in keys))
        for part, means in score.parts.items()
    ]
    title = "By depth and confidence (means over the frames that have them)"
    table(title, ("part", "frames", "pixels", *keys), rows, numbers=True)


def _scored_of(frames: int, stopped: int) -> str:
    return f"{frames - stopped} of {frames}" if stopped else f"{frames}"
