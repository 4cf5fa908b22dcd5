"""Which rows a nearest Resize takes: as ONNX defines it, and as the emulator does it."""

from __future__ import annotations

import math


def nearest_rows(size: int, new_size: int, coordinates: str, rounding: str) -> list[int]:
    """Which of `size` rows each of `new_size` rows is taken from, as ONNX defines Resize (operators, Resize-19).

    Raises KeyError for a mode that is not among them.
    """
    rounded = {
        "floor": math.floor,
        "ceil": math.ceil,
        "round_prefer_floor": lambda at: math.ceil(at - 0.5),
        "round_prefer_ceil": lambda at: math.floor(at + 0.5),
    }[rounding]
    return [min(max(rounded(_source(at, size, new_size, coordinates)), 0), size - 1) for at in range(new_size)]


def emulated_rows(size: int, new_size: int, coordinates: str) -> list[int]:
    """Which rows the emulator takes, whatever nearest_mode says: measured for eleven pairs of sizes.

    It knows "half pixel centres" and "align corners", rounding half up, and else rounds asymmetric coordinates down;
    pytorch_half_pixel counts as neither.
    """
    if coordinates in ("half_pixel", "align_corners"):
        return nearest_rows(size, new_size, coordinates, "round_prefer_ceil")
    return nearest_rows(size, new_size, "asymmetric", "floor")


def _source(at: int, size: int, new_size: int, coordinates: str) -> float:
    scale = new_size / size
    return {
        "half_pixel": (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel": (at + 0.5) / scale - 0.5 if new_size > 1 else 0.0,
        "align_corners": at * (size - 1) / (new_size - 1) if new_size > 1 else 0.0,
        "asymmetric": at / scale,
    }[coordinates]
