"""The solids that scenes are made of, with exact ray intersection.

World coordinates are metres: x right, y forward, z up. A ray is an origin and a direction, each a triple of arrays that
broadcast with one another (an origin may be plain numbers); `intersect` gives the parameter t of the first hit in front
of the origin, +inf where there is none. With directions whose component along the optical axis is 1, t IS the depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .textures import Floats, Material, Vector

Triple = tuple[Any, Any, Any]
T_MIN = 1e-4
TINY = 1e-12


class Surface(NamedTuple):
    """At points on a shape: outward unit normals (three (N,) arrays) and surface coordinates u, v (N,) in metres."""

    normal: tuple[Floats, Floats, Floats]
    u: Floats
    v: Floats


@dataclass(frozen=True)
class Rectangle:
    """A flat rectangle, seen from both sides; `edge_u` and `edge_v` are perpendicular, in metres."""

    corner: Vector
    edge_u: Vector
    edge_v: Vector
    material: Material

    def intersect(self, origin: Triple, direction: Triple) -> Floats:
        normal = _unit(_cross(self.edge_u, self.edge_v))
        offset = tuple(c - o for c, o in zip(self.corner, origin, strict=True))
        t = _dot(offset, normal) / _away_from_zero(_dot(direction, normal))
        inside = t > T_MIN
        for edge in (self.edge_u, self.edge_v):
            along = t * _dot(direction, edge) - _dot(offset, edge)
            inside &= (along >= 0) & (along <= _dot(edge, edge))
        return np.where(inside, t, np.float32(np.inf))

    def surface(self, point: Triple) -> Surface:
        normal = _unit(_cross(self.edge_u, self.edge_v))
        offset = tuple(p - c for p, c in zip(point, self.corner, strict=True))
        ones = np.ones_like(point[0])
        u, v = _dot(offset, _unit(self.edge_u)), _dot(offset, _unit(self.edge_v))
        return Surface((normal[0] * ones, normal[1] * ones, normal[2] * ones), u, v)

    def bounds(self) -> tuple[Vector, Vector]:
        sums = [(c, c + u, c + v, c + u + v) for c, u, v in zip(self.corner, self.edge_u, self.edge_v, strict=True)]
        return _vector(min(s) for s in sums), _vector(max(s) for s in sums)


@dataclass(frozen=True)
class Box:
    """A solid box with half-sizes `half`, rotated by `yaw` (radians, anticlockwise from above) about its vertical."""

    centre: Vector
    half: Vector
    yaw: float
    material: Material

    def intersect(self, origin: Triple, direction: Triple) -> Floats:
        start, heading = self._local(origin, self.centre), self._local(direction, (0.0, 0.0, 0.0))
        near, far = np.float32(-np.inf), np.float32(np.inf)
        for o, d, half in zip(start, heading, self.half, strict=True):
            inverse = 1 / _away_from_zero(d)
            middle, reach = -o * inverse, half * np.abs(inverse)
            near, far = np.maximum(near, middle - reach), np.minimum(far, middle + reach)
        return np.where((near <= far) & (near > T_MIN), near, np.float32(np.inf))

    def surface(self, point: Triple) -> Surface:
        x, y, z = self._local(point, self.centre)
        depths = [np.abs(p) - h for p, h in zip((x, y, z), self.half, strict=True)]
        on_x = (depths[0] >= depths[1]) & (depths[0] >= depths[2])
        on_z = ~on_x & (depths[2] > depths[1])
        nx = np.where(on_x, np.sign(x), np.float32(0))
        ny = np.where(on_x | on_z, np.float32(0), np.sign(y))
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        normal = (cos * nx - sin * ny, sin * nx + cos * ny, np.where(on_z, np.sign(z), np.float32(0)))
        u = np.where(on_x, y + self.half[1], x + self.half[0])
        return Surface(normal, u, np.where(on_z, y + self.half[1], z + self.half[2]))

    def bounds(self) -> tuple[Vector, Vector]:
        cos, sin = abs(math.cos(self.yaw)), abs(math.sin(self.yaw))
        half = (cos * self.half[0] + sin * self.half[1], sin * self.half[0] + cos * self.half[1], self.half[2])
        return _around(self.centre, half)

    def _local(self, vector: Triple, centre: Vector) -> Triple:
        x, y, z = (v - c if c else v for v, c in zip(vector, centre, strict=True))
        if self.yaw == 0:
            return x, y, z
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return cos * x + sin * y, cos * y - sin * x, z


@dataclass(frozen=True)
class Sphere:
    """A solid sphere."""

    centre: Vector
    radius: float
    material: Material

    def intersect(self, origin: Triple, direction: Triple) -> Floats:
        offset = tuple(o - c for o, c in zip(origin, self.centre, strict=True))
        a, b = _dot(direction, direction), _dot(offset, direction)
        return _first_root(a, b, _dot(offset, offset) - self.radius**2)

    def surface(self, point: Triple) -> Surface:
        x, y, z = ((p - c) / self.radius for p, c in zip(point, self.centre, strict=True))
        u, v = np.arctan2(y, x) * self.radius, np.arcsin(np.clip(z, -1, 1)) * self.radius
        return Surface((x, y, z), u, v)

    def bounds(self) -> tuple[Vector, Vector]:
        return _around(self.centre, (self.radius, self.radius, self.radius))


@dataclass(frozen=True)
class Cylinder:
    """A solid vertical cylinder standing on the centre of its `base`."""

    base: Vector
    radius: float
    height: float
    material: Material

    def intersect(self, origin: Triple, direction: Triple) -> Floats:
        x, y, z = (o - b for o, b in zip(origin, self.base, strict=True))
        dx, dy, dz = direction
        a, b = dx * dx + dy * dy, x * dx + y * dy
        side = _first_root(np.maximum(a, TINY), b, x * x + y * y - self.radius**2)
        height = z + np.where(np.isfinite(side), side, 0) * dz
        side = np.where((height >= 0) & (height <= self.height), side, np.float32(np.inf))
        # A convex solid is entered once, so of the two lids only the one that faces the origin can be the first hit.
        lid = np.where(dz < 0, np.float32(self.height), np.float32(0))
        t = (lid - z) / _away_from_zero(dz)
        inside = (x + t * dx) ** 2 + (y + t * dy) ** 2 <= self.radius**2
        return np.minimum(side, np.where(inside & (t > T_MIN), t, np.float32(np.inf)))

    def surface(self, point: Triple) -> Surface:
        x, y, z = (p - b for p, b in zip(point, self.base, strict=True))
        radial = np.maximum(np.sqrt(x * x + y * y), TINY)
        to_lid = np.minimum(np.abs(z), np.abs(z - self.height))
        on_lid = to_lid < np.abs(radial - self.radius)
        up = np.where(z > 0.5 * self.height, np.float32(1), np.float32(-1))
        zero = np.float32(0)
        normal = (np.where(on_lid, zero, x / radial), np.where(on_lid, zero, y / radial), np.where(on_lid, up, zero))
        return Surface(normal, np.where(on_lid, x, np.arctan2(y, x) * self.radius), np.where(on_lid, y, z))

    def bounds(self) -> tuple[Vector, Vector]:
        x, y, z = self.base
        return (x - self.radius, y - self.radius, z), (x + self.radius, y + self.radius, z + self.height)


Shape = Rectangle | Box | Sphere | Cylinder


def _first_root(a: Any, b: Any, c: Any) -> Floats:
    """The smaller root of a t^2 + 2 b t + c = 0 where it is real and in front, else +inf."""
    discriminant = b * b - a * c
    t = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
    return np.where((discriminant > 0) & (t > T_MIN), t, np.float32(np.inf))


def _away_from_zero(value: Any) -> Any:
    """The value, with 0 made tiny so that dividing by it is harmless; others stay as they are in float32."""
    return value + np.float32(TINY)


def _dot(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _unit(a: Vector) -> Vector:
    length = math.sqrt(_dot(a, a))
    return a[0] / length, a[1] / length, a[2] / length


def _around(centre: Vector, half: Vector) -> tuple[Vector, Vector]:
    low = _vector(c - h for c, h in zip(centre, half, strict=True))
    return low, _vector(c + h for c, h in zip(centre, half, strict=True))


def _vector(values: Any) -> Vector:
    x, y, z = values
    return x, y, z
