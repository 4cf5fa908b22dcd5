"""One frame as a coloured point cloud: the truth, the aligned prediction, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from ..data.frame import Frame, Rgb
from ..data.resize import picture
from ..errors import InputError
from .official import align
from .pointcloud import Cloud, Rays, cloud_of, frame_rays, official_rays

What = Literal["truth", "prediction", "both"]
Geometry = Literal["pixel", "official"]
Colouring = Literal["rgb", "tint"]
TINTS = {"truth": (90, 150, 255), "prediction": (255, 110, 90)}  # bluish and reddish, times the picture's brightness
DARKEST = 0.3  # share of the tint that a black pixel keeps
BRIGHTNESS = (0.299, 0.587, 0.114)  # Rec. 601
AXES = "x right, y down, z forward; metres"


@dataclass(frozen=True)
class FrameCloud:
    """points_m: (N, 3) float32; colours: (N, 3) uint8 RGB; comments: what a reader of the file must know.

    counts: "truth", "prediction" -> how many of the points, in this order
    holes, not_finite: how many pixels of the score's mask were left out because truth or prediction has no depth there
    """

    points_m: Cloud
    colours: npt.NDArray[np.uint8]
    counts: Mapping[str, int]
    comments: tuple[str, ...]
    holes: int
    not_finite: int

    def extents(self) -> list[tuple[str, ...]]:
        """A row for each part: its name, number of points, and its range along x, y, z in metres."""
        rows: list[tuple[str, ...]] = []
        start = 0
        for part, count in self.counts.items():
            points = self.points_m[start : start + count]
            ranges = (f"{low:.3f} to {high:.3f}" for low, high in zip(points.min(0), points.max(0), strict=True))
            rows.append((part, str(count), *ranges))
            start += count
        return rows


def frame_cloud(
    frame: Frame,
    prediction: npt.NDArray[Any],
    what: What = "both",
    geometry: Geometry = "pixel",
    colouring: Colouring = "rgb",
) -> FrameCloud:
    """The points of the pixels that the score's clouds hold, less those without depth.

    prediction: (H, W) floating, relative depth or metres; aligned as the official score does it
    geometry: see `rays_of`; colouring: the picture's colours, or each cloud in its own
    The mask is confidence 2, or 1 where no pixel has 2. Unlike in the score, holes are left out: there they are points
    at the camera itself. Raises InputError where the frame has no truth, or no pixel is left.
    """
    if frame.depth_m is None or frame.confidence is None:
        raise InputError(
            f"Frame {frame.name} has no depth or no confidence.", "A cloud needs depth_raw/ and depth_conf/."
        )
    aligned = align(prediction, frame.depth_m, frame.confidence)
    mask = aligned.cloud_mask
    measured = mask & (aligned.truth_m > CONTRACT.zero_replacement_m)
    kept = measured if what == "truth" else measured & np.isfinite(aligned.pred_m)
    if not kept.any():
        lack = "a finite prediction" if measured.any() else "truth of confidence 1 or 2"
        raise InputError(f"Frame {frame.name} has no pixel with {lack}.", "Choose another frame.")
    height, width = prediction.shape
    rays, camera = rays_of(frame, (height, width), geometry)
    depths = {"truth": aligned.truth_m, "prediction": aligned.pred_m}
    parts = tuple(depths) if what == "both" else (what,)
    rgb = picture(frame.rgb, (width, height))[kept]
    return FrameCloud(
        points_m=np.concatenate([cloud_of(depths[part], kept, rays) for part in parts]),
        colours=np.concatenate([rgb if colouring == "rgb" else tinted(rgb, part) for part in parts]),
        counts={part: int(kept.sum()) for part in parts},
        comments=(
            f"frame {frame.name}: {' and '.join(parts)}",
            AXES,
            f"rays: {camera}",
            f"prediction scaled by {aligned.scale:.6g} = median(truth) / median(prediction)",
        ),
        holes=int((mask & ~measured).sum()),
        not_finite=int((measured & ~kept).sum()),
    )


def rays_of(frame: Frame, shape: tuple[int, int], geometry: Geometry) -> tuple[Rays, str]:
    """(H * W, 3) the ray of every pixel of a (H, W) map, and where they come from.

    geometry: "official" are the organisers' rays, which the score compares and which show nothing recognisable;
        "pixel" each pixel's own, of the manifest's camera where it names one, else of the contract's
    """
    height, width = shape
    if geometry == "official":
        return official_rays(height, width), "the organisers' own: matrix order, K of 1920x1440; no true geometry"
    rays, camera = frame_rays(frame, shape)
    return rays, f"each pixel's own, {camera} rescaled to {width}x{height}"


def tinted(rgb: Rgb, part: str) -> npt.NDArray[np.uint8]:
    """(N, 3) uint8: the brightness of each pixel in the colour of its cloud."""
    brightness = DARKEST + (1 - DARKEST) * (rgb @ np.array(BRIGHTNESS))[:, None] / 255
    return np.rint(np.array(TINTS[part]) * brightness).astype(np.uint8)
