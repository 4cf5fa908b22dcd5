"""Vectorised ray casting: what a pinhole camera sees of a scene, and the light on it.

`look` gives exact depth along the optical axis, incidence and albedo at any image size; `light` adds lamps, sun, sky,
shadows and ambient occlusion. Everything is float32 and runs on one core; shapes are tested only inside the rectangle
that their bounds project to, shadow rays only where a shape can be in the way of a tile of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from .scene import Lamp, Scene
from .shapes import Shape, Triple
from .textures import Floats, Vector, noise, paint
from .view import Points, View

TILE = 16
DITHER = 4
OFF_SURFACE_M = 0.004
OCCLUSION_REACH_M = 0.7
PENUMBRA_M = 4.0  # a sun's soft edges are exact for what stands nearer than this to its shadow
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What each pixel of a view shows; height x width arrays, float32 unless said otherwise.

    depth_m: (H, W) along the optical axis, +inf for the sky
    incidence: (H, W) cosine between surface normal and line of sight, 0 for the sky
    albedo: (H, W, 3) linear, 0 for the sky
    normal, direction: three (H, W) arrays each; the normal faces the camera, `direction` is not of unit length
    gloss, emission: (H, W)
    """

    depth_m: Floats
    incidence: Floats
    albedo: Floats
    normal: Points
    direction: Points
    gloss: Floats
    emission: Floats


def cast(shapes: Sequence[Shape], view: View) -> tuple[Floats, npt.NDArray[np.int16]]:
    """Depth along the optical axis (H, W) float32 metres, +inf = nothing hit, and the index of the shape, -1 = none."""
    direction = view.directions()
    depth_m = np.full(direction[0].shape, np.inf, np.float32)
    index = np.full(direction[0].shape, -1, np.int16)
    for number, shape in enumerate(shapes):
        window = view.window(shape)
        seen = depth_m[window]
        if seen.size == 0:
            continue
        t = shape.intersect(view.position, (direction[0][window], direction[1][window], direction[2][window]))
        nearer = t < seen
        np.copyto(seen, t, where=nearer)
        np.copyto(index[window], np.int16(number), where=nearer)
    return depth_m, index


def look(scene: Scene, view: View) -> Seen:
    """Everything about the view but the light."""
    shapes = scene.shapes
    depth_m, index = cast(shapes, view)
    direction = view.directions()
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    pixels = depth_m.size
    incidence, gloss, emission = (np.zeros(pixels, np.float32) for _ in range(3))
    albedo = np.zeros((pixels, 3), np.float32)
    normal = (np.zeros(pixels, np.float32), np.zeros(pixels, np.float32), np.zeros(pixels, np.float32))
    flat = tuple(d.ravel() for d in direction)
    flat_depth, flat_length = depth_m.ravel(), length.ravel()
    order = np.argsort(index.ravel(), kind="stable")
    ends = np.searchsorted(index.ravel()[order], np.arange(len(shapes) + 1))
    for number, shape in enumerate(shapes):
        where = order[ends[number] : ends[number + 1]]
        if where.size == 0:
            continue
        along = [d[where] for d in flat]
        depth = flat_depth[where]
        x, y, z = (o + depth * d for o, d in zip(view.position, along, strict=True))
        surface = shape.surface((x, y, z))
        cosine = -sum(n * d for n, d in zip(surface.normal, along, strict=True)) / flat_length[where]
        facing = np.where(cosine < 0, np.float32(-1), np.float32(1))
        cosine = np.abs(cosine)
        # Across the line of sight a pixel covers depth / f; along it 1 / cos more: take a mean of the two.
        footprint = depth / view.intrinsics.fx / np.maximum(cosine, 0.02) ** 0.7
        for target, component in zip(normal, surface.normal, strict=True):
            target[where] = facing * component
        incidence[where] = cosine
        albedo[where] = paint(shape.material, surface.u, surface.v, footprint)
        gloss[where], emission[where] = shape.material.gloss, shape.material.emission
    shape_of = depth_m.shape
    nx, ny, nz = (n.reshape(shape_of) for n in normal)
    return Seen(
        depth_m=depth_m,
        incidence=incidence.reshape(shape_of),
        albedo=albedo.reshape(*shape_of, 3),
        normal=(nx, ny, nz),
        direction=direction,
        gloss=gloss.reshape(shape_of),
        emission=emission.reshape(shape_of),
    )


def light(scene: Scene, view: View, seen: Seen) -> Floats:
    """Linear radiance (H, W, 3) float32 of the view, up to the camera's exposure. H and W are multiples of 16."""
    height, width = seen.depth_m.shape
    sky = ~np.isfinite(seen.depth_m)
    depth = np.where(sky, np.float32(1), seen.depth_m)
    nx, ny, nz = (_tiled(n) for n in seen.normal)
    normal = (nx, ny, nz)
    px, py, pz = (
        _tiled(o + depth * d) + OFF_SURFACE_M * n for o, d, n in zip(view.position, seen.direction, normal, strict=True)
    )
    point = (px, py, pz)
    tiles = _Tiles.of(point, normal, height, width)
    solid, gloss = ~_tiled(sky), _tiled(seen.gloss)
    sight = _unit_to(view.position, point) if gloss.any() else None

    open_sky = _ambient_openness(scene.shapes, point, normal, tiles)
    fill = open_sky * (0.7 + 0.3 * normal[2])
    arriving = [np.multiply(fill, c, dtype=np.float32) for c in scene.ambient]
    shining = [np.zeros_like(fill) for _ in range(3)]
    for lamp in scene.lamps:
        toward = _toward(lamp, point)
        squared = toward[0] ** 2 + toward[1] ** 2 + toward[2] ** 2
        distance = np.sqrt(squared)
        cosine = (normal[0] * toward[0] + normal[1] * toward[1] + normal[2] * toward[2]) / distance
        strength = np.maximum(cosine, 0) * solid
        if lamp.reach_m is None:
            strength *= lamp.power / (squared + 0.15)
            if lamp.facing is not None:
                strength *= np.maximum(-_dot(toward, lamp.facing) / distance, 0)
        else:
            strength *= lamp.power
        strength *= 1 - _shadow(scene.objects, point, toward, lamp, tiles, strength.max(axis=1) > 0)
        for target, colour in zip(arriving, lamp.colour, strict=True):
            target += colour * strength
        if sight is not None:
            hx, hy, hz = (s + t / distance for s, t in zip(sight, toward, strict=True))
            halfway = (hx, hy, hz)
            size = np.sqrt(_dot(halfway, halfway)) + 1e-6
            glint = gloss * strength * np.maximum(_dot(normal, halfway) / size, 0) ** 48
            for target, colour in zip(shining, lamp.colour, strict=True):
                target += colour * glint

    radiance = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        albedo = seen.albedo[..., channel]
        lit = _untiled(arriving[channel], height, width) + seen.emission
        radiance[..., channel] = albedo * lit + _untiled(shining[channel], height, width)
    if sky.any():
        radiance[sky] = _sky(scene, [d[sky] for d in seen.direction])
    return radiance


def _sky(scene: Scene, direction: Sequence[Floats]) -> Floats:
    """(N, 3) radiance: from the horizon's colour to the zenith's, with clouds."""
    x, y, z = direction
    elevation = np.clip(z / np.sqrt(x * x + y * y + z * z), 0, 1)[:, None]
    blend = 1 - (1 - elevation) ** 3
    horizon = np.array(scene.sky_horizon, np.float32)
    colour = horizon * (1 - blend) + np.array(scene.sky_zenith, np.float32) * blend
    height = np.maximum(z, 0.12 * np.sqrt(x * x + y * y))
    cloud = np.clip(0.5 * noise(x / height, y / height, 1.6) + scene.cloudiness - 0.5, 0, 1)[:, None]
    return colour + cloud * 0.7 * (1.1 * horizon.max() - colour)


@dataclass(frozen=True)
class _Tiles:
    """What bounds the points of each of T tiles of an image of height x width pixels.

    low, high: (T, 3) metres
    normal: (T, 3), and behind: (T,) metres, so that normal . p >= behind for each point p; behind is -inf for tiles
    that hold more than one normal
    """

    low: Floats
    high: Floats
    normal: Floats
    behind: Floats
    height: int
    width: int

    @classmethod
    def of(cls, point: Triple, normal: Triple, height: int, width: int) -> _Tiles:
        low, high = _extremes(point)
        least, most = _extremes(normal)
        offset = _dot(point, tuple(n[:, :1] for n in normal)).min(axis=1)  # pyright: ignore[reportArgumentType]
        flat = (most - least).max(axis=1) < 1e-4
        return cls(low, high, least, np.where(flat, offset, np.float32(-np.inf)), height, width)

    def rises(self, low: Floats, high: Floats) -> Flags:
        """(T,) whether some of the box from `low` to `high` lies before a tile's surface; else it hides no light."""
        farthest = np.where(self.normal > 0, high, low)
        return (self.normal * farthest).sum(axis=1) > self.behind


def _extremes(values: Triple) -> tuple[Floats, Floats]:
    """Least and greatest of each component in each tile, (T, 3) each."""
    return np.stack([v.min(axis=1) for v in values], axis=1), np.stack([v.max(axis=1) for v in values], axis=1)


def _shadow(objects: Sequence[Shape], point: Triple, toward: Triple, lamp: Lamp, tiles: _Tiles, lit: Flags) -> Floats:
    """Share of the light kept away, (T, TILE * TILE) in [0, 1]; `toward`: to the lamp; `lit`: (T,) tiles it reaches."""
    blocked = np.zeros(point[0].shape, np.bool_)
    # One beam for each tile, from its middle to the lamp's, as wide as the tile and the lamp.
    start = (tiles.low + tiles.high) / 2
    inverse = 1 / (np.stack([t.mean(axis=1) for t in toward], axis=1) + np.float32(1e-9))
    width = np.sqrt(((tiles.high - tiles.low) ** 2).sum(axis=1, keepdims=True)) / 2
    width += lamp.size_m * min(lamp.reach_m or 1.0, PENUMBRA_M)
    spread = _jittered(toward, lamp)
    for shape in objects:
        if shape.material.emission:  # a lamp's own globe
            continue
        low, high = (np.array(corner, np.float32) for corner in shape.bounds())
        first, second = (low - width - start) * inverse, (high + width - start) * inverse
        enter, leave = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
        crossed = (enter <= leave) & (leave > 0) & (enter < 1)
        _block(shape, lit & crossed & tiles.rises(low, high), point, spread, blocked)
    return _smoothed(blocked, tiles)


def _ambient_openness(shapes: Sequence[Shape], point: Triple, normal: Triple, tiles: _Tiles) -> Floats:
    """How much of the surroundings each point sees within reach, (T, TILE * TILE), from 0.25 (a corner) to 1."""
    bend = _dither_vectors(DITHER)
    toward = tuple(OCCLUSION_REACH_M * (n + 0.95 * b) for n, b in zip(normal, bend, strict=True))
    blocked = np.zeros(point[0].shape, np.bool_)
    for shape in shapes:
        low, high = (np.array(corner, np.float32) for corner in shape.bounds())
        gap = np.maximum(np.maximum(low - tiles.high, tiles.low - high), 0)
        near = (gap**2).sum(axis=1) < (1.95 * OCCLUSION_REACH_M) ** 2
        _block(shape, near & tiles.rises(low, high), point, toward, blocked)
    return 1 - 0.75 * _smoothed(blocked, tiles)


def _block(shape: Shape, near: Flags, point: Triple, toward: Triple, blocked: Flags) -> None:
    chosen = np.flatnonzero(near)
    if chosen.size == 0:
        return
    start, ray = tuple(p[chosen] for p in point), tuple(t[chosen] for t in toward)
    blocked[chosen] |= shape.intersect(start, ray) < 1


def _toward(lamp: Lamp, point: Points) -> Points:
    """From each point to the lamp's centre, or as far towards a sun as its shadows reach; metres."""
    if lamp.reach_m is None:
        x, y, z = (c - p for c, p in zip(lamp.position, point, strict=True))
    else:
        x, y, z = (np.full_like(p, lamp.reach_m * c) for c, p in zip(lamp.position, point, strict=True))
    return x, y, z


def _jittered(toward: Points, lamp: Lamp) -> Points:
    """The same, to another spot on the lamp for each of DITHER x DITHER neighbouring pixels."""
    size = np.float32(lamp.size_m * (lamp.reach_m or 1))
    x, y, z = (t + size * d for t, d in zip(toward, _dither_vectors(DITHER), strict=True))
    return x, y, z


@cache
def _dither_vectors(side: int) -> Points:
    """Three (1, TILE * TILE) arrays: points spread evenly over the unit sphere, one for each pixel of side x side."""
    count = side * side
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * (math.pi * (3 - math.sqrt(5)))
    ring = np.sqrt(1 - z * z)
    repeats = TILE // side
    x, y, z = (
        np.tile(axis.astype(np.float32).reshape(side, side), (repeats, repeats)).reshape(1, TILE * TILE)
        for axis in (ring * np.cos(turn), ring * np.sin(turn), z)
    )
    return x, y, z


def _smoothed(blocked: Flags, tiles: _Tiles) -> Floats:
    """Mean over DITHER x DITHER neighbours, which turns the dither into soft shadows."""
    image = _untiled(blocked.astype(np.float32), tiles.height, tiles.width)
    return _tiled(cv2.blur(np.ascontiguousarray(image), (DITHER, DITHER)))


def _tiled(image: npt.NDArray[np.generic]) -> Floats:
    """(H, W) -> (tiles, TILE * TILE), so that a tile's pixels are neighbours in memory."""
    height, width = image.shape
    blocks = image.reshape(height // TILE, TILE, width // TILE, TILE).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks).reshape(-1, TILE * TILE)  # pyright: ignore[reportReturnType]


def _untiled(tiles: Floats, height: int, width: int) -> Floats:
    blocks = tiles.reshape(height // TILE, width // TILE, TILE, TILE).transpose(0, 2, 1, 3)
    return blocks.reshape(height, width)


def _unit_to(place: Vector, point: Triple) -> Triple:
    x, y, z = (c - p for c, p in zip(place, point, strict=True))
    length = np.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def _dot(a: Triple, b: Triple) -> Floats:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
