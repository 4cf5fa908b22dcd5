"""Depth as pictures: one fixed colour scale with its bar and unit, invalid pixels grey, rows on a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .frame import Rgb

GREY, PAPER, INK = (128, 128, 128), 255, (20, 20, 20)
BAR_WIDTH_PX = 90
GAP_PX = 6
HEADING_PX = 26
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45


@dataclass(frozen=True)
class Scale:
    """A colour map over a closed range of values in a unit; what lies outside takes the end's colour."""

    low: float
    high: float
    unit: str
    colormap: int | npt.NDArray[np.uint8] = cv2.COLORMAP_TURBO

    def paint(self, values: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_] | None = None) -> Rgb:
        """(H, W) values -> (H, W, 3) uint8; pixels that are not finite or not `valid` are grey."""
        finite = np.isfinite(values)
        share = np.clip((np.where(finite, values, self.low) - self.low) / max(self.high - self.low, 1e-12), 0, 1)
        painted = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), self.colormap)
        rgb = cv2.cvtColor(painted, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        rgb[~finite if valid is None else ~(finite & valid)] = GREY
        return rgb

    def bar(self, height: int) -> Rgb:
        """A vertical bar with the two ends and the middle written beside it, high at the top."""
        picture = np.full((height, BAR_WIDTH_PX, 3), PAPER, np.uint8)
        ramp = np.linspace(self.high, self.low, height - 2 * GAP_PX, dtype=np.float32)[:, None]
        picture[GAP_PX : height - GAP_PX, GAP_PX : GAP_PX + 14] = self.paint(np.repeat(ramp, 14, axis=1))
        middle = (self.low + self.high) / 2
        for value, row in ((self.high, 16), (middle, height // 2), (self.low, height - 10)):
            _write(picture, f"{value:.3g} {self.unit}".rstrip(), (GAP_PX + 18, row))
        return picture


def signed_scale(limit: float, unit: str) -> Scale:
    """Blue below zero, white at it, red above, for an error that is prediction minus truth."""
    toward_white = np.linspace(0, 255, 128).round().astype(np.uint8)
    blue_green_red = np.full((256, 1, 3), 255, np.uint8)
    blue_green_red[:128, 0, 1] = blue_green_red[:128, 0, 2] = toward_white
    blue_green_red[128:, 0, 0] = blue_green_red[128:, 0, 1] = toward_white[::-1]
    return Scale(-limit, limit, unit, blue_green_red)


def with_bar(picture: Rgb, scale: Scale) -> Rgb:
    """The picture with its colour bar to the right."""
    return np.hstack([picture, scale.bar(picture.shape[0])])


def sheet(
    rows: Sequence[tuple[str, Sequence[Rgb]]], headings: Sequence[str], scales: Sequence[Scale], tile: tuple[int, int]
) -> Rgb:
    """Rows of pictures under headings, each row with its caption, the scales' bars at the right of every row.

    tile: (width, height) that each picture is drawn at, in pixels.
    """
    width, height = tile
    lines = [_heading_line(headings, width, len(scales))]
    bars = [scale.bar(height) for scale in scales]
    gap = np.full((height, GAP_PX, 3), PAPER, np.uint8)
    for caption, pictures in rows:
        tiles: list[Rgb] = []
        for picture in pictures:
            shrink = cv2.INTER_AREA if picture.shape[1] > width else cv2.INTER_NEAREST
            tiles += [cv2.resize(picture, tile, interpolation=shrink).astype(np.uint8, copy=False), gap]
        _caption(tiles[0], caption)
        lines += [np.hstack([*tiles, *bars]), np.full((GAP_PX, lines[0].shape[1], 3), PAPER, np.uint8)]
    return np.vstack(lines)


def _heading_line(headings: Sequence[str], width: int, bars: int) -> Rgb:
    line = np.full((HEADING_PX, len(headings) * (width + GAP_PX) + bars * BAR_WIDTH_PX, 3), PAPER, np.uint8)
    for index, heading in enumerate(headings):
        _write(line, heading, (index * (width + GAP_PX) + 4, 18))
    return line


def _caption(picture: Rgb, text: str) -> None:
    """Ink on a strip of paper, legible on any picture."""
    (width, height), below = cv2.getTextSize(text, FONT, FONT_SIZE, 1)
    cv2.rectangle(picture, (0, 0), (width + 8, height + below + 4), (PAPER, PAPER, PAPER), cv2.FILLED)
    _write(picture, text, (4, height + 2))


def _write(picture: Rgb, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, FONT, FONT_SIZE, INK, 1, cv2.LINE_AA)
