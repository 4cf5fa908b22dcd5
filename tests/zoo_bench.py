"""A tiny Depth Anything of the zoo's classes in a local folder, and variants of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lpcv.contract import CURRENT as CONTRACT
from lpcv.train.zoo.network import ZooModel
from lpcv.train.zoo.variants import Published, Variant
from lpcv.train.zoo.weights import enliven, load_weights
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

NOBODY = Published("this test", "this test")


def variant(**choices: object) -> Variant:
    plain = Variant(
        "mine", 112, "metric", "depth / max_depth", False, "stock", "subtract-divide", NOBODY, "nothing"
    )  # fmt: skip
    return replace(plain, **choices)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric Depth Anything of 0.1 M parameters, 10 m, whose answers vary; as `save_pretrained` leaves it."""
    return saved(tmp_path_factory.mktemp("zoo") / "metric", "metric")


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("zoo") / "relative", "relative")


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(1)
    model = DepthAnythingForDepthEstimation(tiny_config(kind))
    enliven(model)
    model.save_pretrained(folder)
    return folder


def tiny_config(kind: str) -> DepthAnythingConfig:
    """Two layers of width 32: an export takes as long as there are nodes."""
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=112, patch_size=14,
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    backbone.set_output_features_output_indices(out_features=["stage1", "stage2"], out_indices=None)
    return DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=32, reassemble_factors=[4, 2],
        neck_hidden_sizes=[24, 32], fusion_hidden_size=32, head_hidden_size=16, depth_estimation_type=kind,
        max_depth=10,
    )  # fmt: skip


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).uniform(0, 255, CONTRACT.input_shape).astype(np.float32))


@torch.inference_mode()
def answer(folder: Path, picture: torch.Tensor, **choices: object) -> torch.Tensor:
    """(1, 1, 480, 640) of a variant with these choices."""
    chosen = variant(**choices)
    return ZooModel(chosen, load_weights(chosen, str(folder))[0])(picture)
