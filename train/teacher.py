"""The teacher: transformers' depth-estimation models, from a hub id or a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from ..contract import CURRENT as CONTRACT
from ..data.frame import Rgb
from ..data.labels import LabelKind, LabelSource
from ..errors import InputError
from .hub_weights import HubWeights, weights_sha256
from .weights_licence import PERMISSIVE, licence_of, warn_of_licence

# What each family emits: metres, or inverse depth up to scale and shift (Ranftl et al. 2020, arXiv 1907.01341).
# DPT is not here: its metric and its relative models cannot be told apart by their config.
KIND_OF_FAMILY: dict[str, LabelKind] = {"zoedepth": "depth_m", "glpn": "depth_m"}
KIND_OF_ESTIMATION: dict[str, LabelKind] = {"metric": "depth_m", "relative": "affine_inverse_depth"}


@dataclass(frozen=True)
class Teacher:
    """A loaded teacher. `source` says whose labels it makes, in which kind, under which licence."""

    source: LabelSource
    model: Any
    processor: Any

    @property
    def kind(self) -> LabelKind:
        return self.source.kind

    @torch.inference_mode()
    def predict_batch(self, images: Sequence[Rgb]) -> list[npt.NDArray[np.float32]]:
        """(h, w) float32 per image, in the unit of `kind`; images of equal size, (H, W, 3) uint8 RGB."""
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.model.device)
        return list(self.model(**inputs).predicted_depth.float().cpu().numpy())

    def predict(self, rgb: Rgb) -> npt.NDArray[np.float32]:
        """(h, w) float32, in the unit of `kind`, at the teacher's own output size."""
        return self.predict_batch([rgb])[0]


def load_teacher(name: str, device: str | None = None) -> Teacher:
    """Load a hub id or a local folder written by `save_pretrained` (safetensors only; no code of theirs is run).

    Raises UnreachableError where a hub id cannot be fetched, InputError where the model is no depth estimator.
    """
    given = HubWeights(
        name, "--teacher", "transformers depth model", "config.json, model.safetensors and preprocessor_config.json"
    )
    if not given.is_possible:
        raise InputError(f"{name} is neither a folder nor a hub id.", f"Use a folder, or an id as {PERMISSIVE}.")
    given.announce()
    config = given.config()
    kind = _kind(config, name)
    model = given.model(AutoModelForDepthEstimation, config)
    processor = given.read(AutoImageProcessor)
    licence = licence_of(name)
    warn_of_licence(name, licence)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    probe = np.zeros((CONTRACT.image_size[1], CONTRACT.image_size[0], 3), np.uint8)
    rows, columns = processor(images=[probe], return_tensors="pt")["pixel_values"].shape[-2:]
    source = LabelSource(
        kind=kind, teacher=given.source, weights_sha256=weights_sha256(model.state_dict()), licence=licence,
        input_size=(columns, rows),
    )  # fmt: skip
    return Teacher(source, model.to(chosen), processor)


def _kind(config: Any, name: str) -> LabelKind:
    if config.model_type == "depth_anything":
        estimation = config.depth_estimation_type
        if estimation not in KIND_OF_ESTIMATION:
            raise InputError(
                f"{name} says '{estimation}' of what it estimates.", f"Known are: {', '.join(KIND_OF_ESTIMATION)}."
            )
        return KIND_OF_ESTIMATION[estimation]
    if config.model_type in KIND_OF_FAMILY:
        return KIND_OF_FAMILY[config.model_type]
    raise InputError(
        f"{name} is a '{config.model_type}' model, and it is not known whether that gives depth or inverse depth.",
        f"Use Depth Anything V2, or one of: {', '.join(KIND_OF_FAMILY)}.",
    )
