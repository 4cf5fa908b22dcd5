"""From light and exact depth to what a phone records: an 8-bit photograph, LiDAR depth and its confidence.

The photograph has auto-exposure, vignetting, a slight blur, shot and read noise and the display's gamma. The depth map
has noise that grows with distance and ragged edges. Confidence imitates ARKit's: high on near, bright surfaces seen
frontally, lower at depth edges, at grazing incidence, on dark surfaces, and beyond about 5 m.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ..frame import Confidence, Level, Rgb
from .textures import Floats

RANGE_M = (0.15, 16.0)
RELIABLE_M = 5.0
EDGE_RATIO = 0.06


def photograph(radiance: Floats, low: bool, rng: np.random.Generator) -> Rgb:
    """(H, W, 3) uint8 RGB from linear radiance (H, W, 3) float32, up to any scale; `low`: a dark, noisy exposure."""
    height, width = radiance.shape[:2]
    red, green, blue = (radiance[::4, ::4, channel] for channel in range(3))
    typical = float(np.exp(np.log(0.2126 * red + 0.7152 * green + 0.0722 * blue + 1e-4).mean()))
    target = rng.uniform(0.012, 0.05) if low else rng.uniform(0.11, 0.18)
    signal = cv2.GaussianBlur(radiance, (0, 0), rng.uniform(0.6, 0.85)) * np.float32(target / typical)
    signal *= _vignette(height, width)[..., None]

    shot, read = (rng.uniform(4e-4, 1.5e-3), rng.uniform(0.002, 0.005)) if low else (1.2e-4, 0.001)
    grain = rng.standard_normal(signal.shape, dtype=np.float32)
    if low:  # phones smooth what they amplify
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.6)
    signal += grain * np.sqrt(np.float32(shot) * signal + np.float32(read**2))
    return _TONE[np.clip(signal * 4096, 0, 65535).astype(np.uint16)]


def measure_depth(exact_m: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """(h, w) uint16 millimetres from exact depth (h, w) float32 metres; 0 beyond the sensor's range and for the sky."""
    height, width = exact_m.shape
    # A LiDAR spot is wider than a pixel: at an edge it may catch the neighbouring surface.
    jitter = rng.integers(-1, 2, (2, height, width))
    rows = np.clip(np.arange(height)[:, None] + jitter[0], 0, height - 1)
    columns = np.clip(np.arange(width)[None, :] + jitter[1], 0, width - 1)
    edge = depth_edges(exact_m)
    caught = np.where(edge, exact_m[rows, columns], exact_m)
    fine = rng.standard_normal((height, width), dtype=np.float32)
    broad = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), 4) * np.float32(14)
    inside = (caught > RANGE_M[0]) & (caught < RANGE_M[1])
    metres = np.where(inside, caught, 0)
    metres = metres + (0.3 * fine + 0.7 * broad) * (0.002 + 0.004 * metres)
    return np.where(inside, np.rint(metres * 1000), 0).astype(np.uint16)


def judge_confidence(
    exact_m: Floats, incidence: Floats, albedo: Floats, measured_mm: npt.NDArray[np.uint16], rng: np.random.Generator
) -> Confidence:
    """(h, w) uint8 of `Level`; incidence (h, w) cosine, albedo (h, w) mean reflectance in [0, 1]."""
    depth = np.minimum(exact_m, np.float32(30))
    score = 1 / (1 + np.exp((depth - RELIABLE_M) / 0.5))
    score *= np.clip(0.15 + 2.0 * incidence, 0, 1)
    score *= np.clip(0.4 + 6 * albedo, 0, 1)
    # ARKit spreads sparse spots over the image, so doubt spreads from edges by a few pixels.
    near_edge = cv2.GaussianBlur(depth_edges(exact_m).astype(np.float32), (0, 0), 2.2)
    clear = 1 - np.clip(2.2 * near_edge, 0, 0.95)
    patches = cv2.GaussianBlur(rng.standard_normal(depth.shape, dtype=np.float32), (0, 0), 3) * np.float32(10)
    score = (score + 0.1 * patches) * clear
    # Beyond the reliable range a value stays usable (level 1) as long as it is seen frontally and off the edges.
    usable = 0.5 / (1 + np.exp((depth - 8.5) / 1.0)) * np.clip(0.4 + 3 * incidence, 0, 1)
    levels = np.full(depth.shape, Level.LOW, np.uint8)
    levels[np.maximum(score, (usable + 0.06 * patches) * clear) > 0.28] = Level.MEDIUM
    levels[score > 0.55] = Level.HIGH
    levels[measured_mm == 0] = Level.LOW
    return levels


def depth_edges(exact_m: Floats) -> npt.NDArray[np.bool_]:
    """(h, w) bool: pixels beside which the depth jumps by more than a few per cent; a slanted plane has no edges."""
    inverse = np.where(np.isfinite(exact_m), 1 / np.maximum(exact_m, 1e-3), 0).astype(np.float32)
    # Inverse depth of a plane is linear in the image, so its second difference vanishes however slanted the plane.
    edges = np.zeros(exact_m.shape, np.bool_)
    for axis in (0, 1):
        bend = np.abs(np.diff(inverse, 2, axis=axis))
        middle = inverse[1:-1] if axis == 0 else inverse[:, 1:-1]
        jump = bend > EDGE_RATIO * np.maximum(middle, 0.02)
        target = edges[1:-1] if axis == 0 else edges[:, 1:-1]
        target |= jump
    return edges


def _vignette(height: int, width: int) -> Floats:
    y, x = np.linspace(-0.75, 0.75, height)[:, None], np.linspace(-1, 1, width)[None, :]
    return (1 - 0.16 * (x * x + y * y)).astype(np.float32)


def _tone_curve() -> npt.NDArray[np.uint8]:
    """(65536,) uint8: 12-bit linear (with headroom for highlights) to the display, with a soft shoulder."""
    linear = np.arange(65536) / 4096
    shoulder = np.where(linear < 0.6, linear, 0.6 + 0.4 * (1 - np.exp(-(linear - 0.6) / 0.55)))
    srgb = np.where(shoulder < 0.0031308, 12.92 * shoulder, 1.055 * shoulder ** (1 / 2.4) - 0.055)
    return np.rint(255 * np.clip(srgb, 0, 1)).astype(np.uint8)


_TONE = _tone_curve()
