"""Scene i of a seed, drawn from one generator per (seed, index)."""

from __future__ import annotations

import numpy as np

from ..frame import Light, Place
from .rooms import draw_room
from .scene import Scene
from .streets import draw_street

LOW_LIGHT_SHARE = 0.25


def draw_scene(seed: int, index: int, attempt: int = 0) -> Scene:
    """Scene `index` of `seed`; even ones are rooms, odd ones streets. `attempt` draws another in its place."""
    rng = np.random.default_rng((seed, index, attempt))
    place, light = conditions(seed, index)
    return draw_room(rng, light == "low") if place == "indoor" else draw_street(rng, light == "low")


def conditions(seed: int, index: int) -> tuple[Place, Light]:
    """Place and light of a scene, without drawing it; the same for every attempt."""
    low = np.random.default_rng((seed, index)).random() < LOW_LIGHT_SHARE
    return "indoor" if index % 2 == 0 else "outdoor", "low" if low else "normal"
