"""What a scene is made of: camera, lamps, shapes, sky."""

from __future__ import annotations

from dataclasses import dataclass

from ..frame import Light, Place
from .shapes import Shape
from .textures import Vector

WHITE: Vector = (1.0, 1.0, 1.0)
TUNGSTEN: Vector = (1.0, 0.72, 0.42)
DUSK: Vector = (0.35, 0.5, 1.0)


@dataclass(frozen=True)
class Camera:
    """position in metres; yaw (0 looks along +y, anticlockwise from above), pitch (up) and roll in radians."""

    position: Vector
    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Lamp:
    """A lamp at `position`, or, where `reach_m` is given, a sun in the direction `position` (a unit vector).

    size_m: radius of what shines, which softens shadows (for a sun: of its disc, as seen from a metre away)
    facing: the way a window shines; None = every way
    reach_m: how far a sun's shadows are followed
    """

    position: Vector
    colour: Vector
    power: float
    size_m: float
    facing: Vector | None = None
    reach_m: float | None = None


@dataclass(frozen=True)
class Scene:
    """shell: walls, floor, ground, which throw no shadows of note; objects: everything else."""

    place: Place
    light: Light
    shell: tuple[Shape, ...]
    objects: tuple[Shape, ...]
    lamps: tuple[Lamp, ...]
    ambient: Vector
    camera: Camera
    sky_horizon: Vector = (0.0, 0.0, 0.0)
    sky_zenith: Vector = (0.0, 0.0, 0.0)
    cloudiness: float = 0.0

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.shell + self.objects
