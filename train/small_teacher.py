"""A small metric Depth Anything: the real teacher class at a size that a laptop can train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

from ..errors import InputError
from ..files import write_text

PATCH = 14  # DINOv2's
CARD = """---
license: apache-2.0
pipeline_tag: depth-estimation
---
A small metric Depth Anything, trained from random weights by lpcv.
"""


class DepthAnything(nn.Module, PyTorchModelHubMixin, library_name="lpcv", license="apache-2.0"):
    """A small metric Depth Anything (Yang et al. 2024, arXiv 2406.09414), for teachers that fit a laptop.

    forward: (B, 3, h, w) float32, ImageNet-normalised RGB -> (B, 1, h, w) float32 relative depth in [0, 1].
    working_size: (width, height) in pixels, multiples of 14. 0.64 M parameters with the defaults.
    Raises InputError for a size that is no multiple of 14 or a range that is no whole number.
    """

    def __init__(
        self, working_size: Sequence[int] = (168, 126), max_depth_m: float = 10.0, hidden: int = 96, layers: int = 4
    ) -> None:
        super().__init__()
        width, height = working_size
        if width % PATCH or height % PATCH:
            raise InputError(f"The working size {width}x{height} is no multiple of {PATCH}.", "Use 168x126 or 280x210.")
        if max_depth_m != int(max_depth_m):
            raise InputError(f"max_depth_m is {max_depth_m}, but transformers takes whole metres here.", "Round it up.")
        self.working_size = (width, height)
        self.max_depth_m = max_depth_m
        stages = [f"stage{index}" for index in range(1, layers + 1)]
        backbone = Dinov2Config(
            hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, mlp_ratio=2, image_size=width,
            patch_size=PATCH, reshape_hidden_states=False, apply_layernorm=True,
        )  # fmt: skip
        backbone.set_output_features_output_indices(out_features=stages[-4:], out_indices=None)
        self.model = DepthAnythingForDepthEstimation(
            DepthAnythingConfig(
                backbone_config=backbone,
                patch_size=PATCH,
                reassemble_hidden_size=hidden,
                neck_hidden_sizes=[24, 32, 48, 64],
                fusion_hidden_size=32,
                head_hidden_size=16,
                depth_estimation_type="metric",
                max_depth=int(max_depth_m),
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.model(pixel_values=image).predicted_depth[:, None] / self.max_depth_m

    def save_teacher(self, folder: Path) -> None:
        """Write what `load_teacher` reads of a local folder: the transformers model, its processor, a card."""
        width, height = self.working_size
        self.model.save_pretrained(folder)
        processor = DPTImageProcessor(
            size={"height": height, "width": width}, keep_aspect_ratio=False, ensure_multiple_of=PATCH
        )
        processor.save_pretrained(folder)
        write_text(folder / "README.md", CARD)
