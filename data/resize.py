"""Changing the size of depth maps, where the way of doing it matters."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from .frame import Rgb

Map = TypeVar("Map", bound=npt.NDArray[Any])


def nearest(values: Map, size: tuple[int, int]) -> Map:
    """(h, w) float32 or uint8 -> (H, W) for size = (W, H), by PIL's NEAREST, as the official scorer does.

    Only PIL itself reproduces the score: it steps from pixel centre to pixel centre by summing in floating point, so
    that from 256x192 to 640x480 a tenth of the pixels differ from floor((i + 0.5) * w / W), and from OpenCV's too.
    """
    if (values.shape[1], values.shape[0]) == size:
        return values
    return np.array(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))  # type: ignore[return-value]


def smooth(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(h, w) float32 -> (H, W) for size = (W, H): by area where it shrinks, bilinear where it grows."""
    if (values.shape[1], values.shape[0]) == size:
        return values
    shrinks = size[0] * size[1] < values.size
    resized = cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.float32, copy=False)


def picture(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """(h, w, 3) uint8 -> (H, W, 3) for size = (W, H), by area."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
