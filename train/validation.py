"""The official score of a network that is being trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder
from ..data.frame import Rgb
from ..evaluate.predictions import Prediction, contract_input
from ..evaluate.result import Score
from ..evaluate.score import score_source
from .raw_rgb import RawRgb, to_contract


@dataclass(frozen=True)
class InTraining:
    """A network as a source of predictions, through the same operations that its export will hold."""

    model: RawRgb
    device: torch.device
    label: str = "validation"
    kind: str = CONTRACT.output_kind

    def sha256(self) -> str:
        return "in training"

    @torch.inference_mode()
    def predict(self, name: str, rgb: Rgb) -> Prediction:
        """(480, 640) float32 relative depth."""
        image = torch.from_numpy(contract_input(rgb)).to(self.device)
        return to_contract(self.model(image))[0, 0].float().cpu().numpy()


def validate(model: RawRgb, frames: FrameFolder, device: torch.device) -> Score:
    """Score with the network in evaluation mode; training mode is restored."""
    was_training = model.training
    model.eval()
    try:
        return score_source(InTraining(model, device), frames)
    finally:
        model.train(was_training)


def rank(score: Score) -> tuple[float, float]:
    """Larger is better: the F-Score, which ranks submissions, then abs_rel."""
    return _or(score.mean.values["f_score"], -1.0), -_or(score.mean.values["abs_rel"], float("inf"))


def brief(score: Score) -> dict[str, Any]:
    return dict(score.mean.values)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
