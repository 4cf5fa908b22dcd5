"""The published models of the competition, and what is needed to compare them: each a composition of six choices.

Imports no torch, so that a list of them appears at once. Scores and latencies are those that the teams published, each
with its source; nothing of them was measured or recomputed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...errors import InputError, UnknownNameError
from ..weights_licence import UNKNOWN, known_licence

Kind = Literal["relative", "metric"]
Output = Literal["min-max", "1 - min-max", "depth / max_depth"]
Heads = Literal["stock", "split"]
Normalisation = Literal["subtract-divide", "batchnorm"]

PATCH_PX = 14
"""DINOv2's (Oquab et al. 2023, arXiv 2304.07193): a working size is a multiple of it."""
OUTPUTS: dict[Kind, tuple[Output, ...]] = {"relative": ("min-max", "1 - min-max"), "metric": ("depth / max_depth",)}
WEIGHTS: dict[Kind, str] = {
    "relative": "depth-anything/Depth-Anything-V2-Small-hf",
    "metric": "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
}
"""Hub ids; the metric one was trained on Hypersim, up to 20 m (its model card)."""
RANDOM = "random"
"""What is typed in a folder's or hub id's place."""
NAME_KEY, WEIGHTS_KEY, LICENCE_KEY = "zoo", "weights", "weights_licence"
"""Metadata of a file that `lpcv zoo build` wrote: the variant's name, its weights' source and their licence."""
RANDOM_WEIGHTS_KEY = "lpcv_random_weights"
"""Metadata of a file whose weights lpcv itself drew by chance, "seed 0"; never taken from anybody's name."""

S24, QRD = "Samsung Galaxy S24 (Family)", "Snapdragon 8 Elite QRD"
SAMPLE = "the organisers' sample solution, lpcvai/25LPCVC_Track3_Sample_Solution"
THIRD = "the third-place team's published solution"
SECOND = "the second-place team's published solution"


@dataclass(frozen=True)
class Published:
    """What somebody published of a model. f_score: the official one, 0 to 100; latency_ms: measured, milliseconds

    None where it was not published; device: "" where none was named. source: who said so
    """

    who: str
    source: str
    f_score: float | None = None
    latency_ms: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Variant:
    """One model of the zoo.

    size: side of the square that the network works at, pixels; kind: what the weights emit, inverse depth up to scale
    and shift or metres; output: what the model makes of it; flip: averaged with the mirrored picture's mirrored answer
    heads: attention with an axis of heads, or each head in operations of its own; teaches: one sentence
    Raises ValueError where they do not go together.
    """

    name: str
    size: int
    kind: Kind
    output: Output
    flip: bool
    heads: Heads
    normalisation: Normalisation
    published: Published
    teaches: str

    def __post_init__(self) -> None:
        if self.size <= 0 or self.size % PATCH_PX:
            raise ValueError(f"{self.name}: the size {self.size} is no multiple of {PATCH_PX}")
        if self.output not in OUTPUTS[self.kind]:
            raise ValueError(f"{self.name}: {self.kind} weights do not give '{self.output}'")

    @property
    def weights(self) -> str:
        """The hub id of the published weights."""
        return WEIGHTS[self.kind]

    @property
    def licence(self) -> str:
        """Of the published weights."""
        return known_licence(self.weights) or UNKNOWN

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "weights": self.weights, "licence": self.licence}


def _of(*variants: Variant) -> Mapping[str, Variant]:
    return {variant.name: variant for variant in variants}


NOBODY = Published("nobody; here to compare", "not published")
ZOO = _of(
    Variant(
        "baseline", 518, "relative", "min-max", False, "stock", "subtract-divide",
        Published("the organisers", SAMPLE, latency_ms=241.8, device=S24),
        "Inverse depth, stretched to each picture's own ends: wrong direction, offset of its own, slow.",
    ),
    Variant(
        "baseline-inverted", 518, "relative", "1 - min-max", False, "stock", "subtract-divide", NOBODY,
        "Turning the baseline round mends the direction alone: the stretching stays, and so does the curve of 1 / x.",
    ),
    Variant(
        "third-first-try", 350, "relative", "1 - min-max", False, "stock", "subtract-divide",
        Published("third place, first try", THIRD, 71.67, 26.7),
        "A smaller picture makes the budget; inverted min-max costs 7.5 points against metric weights.",
    ),
    Variant(
        "third", 336, "metric", "depth / max_depth", False, "stock", "subtract-divide",
        Published("third place", THIRD, 79.16, 33.1),
        "The same network with metric weights: linear in metres, zero at the camera, which is what is scored.",
    ),
    Variant(
        "second", 350, "metric", "depth / max_depth", True, "split", "batchnorm",
        Published("second place", SECOND, latency_ms=28.6, device=QRD),
        "Metric, mirrored and averaged; attention written head by head was measured twice as fast.",
    ),
    Variant(
        "second-stock-attention", 350, "metric", "depth / max_depth", True, "stock", "batchnorm",
        Published("second place, without split heads", SECOND, latency_ms=56.5, device=QRD),
        "What the second place costs where attention keeps its axis of heads.",
    ),
    Variant(
        "second-subtract-divide", 350, "metric", "depth / max_depth", True, "split", "subtract-divide",
        Published("second place, without BatchNorm", SECOND, latency_ms=29.4, device=QRD),
        "What the BatchNorm in place of subtracting and dividing is worth: little.",
    ),
    Variant(
        "second-one-pass", 350, "metric", "depth / max_depth", False, "split", "batchnorm", NOBODY,
        "What averaging with the mirrored picture costs: compare it with `second`.",
    ),
    Variant(
        "second-518", 518, "metric", "depth / max_depth", True, "split", "batchnorm",
        Published("second place at 518", SECOND, latency_ms=88.9, device=QRD),
        "Attention grows with the square of the number of patches: 518 has 2.2 times those of 350.",
    ),
)  # fmt: skip


def variant_of(name: str) -> Variant:
    """Raises UnknownNameError, with the nearest, for a name that is not in `ZOO`."""
    if name not in ZOO:
        raise UnknownNameError("model of the zoo", name, ZOO)
    return ZOO[name]


def variants_of(names: tuple[str, ...]) -> list[Variant]:
    """In the order given; all where none is. Raises UnknownNameError, or InputError for a repeated one."""
    if len(set(names)) < len(names):
        raise InputError(f"A name is given twice: {', '.join(names)}.", "Name each model once.")
    return [variant_of(name) for name in names] or list(ZOO.values())
