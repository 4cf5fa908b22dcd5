"""What stands on the page, as plain texts: every number is formatted here, nothing is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...console import count
from ...data.folder import FrameFolder
from ..breakdown import GroupMean, labels_of
from ..frame_score import FrameScore
from ..kinds import MEANINGS
from ..metrics import FACTS
from ..numbers import number
from ..result import Score
from ..show import remarks
from ..statistics import METHOD, Interval
from .charts import Histogram, histogram
from .pictures import ColourBar, Pictures, Tile

NOTHING = "–"  # noqa: RUF001
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Headline:
    """One of the large numbers at the top."""

    what: str
    value: str
    more: str


@dataclass(frozen=True)
class SummaryRow:
    key: str
    mean: str
    interval: str
    unit: str
    better: str
    ranks: bool


@dataclass(frozen=True)
class Summary:
    """The means under one protocol, and what that protocol is.

    interval_method: how the intervals were found; empty where there is none
    remarks: a line for each thing that must be known of these numbers
    """

    protocol: str
    rows: tuple[SummaryRow, ...]
    interval_method: str
    described: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Breakdown:
    title: str
    columns: Cells
    rows: tuple[Cells, ...]


@dataclass(frozen=True)
class PictureRow:
    """reason: why one of its metrics is not finite, or misleads; empty where none is."""

    frame: str
    scores: tuple[tuple[str, str], ...]
    reason: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Line:
    """A frame in the table of all. cells: exact value (None where there is none) and text; anchor: its picture row."""

    frame: str
    condition: str
    cells: tuple[tuple[str | None, str], ...]
    anchor: int | None


@dataclass(frozen=True)
class Contents:
    """Everything that the template puts on the page; its fields are in the page's order."""

    protocol: str
    source: str
    data: str
    frames_total: str
    trained_on: int | None
    headlines: tuple[Headline, ...]
    summaries: tuple[Summary, ...]
    stopped: tuple[FrameScore, ...]
    charts: tuple[Histogram, ...]
    breakdowns: tuple[Breakdown, ...]
    pictures_note: str
    bars: tuple[ColourBar, ...]
    rows: tuple[PictureRow, ...]
    metrics: tuple[tuple[str, str], ...]
    has_conditions: bool
    table: tuple[Line, ...]
    kind: str
    source_sha256: str
    data_sha256: str


def contents_of(score: Score, frames: FrameFolder, pictures: Pictures) -> Contents:
    """frames: those that were scored; pictures: of some of them, in the order in which they are to be shown."""
    has_conditions = any((record.place, record.light) != ("unknown", "unknown") for record in frames.records.values())
    conditions = labels_of(frames)
    anchors = {name: index for index, name in enumerate(pictures.rows, start=1)}
    by_name = {frame.frame: frame for frame in score.frames}
    return Contents(
        protocol=score.protocol.name,
        source=score.source,
        data=str(frames.root),
        frames_total=count(len(score.frames), "frame"),
        trained_on=score.trained_on,
        headlines=_headlines(score),
        summaries=tuple(_summary(each) for each in (score, *score.beside)),
        stopped=score.stopped,
        charts=_charts(score),
        breakdowns=_breakdowns(score),
        pictures_note=_note(score, pictures),
        bars=pictures.bars,
        rows=tuple(_picture_row(score, by_name[name], tiles) for name, tiles in pictures.rows.items()),
        metrics=tuple((key, _meaning(key)) for key in score.protocol.metrics),
        has_conditions=has_conditions,
        table=tuple(
            Line(frame.frame, conditions[frame.frame], _cells(score, frame), anchors.get(frame.frame))
            for frame in score.frames
        ),
        kind=f"{score.kind}, {MEANINGS[score.kind]}",
        source_sha256=score.source_sha256,
        data_sha256=score.data_sha256,
    )


def worst_first(score: Score) -> list[FrameScore]:
    """The scored frames by the metric that ranks; those without a finite value of it come before all others."""
    key = score.protocol.ranks
    sign = 1 if FACTS[key].better == "higher" else -1

    def order(frame: FrameScore) -> tuple[bool, float, str]:
        value = frame.values[key]
        return value is not None, 0.0 if value is None else sign * value, frame.frame

    return sorted((frame for frame in score.frames if frame.stopped is None), key=order)


def shown(key: str, value: float | None) -> str:
    return number(key, value, NOTHING)


def _headlines(score: Score) -> tuple[Headline, ...]:
    key = score.protocol.ranks
    interval = score.intervals.get(key)
    spread = f"95 % interval {_interval(key, interval)}; " if interval else ""
    stopped = f"{len(score.stopped)} without a score" if score.stopped else "every frame has a score"
    headlines = [
        Headline(f"mean {key}", shown(key, score.mean.values[key]), f"{spread}{_meaning(key)}"),
        Headline("frames scored", f"{len(score.frames) - len(score.stopped):,}", stopped),
    ]
    if score.trained_on is not None:
        headlines.append(Headline("frames trained on", f"{score.trained_on:,}", "by folder and name"))
    return tuple(headlines)


def _summary(score: Score) -> Summary:
    rows = tuple(
        SummaryRow(
            key=key,
            mean="not finite" if score.mean.values[key] is None else shown(key, score.mean.values[key]),
            interval=_interval(key, score.intervals.get(key)),
            unit=FACTS[key].unit,
            better=FACTS[key].better,
            ranks=key == score.protocol.ranks,
        )
        for key in score.protocol.metrics
    )
    described = tuple((key.replace("_", " "), _text(value)) for key, value in score.protocol.described().items())
    return Summary(
        protocol=score.protocol.name,
        rows=rows,
        interval_method=METHOD if any(interval is not None for interval in score.intervals.values()) else "",
        described=described,
        remarks=tuple(remarks(score)),
    )


def _meaning(key: str) -> str:
    return f"{FACTS[key].unit}, {FACTS[key].better} is better"


def _interval(key: str, interval: Interval | None) -> str:
    return f"{shown(key, interval[0])} to {shown(key, interval[1])}" if interval else NOTHING


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _charts(score: Score) -> tuple[Histogram, ...]:
    """Of every metric that has finite values, the one that ranks first."""
    charts = []
    for key in sorted(score.protocol.metrics, key=lambda key: key != score.protocol.ranks):
        values = [value for frame in score.frames if (value := frame.values[key]) is not None]
        if values:
            label = f"{key}, {FACTS[key].unit}"
            charts.append(histogram(values, label, score.mean.values[key], score.intervals.get(key)))
    return tuple(charts)


def _breakdowns(score: Score) -> tuple[Breakdown, ...]:
    groups = (_groups(score.groups, score.protocol.metrics),) if len(score.groups) > 1 else ()
    return (*groups, _parts(score.parts)) if score.parts else groups


def _groups(groups: Mapping[str, GroupMean], metrics: Sequence[str]) -> Breakdown:
    rows = tuple(
        (name, f"{group.frames:,}", f"{group.stopped:,}", *(shown(key, group.mean.values[key]) for key in metrics))
        for name, group in groups.items()
    )
    return Breakdown("By group", ("group", "frames", "without a score", *metrics), rows)


def _parts(parts: Mapping[str, Mapping[str, float | None]]) -> Breakdown:
    metrics = tuple(dict.fromkeys(key for part in parts.values() for key in part if key in FACTS))
    rows = tuple(
        (name, *(f"{part[key]:,.0f}" for key in ("frames", "pixels")), *(shown(key, part.get(key)) for key in metrics))
        for name, part in parts.items()
    )
    return Breakdown(
        "By depth and confidence, means over the frames that have them", ("part", "frames", "pixels", *metrics), rows
    )


def _note(score: Score, pictures: Pictures) -> str:
    scored = len(score.frames) - len(score.stopped)
    if not pictures.rows:
        return pictures.note
    which = "All" if len(pictures.rows) == scored else f"The worst {len(pictures.rows)} of"
    ranks = f"{score.protocol.ranks}, {FACTS[score.protocol.ranks].better} is better"
    return f"{which} {count(scored, 'frame')} by {ranks}. {pictures.note}"


def _picture_row(score: Score, frame: FrameScore, tiles: tuple[Tile, ...]) -> PictureRow:
    keys = sorted(score.protocol.metrics, key=lambda key: key != score.protocol.ranks)
    reason = "; ".join(dict.fromkeys((*frame.reasons.values(), *frame.remarks.values())))
    return PictureRow(frame.frame, tuple((key, shown(key, frame.values[key])) for key in keys), reason, tiles)


def _cells(score: Score, frame: FrameScore) -> tuple[tuple[str | None, str], ...]:
    values = [(key, frame.values[key]) for key in score.protocol.metrics]
    return tuple((None if value is None else f"{value:.9g}", shown(key, value)) for key, value in values)
