"""The worst frames as pictures inside the page: RGB | truth | prediction | signed error, one colour scale for all."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...console import track
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder
from ...data.frame import Frame, Rgb
from ...data.pictures import Scale, signed_scale
from ...data.resize import nearest, picture
from ..contact import SCALE_PERCENTILE
from ..frame_score import FrameScore
from ..kinds import as_inverse_depth
from ..official import align
from ..predictions import Source
from ..protocol import Protocol

MOST_WIDE_PX = 640
JPEG_QUALITY = 85
BAR_STEPS = 256
BEYOND_M = 1e6


@dataclass(frozen=True)
class Tile:
    """One picture of a row. kind: "rgb", "depth" or "error", which says what colour bar belongs to it."""

    kind: str
    title: str
    uri: str


@dataclass(frozen=True)
class Bar:
    """A colour bar: its colours from low to high as a picture, and what is written at its low, middle and high end."""

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
    bars: tuple[Bar, ...]
    note: str


@dataclass(frozen=True)
class Pair:
    """Truth at its own resolution; truth and prediction on the prediction's grid, metres; which pixels are valid."""

    rgb: Rgb
    own_truth_m: npt.NDArray[np.float32]
    own_valid: npt.NDArray[np.bool_]
    truth_m: npt.NDArray[np.float32]
    pred_m: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]


def draw(source: Source, frames: FrameFolder, protocol: Protocol, scored: Sequence[FrameScore]) -> Pictures:
    """The tiles of these frames, in their order; none where the protocol compares no depth.

    Depth is painted from 0 to the 98th percentile of all valid truth shown, the error from minus to plus a quarter of
    that. Truth and error are grey where the protocol trusts no measurement, every map where a value is not finite.
    """
    if not scored:
        return Pictures({}, (), "There is no frame with a score to be shown.")
    if "depth" not in protocol.needs:
        return Pictures({}, (), "This protocol compares no depth in metres, so there is nothing to show.")
    pairs: dict[str, Pair] = {}
    for score in track(scored, "drawing the worst frames", len(scored)):
        frame = frames.frame(score.frame)
        pairs[score.frame] = _pair(frame, source.predict(frame.name, frame.rgb), source.kind, protocol, score)
    seen = np.concatenate([pair.own_truth_m[pair.own_valid] for pair in pairs.values()])
    far = float(np.percentile(seen, SCALE_PERCENTILE)) if seen.size else 1.0  # no valid truth: all of it is grey
    depth, error = Scale(0.0, far, "m"), signed_scale(far / 4, "m")
    rows = {name: _tiles(pair, depth, error) for name, pair in pairs.items()}
    return Pictures(rows, (_bar(depth), _bar(error)), _note(protocol, scored))


def _note(protocol: Protocol, scored: Sequence[FrameScore]) -> str:
    told = f"Predictions are in metres as the protocol aligned them: {protocol.alignment}."
    if loose := [score.frame for score in scored if not _is_aligned(protocol, score)]:
        told += f" It has no alignment for {', '.join(loose)}: there the official one is tried, one ratio of medians."
    return f"{told} One colour scale holds for every row. Click a picture to enlarge it."


def _is_aligned(protocol: Protocol, score: FrameScore) -> bool:
    return protocol.weakest_kind == "depth_m" or "scale" in score.alignment


def _pair(frame: Frame, prediction: npt.NDArray[Any], kind: str, protocol: Protocol, score: FrameScore) -> Pair:
    assert frame.depth_m is not None  # the protocol's `needs` saw to it
    confidence = frame.confidence
    if confidence is None or "confidence" not in protocol.needs:  # a measurement is trusted as it is
        confidence = np.full(frame.depth_m.shape, CONTRACT.cloud_confidence, np.uint8)
    valid = (confidence >= CONTRACT.pixel_confidence) & (frame.depth_m > 0)
    size = (prediction.shape[1], prediction.shape[0])
    if _is_aligned(protocol, score):
        pred_m = _in_metres(prediction, kind, protocol, score.alignment)
    elif kind == "affine_inverse_depth":  # no depth without a fitted shift
        pred_m = np.full(prediction.shape, np.nan)
    else:
        pred_m = align(prediction, frame.depth_m, confidence).pred_m
    return Pair(
        rgb=frame.rgb,
        own_truth_m=frame.depth_m,
        own_valid=valid,
        truth_m=nearest(frame.depth_m, size),
        pred_m=pred_m,
        valid=nearest(valid.astype(np.uint8), size) > 0,
    )


def _in_metres(
    prediction: npt.NDArray[Any], kind: str, protocol: Protocol, fitted: Mapping[str, float]
) -> npt.NDArray[Any]:
    """(H, W) metres with the parameters that the protocol fitted, in the space that it names."""
    scale, shift = fitted.get("scale", 1.0), fitted.get("shift", 0.0)
    if protocol.aligned_in != "inverse depth":
        return scale * prediction + shift
    inverse = scale * as_inverse_depth(prediction, kind) + shift
    return 1 / np.maximum(inverse, 1 / BEYOND_M)  # at 0 and below it is farther than anything


def _tiles(pair: Pair, depth: Scale, error: Scale) -> tuple[Tile, ...]:
    with np.errstate(invalid="ignore"):  # a prediction may hold infinities: not finite is painted grey
        difference = pair.pred_m - pair.truth_m
    return (
        Tile("rgb", "RGB", photo_uri(pair.rgb)),
        Tile("depth", "truth", map_uri(depth.paint(pair.own_truth_m, pair.own_valid))),
        Tile("depth", "prediction", map_uri(depth.paint(pair.pred_m))),
        Tile("error", "prediction − truth", map_uri(error.paint(difference, pair.valid))),  # noqa: RUF001
    )


def _bar(scale: Scale) -> Bar:
    ramp = scale.paint(np.linspace(scale.low, scale.high, BAR_STEPS, dtype=np.float32)[None])
    middle, most = (scale.low + scale.high) / 2, f"{scale.high:.3g} {scale.unit}"
    if scale.low < 0:
        return Bar("error", "prediction − truth", map_uri(ramp), f"≤ −{most}", "0", f"≥ +{most}")  # noqa: RUF001
    return Bar("depth", "depth", map_uri(ramp), f"{scale.low:.3g}", f"{middle:.3g}", f"≥ {most}")


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
