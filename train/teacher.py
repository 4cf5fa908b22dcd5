"""The teacher: transformers' depth-estimation models, from a hub id or a local folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import ModelCard
from huggingface_hub.utils import logging as hub_logging
from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation
from transformers.utils import logging as transformers_logging

from ..console import note
from ..contract import CURRENT as CONTRACT
from ..data.frame import Rgb
from ..data.labels import LabelKind, LabelSource
from ..errors import InputError, LpcvError, UnreachableError

# Their bars and retry warnings say nothing that our one sentence does not.
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()
hub_logging.set_verbosity_error()

NON_COMMERCIAL_MARK = "nc"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?<!\.png)(?<!\.jpg)(?<!\.onnx)")
PERMISSIVE_TEACHER = "depth-anything/Depth-Anything-V2-Small-hf"
# The model cards of huggingface.co/depth-anything: Small is Apache-2.0, Base, Large and Giant are CC-BY-NC-4.0.
KNOWN_LICENCES = {
    "Depth-Anything-V2-Small": "apache-2.0",
    "Depth-Anything-V2-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Large": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Indoor-Small": "apache-2.0",
    "Depth-Anything-V2-Metric-Outdoor-Small": "apache-2.0",
    "Depth-Anything-V2-Metric-Indoor-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Outdoor-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Indoor-Large": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Outdoor-Large": "cc-by-nc-4.0",
}
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
    """Load a hub id or a local folder written by `save_pretrained` (safetensors only; nothing is unpickled).

    Raises UnreachableError where a hub id cannot be fetched, InputError where the model is no depth estimator.
    """
    if not Path(name).is_dir() and not HUB_ID.fullmatch(name):
        raise InputError(
            f"{name} is neither a folder nor a hub id.", f"Use a folder, or an id as {PERMISSIVE_TEACHER}."
        )
    where: dict[str, Any] = {"local_files_only": True} if Path(name).is_dir() else {}
    note(
        f"loading the teacher {name}"
        + ("" if where else " from the Hugging Face hub; offline this takes half a minute")
    )
    try:
        config = AutoConfig.from_pretrained(name, **where)
        kind = _kind(config, name)
        model, loading = AutoModelForDepthEstimation.from_pretrained(
            name, use_safetensors=True, output_loading_info=True, **where
        )
        processor = AutoImageProcessor.from_pretrained(name, **where)
    except LpcvError:
        raise
    except Exception as error:  # transformers passes on whatever its readers raise
        raise _cannot_load(name, error) from error
    # transformers fills what is missing with random numbers and only warns.
    if wrong := sorted(str(key) for part in ("missing_keys", "mismatched_keys") for key in loading[part]):
        raise InputError(
            f"{name} lacks {len(wrong)} of its weights, the first is {wrong[0]}.", "Download the teacher again, whole."
        )
    licence = teacher_licence(name)
    warn_of_licence(name, licence)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    probe = np.zeros((CONTRACT.image_size[1], CONTRACT.image_size[0], 3), np.uint8)
    rows, columns = processor(images=[probe], return_tensors="pt")["pixel_values"].shape[-2:]
    source = LabelSource(
        kind=kind, teacher=Path(name).name if where else name, weights_sha256=_hash_weights(model.state_dict()),
        licence=licence, input_size=(columns, rows),
    )  # fmt: skip
    return Teacher(source, model.eval().to(chosen), processor)


def teacher_licence(name: str) -> str:
    """The licence of known teachers, else of the model card; "unknown" where there is none."""
    known = KNOWN_LICENCES.get(name.rsplit("/", 1)[-1].removesuffix("-hf"))
    if known:
        return known
    card = Path(name) / "README.md"
    try:
        loaded = ModelCard.load(card if Path(name).is_dir() else name)
    except Exception:  # no card, no network, no front matter: all mean that nobody said
        return "unknown"
    return str(loaded.data.to_dict().get("license") or "unknown")


def is_non_commercial(licence: str) -> bool:
    return NON_COMMERCIAL_MARK in licence.lower().split("-")


def warn_of_licence(name: str, licence: str) -> None:
    """Say aloud what a licence means for a submission."""
    if is_non_commercial(licence):
        note(
            f"Licence: {name} is {licence}, which is non-commercial. Whether a student inherits that is unsettled, and "
            f"a prize winner rejected such weights. It is recorded with the run; {PERMISSIVE_TEACHER} is Apache-2.0."
        )
    elif licence == "unknown":
        note(f"Licence: nobody says under which licence {name} stands. That is recorded with the run.")


def _kind(config: Any, name: str) -> LabelKind:
    if config.model_type == "depth_anything":
        return KIND_OF_ESTIMATION[config.depth_estimation_type]
    if config.model_type in KIND_OF_FAMILY:
        return KIND_OF_FAMILY[config.model_type]
    raise InputError(
        f"{name} is a '{config.model_type}' model, and it is not known whether that gives depth or inverse depth.",
        f"Use Depth Anything V2, or one of: {', '.join(KIND_OF_FAMILY)}.",
    )


def _cannot_load(name: str, error: Exception) -> InputError | UnreachableError:
    reason = str(error).strip().splitlines()[0]
    if Path(name).is_dir():
        return InputError(
            f"{name} is no transformers depth model ({reason}).",
            "The folder needs config.json, model.safetensors and preprocessor_config.json, as save_pretrained writes.",
        )
    return UnreachableError(
        f"The teacher {name} cannot be fetched ({reason}).",
        f"Without a network, run `hf download {name} --local-dir teachers/{name.rsplit('/', 1)[-1]}` elsewhere, "
        f"copy the folder here and pass it: --teacher teachers/{name.rsplit('/', 1)[-1]}.",
    )


def _hash_weights(state: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        total.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.ndim else str(tensor.item()).encode())
    return total.hexdigest()
