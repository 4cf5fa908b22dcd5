"""Where everything of a histogram goes; `parts.html.jinja` draws it. Lengths are in units of the drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 640, 250
# The plot's edges; below the base stand the axis' numbers and its label, at the right half of the last number has room.
LEFT, RIGHT, TOP, BASE = 46, 606, 28, 204
FEWEST_BINS, MOST_BINS = 8, 32
FAR_OUT = 10  # so many widths of the middle half above it, a value goes into the last, open bin
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Bins:
    """edges: n + 1 round numbers; counts: n, of the values from edge to edge; beyond: how many lie above the last."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    beyond: int


@dataclass(frozen=True)
class Column:
    """Of one bin, as it is drawn; title: what a mouse over it is told."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Histogram:
    """label: of the horizontal axis, with its unit; told: the same in words, for who cannot see it.

    mean: its line, None where there is no mean; band: left end and width of the mean's interval, None likewise
    """

    label: str
    told: str
    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mean: Tick | None
    band: tuple[float, float] | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    base: int = BASE


def histogram(
    values: Sequence[float], label: str, mean: float | None = None, interval: tuple[float, float] | None = None
) -> Histogram:
    """How many frames have which value. values: at least one, finite; interval: of the mean."""
    bins = bins_of(values)
    low, high = bins.edges[0], bins.edges[-1]
    step = bins.edges[1] - low
    end = high + 2 * step if bins.beyond else high  # room for the open bin
    tallest = max(*bins.counts, bins.beyond)

    def x_of(value: float) -> float:
        return round(LEFT + (min(max(value, low), end) - low) / (end - low) * (RIGHT - LEFT), 1)

    def y_of(count: float) -> float:
        return round(BASE - count / tallest * (BASE - TOP), 1)

    def column(left: float, right: float, count: int, what: str) -> Column:
        x, width = x_of(left), max(x_of(right) - x_of(left) - 1, 0.5)
        return Column(x + 0.5, y_of(count), round(width, 1), round(BASE - y_of(count), 1), f"{what}: {_frames(count)}")

    columns = [
        column(left, right, count, f"{left:g} to {right:g}")
        for left, right, count in zip(bins.edges, bins.edges[1:], bins.counts, strict=False)
    ]
    x_ticks = [Tick(x_of(value), f"{value:g}") for value in _ticks(low, high)]
    if bins.beyond:
        columns.append(column(high + step, end, bins.beyond, f"above {high:g}"))
        clear_of_it = [tick for tick in x_ticks if tick.at < x_of(high) - 20]
        x_ticks = [*clear_of_it, Tick(x_of(high + 1.5 * step), f"> {high:g}")]
    y_step = max(1, round(nice_step(tallest, 4)))
    return Histogram(
        label=label,
        told=_told(values, mean),
        columns=tuple(columns),
        x_ticks=tuple(x_ticks),
        y_ticks=tuple(Tick(y_of(count), str(count)) for count in range(0, tallest + 1, y_step)),
        mean=None if mean is None else Tick(x_of(mean), f"mean {mean:.4g}"),
        band=None if interval is None else (x_of(interval[0]), round(max(x_of(interval[1]) - x_of(interval[0]), 1), 1)),
    )


def bins_of(values: Sequence[float]) -> Bins:
    """Between 8 and 32 bins of equal, round width over finite values, at least one.

    Values extremely far above the rest (one frame whose abs_rel explodes) are counted as `beyond`, so that the others
    can still be told apart.
    """
    column = np.asarray(values, np.float64)
    lower, upper = np.percentile(column, (25, 75))
    fence = upper + FAR_OUT * (upper - lower) if upper > lower else np.inf
    inside = column[column <= fence]
    low, high = float(inside.min()), float(inside.max())
    wanted = min(max(2 * math.isqrt(len(column)), FEWEST_BINS), MOST_BINS)
    step = nice_step((high - low) or abs(low) or 1.0, wanted)
    first = math.floor(low / step)
    last = max(math.ceil(high / step) - 1, first)  # the last bin holds its upper edge: no percentage lies above 100
    edges = tuple(float(f"{index * step:.12g}") for index in range(first, last + 2))
    # Counted by the same floor that made the edges, so that rounding loses nobody at an end.
    places = np.minimum(np.floor(inside / step).astype(int), last) - first
    counts = np.bincount(places, minlength=last - first + 1)
    return Bins(edges, tuple(int(count) for count in counts), len(column) - len(inside))


def nice_step(span: float, parts: int) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that cuts `span` into at most `parts`."""
    rough = span / parts
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor for factor in NICE if factor * power >= rough * (1 - 1e-9)) * power


def _ticks(low: float, high: float) -> list[float]:
    step = nice_step(high - low, 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _told(values: Sequence[float], mean: float | None) -> str:
    lower, middle, upper = np.percentile(values, (25, 50, 75))
    told = f"{_frames(len(values))} from {min(values):.4g} to {max(values):.4g}; the middle half from {lower:.4g} to "
    return f"{told}{upper:.4g}, median {middle:.4g}" + ("" if mean is None else f", mean {mean:.4g}")


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
