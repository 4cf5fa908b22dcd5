"""One preprocessing for training, validation and submission: raw RGB in, inside the graph.

Shapes: B batch, H W rows and columns of the input, h w of the network's working size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..contract import CURRENT as CONTRACT

# ImageNet statistics of RGB in 0 to 255, as torchvision's classification presets use them (scaled by 255 there).
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def to_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, h, w) for size = (w, h); bilinear, half-pixel centres, no antialias (no NPU has it)."""
    rows_columns = (size[1], size[0])
    if tuple(maps.shape[-2:]) == rows_columns:
        return maps
    return functional.interpolate(maps, size=rows_columns, mode="bilinear", align_corners=False)


def to_contract(relative_depth: Tensor) -> Tensor:
    """(B, 1, h, w) -> the contract's (B, 1, 480, 640) in [0, 1]."""
    return to_size(relative_depth, CONTRACT.image_size).clamp(*CONTRACT.output_range)


class RawRgb(nn.Module):
    """A network behind its resize and normalisation.

    forward: (B, 3, H, W) float32, RGB, 0 to 255 -> (B, 1, h', w') float32 relative depth in [0, 1] at the size that the
    network gives (the student: a quarter of its working size).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, working_size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.working_size = working_size
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.network((to_size(image, self.working_size) - self.mean) / self.std)
