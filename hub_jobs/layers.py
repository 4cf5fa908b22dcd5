"""The slowest layers as a picture: one bar each, its colour the compute unit, so that a fallback is seen at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..data.frame import Rgb
from ..data.pictures import FONT, FONT_SIZE, INK, PAPER
from ..errors import InputError
from .verdict import NPU, UNKNOWN_UNIT, Layer, Profile

# Okabe and Ito's palette (2008), apart for colour-blind eyes too; RGB.
COLOURS = {NPU: (0, 158, 115), "GPU": (86, 180, 233), "CPU": (213, 94, 0), UNKNOWN_UNIT: (150, 150, 150)}
OTHER_COLOUR = (204, 121, 167)  # a unit that this client's successor may name

MARGIN_PX, LINE_PX, ROW_PX, BAR_PX = 16, 24, 22, 14
NAME_PX, TYPE_PX, LONGEST_BAR_PX, NUMBER_PX = 430, 170, 360, 210
WIDTH_PX = 2 * MARGIN_PX + NAME_PX + TYPE_PX + LONGEST_BAR_PX + NUMBER_PX


def picture(profile: Profile, title: str, most: int = 20) -> Rgb:
    """(H, W, 3) uint8. The `most` slowest layers, slowest on top, numbered by their place in the model.

    title: says what measured, "Samsung Galaxy S24" or "this CPU (stand-in), not a device"
    Shares are of the sum over all layers. Where not every layer has a time, the bars are cycles and the picture says
    so: both are never mixed.
    Raises InputError where the layers have neither.
    """
    costs, unit = _costs(profile.layers)
    order = sorted(range(len(costs)), key=lambda index: -costs[index])[:most]  # stable: ties in the model's order
    total, longest = sum(costs), max(costs)
    head = [title, _subtitle(len(order), len(costs), total, unit)]
    sheet = np.full((2 * MARGIN_PX + (len(head) + 1) * LINE_PX + len(order) * ROW_PX, WIDTH_PX, 3), PAPER, np.uint8)
    for line, text in enumerate(head):
        _write(sheet, _fitted(text, WIDTH_PX - 2 * MARGIN_PX), MARGIN_PX, MARGIN_PX + (line + 1) * LINE_PX - 8)
    top = MARGIN_PX + len(head) * LINE_PX
    _legend(sheet, profile, top)
    bar_left = MARGIN_PX + NAME_PX + TYPE_PX
    for row, index in enumerate(order):
        layer, cost = profile.layers[index], costs[index]
        upper = top + LINE_PX + row * ROW_PX
        base = upper + BAR_PX
        _write(sheet, _fitted(f"{index + 1}  {layer.name}", NAME_PX - 10), MARGIN_PX, base)
        _write(sheet, _fitted(layer.type, TYPE_PX - 10), MARGIN_PX + NAME_PX, base)
        length = round(LONGEST_BAR_PX * cost / longest) if longest else 0
        sheet[upper + 2 : upper + 2 + BAR_PX, bar_left : bar_left + length] = colour_of(layer.compute_unit)
        share = f"{100 * cost / total:.1f} %" if total else "0 %"
        _write(sheet, f"{_amount(cost, unit)}  {share}", bar_left + length + 8, base)
    return sheet


def colour_of(compute_unit: str) -> tuple[int, int, int]:
    return COLOURS.get(compute_unit, OTHER_COLOUR)


def _costs(layers: Sequence[Layer]) -> tuple[list[float], str]:
    """What each layer costs, and in which unit: "ms", or "cycles" where a layer lacks a time."""
    times = [layer.time_ms for layer in layers if layer.time_ms is not None]
    if layers and len(times) == len(layers):
        return times, "ms"
    cycles = [float(layer.cycles) for layer in layers if layer.cycles is not None]
    if layers and len(cycles) == len(layers):
        return cycles, "cycles"
    raise InputError("This profile gives no time and no cycles for its layers.", "There is no picture to draw of it.")


def _subtitle(shown: int, layers: int, total: float, unit: str) -> str:
    which = f"All {layers} layers" if shown == layers else f"The {shown} slowest of {layers} layers"
    what = "times" if unit == "ms" else "cycles (this profile has no times)"
    return f"{which}, {what}; shares are of all layers' sum, {_amount(total, unit)}"


def _amount(cost: float, unit: str) -> str:
    return f"{cost:.3f} ms" if unit == "ms" else f"{cost:,.0f} cycles"


def _legend(sheet: Rgb, profile: Profile, top: int) -> None:
    """Every compute unit of the model with its number of layers, on one line."""
    left = MARGIN_PX
    for name, unit in profile.units.items():
        sheet[top + 3 : top + 3 + BAR_PX, left : left + BAR_PX] = colour_of(name)
        text = f"{name}: {unit.layers} layer{'' if unit.layers == 1 else 's'}"
        _write(sheet, text, left + BAR_PX + 6, top + BAR_PX + 1)
        left += BAR_PX + 6 + _width(text) + 24


def _fitted(text: str, width: int) -> str:
    """The text, or its beginning and its end around dots: a layer's name differs at both ends.

    Letters outside ASCII become "?", as the font has no others.
    """
    text = text.encode("ascii", "replace").decode()
    if _width(text) <= width:
        return text
    kept = len(text)
    while kept > 2 and _width(shortened := f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}") > width:
        kept -= 1
    return shortened


def _width(text: str) -> int:
    return cv2.getTextSize(text, FONT, FONT_SIZE, 1)[0][0]


def _write(sheet: Rgb, text: str, left: int, base: int) -> None:
    cv2.putText(sheet, text, (left, base), FONT, FONT_SIZE, INK, 1, cv2.LINE_AA)
