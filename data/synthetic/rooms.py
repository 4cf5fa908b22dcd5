"""Random furnished rooms."""

from __future__ import annotations

import math

import numpy as np

from .furniture import BACK_TO_WALL, IN_ROOMS, block, cloth, colour, metal, painted, placed, table, wood
from .placing import against_wall, between, inside, is_free, pick
from .scene import DUSK, TUNGSTEN, WHITE, Camera, Lamp, Scene
from .shapes import Cylinder, Rectangle, Shape, Sphere
from .textures import Material


def draw_room(rng: np.random.Generator, low: bool) -> Scene:
    """A furnished room, 2 to 8 m long."""
    width, length, height = rng.uniform(2.2, 6.5), rng.uniform(2.4, 8.0), rng.uniform(2.3, 3.1)
    shell = _room_shell(rng, width, length, height)
    eye = rng.uniform(0.8, 1.8)
    stand = (rng.uniform(-0.35, 0.35) * width, rng.uniform(-0.46, -0.1) * length)
    close_up = rng.random() < 0.3
    target = (rng.uniform(-0.5, 0.5) * width, rng.uniform(-0.1, 0.5) * length)
    yaw = math.atan2(stand[0] - target[0], target[1] - stand[1])
    pitch = math.radians(rng.uniform(-42, -18) if close_up else rng.uniform(-26, 6))
    camera = Camera((*stand, eye), yaw, pitch, math.radians(rng.normal(0, 2.0)))

    objects: list[Shape] = []
    taken: list[tuple[float, float, float]] = [(*stand, 0.3)]
    if close_up:
        ahead = rng.uniform(0.75, 1.15)
        x, y = stand[0] - math.sin(yaw) * ahead, stand[1] + math.cos(yaw) * ahead
        maker = table if rng.random() < 0.5 else pick(rng, IN_ROOMS)[0]
        if abs(x) < width / 2 - 0.4 and abs(y) < length / 2 - 0.4:
            objects += placed(maker(rng), x, y, 0, yaw + rng.uniform(-0.5, 0.5))
            taken.append((x, y, 0.6))
    for _ in range(rng.integers(5, 12) + int(width * length / 7)):
        maker, radius = pick(rng, IN_ROOMS)
        find = against_wall if maker in BACK_TO_WALL else inside
        place = find(rng, width, length, radius)
        if place and is_free(place[0], place[1], radius, taken):
            taken.append((place[0], place[1], radius))
            objects += placed(maker(rng), place[0], place[1], 0, place[2])
    window = rng.random() < 0.65
    objects += _wall_things(rng, width, length, height, window, low)
    lamps, fixtures = _room_lamps(rng, width, length, height, window, low)
    share = rng.uniform(0.08, 0.16) if low else rng.uniform(0.25, 0.5)
    tint = TUNGSTEN if low and not window else between(WHITE, lamps[0].colour, 0.5)
    ambient = (share * tint[0], share * tint[1], share * tint[2])
    return Scene("indoor", "low" if low else "normal", shell, (*objects, *fixtures), lamps, ambient, camera)


def _room_shell(rng: np.random.Generator, width: float, length: float, height: float) -> tuple[Shape, ...]:
    x, y = width / 2, length / 2
    tone = colour(rng, (0.02, 0.28), (0.6, 0.95))
    pattern = str(rng.choice(["plain", "clouds", "stripes", "bricks", "tiles"], p=[0.45, 0.2, 0.15, 0.1, 0.1]))
    dimmer = rng.uniform(0.7, 0.95)
    wall = Material(tone, (dimmer * tone[0], dimmer * tone[1], dimmer * tone[2]), pattern, rng.uniform(0.12, 0.35))
    feature = Material(colour(rng, (0.1, 0.5), (0.4, 0.9))) if rng.random() < 0.3 else wall
    ceiling = Material(colour(rng, (0, 0.05), (0.85, 0.97)))
    floor = wood(rng)
    kind = rng.random()
    if kind < 0.3:
        tone = colour(rng, (0.02, 0.22), (0.45, 0.85))
        floor = Material(tone, (0.3, 0.3, 0.3), "tiles", rng.uniform(0.25, 0.6), gloss=0.2)
    elif kind < 0.45:
        floor = Material(colour(rng, (0.1, 0.6), (0.25, 0.7)), (0.2, 0.18, 0.16), "speckle", rng.uniform(0.02, 0.04))
    elif kind < 0.55:
        floor = Material(colour(rng, (0, 0.2), (0.6, 0.9)), (0.08, 0.08, 0.09), "checks", rng.uniform(0.2, 0.4))
    skirting = Material(colour(rng, (0, 0.1), (0.7, 0.95))) if rng.random() < 0.6 else wood(rng)
    across, along, up = (width, 0.0, 0.0), (0.0, length, 0.0), (0.0, 0.0, height)
    boards = [
        block(0, y, 0, (width, 0.03, 0.09), skirting), block(0, -y, 0, (width, 0.03, 0.09), skirting),
        block(x, 0, 0, (0.03, length, 0.09), skirting), block(-x, 0, 0, (0.03, length, 0.09), skirting),
    ]  # fmt: skip
    return (
        Rectangle((-x, -y, 0.0), across, along, floor),
        Rectangle((-x, -y, height), across, along, ceiling),
        Rectangle((-x, y, 0.0), across, up, feature),
        Rectangle((-x, -y, 0.0), across, up, wall),
        Rectangle((-x, -y, 0.0), along, up, wall),
        Rectangle((x, -y, 0.0), along, up, wall),
        *boards,
    )


def _wall_things(
    rng: np.random.Generator, width: float, length: float, height: float, window: bool, low: bool
) -> list[Shape]:
    """Pictures, a door, a rug and, where asked for, a window in the wall at +y."""
    things: list[Shape] = []
    if window:
        glow = Material((0.5, 0.6, 0.9), emission=0.12) if low else Material((0.9, 0.95, 1.0), emission=2.2)
        frame = Material(colour(rng, (0, 0.1), (0.75, 0.95)))
        things += [
            block(0, length / 2, 0.9, (1.5, 0.04, 1.3), frame),
            block(-0.35, length / 2 - 0.02, 0.96, (0.64, 0.02, 1.18), glow),
            block(0.35, length / 2 - 0.02, 0.96, (0.64, 0.02, 1.18), glow),
            block(0, length / 2 - 0.05, 0.86, (1.6, 0.16, 0.04), frame),
        ]
        if rng.random() < 0.6:
            drape = cloth(rng)
            things += [block(side * 0.95, length / 2 - 0.08, 0.15, (0.4, 0.08, 2.1), drape) for side in (-1, 1)]
    for side in (-1, 1):
        wall: list[Shape] = []
        if rng.random() < 0.5:
            leaf_of_door = wood(rng) if rng.random() < 0.5 else Material(colour(rng, (0, 0.3), (0.6, 0.95)))
            wall += [
                block(0, 0, 0, (0.98, 0.05, 2.08), painted(rng)),
                block(0, -0.015, 0, (0.86, 0.05, 2.02), leaf_of_door),
                Sphere((0.36, -0.07, 1.0), 0.03, metal(rng)),
            ]
        else:
            for spot in (-0.3, 0.3):
                tone, accent = colour(rng, (0.2, 0.9), (0.3, 0.9)), colour(rng, (0.1, 0.9), (0.2, 0.9))
                picture = Material(tone, accent, "clouds", 0.2)
                across, up = rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.7)
                wall += [
                    block(spot * length, 0, 1.3, (across + 0.06, 0.03, up + 0.06), wood(rng)),
                    block(spot * length, -0.005, 1.33, (across, 0.03, up), picture),
                ]
        shift = rng.uniform(-0.15, 0.15) * length
        things += placed(wall, side * width / 2, shift, 0, -side * math.pi / 2)
    if rng.random() < 0.5:
        size = (rng.uniform(0.4, 0.7) * width, rng.uniform(0.3, 0.6) * length, 0.012)
        things.append(block(rng.uniform(-0.1, 0.1) * width, rng.uniform(-0.1, 0.1) * length, 0, size, cloth(rng)))
    return things


def _room_lamps(
    rng: np.random.Generator, width: float, length: float, height: float, window: bool, low: bool
) -> tuple[tuple[Lamp, ...], list[Shape]]:
    lamps: list[Lamp] = []
    fixtures: list[Shape] = []
    shade = Material((1.0, 0.9, 0.75), emission=1.5)
    if window:
        tint = DUSK if low else between(WHITE, (0.8, 0.9, 1.0), rng.random())
        at = (0.0, length / 2 - 0.25, 1.55)
        lamps.append(Lamp(at, tint, 1.2 if low else rng.uniform(6, 12), 0.5, facing=(0.0, -1.0, 0.0)))
    if low and rng.random() < 0.7:
        x, y = rng.uniform(-0.42, 0.42) * width, rng.uniform(0.0, 0.42) * length
        foot = metal(rng)
        fixtures += [Cylinder((x, y, 0), 0.14, 0.03, foot), Cylinder((x, y, 0), 0.015, 1.4, foot)]
        fixtures.append(Sphere((x, y, 1.48), 0.14, shade))
        lamps.append(Lamp((x, y, 1.48), TUNGSTEN, rng.uniform(0.7, 1.5), 0.14))
    elif not low and (not lamps or rng.random() < 0.6):
        for _ in range(rng.integers(1, 3)):
            x, y = rng.uniform(-0.3, 0.3) * width, rng.uniform(-0.3, 0.3) * length
            drop = rng.uniform(0.12, 0.5)
            fixtures += [Cylinder((x, y, height - drop), 0.01, drop, metal(rng))]
            fixtures.append(Sphere((x, y, height - drop), 0.11, shade))
            tint = between(WHITE, TUNGSTEN, rng.uniform(0, 0.7))
            lamps.append(Lamp((x, y, height - drop), tint, rng.uniform(2, 4), 0.12))
    if not lamps:
        at = (0.0, -0.3 * length, height - 0.2)
        lamps.append(Lamp(at, TUNGSTEN, 0.6, 0.15))
    return tuple(lamps), fixtures
