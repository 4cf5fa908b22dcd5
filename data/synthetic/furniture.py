"""Things that stand in rooms and streets, each made of a few shapes and scaled as the real thing is.

Every maker draws its sizes and materials from `rng` and gives shapes around the origin, standing on z = 0 with its back
towards +y; `placed` turns and moves them.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .shapes import Box, Cylinder, Rectangle, Shape, Sphere
from .textures import Material, Vector

Maker = Callable[[np.random.Generator], list[Shape]]


def colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Vector:
    """A random linear RGB albedo; saturation and value are ranges in [0, 1] of display colours."""
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return red**2.2, green**2.2, blue**2.2


def warm(rng: np.random.Generator, value: tuple[float, float]) -> Vector:
    """A random linear RGB albedo of wood, brick or stone."""
    hue, saturation = rng.uniform(0.04, 0.11), rng.uniform(0.25, 0.6)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(*value))
    return red**2.2, green**2.2, blue**2.2


def leaf(rng: np.random.Generator) -> Material:
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(0.2, 0.36), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.55))
    dark = (0.25 * red**2.2, 0.3 * green**2.2, 0.25 * blue**2.2)
    return Material((red**2.2, green**2.2, blue**2.2), dark, "clouds", rng.uniform(0.04, 0.1))


def wood(rng: np.random.Generator) -> Material:
    tone = warm(rng, (0.3, 0.85))
    return Material(tone, _darker(tone, 0.3), "planks", rng.uniform(0.08, 0.2), gloss=rng.uniform(0, 0.15))


def cloth(rng: np.random.Generator) -> Material:
    tone = colour(rng, (0.1, 0.75), (0.2, 0.85))
    kind = str(rng.choice(["plain", "speckle", "stripes", "checks"], p=[0.35, 0.35, 0.2, 0.1]))
    return Material(tone, _darker(tone, rng.uniform(0.4, 0.8)), kind, rng.uniform(0.02, 0.1))


def painted(rng: np.random.Generator) -> Material:
    return Material(colour(rng, (0.0, 0.75), (0.2, 0.9)), gloss=rng.uniform(0, 0.35))


def metal(rng: np.random.Generator) -> Material:
    grey = rng.uniform(0.05, 0.5)
    return Material((grey, grey, grey * 1.05), gloss=rng.uniform(0.2, 0.6))


def placed(shapes: list[Shape], x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> list[Shape]:
    """The shapes turned by `yaw` radians about the origin's vertical, then moved."""
    cos, sin = math.cos(yaw), math.sin(yaw)

    def turned(vector: Vector) -> Vector:
        return cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1], vector[2]

    def moved(vector: Vector) -> Vector:
        a, b, c = turned(vector)
        return a + x, b + y, c + z

    done: list[Shape] = []
    for shape in shapes:
        match shape:
            case Box():
                done.append(replace(shape, centre=moved(shape.centre), yaw=shape.yaw + yaw))
            case Sphere():
                done.append(replace(shape, centre=moved(shape.centre)))
            case Cylinder():
                done.append(replace(shape, base=moved(shape.base)))
            case Rectangle():
                edges = {"edge_u": turned(shape.edge_u), "edge_v": turned(shape.edge_v)}
                done.append(replace(shape, corner=moved(shape.corner), **edges))
    return done


def block(x: float, y: float, z: float, size: Vector, material: Material) -> Box:
    """A box of `size` metres centred at (x, y) whose underside is at `z`."""
    return Box((x, y, z + size[2] / 2), (size[0] / 2, size[1] / 2, size[2] / 2), 0.0, material)


def table(rng: np.random.Generator) -> list[Shape]:
    width, depth, height = rng.uniform(0.8, 1.8), rng.uniform(0.55, 0.95), rng.uniform(0.4, 0.78)
    top, leg = wood(rng), metal(rng) if rng.random() < 0.5 else wood(rng)
    shapes: list[Shape] = [block(0, 0, height - 0.04, (width, depth, 0.04), top)]
    for side_x in (-1, 1):
        for side_y in (-1, 1):
            at = (side_x * (width / 2 - 0.06), side_y * (depth / 2 - 0.06), 0.0)
            shapes.append(Cylinder(at, 0.025, height - 0.04, leg))
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.38, 0.38) * depth
        shapes += placed(trinket(rng), x, y, height, rng.uniform(0, 6.28))
    return shapes


def trinket(rng: np.random.Generator) -> list[Shape]:
    """Something for a table: a mug, a bottle, a ball, a book or a box."""
    kind = rng.integers(5)
    if kind == 0:
        return [Cylinder((0, 0, 0), rng.uniform(0.035, 0.06), rng.uniform(0.08, 0.13), painted(rng))]
    if kind == 1:
        radius, body = rng.uniform(0.03, 0.05), painted(rng)
        return [Cylinder((0, 0, 0), radius, 0.2, body), Cylinder((0, 0, 0.2), 0.4 * radius, 0.08, body)]
    if kind == 2:
        radius = rng.uniform(0.04, 0.13)
        return [Sphere((0, 0, radius), radius, painted(rng))]
    if kind == 3:
        return [block(0, 0, 0, (0.16, 0.23, rng.uniform(0.02, 0.06)), painted(rng))]
    return [block(0, 0, 0, (rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.25), rng.uniform(0.08, 0.3)), cloth(rng))]


def chair(rng: np.random.Generator) -> list[Shape]:
    seat, frame = (cloth(rng), metal(rng)) if rng.random() < 0.6 else (wood(rng), wood(rng))
    width, height = rng.uniform(0.4, 0.5), rng.uniform(0.42, 0.48)
    shapes: list[Shape] = [
        block(0, 0, height - 0.05, (width, width, 0.06), seat),
        block(0, width / 2 - 0.02, height + 0.12, (width, 0.04, rng.uniform(0.25, 0.4)), seat),
    ]
    for side in (-1, 1):
        shapes.append(Cylinder((side * (width / 2 - 0.03), -width / 2 + 0.03, 0), 0.018, height - 0.05, frame))
        shapes.append(Cylinder((side * (width / 2 - 0.03), width / 2 - 0.03, 0), 0.018, height + 0.15, frame))
    return shapes


def sofa(rng: np.random.Generator) -> list[Shape]:
    fabric, width, depth = cloth(rng), rng.uniform(1.0, 2.2), rng.uniform(0.8, 0.95)
    cushion = cloth(rng)
    return [
        block(0, 0, 0.08, (width, depth, 0.34), fabric),
        block(0, depth / 2 - 0.1, 0.42, (width, 0.2, 0.38), fabric),
        block(-width / 2 + 0.08, 0, 0.42, (0.16, depth, 0.18), fabric),
        block(width / 2 - 0.08, 0, 0.42, (0.16, depth, 0.18), fabric),
        block(rng.uniform(-0.25, 0.25) * width, depth / 2 - 0.27, 0.42, (0.42, 0.13, 0.34), cushion),
    ]


def bed(rng: np.random.Generator) -> list[Shape]:
    width, frame, sheet = rng.uniform(0.9, 1.8), wood(rng), cloth(rng)
    pillow = Material(colour(rng, (0, 0.15), (0.75, 0.95)))
    return [
        block(0, 0, 0.1, (width, 2.0, 0.2), frame),
        block(0, -0.05, 0.3, (width - 0.06, 1.86, 0.2), sheet),
        block(0, 0.97, 0.1, (width, 0.05, rng.uniform(0.6, 1.0)), frame),
        block(0, 0.7, 0.5, (0.7 * width, 0.38, 0.1), pillow),
    ]


def shelf(rng: np.random.Generator) -> list[Shape]:
    width, height, depth, board = rng.uniform(0.6, 1.4), rng.uniform(0.9, 2.1), rng.uniform(0.25, 0.38), wood(rng)
    rows = max(2, round(height / 0.38))
    shapes: list[Shape] = [
        block(0, depth / 2 - 0.01, 0, (width, 0.02, height), board),
        block(-width / 2, 0, 0, (0.03, depth, height), board),
        block(width / 2, 0, 0, (0.03, depth, height), board),
    ]
    step = (height - 0.03) / rows
    for row in range(rows + 1):
        shapes.append(block(0, 0, row * step, (width, depth, 0.03), board))
        if row < rows and rng.random() < 0.75:
            filled = rng.uniform(0.4, 0.95) * (width - 0.06)
            books = Material((0.55, 0.5, 0.45), (0.8, 0.75, 0.6), "books", rng.uniform(0.025, 0.05))
            size = (filled, 0.7 * depth, rng.uniform(0.6, 0.85) * step)
            shapes.append(block((filled - width) / 2 + 0.03, 0.02, row * step + 0.03, size, books))
    return shapes


def cabinet(rng: np.random.Generator) -> list[Shape]:
    width, height, depth = rng.uniform(0.5, 1.6), rng.uniform(0.6, 2.1), rng.uniform(0.35, 0.6)
    body = wood(rng) if rng.random() < 0.6 else painted(rng)
    front, knob = replace(body, colour=_darker(body.colour, rng.uniform(0.8, 1.1))), metal(rng)
    shapes: list[Shape] = [block(0, 0, 0, (width, depth, height), body)]
    doors = max(1, round(width / 0.5))
    for door in range(doors):
        x = (door + 0.5) * width / doors - width / 2
        shapes.append(block(x, -depth / 2, 0.06, (width / doors - 0.02, 0.03, height - 0.1), front))
        shapes.append(Sphere((x + 0.35 * width / doors, -depth / 2 - 0.03, 0.55 * height), 0.02, knob))
    if height < 1.3:
        shapes += placed(trinket(rng), rng.uniform(-0.3, 0.3) * width, 0, height)
    return shapes


def plant(rng: np.random.Generator) -> list[Shape]:
    radius, height, green = rng.uniform(0.12, 0.22), rng.uniform(0.2, 0.4), leaf(rng)
    shapes: list[Shape] = [Cylinder((0, 0, 0), radius, height, painted(rng))]
    shapes.append(Cylinder((0, 0, height), 0.03, 0.3, Material((0.12, 0.07, 0.04))))
    for _ in range(rng.integers(3, 7)):
        x, y = rng.normal(0, 0.12, 2)
        size = rng.uniform(0.1, 0.22)
        shapes.append(Sphere((float(x), float(y), height + rng.uniform(0.15, 0.7)), size, green))
    return shapes


def carton(rng: np.random.Generator) -> list[Shape]:
    tone = warm(rng, (0.5, 0.75))
    card = Material(tone, _darker(tone, 0.7), "stripes", 0.25) if rng.random() < 0.4 else painted(rng)
    width, depth, height = rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.55)
    shapes: list[Shape] = [block(0, 0, 0, (width, depth, height), card)]
    if rng.random() < 0.4:
        upper = (0.8 * width, 0.75 * depth, rng.uniform(0.15, 0.35))
        shapes += placed([block(0, 0, height, upper, painted(rng))], 0, 0, 0, rng.uniform(-0.4, 0.4))
    return shapes


def stool(rng: np.random.Generator) -> list[Shape]:
    radius, height = rng.uniform(0.16, 0.25), rng.uniform(0.4, 0.65)
    post = metal(rng)
    return [
        Cylinder((0, 0, height - 0.07), radius, 0.07, cloth(rng)),
        Cylinder((0, 0, 0.02), 0.03, height - 0.07, post),
        Cylinder((0, 0, 0), 0.8 * radius, 0.02, post),
    ]


def ball(rng: np.random.Generator) -> list[Shape]:
    radius = rng.uniform(0.1, 0.33)
    tone = colour(rng, (0.3, 0.9), (0.4, 0.95))
    kind = "stripes" if rng.random() < 0.5 else "plain"
    return [Sphere((0, 0, radius), radius, Material(tone, _darker(tone, 0.4), kind, 0.4 * radius, gloss=0.25))]


def car(rng: np.random.Generator) -> list[Shape]:
    """A parked car along y, with its nose towards +y; wheels are spheres that stick out of the body."""
    length, width, height = rng.uniform(3.6, 4.7), rng.uniform(1.65, 1.85), rng.uniform(1.4, 1.7)
    paintwork = Material(colour(rng, (0.0, 0.55), (0.12, 0.9)), gloss=0.8)
    glass, tyre = Material((0.02, 0.025, 0.03), gloss=1.0), Material((0.015, 0.015, 0.016))
    cabin, waist = rng.uniform(0.48, 0.62) * length, 0.56 * height
    shift = rng.uniform(-0.12, 0.0) * length
    lamp, tail = Material((0.8, 0.8, 0.75), gloss=0.8), Material((0.45, 0.02, 0.02), gloss=0.5)
    shapes: list[Shape] = [
        block(0, 0, 0.2, (width, length, waist - 0.2), paintwork),
        block(0, shift, waist, (width - 0.16, cabin, height - waist - 0.06), glass),
        block(0, shift, height - 0.06, (width - 0.2, cabin - 0.25, 0.06), paintwork),
        block(0, 0, 0.3, (width + 0.02, length + 0.04, 0.12), tyre),
    ]
    for side in (-1, 1):
        for end in (-0.31, 0.31):
            shapes.append(Sphere((side * (width / 2 - 0.22), end * length, 0.31), 0.31, tyre))
        shapes.append(block(side * (width / 2 - 0.25), length / 2, 0.52, (0.36, 0.04, 0.14), lamp))
        shapes.append(block(side * (width / 2 - 0.2), -length / 2, 0.52, (0.28, 0.04, 0.18), tail))
        for post in (-0.5, 0.0, 0.48):
            at = shift + post * cabin
            shapes.append(block(side * (width / 2 - 0.09), at, waist, (0.05, 0.08, height - waist - 0.06), paintwork))
    return shapes


def tree(rng: np.random.Generator) -> list[Shape]:
    trunk, green, height = warm(rng, (0.2, 0.4)), leaf(rng), rng.uniform(1.9, 3.0)
    bark = Material(trunk, _darker(trunk, 0.5), "clouds", 0.05)
    shapes: list[Shape] = [Cylinder((0, 0, 0), rng.uniform(0.07, 0.2), height + 0.4, bark)]
    for _ in range(rng.integers(5, 9)):
        x, y = rng.normal(0, 0.55, 2)
        shapes.append(Sphere((float(x), float(y), height + rng.uniform(0.1, 1.8)), rng.uniform(0.5, 0.95), green))
    return shapes


def bush(rng: np.random.Generator) -> list[Shape]:
    green = leaf(rng)
    shapes: list[Shape] = []
    for _ in range(rng.integers(3, 7)):
        x, y = rng.normal(0, 0.25, 2)
        radius = rng.uniform(0.22, 0.45)
        shapes.append(Sphere((float(x), float(y), radius * rng.uniform(0.6, 1.3)), radius, green))
    return shapes


def pole(rng: np.random.Generator) -> list[Shape]:
    """A post with a traffic sign, or a bare one."""
    post = metal(rng)
    shapes: list[Shape] = [Cylinder((0, 0, 0), rng.uniform(0.03, 0.07), rng.uniform(2.3, 3.2), post)]
    if rng.random() < 0.7:
        sign = Material(colour(rng, (0.6, 0.95), (0.5, 0.9)), (0.8, 0.8, 0.8), "stripes", rng.uniform(0.1, 0.25))
        shapes.append(block(0, -0.08, rng.uniform(1.6, 2.0), (0.5, 0.02, 0.5), sign))
    return shapes


def bin_(rng: np.random.Generator) -> list[Shape]:
    body, lid = painted(rng), metal(rng)
    if rng.random() < 0.5:
        radius, height = rng.uniform(0.18, 0.28), rng.uniform(0.7, 1.0)
        return [Cylinder((0, 0, 0), radius, height, body), Cylinder((0, 0, height), radius + 0.02, 0.06, lid)]
    height = rng.uniform(0.9, 1.1)
    return [block(0, 0, 0.05, (0.55, 0.65, height), body), block(0, -0.02, 0.05 + height, (0.6, 0.72, 0.07), lid)]


def bench(rng: np.random.Generator) -> list[Shape]:
    width, slats, frame = rng.uniform(1.3, 1.9), wood(rng), metal(rng)
    shapes: list[Shape] = [
        block(0, 0, 0.42, (width, 0.45, 0.05), slats),
        block(0, 0.23, 0.55, (width, 0.04, 0.3), slats),
    ]
    for side in (-0.4, 0.4):
        shapes.append(block(side * width, 0, 0, (0.06, 0.4, 0.42), frame))
        shapes.append(block(side * width, 0.2, 0.42, (0.06, 0.05, 0.45), frame))
    return shapes


def bollard(rng: np.random.Generator) -> list[Shape]:
    body = Material(colour(rng, (0, 0.6), (0.3, 0.9)), (0.75, 0.75, 0.75), "plain", 0.2)
    radius, height = rng.uniform(0.06, 0.14), rng.uniform(0.6, 1.0)
    return [Cylinder((0, 0, 0), radius, height, body), Sphere((0, 0, height), radius, body)]


def person(rng: np.random.Generator) -> list[Shape]:
    """A standing figure: two legs, a trunk with round shoulders, arms and a head."""
    height = rng.uniform(1.5, 1.9)
    skin = Material(warm(rng, (0.4, 0.95)))
    top, trousers, hair = cloth(rng), cloth(rng), Material((0.03, 0.02, 0.015))
    hip, shoulder = 0.48 * height, 0.82 * height
    return [
        Cylinder((-0.09, 0, 0), 0.08, hip, trousers),
        Cylinder((0.09, 0, 0), 0.08, hip, trousers),
        Cylinder((0, 0, hip - 0.05), 0.19, shoulder - hip, top),
        Sphere((0, 0, shoulder - 0.05), 0.19, top),
        Cylinder((-0.23, 0, hip - 0.1), 0.05, shoulder - hip, top),
        Cylinder((0.23, 0, hip - 0.1), 0.05, shoulder - hip, top),
        Cylinder((0, 0, shoulder), 0.055, 0.2, skin),
        Sphere((0, -0.01, 0.95 * height), 0.1, skin),
        Sphere((0, 0.03, 0.965 * height), 0.1, hair),
    ]


def _darker(tone: Vector, factor: float) -> Vector:
    red, green, blue = (min(1.0, factor * part) for part in tone)
    return red, green, blue


# (maker, clearance radius in metres, likelihood)
IN_ROOMS: tuple[tuple[Maker, float, float], ...] = (
    (table, 0.95, 3.0), (chair, 0.38, 3.0), (sofa, 1.1, 1.5), (bed, 1.3, 0.8), (shelf, 0.6, 2.0), (cabinet, 0.65, 2.0),
    (plant, 0.35, 2.0), (carton, 0.4, 2.0), (stool, 0.28, 1.5), (ball, 0.35, 1.5), (person, 0.5, 0.4),
)  # fmt: skip
IN_STREETS: tuple[tuple[Maker, float, float], ...] = (
    (tree, 0.5, 1.5), (bush, 0.6, 1.2), (pole, 0.3, 1.5), (bin_, 0.45, 1.5), (bench, 0.9, 1.2), (bollard, 0.2, 1.5),
    (person, 0.55, 0.8), (carton, 0.4, 0.5), (plant, 0.35, 0.7),
)  # fmt: skip
BACK_TO_WALL = frozenset({sofa, bed, shelf, cabinet, bench})
