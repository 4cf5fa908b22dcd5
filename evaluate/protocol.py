"""What a protocol is: everything that turns a prediction and its truth into numbers, named and frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.frame import Frame
from .frame_score import FrameScore

Prediction = npt.NDArray[Any]
ScoreFrame = Callable[[Frame, Prediction, str], FrameScore]


@dataclass(frozen=True)
class Comparison:
    """What a protocol compares of one frame, on the grid on which it does so.

    truth_m: (H, W) metres
    pred_m: (H, W) metres, aligned and clamped, also where no pixel counts; not finite where there is no such value
    counted: (H, W) the pixels that count and have a measurement
    """

    truth_m: npt.NDArray[np.floating]
    pred_m: npt.NDArray[np.floating]
    counted: npt.NDArray[np.bool_]


Compare = Callable[[Frame, Prediction, str], Comparison]
FUNCTIONS = ("score", "compare")


@dataclass(frozen=True)
class Protocol:
    """A named way to score; each text says in one clause what is done, so that it can be printed with every number.

    weakest_kind: the weakest kind of prediction that it takes (see kinds.py); a stronger one is converted
    needs: what a frame must have: "depth", "confidence", "pairs"
    aligned_in: "depth" or "inverse depth": what the fitted scale and shift apply to; "nothing" where none is fitted
    metrics: keys of `metrics.FACTS`, in the order of the tables
    ranks: the metric that orders models
    score: (frame, prediction (H, W) floating, kind) -> FrameScore. Pure: the same frame gives the same numbers.
    compare: the same arguments -> what `score` compares, for pictures; None where it compares no depth
    """

    name: str
    purpose: str
    weakest_kind: str
    needs: tuple[str, ...]
    resize: str
    valid: str
    crop: str
    cap: str
    alignment: str
    aligned_in: str
    metrics: tuple[str, ...]
    ranks: str
    aggregation: str
    source: str
    score: ScoreFrame
    compare: Compare | None = None

    def described(self) -> Mapping[str, Any]:
        """All of it but the functions, as it is printed and stored with every score."""
        return {key: value for key, value in vars(self).items() if key not in FUNCTIONS}
