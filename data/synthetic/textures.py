"""What surfaces look like: materials, and procedural patterns in surface coordinates.

A pattern is evaluated at surface coordinates in metres together with the footprint of a pixel on the surface, and fades
to its mean where the footprint exceeds its period: one ray per pixel then gives no aliasing on far floors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

# float32 throughout; numpy's stubs call the sum of such an array and a Python number float64, hence Any.
Floats = npt.NDArray[Any]
Vector = tuple[float, float, float]

NOISE_CELLS = 256
PERIODS_PER_TABLE = 16


@dataclass(frozen=True)
class Material:
    """How a surface reflects.

    colour, accent: linear RGB albedo in [0, 1]; a pattern mixes from the first to the second
    texture: a key of `PATTERNS`
    period_m: the pattern's size on the surface, metres
    gloss: strength of the highlight, 0 = matt
    emission: radiance relative to `colour`, 0 = no light of its own
    """

    colour: Vector
    accent: Vector = (0.5, 0.5, 0.5)
    texture: str = "plain"
    period_m: float = 0.3
    gloss: float = 0.0
    emission: float = 0.0


def paint(material: Material, u: Floats, v: Floats, footprint_m: Floats) -> Floats:
    """Linear albedo (N, 3) float32 at surface coordinates `u`, `v` (N,) metres; `footprint_m`: a pixel's size there."""
    mix, shade = PATTERNS[material.texture](u, v, material.period_m, footprint_m)
    colour, accent = np.array(material.colour, np.float32), np.array(material.accent, np.float32)
    mottle = 1 + 0.04 * noise(u + 3.1, v + 1.7, 0.5)
    albedo = (colour + mix[:, None] * (accent - colour)) * (shade if shade.ndim == 2 else shade[:, None])
    return np.clip(albedo * mottle[:, None], 0, 1)


def noise(u: Floats, v: Floats, period_m: float) -> Floats:
    """(N,) float32 smooth noise with features of about `period_m`, mean 0, mostly within -2 to 2."""
    table = _noise_table()
    scale = NOISE_CELLS / (PERIODS_PER_TABLE * period_m)
    x, y = u * scale, v * scale
    column, row = np.floor(x), np.floor(y)
    x, y = x - column, y - row
    i, j = column.astype(np.int32) & (NOISE_CELLS - 1), row.astype(np.int32) & (NOISE_CELLS - 1)
    cell = j * NOISE_CELLS + i
    right = j * NOISE_CELLS + ((i + 1) & (NOISE_CELLS - 1))
    below = ((j + 1) & (NOISE_CELLS - 1)) * NOISE_CELLS
    top = table[cell] + x * (table[right] - table[cell])
    bottom = table[below + i]
    bottom = bottom + x * (table[below + ((i + 1) & (NOISE_CELLS - 1))] - bottom)
    return top + y * (bottom - top)


@cache
def _noise_table() -> Floats:
    """(NOISE_CELLS ** 2,) float32: tileable, with an amplitude of about 1/frequency."""
    white = np.random.default_rng(20250601).standard_normal((NOISE_CELLS, NOISE_CELLS))
    frequency = np.fft.fftfreq(NOISE_CELLS) * NOISE_CELLS
    radius = np.hypot(frequency[:, None], frequency[None, :])
    spectrum = np.fft.fft2(white) / np.maximum(radius, PERIODS_PER_TABLE / 2) ** 1.3
    spectrum[0, 0] = 0
    field = np.fft.ifft2(spectrum).real
    return np.clip(field / field.std(), -2.5, 2.5).astype(np.float32).ravel()


@cache
def _hash_table() -> Floats:
    return np.random.default_rng(7).random(1024, dtype=np.float32)


def _hash(i: Floats, j: Floats, salt: int = 0) -> Floats:
    """One number in [0, 1) per integer cell."""
    return _hash_table()[(i.astype(np.int32) * 73 + j.astype(np.int32) * 151 + salt) & 1023]


def _line(x: Floats, period: float, width: float, footprint: Floats) -> Floats:
    """How much of a pixel lies on lines of `width` at the multiples of `period`."""
    offset = x - np.floor(x / period) * period
    distance = np.minimum(offset, period - offset)
    blur = np.maximum(footprint, 1e-4)
    return np.clip((0.5 * width - distance) / blur + 0.5, 0, 1) * np.minimum(1, width / blur)


def _square_wave(x: Floats, period: float, footprint: Floats) -> Floats:
    """+1 and -1 in turn over lengths of `period`, towards 0 where a pixel covers several."""
    offset = (x - 0.5 * period) - np.floor((x - 0.5 * period) / (2 * period)) * (2 * period)
    blur = np.maximum(footprint, 1e-4)
    fade = np.clip(2.5 - 1.5 * blur / period, 0, 1)
    return np.clip(2 * (np.abs(offset - period) - 0.5 * period) / blur, -1, 1) * fade


def _detail(period: float, footprint: Floats) -> Floats:
    """1 where a detail of `period` is resolved, 0 where a pixel covers it."""
    return np.clip(1.6 - footprint / period, 0, 1)


def _plain(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    return np.zeros_like(u), np.ones_like(u)


def _checks(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    wave = _square_wave(u, period, footprint) * _square_wave(v, period, footprint)
    return 0.5 + 0.5 * wave, np.ones_like(u)


def _stripes(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    return 0.5 + 0.5 * _square_wave(u, period, footprint), np.ones_like(u)


def _tiles(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Square tiles of slightly different tints, with joints of the accent colour."""
    joint = np.maximum(_line(u, period, 0.03 * period, footprint), _line(v, period, 0.03 * period, footprint))
    tint = _hash(np.floor(u / period), np.floor(v / period)) - 0.5
    return joint, 1 + 0.16 * tint * _detail(period, footprint)


def _bricks(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Courses a third as high as long, every other one shifted by half a brick."""
    height = period / 3
    course = np.floor(v / height)
    shifted = u + 0.5 * period * (course - 2 * np.floor(course / 2))
    mortar = np.maximum(_line(shifted, period, 0.05 * period, footprint), _line(v, height, 0.05 * period, footprint))
    tint = _hash(np.floor(shifted / period), course) - 0.5
    return mortar, 1 + 0.4 * tint * _detail(height, footprint)


def _planks(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Boards along v, eight times as long as wide, with grain."""
    board = np.floor(u / period)
    along = v + 8 * period * _hash(board, np.zeros_like(board))
    gap = np.maximum(_line(u, period, 0.03 * period, footprint), _line(along, 8 * period, 0.04 * period, footprint))
    tint = _hash(board, np.floor(along / (8 * period)), 5) - 0.5
    grain = 0.08 * noise(u + 0.37 * board, along * 0.08, 0.06) * _detail(0.02, footprint)
    return gap, 1 + 0.35 * tint * _detail(period, footprint) + grain


def _clouds(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Irregular patches: marble, worn plaster, foliage."""
    return np.clip(0.5 + 0.4 * noise(u, v, period), 0, 1), np.ones_like(u)


def _speckle(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Fine grains over broad patches: asphalt, carpet, grass."""
    fine = noise(u, v, period) * _detail(period, footprint)
    return np.clip(0.5 + 0.3 * fine, 0, 1), 1 + 0.08 * noise(u + 5.3, v + 2.9, 12 * period)


def _panes(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Windows (accent) in a plastered wall, one per `period`, with frames and sills."""
    storey = 1.2 * period
    across, up = u / period - np.floor(u / period), v / storey - np.floor(v / storey)
    blur_u, blur_v = np.maximum(footprint / period, 1e-4), np.maximum(footprint / storey, 1e-4)
    inside_u = np.clip((0.22 - np.abs(across - 0.5)) / blur_u + 0.5, 0, 1)
    inside_v = np.clip((0.27 - np.abs(up - 0.55)) / blur_v + 0.5, 0, 1)
    glass = inside_u * inside_v
    bar = np.maximum(
        np.clip((0.012 - np.abs(across - 0.5)) / blur_u + 0.5, 0, 1),
        np.clip((0.012 - np.abs(up - 0.62)) / blur_v + 0.5, 0, 1),
    )
    frame = np.clip((0.25 - np.abs(across - 0.5)) / blur_u + 0.5, 0, 1)
    frame *= np.clip((0.30 - np.abs(up - 0.55)) / blur_v + 0.5, 0, 1)
    glint = 0.5 * _hash(np.floor(u / period), np.floor(v / storey))
    plaster = 1 + 0.05 * noise(u, v, 0.9)
    return glass * (1 - bar), np.where(glass > bar, 0.7 + glint, plaster * (1 + 0.25 * frame))


def _books(u: Floats, v: Floats, period: float, footprint: Floats) -> tuple[Floats, Floats]:
    """Upright bands of `period` in many colours, with a title on each."""
    volume = np.floor(u / period)
    zero = np.zeros_like(volume)
    seen = _detail(period, footprint)[:, None]
    colours = np.stack([_hash(volume, zero, salt) for salt in (11, 223, 401)], axis=1)
    edge = _line(u, period, 0.14 * period, footprint)
    title = (np.abs(v - np.floor(v / 0.3) * 0.3 - 0.12) < 0.035) * _detail(0.05, footprint) * 0.6
    return title.astype(np.float32), (0.25 + 1.2 * (0.5 + seen * (colours - 0.5))) * (1 - 0.7 * edge)[:, None]


Pattern = Callable[[Floats, Floats, float, Floats], tuple[Floats, Floats]]

# Each gives the weight of the accent colour, (N,) in [0, 1], and a factor on the colour, (N,) or (N, 3).
PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "checks": _checks,
    "stripes": _stripes,
    "tiles": _tiles,
    "bricks": _bricks,
    "planks": _planks,
    "clouds": _clouds,
    "speckle": _speckle,
    "panes": _panes,
    "books": _books,
}
