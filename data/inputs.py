"""Pictures to predict on: one image, a folder of images, or a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from .folder import open_folder
from .frame import Rgb
from .images import IMAGE_SUFFIXES, read_rgb

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")


def names(path: Path) -> tuple[str, ...] | None:
    """The names under which `pictures` will yield, where they are known beforehand: of a video they are not."""
    if path.is_dir():
        return open_folder(path).names
    return None if path.suffix.lower() in VIDEO_SUFFIXES else (path.stem,)


def pictures(path: Path) -> Iterator[tuple[str, Rgb]]:
    """Yield (name, (H, W, 3) uint8 RGB): the file's stem, or a video's frame number from 000000.

    Raises InputError where the path is missing, unreadable, or of another kind.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        folder = open_folder(path)
        yield from ((name, read_rgb(folder.images[name])) for name in folder.names)
    elif not path.exists():
        raise InputError(f"{path} does not exist.", "Give an image, a folder of images, or a video.")
    elif suffix in VIDEO_SUFFIXES:
        yield from _video(path)
    elif suffix in IMAGE_SUFFIXES:
        yield path.stem, read_rgb(path)
    else:
        known = ", ".join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
        raise InputError(f"{path} is neither an image nor a video by its ending.", f"Known endings: {known}.")


def _video(path: Path) -> Iterator[tuple[str, Rgb]]:
    capture = cv2.VideoCapture(str(path))
    try:
        index = 0
        while True:
            there, bgr = capture.read()
            if not there:
                break
            yield f"{index:06d}", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise InputError(f"{path} holds no frame that OpenCV can decode.", "Convert it to H.264 in an .mp4 file.")
