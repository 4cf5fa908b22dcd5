"""From a model of the zoo to one ONNX file, proved equal to torch."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx
import torch

from ... import __version__
from ...contract import CURRENT as CONTRACT
from ...errors import InputError
from ...files import write_bytes
from ...onnx_session import onnxruntime_version
from ...train.zoo.network import ZooModel
from ...train.zoo.variants import Variant
from ...train.zoo.weights import Origin, load_weights
from ..check.preflight import WEIGHTS_KEY
from ..export import MOST_DIFFERENCE, Parity, compare, to_onnx

STEPS = 3
NAME_KEY = "zoo"
"""Metadata of a file that `lpcv zoo build` wrote: the variant's name."""
MOST_STRETCHED_DIFFERENCE = 1e-3
"""Stretching divides the network's own rounding by the span of its map, which is narrow with random weights."""


@dataclass(frozen=True)
class Built:
    """Where the weights came from, and how far ONNX Runtime and torch differ."""

    origin: Origin
    parity: Parity


def build(variant: Variant, weights: str | None, out: Path, begin: Callable[[str], None]) -> Built:
    """Write `out`, one ONNX file with the contract's names and shapes.

    weights: as in `load_weights`; begin: told of each of the `STEPS` as it begins
    Raises as `load_weights`, and InputError where ONNX Runtime disagrees with torch.
    """
    begin(f"loading the weights of {variant.name}")
    network, origin = load_weights(variant, weights)
    model = ZooModel(variant, network)
    begin(f"exporting {variant.name}")
    content = to_onnx(model, _metadata(variant, origin))
    begin(f"comparing {variant.name} with torch")
    parity = compare(model, content, [])
    most = MOST_STRETCHED_DIFFERENCE if variant.kind == "relative" else MOST_DIFFERENCE
    if not parity.largest <= most:
        raise InputError(
            f"The exported graph of {variant.name} differs from torch by {parity.largest:.2g}, more than {most:.0g}.",
            "Nothing was written; report this with the versions of torch and onnxruntime.",
        )
    write_bytes(out, content)
    return Built(origin, parity)


def _metadata(variant: Variant, origin: Origin) -> dict[str, str]:
    return {
        NAME_KEY: variant.name,
        WEIGHTS_KEY: origin.source,
        "weights_sha256": origin.sha256,
        "weights_licence": origin.licence,
        "output": variant.output,
        "edition": CONTRACT.name,
        "lpcv_version": __version__,
        "python_version": platform.python_version(),
        "torch_version": str(torch.__version__),
        "transformers_version": version("transformers"),
        "onnx_version": onnx.__version__,
        "onnxruntime_version": onnxruntime_version(),
    }
