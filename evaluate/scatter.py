"""Per-frame scatter: one model's value against another's, equal scales, the diagonal between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..data.frame import Rgb
from ..data.pictures import FONT, INK, PAPER

SIDE, LEFT, TOP, RIGHT, BOTTOM = 560, 86, 82, 24, 62  # pixels: the square of the axes and what lies around it
SMALL, LARGE = 0.42, 0.52
OURS, BASELINE, EVEN, LINE = (0, 114, 178), (213, 94, 0), (110, 110, 110), (222, 222, 222)  # told apart colour-blind
NAMED = 6  # outliers that get their name
TICKS = 8
LEGEND = 100  # pixels of a legend's line for its dot and the word at its end


@dataclass(frozen=True)
class Axis:
    """The range that both axes share, and where its ticks stand."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, values: npt.NDArray[np.float64]) -> Axis:
        """A twentieth more than the values at either end; ticks at 1, 2 or 5 times a power of ten."""
        low, high = float(values.min()), float(values.max())
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        low, high = low - margin, high + margin
        rough = (high - low) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
        return cls(low, high, tuple(step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)))

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def text(self, tick: float) -> str:
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        return f"{tick:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def scatter(
    pairs: Mapping[str, tuple[float, float]], labels: tuple[str, str], metric: str, unit: str, better: str
) -> Rgb:
    """(H, W, 3) uint8. One point per frame, labels[0]'s value to the right, labels[1]'s upwards.

    pairs: frame -> (value of labels[0], value of labels[1]), finite; better: "higher" or "lower"
    A point is blue where labels[1] is better, orange where labels[0] is, grey on the diagonal; the black cross is the
    mean. The frames whose difference is least like the others' have their names.
    """
    canvas = np.full((TOP + SIDE + BOTTOM, LEFT + SIDE + RIGHT, 3), PAPER, np.uint8)
    _write(canvas, f"{metric} per frame, {unit}; {better} is better", (LEFT, 22), LARGE)
    if not pairs:
        _write(canvas, "no frame has a value from both", (LEFT + 20, TOP + 40), LARGE)
        return canvas
    values = np.array(list(pairs.values()), np.float64)
    axis = Axis.around(values)
    _frame(canvas, axis, labels)
    gain = (values[:, 1] - values[:, 0]) * (1 if better == "higher" else -1)
    places = [_place(axis, x, y) for x, y in values]
    _points(canvas, places, [OURS if g > 0 else BASELINE if g < 0 else EVEN for g in gain])
    mean = _place(axis, *values.mean(axis=0))
    cv2.drawMarker(canvas, mean, INK, cv2.MARKER_CROSS, 16, 2, cv2.LINE_AA)
    unlike = np.abs(gain - np.median(gain))
    names = list(pairs)
    named = [(names[at], places[at]) for at in np.argsort(-unlike, kind="stable")[:NAMED] if unlike[at] > 0]
    _names(canvas, named, [*places, mean])
    _legend(canvas, labels, (int((gain > 0).sum()), int((gain < 0).sum()), len(gain)))
    return canvas


def _place(axis: Axis, x: float, y: float) -> tuple[int, int]:
    """Pixel (column, row) of a point."""
    return LEFT + round(SIDE * axis.share(float(x))), TOP + SIDE - round(SIDE * axis.share(float(y)))


def _frame(canvas: Rgb, axis: Axis, labels: tuple[str, str]) -> None:
    """Grid, ticks, the diagonal, the box, and the names of the axes."""
    for tick in axis.ticks:
        column, row = _place(axis, tick, tick)
        cv2.line(canvas, (column, TOP), (column, TOP + SIDE), LINE, 1)
        cv2.line(canvas, (LEFT, row), (LEFT + SIDE, row), LINE, 1)
        text = axis.text(tick)
        width = _width(text, SMALL)
        _write(canvas, text, (column - width // 2, TOP + SIDE + 18), SMALL)
        _write(canvas, text, (LEFT - 8 - width, row + 5), SMALL)
    cv2.line(canvas, (LEFT, TOP + SIDE), (LEFT + SIDE, TOP), EVEN, 1, cv2.LINE_AA)
    cv2.rectangle(canvas, (LEFT, TOP), (LEFT + SIDE, TOP + SIDE), INK, 1)
    right, up = (_shortened(label, SIDE, LARGE) for label in labels)
    _write(canvas, right, (LEFT + (SIDE - _width(right, LARGE)) // 2, TOP + SIDE + 46), LARGE)
    strip = np.full((24, SIDE, 3), PAPER, np.uint8)
    _write(strip, up, ((SIDE - _width(up, LARGE)) // 2, 17), LARGE)
    canvas[TOP : TOP + SIDE, 6:30] = cv2.rotate(strip, cv2.ROTATE_90_COUNTERCLOCKWISE)


def _points(canvas: Rgb, places: Sequence[tuple[int, int]], colours: Sequence[tuple[int, int, int]]) -> None:
    """Half transparent, so that a crowd is darker than a single frame."""
    radius = 5 if len(places) <= 200 else 3
    for (column, row), colour in zip(places, colours, strict=True):
        rows, columns = slice(row - radius - 1, row + radius + 2), slice(column - radius - 1, column + radius + 2)
        patch = canvas[rows, columns]
        dot = patch.copy()
        cv2.circle(dot, (radius + 1, radius + 1), radius, colour, cv2.FILLED, cv2.LINE_AA)
        canvas[rows, columns] = cv2.addWeighted(dot, 0.6, patch, 0.4, 0)


def _names(canvas: Rgb, named: Sequence[tuple[str, tuple[int, int]]], points: Sequence[tuple[int, int]]) -> None:
    """Beside their points, on the first side that is free; a name that finds no room is left out."""
    taken = [(column - 6, row - 6, column + 6, row + 6) for column, row in points]
    for name, (column, row) in named:
        text = _shortened(name, 140, SMALL)
        width = _width(text, SMALL)
        for left, base in (
            (column + 9, row + 4), (column - 9 - width, row + 4),
            (column - width // 2, row - 10), (column - width // 2, row + 20),
        ):  # fmt: skip
            box = (left, base - 11, left + width, base + 3)
            inside = box[0] > LEFT and box[2] < LEFT + SIDE and box[1] > TOP and box[3] < TOP + SIDE
            if inside and not any(_overlap(box, other) for other in taken):
                _write(canvas, text, (left, base), SMALL)
                taken.append(box)
                break


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(canvas: Rgb, labels: tuple[str, str], counts: tuple[int, int, int]) -> None:
    """Above the axes, a line each (a label may say what computed a job): who is better in how many frames."""
    ours, baseline, frames = counts
    for label, count, colour, row in ((labels[1], ours, OURS, 44), (labels[0], baseline, BASELINE, 64)):
        tail = f" better: {count} of {frames}"
        text = f"{_shortened(label, SIDE - LEGEND - _width(tail, SMALL), SMALL)}{tail}"
        cv2.circle(canvas, (LEFT + 6, row), 5, colour, cv2.FILLED, cv2.LINE_AA)
        _write(canvas, text, (LEFT + 17, row + 4), SMALL)
    column = LEFT + SIDE - 60
    cv2.drawMarker(canvas, (column + 6, 44), INK, cv2.MARKER_CROSS, 12, 2, cv2.LINE_AA)
    _write(canvas, "mean", (column + 17, 48), SMALL)


def _shortened(text: str, most_px: int, size: float) -> str:
    """The END of a text that is too long, behind two dots: paths differ there. Letters that cv2 cannot draw become ?"""
    plain = text.encode("ascii", "replace").decode()
    if _width(plain, size) <= most_px:
        return plain
    while plain and _width(f"..{plain}", size) > most_px:
        plain = plain[1:]
    return f"..{plain}"


def _width(text: str, size: float) -> int:
    return cv2.getTextSize(text, FONT, size, 1)[0][0]


def _write(canvas: Rgb, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(canvas, text, at, FONT, size, INK, 1, cv2.LINE_AA)
