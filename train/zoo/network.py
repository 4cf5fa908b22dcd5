"""A variant as a torch module, composed of transformers' own classes. Legend: B batch, s working size, N tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, DepthAnythingForDepthEstimation

from ...contract import CURRENT as CONTRACT
from ..raw_rgb import IMAGENET_MEAN, IMAGENET_STD, RawRgb, to_contract, to_size
from .variants import PATCH_PX, Heads, Normalisation, Output, Variant

TOGETHER, APART = "lpcv_heads_together", "lpcv_heads_apart"
IMPLEMENTATION: dict[Heads, str] = {"stock": TOGETHER, "split": APART}
LEAST_SPAN = 1e-6
"""Of a map that is stretched: a constant one shall not become 0 / 0."""


def heads_together(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float,
    **_: object,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention with an axis of heads: (B, heads, N, d) three times -> (B, N, heads, d).

    The library's own does the same, and is exported with a mask of zeros ("eager") or a search for NaN ("sdpa"), which
    nobody's submission had. `attention_mask` is None: a picture has no padding.
    """
    weights = functional.softmax(query @ key.transpose(2, 3) * scaling, dim=-1)
    return (weights @ value).transpose(1, 2), None


def heads_apart(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float,
    **_: object,
) -> tuple[Tensor, None]:  # fmt: skip
    """The same values, each head in operations of its own on (B, N, d): (B, heads, N, d) -> (B, N, heads x d)."""
    width = query.shape[-1]
    # Back to the projection's own form, from which a head is a slice: the transposition that made the axis is undone.
    parts = [whole.transpose(1, 2).flatten(2).split(width, dim=-1) for whole in (query, key, value)]
    heads = [functional.softmax(q @ k.transpose(1, 2) * scaling, dim=-1) @ v for q, k, v in zip(*parts, strict=True)]
    return torch.cat(heads, dim=-1), None


AttentionInterface.register(TOGETHER, heads_together)
AttentionInterface.register(APART, heads_apart)


class BatchNormRgb(nn.Module):
    """`RawRgb` with (x - mean) / std written as a BatchNorm, whose variance is std squared; same shapes and values."""

    def __init__(self, network: nn.Module, working_size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.working_size = working_size
        self.normalise = nn.BatchNorm2d(3, eps=0.0, affine=False)
        self.normalise.running_mean = torch.tensor(IMAGENET_MEAN)
        self.normalise.running_var = torch.tensor(IMAGENET_STD) ** 2

    def forward(self, image: Tensor) -> Tensor:
        return self.network(self.normalise(to_size(image, self.working_size)))


class Flipped(nn.Module):
    """forward: (1, 3, s, s) -> (1, 1, s, s), the mean of f(x) and of f(mirrored x) mirrored back.

    In two passes, not one batch of two, which costs the NPU more: docs/zoo.md has the numbers.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return (self.network(image) + self.network(image.flip(-1)).flip(-1)) / 2


class Emitting(nn.Module):
    """forward: (B, 3, s, s) normalised RGB -> (B, 1, s, s): inverse depth (relative) or depth / max_depth (metric)."""

    def __init__(self, model: DepthAnythingForDepthEstimation) -> None:
        super().__init__()
        self.model = model
        self.most = float(model.config.max_depth or 1) if model.config.depth_estimation_type == "metric" else 1.0

    def forward(self, image: Tensor) -> Tensor:
        return self.model(pixel_values=image).predicted_depth[:, None] / self.most


class Stretched(nn.Module):
    """forward: (B, 3, s, s) -> (B, 1, 480, 640), stretched from 0 to 1 by its own least and greatest value.

    Enlarged first: enlarging afterwards would average the ends away.
    """

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self.network = network
        self.inverted = output == "1 - min-max"

    def forward(self, image: Tensor) -> Tensor:
        values = to_size(self.network(image), CONTRACT.image_size)
        least = values.amin(dim=(1, 2, 3), keepdim=True)
        most = values.amax(dim=(1, 2, 3), keepdim=True)
        stretched = (values - least) / (most - least).clamp(min=LEAST_SPAN)
        return 1 - stretched if self.inverted else stretched


FRONTS: dict[Normalisation, type[RawRgb | BatchNormRgb]] = {"subtract-divide": RawRgb, "batchnorm": BatchNormRgb}


class ZooModel(nn.Module):
    """forward: the contract's (1, 3, 480, 640) float32 RGB, 0 to 255 -> (1, 1, 480, 640) in [0, 1].

    Everything between is as the variant says. `model` is changed: its position embeddings are resized to the working
    size, once, and its attention becomes the variant's.
    """

    def __init__(self, variant: Variant, model: DepthAnythingForDepthEstimation) -> None:
        super().__init__()
        fix_positions(model, variant.size)
        model.set_attn_implementation(IMPLEMENTATION[variant.heads])
        network: nn.Module = Emitting(model)
        if variant.flip:
            network = Flipped(network)
        if variant.kind == "relative":
            network = Stretched(network, variant.output)
        self.front = FRONTS[variant.normalisation](network, (variant.size, variant.size))
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        return to_contract(self.front(image))


@torch.no_grad()
def fix_positions(model: DepthAnythingForDepthEstimation, size: int) -> None:
    """Resize the position embeddings to size x size pixels, as the library would for every picture (bicubic)."""
    embeddings = model.backbone.embeddings
    patches = (size // PATCH_PX) ** 2
    tokens = embeddings.position_embeddings.new_zeros(1, patches + 1, embeddings.position_embeddings.shape[-1])
    embeddings.position_embeddings = nn.Parameter(embeddings.interpolate_pos_encoding(tokens, size, size))
