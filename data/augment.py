"""Augmentation of one training frame; the caller gives the random generator, so that a draw can be repeated."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .frame import Rgb

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def mirror(maps: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Left-right mirror of maps that have rows first and columns second; a mirrored room is as likely as the room."""
    return [np.ascontiguousarray(values[:, ::-1]) for values in maps]


def jitter_colour(rgb: Rgb, draw: np.random.Generator, strength: float) -> Rgb:
    """Exposure, contrast, saturation and white balance, each by a factor of at most exp(+-strength).

    rgb: (H, W, 3) uint8. strength: 0 changes nothing, 0.4 is strong.
    """
    exposure, contrast, saturation = np.exp(draw.uniform(-strength, strength, 3))
    balance = np.exp(draw.uniform(-strength / 4, strength / 4, 3))
    # All four are linear in the pixel, so they are one 3x4 matrix, and OpenCV applies it in a single pass.
    saturate = saturation * np.eye(3) + (1 - saturation) * np.tile(LUMA, (3, 1))
    colour = contrast * saturate @ np.diag(exposure * balance)
    middle = LUMA @ (exposure * balance * np.array(cv2.mean(rgb)[:3]))
    offset = np.full((3, 1), (1 - contrast) * middle)
    return cv2.transform(rgb, np.hstack([colour, offset])).astype(np.uint8, copy=False)
