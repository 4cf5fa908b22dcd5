"""Reading and writing the image files of a frame, with the checks that each kind needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..errors import InputError
from ..files import write_bytes
from .frame import Confidence, DepthM, Level, Rgb

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


def read_rgb(path: Path) -> Rgb:
    """(H, W, 3) uint8 RGB of a PNG or JPEG file; an orientation tag is applied. Raises InputError if unreadable."""
    decoded = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if decoded is None:
        raise InputError(f"{path} is not a readable image.", "Replace it with an 8-bit RGB PNG or JPEG.")
    if decoded.dtype != np.uint8:
        raise InputError(
            f"{path} has {decoded.dtype.itemsize * 8} bits per channel, but an image has 8.",
            "Save it again as 8-bit RGB.",
        )
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_depth_m(path: Path, unit_m: float = CONTRACT.depth_unit_m) -> DepthM:
    """(h, w) float32 metres of a 16-bit PNG of `unit_m` metres per count, by default millimetres; 0 = none.

    Raises InputError for anything else.
    """
    stored = _decode_one_channel(path)
    if stored.dtype != np.uint16:
        raise InputError(
            f"{path} has {stored.dtype.itemsize * 8} bits per pixel, but depth is a 16-bit PNG in millimetres.",
            "Save it again as uint16 millimetres with 0 where nothing was measured.",
        )
    # The scorer divides by 1000 in float32 (evaluate_track3.py); multiplying by 0.001 rounds differently.
    return stored.astype(np.float32) / np.float32(1 / unit_m)


def read_confidence(path: Path) -> Confidence:
    """(h, w) uint8 of 0, 1, 2 of an 8-bit PNG. Raises InputError for another depth or other values."""
    stored = _decode_one_channel(path)
    if stored.dtype != np.uint8:
        raise InputError(
            f"{path} has {stored.dtype.itemsize * 8} bits per pixel, but confidence is an 8-bit PNG.",
            "Save it again as uint8 with the values 0, 1 and 2.",
        )
    if stored.max(initial=0) > Level.HIGH:
        raise InputError(
            f"{path} holds a confidence of {stored.max()}, but the levels are 0, 1 and 2.",
            "Map your levels to 0 (low), 1 (medium) and 2 (high).",
        )
    return stored


def write_png(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16, as PNG; whole or not at all."""
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(".png", ordered)
    if not done:
        raise ValueError(f"cannot encode an array of shape {pixels.shape} and dtype {pixels.dtype} as PNG")
    write_bytes(path, encoded.tobytes())


def _decode_one_channel(path: Path) -> npt.NDArray[Any]:
    decoded = _decode(path, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise InputError(f"{path} is not a readable image.", "Replace it with the PNG that the recording gave.")
    if decoded.ndim != 2:
        raise InputError(f"{path} has {decoded.shape[2]} channels, but one is needed.", "Save it as a grey-scale PNG.")
    return decoded


def _decode(path: Path, mode: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(_bytes_of(path), mode)
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        return None


def _bytes_of(path: Path) -> npt.NDArray[np.uint8]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from None
    if not content:
        raise InputError(f"{path} is empty.", "Copy it again from its source.")
    return np.frombuffer(content, np.uint8)
