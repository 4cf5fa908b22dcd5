"""The worst frames as pictures inside the page: RGB | truth | prediction | signed error, one colour scale for all."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ...console import track
from ...data.folder import FrameFolder
from ...data.frame import Rgb
from ...data.pictures import Scale, signed_scale
from ...data.resize import picture
from ..contact import SCALE_PERCENTILE
from ..frame_score import FrameScore
from ..predictions import Source
from ..protocol import Comparison, Protocol

MOST_WIDE_PX = 640
JPEG_QUALITY = 85
BAR_STEPS = 256


@dataclass(frozen=True)
class Tile:
    """One picture of a row. kind: "rgb", "depth" or "error", which says what colour bar belongs to it."""

    kind: str
    title: str
    uri: str


@dataclass(frozen=True)
class ColourBar:
    """Its colours from low to high as a picture, and what is written at its low, middle and high end."""

    kind: str
    title: str
    uri: str
    low: str
    middle: str
    high: str


@dataclass(frozen=True)
class Pictures:
    """Frame -> its tiles, in the order given; the two bars that hold for every row; what a reader must know of them."""

    rows: Mapping[str, tuple[Tile, ...]]
    bars: tuple[ColourBar, ...]
    note: str


def draw(source: Source, frames: FrameFolder, protocol: Protocol, scored: Sequence[FrameScore]) -> Pictures:
    """The tiles of these frames, in their order; none where the protocol compares no depth.

    Truth, prediction and error are what the protocol compares, on the grid on which it does so. Depth is painted from 0
    to the 98th percentile of all truth that counts, the error from minus to plus a quarter of that. Truth and error are
    grey where no pixel counts, every map where a value is not finite.
    """
    if not scored:
        return Pictures({}, (), "There is no frame with a score to be shown.")
    if protocol.compare is None:
        return Pictures({}, (), "This protocol compares no depth in metres, so there is nothing to show.")
    pairs: dict[str, tuple[Rgb, Comparison]] = {}
    for score in track(scored, "drawing the worst frames", len(scored)):
        frame = frames.frame(score.frame)
        pairs[score.frame] = frame.rgb, protocol.compare(frame, source.predict(frame.name, frame.rgb), source.kind)
    seen = np.concatenate([pair.truth_m[pair.counted] for _, pair in pairs.values()])
    far = float(np.percentile(seen, SCALE_PERCENTILE)) if seen.size else 1.0  # no truth that counts: all of it is grey
    depth, error = Scale(0.0, far, "m"), signed_scale(far / 4, "m")
    rows = {name: _tiles(rgb, pair, depth, error) for name, (rgb, pair) in pairs.items()}
    return Pictures(rows, (_bar(depth), _bar(error)), _note(protocol, pairs))


def _note(protocol: Protocol, pairs: Mapping[str, tuple[Rgb, Comparison]]) -> str:
    told = f"Predictions are in metres as the protocol aligned and clamped them: {protocol.alignment}."
    if lost := [name for name, (_, pair) in pairs.items() if not np.isfinite(pair.pred_m).any()]:
        told += f" It gives {', '.join(lost)} no depth in metres: these predictions are grey."
    return f"{told} One colour scale holds for every row. Click a picture to enlarge it."


def _tiles(rgb: Rgb, pair: Comparison, depth: Scale, error: Scale) -> tuple[Tile, ...]:
    with np.errstate(invalid="ignore"):  # a prediction may hold infinities: not finite is painted grey
        difference = pair.pred_m - pair.truth_m
    return (
        Tile("rgb", "RGB", photo_uri(rgb)),
        Tile("depth", "truth", map_uri(depth.paint(pair.truth_m, pair.counted))),
        Tile("depth", "prediction", map_uri(depth.paint(pair.pred_m))),
        Tile("error", "prediction − truth", map_uri(error.paint(difference, pair.counted))),  # noqa: RUF001
    )


def _bar(scale: Scale) -> ColourBar:
    ramp = scale.paint(np.linspace(scale.low, scale.high, BAR_STEPS, dtype=np.float32)[None])
    middle, most = (scale.low + scale.high) / 2, f"{scale.high:.3g} {scale.unit}"
    if scale.low < 0:
        return ColourBar("error", "prediction − truth", map_uri(ramp), f"≤ −{most}", "0", f"≥ +{most}")  # noqa: RUF001
    return ColourBar("depth", "depth", map_uri(ramp), f"{scale.low:.3g}", f"{middle:.3g}", f"≥ {most}")


def photo_uri(rgb: Rgb) -> str:
    """(H, W, 3) uint8 as a JPEG data URI, at most 640 pixels wide."""
    height, width = rgb.shape[:2]
    if width > MOST_WIDE_PX:
        rgb = picture(rgb, (MOST_WIDE_PX, max(1, round(height * MOST_WIDE_PX / width))))
    return _uri("jpeg", rgb, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def map_uri(painted: Rgb) -> str:
    """(H, W, 3) uint8 as a PNG data URI, colours exact; wider than 640 pixels it is thinned by nearest neighbour."""
    height, width = painted.shape[:2]
    if width > MOST_WIDE_PX:
        size = (MOST_WIDE_PX, max(1, round(height * MOST_WIDE_PX / width)))
        painted = cv2.resize(painted, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)
    return _uri("png", painted, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _uri(kind: str, rgb: Rgb, options: Sequence[int]) -> str:
    done, encoded = cv2.imencode(f".{kind}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"cannot encode an image of shape {rgb.shape} as {kind.upper()}")
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"
