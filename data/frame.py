"""One image with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT

Rgb = npt.NDArray[np.uint8]
DepthM = npt.NDArray[np.float32]
Confidence = npt.NDArray[np.uint8]
Place = Literal["indoor", "outdoor", "unknown"]
Light = Literal["normal", "low", "unknown"]


class Level(IntEnum):
    """ARKit's `ARConfidenceLevel`: how far a LiDAR depth value is to be trusted."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera, in pixels of the frame's RGB image; the centre of the top-left pixel is (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class PointPair:
    """Two pixels of the frame's RGB image, (column, row) from (0, 0) at the top left, and which of them is nearer."""

    a: tuple[int, int]
    b: tuple[int, int]
    nearer: Literal["a", "b"]


@dataclass(frozen=True)
class Record:
    """What `manifest.json` says of one frame.

    depth_unit_m: metres per count of the depth PNG, e.g. 1 / 256 for KITTI's
    same_view: depth and image show the same view though their aspects differ, as Make3D's do
    pairs: ordinal truth, as Depth in the Wild has it
    extra: the row's other texts, numbers and truth values, as texts, to group frames by
    """

    place: Place = "unknown"
    light: Light = "unknown"
    source: str = "unknown"
    licence: str = "unknown"
    intrinsics: Intrinsics | None = None
    depth_unit_m: float = CONTRACT.depth_unit_m
    same_view: bool = False
    pairs: tuple[PointPair, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict, compare=False)  # a dict has no hash, a record has


@dataclass(frozen=True)
class Frame:
    """One image with what is known of it.

    name: the files' common stem, e.g. "0000"
    rgb: (H, W, 3) uint8, RGB order
    depth_m: (h, w) float32 metres along the optical axis, 0 = none, at its own resolution; None = no depth at all
    confidence: (h, w) uint8 of `Level`, the depth's size; None = unknown
    record: condition, source, licence and, where known, the camera
    """

    name: str
    rgb: Rgb
    depth_m: DepthM | None
    confidence: Confidence | None
    record: Record
