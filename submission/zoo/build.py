"""From a model of the zoo to one ONNX file, proved equal to torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ...contract import CURRENT as CONTRACT
from ...files import write_bytes
from ...train.zoo.network import ZooModel
from ...train.zoo.variants import LICENCE_KEY, NAME_KEY, RANDOM_WEIGHTS_KEY, WEIGHTS_KEY, Variant
from ...train.zoo.weights import Origin, load_weights
from ..export import MOST_DIFFERENCE, Parity, compare, demand_parity, to_onnx, versions

STEPS = 3
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
    content = to_onnx(model, metadata_of(variant, origin))
    begin(f"comparing {variant.name} with torch")
    parity = compare(model, content, [])
    most = MOST_STRETCHED_DIFFERENCE if variant.kind == "relative" else MOST_DIFFERENCE
    demand_parity(parity, f"The exported graph of {variant.name}", most)
    write_bytes(out, content)
    return Built(origin, parity)


def metadata_of(variant: Variant, origin: Origin) -> dict[str, str]:
    """What the file says of itself; of weights drawn by chance, and of no others, `RANDOM_WEIGHTS_KEY`."""
    drawn = {} if origin.seed is None else {RANDOM_WEIGHTS_KEY: f"seed {origin.seed}"}
    return {
        NAME_KEY: variant.name,
        WEIGHTS_KEY: origin.source,
        "weights_sha256": origin.sha256,
        LICENCE_KEY: origin.licence,
        **drawn,
        "output": variant.output,
        "edition": CONTRACT.name,
        **versions(),
        "transformers_version": version("transformers"),
    }
