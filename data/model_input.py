"""What a model of the contract is fed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..contract import CURRENT as CONTRACT
from .frame import Rgb
from .resize import picture


def contract_input(rgb: Rgb, size: tuple[int, int] = CONTRACT.image_size) -> npt.NDArray[np.float32]:
    """(1, 3, H, W) float32 in 0 to 255, RGB: what the contract feeds a model. Another size is resized by area.

    rgb: (h, w, 3) uint8; size: (W, H) in pixels
    """
    return np.ascontiguousarray(picture(rgb, size).transpose(2, 0, 1)[None], np.float32)
