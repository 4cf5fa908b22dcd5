"""A pinhole camera at a place: pixels to rays, points to pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..frame import Intrinsics
from .scene import Camera
from .shapes import Shape
from .textures import Floats, Vector

Points = tuple[Floats, Floats, Floats]


@dataclass(frozen=True)
class View:
    """A camera at a place. axes: unit vectors right, down, forward in world coordinates; size: (width, height)."""

    position: Vector
    axes: tuple[Vector, Vector, Vector]
    intrinsics: Intrinsics
    size: tuple[int, int]

    @classmethod
    def of(cls, camera: Camera, intrinsics: Intrinsics, size: tuple[int, int]) -> View:
        cos_yaw, sin_yaw = math.cos(camera.yaw), math.sin(camera.yaw)
        cos_pitch, sin_pitch = math.cos(camera.pitch), math.sin(camera.pitch)
        cos_roll, sin_roll = math.cos(camera.roll), math.sin(camera.roll)
        level = (cos_yaw, sin_yaw, 0.0)
        forward = (-sin_yaw * cos_pitch, cos_yaw * cos_pitch, sin_pitch)
        sunk = (-sin_yaw * sin_pitch, cos_yaw * sin_pitch, -cos_pitch)
        right = tuple(cos_roll * a + sin_roll * b for a, b in zip(level, sunk, strict=True))
        down = tuple(cos_roll * b - sin_roll * a for a, b in zip(level, sunk, strict=True))
        return cls(camera.position, (right, down, forward), intrinsics, size)  # pyright: ignore[reportArgumentType]

    def directions(self) -> Points:
        """Three (height, width) float32 arrays: world directions whose component along the optical axis is 1."""
        width, height = self.size
        x = ((np.arange(width) - self.intrinsics.cx) / self.intrinsics.fx).astype(np.float32)[None, :]
        y = ((np.arange(height) - self.intrinsics.cy) / self.intrinsics.fy).astype(np.float32)[:, None]
        right, down, forward = self.axes
        dx, dy, dz = (r * x + (d * y + f) for r, d, f in zip(right, down, forward, strict=True))
        return dx, dy, dz

    def project(self, point: Vector) -> tuple[float, float, float]:
        """Pixel column, pixel row and depth in metres of a world point in front of the camera."""
        offset = [p - o for p, o in zip(point, self.position, strict=True)]
        x, y, depth = (sum(a * o for a, o in zip(axis, offset, strict=True)) for axis in self.axes)
        lens = self.intrinsics
        return lens.cx + lens.fx * x / depth, lens.cy + lens.fy * y / depth, depth

    def unproject(self, column: float, row: float, depth_m: float) -> Vector:
        """The world point seen at a pixel with a depth along the optical axis."""
        lens = self.intrinsics
        along = ((column - lens.cx) / lens.fx * depth_m, (row - lens.cy) / lens.fy * depth_m, depth_m)
        x, y, z = (
            o + sum(a * axis[i] for a, axis in zip(along, self.axes, strict=True)) for i, o in enumerate(self.position)
        )
        return x, y, z

    def window(self, shape: Shape) -> tuple[slice, slice]:
        """Rows and columns that hold every pixel in which `shape` can appear."""
        width, height = self.size
        low, high = shape.bounds()
        right, down, forward = self.axes
        columns, rows, behind = [], [], 0
        for corner in product(*zip(low, high, strict=True)):
            offset = [c - o for c, o in zip(corner, self.position, strict=True)]
            depth = sum(a * o for a, o in zip(forward, offset, strict=True))
            if depth < 0.02:
                behind += 1
                continue
            columns.append(sum(a * o for a, o in zip(right, offset, strict=True)) / depth)
            rows.append(sum(a * o for a, o in zip(down, offset, strict=True)) / depth)
        if behind == 8:
            return slice(0, 0), slice(0, 0)
        if behind:
            return slice(0, height), slice(0, width)
        lens = self.intrinsics
        return (
            _clamped(lens.cy + lens.fy * min(rows), lens.cy + lens.fy * max(rows), height),
            _clamped(lens.cx + lens.fx * min(columns), lens.cx + lens.fx * max(columns), width),
        )


def scaled(intrinsics: Intrinsics, factor: float) -> Intrinsics:
    """The same camera on an image `factor` times as large, which keeps the image's edges, not its pixel centres."""
    centre = ((intrinsics.cx + 0.5) * factor - 0.5, (intrinsics.cy + 0.5) * factor - 0.5)
    return Intrinsics(intrinsics.fx * factor, intrinsics.fy * factor, *centre)


def _clamped(first: float, last: float, size: int) -> slice:
    start = min(max(math.floor(first), 0), size)
    return slice(start, min(max(math.ceil(last) + 1, start), size))
