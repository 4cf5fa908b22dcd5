"""The layers' costs as a table, and as bars with the three that cost most named above them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...console import count, note, result, table
from ...data.frame import Rgb
from ...data.pictures import FONT, INK, PAPER
from ...evaluate.numbers import number
from ...evaluate.official import OFFICIAL
from ...evaluate.report.charts import nice_step
from ...evaluate.statistics import FEW_FRAMES, Difference
from .sensitivity import ROUNDING, WORTH, LayerCost, Sensitivity, Values
from .show import NOTHING, small

Colour = tuple[int, int, int]

MOST_BARS = 24
LEFT, WIDTH, RIGHT, TOP, ROW, BOTTOM = 330, 560, 30, 156, 26, 46  # pixels
COST, REGAINED, LINE, WHISKER = (213, 94, 0), (0, 114, 178), (222, 222, 222), (90, 90, 90)  # told apart colour-blind
SMALL, LARGE = 0.42, 0.52


def show(found: Sensitivity) -> None:
    """Results on stdout; what must be known of them on stderr."""
    on = f"{count(len(found.frames), 'frame')} of {found.frames.root}"
    table(
        f"What {found.precision} costs {found.model}, layer by layer: {OFFICIAL.ranks} on {on} [95 % interval]",
        ("layer", "operator", "weights", "output changes by", "cost when alone quantized", "regained in 16 bits"),
        [_row(one) for one in found.costs],
        numbers=True,
    )
    exact, quantized = _mean(found.exact), _mean(found.quantized)
    result(f"{OFFICIAL.ranks}: float {_text(exact)}, all layers in {found.precision} {_text(quantized)}.")
    result(worst_line(found))
    if found.unscored:
        note(f"Not scored: {count(len(found.unscored), 'layer')} that change the output by "
             f"{small(found.unscored[0].change)} or less.")  # fmt: skip
    used = count(len(found.calibrated.frames.names), "frame")
    note(f"Calibrated with {used}; {len(found.both)} of the scored frames are among them.")
    if len(found.frames) < FEW_FRAMES:
        note(f"Only {count(len(found.frames), 'frame')}: an interval is too narrow then, and there is none below six.")


def worst_line(found: Sensitivity) -> str:
    """Those of the scored layers that cost most, three at most, by name, and whether their cost is real."""
    if not found.comparable:
        return "A frame has no score in float, so no layer's cost is known."
    named = ", ".join(f"{one.layer.name} ({_told(one.cost)})" for one in found.worst)
    return f"{_heading(found, ' when alone quantized')}{f': {named}' if named else ''}."


def _heading(found: Sensitivity, when: str = "") -> str:
    """What the named layers are: not all are scored, and not three need cost anything."""
    of, costing = f"the {len(found.costs)} scored{when}", len(found.worst)
    if costing == WORTH:
        return f"The three that cost most of {of}"
    return f"Of {of}, " + {0: "none costs anything", 1: "1 costs something"}.get(costing, f"{costing} cost something")


def draw(found: Sensitivity) -> Rgb:
    """(H, W, 3) uint8: for each layer the cost when it is alone quantized and what its 16 bits regain, worst above."""
    costs = found.costs[:MOST_BARS]
    height = TOP + ROW * max(len(costs), 1) + BOTTOM
    canvas = np.full((height, LEFT + WIDTH + RIGHT, 3), PAPER, np.uint8)
    title = f"What {found.precision} costs, layer by layer: "
    room = canvas.shape[1] - 32 - _width(title, LARGE)
    _write(canvas, title + _shortened(str(found.model), room, LARGE), (16, 22), LARGE)
    _write(canvas, _basis(found, len(costs)), (16, 44), SMALL)
    _write(canvas, f"{_heading(found)}{':' if found.worst else ''}", (16, 68), SMALL)
    for index, one in enumerate(found.worst):
        _write(canvas, f"{index + 1}. {one.layer.name}: {_told(one.cost)}", (16, 86 + 18 * index), SMALL)
    for column, text, colour in ((LEFT, "alone quantized: lost", COST), (LEFT + 200, "alone in 16 bits: regained",
                                                                         REGAINED)):  # fmt: skip
        cv2.rectangle(canvas, (column, 134), (column + 12, 144), colour, cv2.FILLED)
        _write(canvas, text, (column + 18, 144), SMALL)
    low, high = _range(costs)
    _axis(canvas, low, high, height - BOTTOM)
    for index, one in enumerate(costs):
        top = TOP + ROW * index
        _write(canvas, _shortened(f"{one.layer.name} ({one.layer.op_type})", LEFT - 24), (12, top + 17), SMALL)
        if one.cost is None:
            _write(canvas, "a frame has no score", (LEFT + 6, top + 17), SMALL)
            continue
        _bar(canvas, one.cost, COST, top + 3, (low, high))
        if one.regained is not None:
            _bar(canvas, one.regained, REGAINED, top + 13, (low, high))
    return canvas


def _basis(found: Sensitivity, drawn: int) -> str:
    """The score, the frames, and how many of the layers were scored and are drawn."""
    scored = len(found.costs)
    of = f"{scored} of {scored + len(found.unscored)} layers scored{f', {drawn} drawn' if drawn < scored else ''}"
    on = f"{count(len(found.frames), 'frame')} of {found.frames.root.resolve().name}"
    return f"{OFFICIAL.ranks} (of 100) on {on}; {of}"


def _row(one: LayerCost) -> tuple[str, ...]:
    regained = NOTHING if one.kept is None else _cost_text(one.regained)
    return (one.layer.name, one.layer.op_type, f"{one.layer.weights:,}", small(one.change), _cost_text(one.cost),
            regained)  # fmt: skip


def _told(difference: Difference | None) -> str:
    """The cost, and whether its interval tells it from 0."""
    in_doubt = difference is not None and not difference.real
    return f"{_cost_text(difference)}{', not told from 0' if in_doubt else ''}"


def _cost_text(difference: Difference | None) -> str:
    if difference is None:
        return "a frame has no score"
    low, high = difference.low, difference.high
    ends = "" if low is None or high is None else f" [{_text(low)}, {_text(high)}]"
    return f"{_text(difference.mean)}{ends}"


def _mean(values: Values) -> float | None:
    known = [value for value in values.values() if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _text(value: float | None) -> str:
    # An interval's end that is 0 but for rounding is 0.
    return number(OFFICIAL.ranks, 0.0 if value is not None and abs(value) < ROUNDING else value)


def _range(costs: Sequence[LayerCost]) -> tuple[float, float]:
    """Of the axis: all bars with their intervals, and 0."""
    shown = [each for one in costs for each in (one.cost, one.regained) if each is not None]
    ends = [0.0, *(end for each in shown for end in (each.mean, each.low, each.high) if end is not None)]
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (0.0, 1.0)


def _column(value: float, ends: tuple[float, float]) -> int:
    return LEFT + round(WIDTH * (value - ends[0]) / (ends[1] - ends[0]))


def _bar(
    canvas: Rgb, difference: Difference, colour: tuple[int, int, int], top: int, ends: tuple[float, float]
) -> None:
    """With its interval as a thin line."""
    left, right = sorted((_column(0.0, ends), _column(difference.mean, ends)))
    cv2.rectangle(canvas, (left, top), (max(right, left + 1), top + 8), colour, cv2.FILLED)
    if difference.low is not None and difference.high is not None:
        at = top + 4
        cv2.line(canvas, (_column(difference.low, ends), at), (_column(difference.high, ends), at), WHISKER, 1)


def _axis(canvas: Rgb, low: float, high: float, base: int) -> None:
    step = nice_step(high - low, 6)
    for index in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1):
        column = _column(index * step, (low, high))
        cv2.line(canvas, (column, TOP - 4), (column, base), INK if index == 0 else LINE, 1)
        text = f"{index * step:.6g}"
        _write(canvas, text, (column - _width(text) // 2, base + 18), SMALL)
    label = f"{OFFICIAL.ranks}; lines: 95 % intervals of the paired difference"
    _write(canvas, label, (LEFT, base + 38), SMALL)


def _shortened(text: str, most_px: int, size: float = SMALL) -> str:
    """The END of a name that is too long: names of one network begin alike."""
    if _width(text, size) <= most_px:
        return text
    while text and _width(f"..{text}", size) > most_px:
        text = text[1:]
    return f"..{text}"


def _width(text: str, size: float = SMALL) -> int:
    return cv2.getTextSize(text, FONT, size, 1)[0][0]


def _write(canvas: Rgb, text: str, at: tuple[int, int], size: float) -> None:
    plain = text.encode("ascii", "replace").decode()  # cv2 draws no other letters
    cv2.putText(canvas, plain, at, FONT, size, INK, 1, cv2.LINE_AA)
