"""Predict on one image, a folder or a video: a `.npy` and a colour-mapped PNG with its bar for each picture.

One colour range for the whole set, never one per image: a range of its own hides in every picture what is being looked
for. Nothing is kept in memory but a sample of fixed size, so a video may be of any length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..console import note, track
from ..contract import CURRENT as CONTRACT
from ..data import inputs
from ..data.folder import IMAGE
from ..data.frame import Rgb
from ..data.images import write_png
from ..data.pictures import Scale, sheet
from ..errors import InputError
from ..evaluate.predictions import OnnxModel
from ..prediction_folder import describe, read_prediction, write_prediction

Kind = Literal["relative_depth", "depth_m", "affine_inverse_depth"]
Values = npt.NDArray[np.float32]

PERCENTILES = (1, 99)
ASPECT_TOLERANCE = 0.02
VALUES_PER_PICTURE, MOST_PICTURES_SAMPLED = 4096, 256

# Heading of a picture, and what stands beside the numbers of its bar (which has room for a few letters).
UNITS: dict[str, tuple[str, str]] = {
    "relative_depth": ("relative depth, any scale", ""),
    "depth_m": ("depth, metres", "m"),
    "affine_inverse_depth": ("inverse depth, any scale and offset", ""),
}


class Predictor(Protocol):
    """Anything that predicts: an exported model, a student, a teacher."""

    @property
    def kind(self) -> str:
        """A key of `UNITS`."""
        ...

    def predict(self, rgb: Rgb) -> Values:
        """(H, W, 3) uint8 RGB -> (h, w) float32 in the unit of `kind`, at the predictor's own size."""
        ...


@dataclass(frozen=True)
class OnnxPredictor:
    """A model with the contract's interface, as a `Predictor`."""

    model: OnnxModel
    kind: Kind = "relative_depth"

    @classmethod
    def open(cls, path: Path) -> OnnxPredictor:
        """Raises InputError where the model cannot be loaded or is not one image in."""
        return cls(OnnxModel.open(path))

    def predict(self, rgb: Rgb) -> Values:
        return self.model.predict("", rgb).astype(np.float32)


@dataclass(frozen=True)
class Predicted:
    """What was written: how many pictures, of what kind, painted over which range (in the kind's unit)."""

    pictures: int
    kind: str
    low: float
    high: float


class RangeSample:
    """Values of evenly spread pictures, at most a million of them, whatever the number of pictures.

    When it is full, every other picture is dropped and from then on only every other one is taken.
    """

    def __init__(self) -> None:
        self._kept: list[Values] = []
        self._step, self._index = 1, 0

    def add(self, values: Values) -> None:
        """Take evenly spaced finite values of one map, if its turn has come."""
        if self._index % self._step == 0:
            finite = values[np.isfinite(values)]
            self._kept.append(finite[:: max(1, math.ceil(finite.size / VALUES_PER_PICTURE))].copy())
            if len(self._kept) == MOST_PICTURES_SAMPLED:
                self._kept = self._kept[::2]
                self._step *= 2
        self._index += 1

    @property
    def size(self) -> int:
        return sum(values.size for values in self._kept)

    def range(self) -> tuple[float, float]:
        """The 1st and 99th percentile. Raises InputError where no value is finite."""
        if not self.size:
            raise InputError("No prediction holds a finite value.", "Run `lpcv check` on the model.")
        low, high = np.percentile(np.concatenate(self._kept), PERCENTILES)
        return float(low), float(high)


def predict_all(
    predictor: Predictor,
    source: Path,
    out: Path,
    colour_range: tuple[float, float] | None = None,
    made_from: str | None = None,
) -> Predicted:
    """Write `OUT/NAME.npy`, (1, 1, h, w) float32, and `OUT/NAME.png` for every picture of `source`.

    colour_range: (low, high) in the kind's unit; None takes the 1st to 99th percentile over the whole set and says so.
    made_from: SHA-256 of the model, where it is known
    Also writes `OUT/predictions.json`: kind and names before the first prediction, model, range and number at the end.
    Each file is whole or absent.
    Raises InputError for a source that cannot be read, a range that is none, or an `out` that would overwrite pictures.
    """
    if predictor.kind not in UNITS:
        raise ValueError(f"unknown kind '{predictor.kind}', known: {', '.join(UNITS)}")
    _demand_range(colour_range)
    _demand_elsewhere(source, out)
    sample, names = RangeSample(), []
    squeezed, all_names = False, inputs.names(source)
    for name, rgb in track(inputs.pictures(source), "predicting", len(all_names) if all_names else None):
        squeezed = squeezed or _say_if_squeezed(name, rgb)
        values = np.asarray(predictor.predict(rgb), np.float32)
        if values.ndim != 2:
            raise ValueError(f"a predictor gives (h, w), not {values.shape}")
        if not names:
            # An interrupted set must neither pass for depth nor for whole. The model is named at the end: until then,
            # some of the predictions may be an earlier one's.
            describe(out, predictor.kind, **({"frames": list(all_names)} if all_names else {}))
        sample.add(values)
        write_prediction(out / f"{name}.npy", values)
        names.append(name)
    low, high = colour_range or _common_range(sample)
    _paint(out, names, low, high, predictor.kind)
    made = {} if made_from is None else {"made_from": made_from}
    describe(out, predictor.kind, frames=names, **made, low=low, high=high, pictures=len(names))
    if predictor.kind == "affine_inverse_depth":
        note("These are INVERSE depths up to scale and offset: `lpcv score` expects depth and refuses them.")
    return Predicted(len(names), predictor.kind, low, high)


def _say_if_squeezed(name: str, rgb: Rgb) -> bool:
    width, height = CONTRACT.image_size
    squeezed = abs(rgb.shape[1] * height / (rgb.shape[0] * width) - 1) > ASPECT_TOLERANCE
    if squeezed:
        note(
            f"{name} is {rgb.shape[1]}x{rgb.shape[0]}, not {width}:{height} in shape: such a model sees "
            "it squeezed. Crop it first for a fair picture."
        )
    return squeezed


def _common_range(sample: RangeSample) -> tuple[float, float]:
    low, high = sample.range()
    if high <= low:  # a constant: any range shows it, but the bar needs two ends
        low, high = low - 0.5, high + 0.5
    note(
        f"Colours run from {low:.4g} to {high:.4g} in every picture: the {PERCENTILES[0]}st to {PERCENTILES[1]}th "
        "percentile over the whole set. Fix them with --range LOW HIGH."
    )
    return low, high


def _paint(out: Path, names: list[str], low: float, high: float, kind: str) -> None:
    heading, unit = UNITS[kind]
    scale = Scale(low, high, unit)
    for name in track(names, "painting"):
        values = read_prediction(out / f"{name}.npy").astype(np.float32, copy=False)
        tile = (values.shape[1], values.shape[0])
        write_png(out / f"{name}.png", sheet([("", [scale.paint(values)])], (heading,), (scale,), tile))


def _demand_range(colour_range: tuple[float, float] | None) -> None:
    if colour_range is None:
        return
    low, high = colour_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"--range {low:g} {high:g} is no range.", "Give two finite numbers, the smaller one first.")


def _demand_elsewhere(source: Path, out: Path) -> None:
    """A picture is written under its source's name, so it must not be written where the source lies."""
    where = out.resolve()
    if where in set(_picture_folders(source.resolve())):
        raise InputError(
            f"{out} is where the pictures lie, and NAME.png would overwrite them.", "Choose another --out."
        )


def _picture_folders(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        yield source / IMAGE
    else:
        yield source.parent
