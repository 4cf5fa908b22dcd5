"""Where the student's encoder begins: ImageNet, nothing, or a file; never silently random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import MobileNet_V3_Small_Weights

from ..console import note
from ..errors import InputError, UnreachableError, first_line
from ..files import sha256_file

PREFIX = "features."
DEFAULT_ENCODER_WEIGHTS = "imagenet"


@dataclass(frozen=True)
class EncoderWeights:
    """What the encoder was started from."""

    name: str
    licence: str
    sha256: str | None = None


def load_encoder_weights(encoder: nn.Module, choice: str) -> EncoderWeights:
    """Load weights into torchvision's `mobilenet_v3_small().features`.

    choice: "imagenet" (downloaded by torchvision, or from its cache), "none" (random), or a `.safetensors` or `.pth`
    file of the encoder or of the whole classifier. Raises UnreachableError where the download fails and InputError
    where the file does not fit.
    """
    if choice == "none":
        note("The encoder starts from random weights (--encoder-weights none).")
        return EncoderWeights("none: random", "Apache-2.0")
    if choice == "imagenet":
        weights = MobileNet_V3_Small_Weights.IMAGENET1K_V1
        try:
            state = torch.hub.load_state_dict_from_url(weights.url, check_hash=True, weights_only=True)
        except (URLError, OSError, RuntimeError) as error:
            raise UnreachableError(
                f"torchvision's ImageNet weights cannot be downloaded ({error}).",
                f"Download {weights.url} elsewhere and give it as --encoder-weights PATH, or choose random ones: "
                "--encoder-weights none.",
            ) from None
        _load(encoder, state, weights.url)
        return EncoderWeights("torchvision MobileNet_V3_Small_Weights.IMAGENET1K_V1", "BSD-3-Clause (torchvision)")
    path = Path(choice)
    if not path.is_file():
        raise InputError(f"--encoder-weights {choice} is no file.", "Use imagenet, none, or an existing file.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    except Exception as error:  # both readers raise many kinds for a damaged or a pickled file
        raise InputError(
            f"{path} holds no plain tensors ({first_line(error)}).", "Save a state_dict as .safetensors."
        ) from None
    _load(encoder, state, str(path))
    return EncoderWeights(path.name, "unknown", sha256_file(path))


def _load(encoder: nn.Module, state: dict[str, torch.Tensor], origin: str) -> None:
    mine = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)} or state
    try:
        encoder.load_state_dict(mine)
    except RuntimeError as error:
        raise InputError(
            f"{origin} does not fit MobileNetV3-Small's encoder ({str(error).splitlines()[-1].strip()}).",
            "Give a state_dict of torchvision's mobilenet_v3_small.",
        ) from None
