"""Random streets and yards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .furniture import BACK_TO_WALL, IN_STREETS, block, car, cloth, colour, leaf, metal, painted, placed, warm, wood
from .placing import between, is_free, pick
from .scene import TUNGSTEN, WHITE, Camera, Lamp, Scene
from .shapes import Box, Cylinder, Rectangle, Shape, Sphere
from .textures import Material


def draw_street(rng: np.random.Generator, low: bool) -> Scene:
    """A street along y seen from its pavement, or a yard with a fence."""
    yard = rng.random() < 0.3
    eye = rng.uniform(0.9, 1.8)
    wall_x = -rng.uniform(1.0, 3.0)
    kerb_x = rng.uniform(1.2, 3.0)
    far_x = kerb_x + rng.uniform(4.0, 10.0)
    shell, objects = _yard(rng, wall_x, far_x) if yard else _street(rng, wall_x, kerb_x, far_x)
    stand = (rng.uniform(0.5 * wall_x, 0.6 * kerb_x), 0.0)
    turn = rng.uniform(-75, 75) if rng.random() < 0.75 else rng.uniform(55, 120)
    yaw, pitch = math.radians(turn), math.radians(rng.uniform(-28, 2))
    camera = Camera((*stand, eye), yaw, pitch, math.radians(rng.normal(0, 2.0)))

    taken = [(*stand, 0.35)]
    if not yard:
        y = rng.uniform(-5, 3)
        while y < 16:
            if rng.random() < 0.6:
                x = kerb_x + 1.05
                objects += placed(car(rng), x, y, 0, 0.0 if rng.random() < 0.5 else math.pi)
                taken.append((x, y, 2.2))
            y += rng.uniform(5.0, 6.5)
    for _ in range(rng.integers(8, 16)):
        maker, radius = pick(rng, IN_STREETS)
        near = rng.random() < 0.6
        angle, distance = yaw + rng.uniform(-0.6, 0.6), rng.uniform(1.0, 4.0) if near else rng.uniform(3.0, 11.0)
        x, y = stand[0] - math.sin(angle) * distance, stand[1] + math.cos(angle) * distance
        low_x, high_x = wall_x + radius, (far_x if yard else kerb_x) - 0.15
        back = maker in BACK_TO_WALL and not yard
        x = low_x if back else min(max(x, low_x), high_x)
        if low_x <= high_x and is_free(x, y, radius, taken):
            taken.append((x, y, radius))
            objects += placed(maker(rng), x, y, 0, math.pi / 2 if back else rng.uniform(0, 6.28))
    return _under_the_sky(rng, low, shell, objects, camera, kerb_x)


def _street(rng: np.random.Generator, wall_x: float, kerb_x: float, far_x: float) -> tuple[list[Shape], list[Shape]]:
    grey = rng.uniform(0.05, 0.16)
    asphalt = Material((grey, grey, grey), (2 * grey, 2 * grey, 2 * grey), "speckle", 0.03)
    light_grey = rng.uniform(0.25, 0.45)
    tone = (light_grey, light_grey * rng.uniform(0.9, 1.0), light_grey * rng.uniform(0.8, 1.0))
    paving = Material(tone, (0.12, 0.11, 0.1), str(rng.choice(["tiles", "bricks"])), rng.uniform(0.25, 0.6))
    kerb = Material((0.35, 0.34, 0.33), (0.1, 0.1, 0.1), "tiles", 1.0)
    line = Material((0.7, 0.7, 0.68))
    drop = 0.12
    road = Rectangle((kerb_x, -40.0, -drop), (far_x - kerb_x + 25, 0.0, 0.0), (0.0, 100.0, 0.0), asphalt)
    pavement = Rectangle((wall_x - 1, -40.0, 0.0), (kerb_x - wall_x + 1, 0.0, 0.0), (0.0, 100.0, 0.0), paving)
    shell: list[Shape] = [road, pavement, block(kerb_x - 0.07, 10, -drop, (0.14, 100, drop + 0.005), kerb)]
    shell.append(block((kerb_x + far_x) / 2 + 0.6, 10, -drop, (0.12, 100, 0.004), line))
    objects: list[Shape] = []
    for side, x in ((-1, wall_x), (1, far_x)):
        y = -20.0 - rng.uniform(0, 6)
        while y < 34:
            front, depth, top = rng.uniform(5, 11), 6.0, rng.uniform(3.0, 9.0)
            y += front
            if side > 0 and rng.random() < 0.2:
                continue
            centre = x + side * (depth / 2 + rng.uniform(0, 0.25))
            shell.append(block(centre, y - front / 2, -drop, (depth, front, top), _facade(rng)))
            objects += _doorstep(rng, side, centre - side * depth / 2, y - rng.uniform(0.25, 0.75) * front)
    end = rng.uniform(14, 40)
    if rng.random() < 0.6:
        size = (far_x - wall_x + 8, 6.0, rng.uniform(4, 9))
        shell.append(block((wall_x + far_x) / 2, end + 3, -drop, size, _facade(rng)))
    return shell, objects


def _doorstep(rng: np.random.Generator, side: int, x: float, y: float) -> list[Shape]:
    door = wood(rng) if rng.random() < 0.5 else painted(rng)
    stone = Material((0.4, 0.38, 0.35))
    parts: list[Shape] = [
        block(0, 0, 0, (1.25, 0.1, 2.3), stone),
        block(0, -0.03, 0, (0.95, 0.1, 2.1), door),
        Sphere((0.38, -0.1, 1.05), 0.035, metal(rng)),
        block(0, -0.25, 0, (1.3, 0.5, 0.13), stone),
    ]
    if rng.random() < 0.4:
        parts.append(block(0, -0.4, 2.45, (1.7, 0.9, 0.06), cloth(rng)))
    return placed(parts, x, y, 0, -side * math.pi / 2)


def _facade(rng: np.random.Generator) -> Material:
    kind, glass = rng.random(), (0.05, 0.06, 0.08)
    if kind < 0.55:
        return Material(colour(rng, (0.02, 0.28), (0.5, 0.92)), glass, "panes", rng.uniform(1.8, 3.0))
    tone = warm(rng, (0.35, 0.7))
    if kind < 0.9:
        return Material(tone, (0.45, 0.43, 0.4), "bricks", rng.uniform(0.22, 0.4))
    return Material(tone, (0.6 * tone[0], 0.6 * tone[1], 0.6 * tone[2]), "clouds", 0.6)


def _yard(rng: np.random.Generator, wall_x: float, far_x: float) -> tuple[list[Shape], list[Shape]]:
    grass, path = leaf(rng), Material((0.4, 0.36, 0.3), (0.25, 0.22, 0.18), "speckle", 0.05)
    grass = Material(grass.colour, grass.accent, "speckle", 0.05)
    shell: list[Shape] = [Rectangle((-40.0, -40.0, 0.0), (80.0, 0.0, 0.0), (0.0, 100.0, 0.0), grass)]
    shell.append(block(0, 10, 0, (rng.uniform(0.8, 1.6), 100, 0.012), path))
    fence, objects = wood(rng), []
    height, end = rng.uniform(0.9, 2.0), rng.uniform(6, 14)
    for start_x, start_y, width, depth in (
        (wall_x, 7.0, 0.05, 40.0), (far_x, 7.0, 0.05, 40.0), ((wall_x + far_x) / 2, end, far_x - wall_x, 0.05),
    ):  # fmt: skip
        shell.append(block(start_x, start_y, 0, (width, depth, height), fence))
    for spot in range(-10, 26, 2):
        objects.append(block(wall_x + 0.06, spot, 0, (0.1, 0.1, height + 0.1), fence))
    hut_x, hut_y = rng.uniform(wall_x + 2, far_x), rng.uniform(4.5, end)
    hut = (rng.uniform(1.8, 4.0), rng.uniform(1.8, 4.0), rng.uniform(2.0, 3.2))
    roof = block(0, 0, hut[2], (hut[0] + 0.4, hut[1] + 0.4, 0.15), wood(rng))
    objects += placed([block(0, 0, 0, hut, _facade(rng)), roof], hut_x, hut_y, 0, rng.uniform(-0.5, 0.5))
    objects.append(Box((0.5 * wall_x, end - 0.6, 0.45), (0.8, 0.35, 0.45), 0.0, leaf(rng)))
    return shell, objects


def _under_the_sky(
    rng: np.random.Generator, low: bool, shell: Sequence[Shape], objects: list[Shape], camera: Camera, kerb_x: float
) -> Scene:
    azimuth, elevation = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(25, 65))
    towards = (
        math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation),
    )  # fmt: skip
    if not low:
        overcast = rng.random() < 0.35
        power = rng.uniform(0.15, 0.4) if overcast else rng.uniform(1.2, 2.4)
        sun = Lamp(towards, (1.0, 0.94, 0.82), power, 0.1 if overcast else 0.012, reach_m=30.0)
        ambient = (0.6, 0.62, 0.66) if overcast else (0.4, 0.48, 0.62)
        horizon = (1.1, 1.15, 1.2) if overcast else (0.85, 0.98, 1.15)
        zenith = (0.8, 0.85, 0.95) if overcast else (0.2, 0.4, 0.9)
        cloudiness = 0.8 if overcast else rng.uniform(0, 0.6)
        sky = (horizon, zenith, cloudiness)
        return Scene("outdoor", "normal", tuple(shell), tuple(objects), (sun,), ambient, camera, *sky)
    lamps: list[Lamp] = []
    globe = Material((1.0, 0.8, 0.5), emission=6.0)
    tint = between(TUNGSTEN, WHITE, rng.uniform(0, 0.6))
    for y in (rng.uniform(1.5, 5.0), rng.uniform(8.0, 13.0)):
        x, height = kerb_x - 0.3, rng.uniform(2.8, 4.2)
        objects += [Cylinder((x, y, 0), 0.05, height, metal(rng)), Sphere((x, y, height), 0.16, globe)]
        lamps.append(Lamp((x, y, height), tint, rng.uniform(2.0, 4.0), 0.16))
    dusk = rng.uniform(0.03, 0.09)
    ambient = (0.7 * dusk, 0.85 * dusk, 1.2 * dusk)
    horizon, zenith = (1.3 * dusk, 0.9 * dusk, 0.9 * dusk), (0.12 * dusk, 0.2 * dusk, 0.5 * dusk)
    return Scene("outdoor", "low", tuple(shell), tuple(objects), tuple(lamps), ambient, camera, horizon, zenith, 0.2)
