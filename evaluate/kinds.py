"""What a prediction means, and which kind can stand in for which.

From strong to weak: `depth_m` is depth in metres; `relative_depth` is depth up to one scale (near to far, zero at the
camera); `affine_inverse_depth` is inverse depth up to a scale AND a shift, as Depth Anything's relative models and
MiDaS emit (far to near). A stronger kind holds all that a weaker one does, so a protocol that asks for a weak kind
takes a stronger one, converted; the other way nothing can be done: the missing shift would have to be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

KINDS = ("depth_m", "relative_depth", "affine_inverse_depth")  # strong to weak
MEANINGS: Mapping[str, str] = {
    "depth_m": "depth in metres",
    "relative_depth": "depth up to one scale",
    "affine_inverse_depth": "inverse depth up to a scale and a shift",
}


def demand_kind(kind: str, weakest: str, who: str) -> None:
    """Raises InputError where a prediction of `kind` cannot be given to something that needs `weakest` or stronger."""
    if kind not in KINDS:
        raise InputError(f"'{kind}' is no kind of prediction.", f"Write one of: {', '.join(KINDS)}.")
    if KINDS.index(kind) > KINDS.index(weakest):
        raise InputError(
            f"The prediction is {kind} ({MEANINGS[kind]}), and {who} needs {weakest} ({MEANINGS[weakest]}).",
            "Use a metric teacher or a student; or score with a protocol that accepts this kind: see `lpcv protocols`.",
        )


def as_inverse_depth(prediction: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """Any kind as inverse depth (up to scale, and shift for the weakest): depth d becomes 1 / d, exactly once.

    prediction: floating, any shape. Zeros and negative depths give infinite and negative inverse depths, as they must.
    """
    if kind == "affine_inverse_depth":
        return prediction
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / prediction
