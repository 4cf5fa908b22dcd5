"""Point clouds as PLY files, which MeshLab, CloudCompare and Blender open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..files import replacing

POSITION = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
COLOUR = [("red", "u1"), ("green", "u1"), ("blue", "u1")]
TYPE_NAMES = {"<f4": "float", "u1": "uchar"}


def write_ply(
    path: Path,
    points_m: npt.NDArray[np.floating],
    colours: npt.NDArray[np.uint8] | None = None,
    comments: Sequence[str] = (),
) -> None:
    """Write a binary little-endian PLY file, whole or not at all.

    points_m: (N, 3) finite metres, written as float32; colours: (N, 3) uint8 RGB
    comments: one line of the header each; what is no ASCII is written as Python escapes it
    Raises ValueError for other shapes or a point that is not finite. Source: Turk 1994, The PLY Polygon File Format.
    """
    points = np.asarray(points_m, np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"points are finite and (N, 3), not {points.shape} with NaN or infinity")
    if colours is not None and (colours.shape != points.shape or colours.dtype != np.uint8):
        raise ValueError(f"colours are uint8 of shape {points.shape}, not {colours.dtype} of shape {colours.shape}")
    fields = POSITION + (COLOUR if colours is not None else [])
    rows = np.empty(len(points), fields)
    for column, (name, _) in enumerate(POSITION):
        rows[name] = points[:, column]
    if colours is not None:
        for column, (name, _) in enumerate(COLOUR):
            rows[name] = colours[:, column]
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(_header(len(points), fields, comments))
        stream.write(rows.tobytes())


def _header(count: int, fields: Sequence[tuple[str, str]], comments: Sequence[str]) -> bytes:
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {' '.join(comment.split())}" for comment in comments),
        f"element vertex {count}",
        *(f"property {TYPE_NAMES[kind]} {name}" for name, kind in fields),
        "end_header",
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace")
