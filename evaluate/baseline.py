"""The baseline that every model must beat: one that never looks at the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract import CURRENT as CONTRACT
from ..data.frame import Rgb
from .protocol import Prediction

CONSTANT = "constant"  # the word that stands for it where a source is asked for


@dataclass(frozen=True)
class ConstantDepth:
    """The same depth everywhere, at the contract's size; a protocol's scale moves it to the frame's median."""

    label: str = "constant depth"
    kind: str = "relative_depth"

    def sha256(self) -> str:
        """There is no file; the word stands for it."""
        return CONSTANT

    def predict(self, name: str, rgb: Rgb) -> Prediction:
        """(480, 640) float32, all 1: relative depth."""
        return np.ones((CONTRACT.image_size[1], CONTRACT.image_size[0]), np.float32)
