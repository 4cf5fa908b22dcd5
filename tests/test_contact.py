"""The contact sheet of `lpcv score`: what is drawn where, and in which colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lpcv import cli
from lpcv.data.folder import open_folder, spread
from lpcv.data.images import read_rgb, write_png

Array = npt.NDArray[Any]
GREY = (128, 128, 128)


def run_score(source: Path, frames: Path, *more: str) -> int:
    return cli.run(["score", str(source), "--data", str(frames), *more])


# The contact sheet: four tiles of 256x192 with gaps of 6, two bars of 90, a heading of 26, a gap of 6 under each row


def tile(sheet: Array, row: int, column: int) -> Array:
    top, left = 26 + row * 198, column * 262
    return sheet[top : top + 192, left : left + 256]


def test_the_sheet_shows_holes_and_distrust_in_grey(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    holes, levels = small.depth_mm(1), np.full((6, 8), 2, np.uint8)
    holes[2, 3], levels[4, 5] = 0, 0
    write_png(small_frames / "depth_raw" / "0001.png", holes)
    write_png(small_frames / "depth_conf" / "0001.png", levels)
    out = tmp_path / "sheet.png"
    assert run_score(small_predictions, small_frames, "--sheet", str(out)) == 0
    sheet = read_rgb(out)
    assert sheet.shape == (26 + 3 * 198, 4 * 262 + 2 * 90, 3)
    rgb = open_folder(small_frames).frame("0001").rgb
    _, truth, pred, error = (tile(sheet, 1, column) for column in range(4))
    for down, right in ((2, 3), (4, 5)):
        middle = (32 * down + 16, 32 * right + 16)  # 6x8 truth on 192x256 pixels
        assert tuple(truth[middle]) == tuple(error[middle]) == GREY
        assert tuple(pred[middle]) != GREY
    middle = (32 * 3 + 16, 32 * 6 + 16)
    assert tuple(truth[middle]) != GREY
    assert tuple(error[middle]) != GREY
    grey = (truth[24:] == 128).all(2)  # below the caption
    assert grey.sum() == 2 * 32 * 32
    np.testing.assert_array_equal(tile(sheet, 1, 0)[100, 8::16], rgb[100 // 16])


def test_the_sheet_has_one_scale_for_all_rows(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    """The same depth has the same colour in every row, in truth and prediction."""
    write_png(small_frames / "depth_raw" / "0000.png", np.full((6, 8), 2000, np.uint16))
    np.save(small_predictions / "0000.npy", np.full((small.height, small.width), 0.3, np.float32))
    mixed = np.full((6, 8), 4000, np.uint16)
    mixed[:, 4:] = 2000
    write_png(small_frames / "depth_raw" / "0001.png", mixed)
    out = tmp_path / "sheet.png"
    assert run_score(small_predictions, small_frames, "--sheet", str(out), "--frames", "0000-0001") == 0
    sheet = read_rgb(out)
    flat, flat_pred, two = tile(sheet, 0, 1), tile(sheet, 0, 2), tile(sheet, 1, 1)
    assert tuple(flat[100, 200]) == tuple(flat_pred[100, 200]) == tuple(two[100, 200])
    assert tuple(two[100, 50]) != tuple(two[100, 200])


def test_the_sheet_of_frames_without_a_trusted_pixel_is_drawn(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    """Depth only where confidence is 0, confidence only where there is no depth: official, and grey all over."""
    holes, levels = small.depth_mm(0), np.zeros((6, 8), np.uint8)
    holes[:, :2], levels[:, :2] = 0, 2
    write_png(small_frames / "depth_raw" / "0000.png", holes)
    write_png(small_frames / "depth_conf" / "0000.png", levels)
    out = tmp_path / "sheet.png"
    assert run_score(small_predictions, small_frames, "--frames", "0000", "--sheet", str(out)) == 0
    assert (tile(read_rgb(out), 0, 1)[24:] == 128).all()


def test_spread_is_even_and_holds_both_ends() -> None:
    names = [f"{index:04d}" for index in range(100)]
    assert spread(names, 4) == ["0000", "0033", "0066", "0099"]
    assert spread(names[:3], 12) == names[:3]
    assert len(set(spread(names, 12))) == 12
