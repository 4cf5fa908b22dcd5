"""Choosing things and finding room for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .furniture import Maker
from .textures import Vector


def pick(rng: np.random.Generator, things: Sequence[tuple[Maker, float, float]]) -> tuple[Maker, float]:
    weights = np.array([weight for _, _, weight in things])
    maker, radius, _ = things[int(rng.choice(len(things), p=weights / weights.sum()))]
    return maker, radius


def inside(rng: np.random.Generator, width: float, length: float, radius: float) -> tuple[float, float, float] | None:
    x, y = width / 2 - radius, length / 2 - radius
    if x <= 0 or y <= 0:
        return None
    return rng.uniform(-x, x), rng.uniform(-y, y), rng.uniform(0, 2 * math.pi)


def against_wall(
    rng: np.random.Generator, width: float, length: float, radius: float
) -> tuple[float, float, float] | None:
    wall = rng.integers(4)
    span, other = (width, length) if wall < 2 else (length, width)
    back = min(radius, 0.45) if radius < 1.2 else 1.02
    if span / 2 <= radius or other / 2 <= back:
        return None
    along, away = rng.uniform(-span / 2 + radius, span / 2 - radius), other / 2 - back
    return [
        (along, away, 0.0), (along, -away, math.pi), (-away, along, math.pi / 2), (away, along, -math.pi / 2),
    ][wall]  # fmt: skip


def is_free(x: float, y: float, radius: float, taken: Sequence[tuple[float, float, float]]) -> bool:
    return all(math.hypot(x - a, y - b) > 0.85 * radius + r for a, b, r in taken)


def between(a: Vector, b: Vector, share: float) -> Vector:
    red, green, blue = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return red, green, blue
