"""The network of a variant with its weights: from the hub, from a folder, or random where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from ...console import note
from ...errors import InputError
from ..hub_weights import HubWeights, weights_sha256
from ..weights_licence import licence_of, warn_of_licence
from .variants import PATCH_PX, RANDOM, Kind, Variant

SEED = 0
NO_LICENCE = "none: random weights"
HYPERSIM_MAX_DEPTH_M = 20  # the metric indoor models' range, their model card
LAST_SHRUNK_BY = 32
TAPPED = ["stage3", "stage6", "stage9", "stage12"]  # of the twelve layers, those that the decoder reads


@dataclass(frozen=True)
class Origin:
    """Where weights came from. source: a hub id, a folder's own name, or "random"; sha256: of all of them

    seed: of those that were drawn by chance, else None; a folder may be called "random", too
    """

    source: str
    licence: str
    sha256: str
    parameters: int
    seed: int | None = None


def small_config(kind: Kind) -> DepthAnythingConfig:
    """Depth-Anything-V2-Small: a ViT-S/14 with a decoder of 64 channels, 24.8 M parameters.

    Source: config.json of both hub ids in `WEIGHTS`. image_size is that of the position embeddings.
    """
    backbone = Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=PATCH_PX,
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    backbone.set_output_features_output_indices(out_features=TAPPED, out_indices=None)
    return DepthAnythingConfig(
        backbone_config=backbone, patch_size=PATCH_PX, reassemble_hidden_size=384, reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64, head_in_index=-1, head_hidden_size=32,
        depth_estimation_type=kind, max_depth=HYPERSIM_MAX_DEPTH_M if kind == "metric" else 1,
    )  # fmt: skip


def load_weights(variant: Variant, choice: str | None = None) -> tuple[DepthAnythingForDepthEstimation, Origin]:
    """The network, in evaluation mode, and where its weights came from.

    choice: a hub id, a local folder (config.json and model.safetensors; nothing is unpickled, no code in it is run),
    or "random"; None takes the variant's published ones from the hub. Raises UnreachableError where the hub cannot be
    reached, InputError where the weights are none, not whole, or not of the variant's kind.
    """
    choice = choice or variant.weights
    if choice == RANDOM:
        return _random(variant.kind)
    given = HubWeights(
        choice, "--weights", "Depth Anything", "config.json and model.safetensors",
        "; or ask for random ones: --weights random",
    )  # fmt: skip
    if not given.is_possible:
        raise InputError(
            f"--weights {choice} is neither a folder, a hub id nor 'random'.",
            f"Use a folder, an id as {variant.weights}, or random.",
        )
    given.announce()
    config = given.config()
    _demand_kind(config, variant, choice)
    config.max_depth = config.max_depth or 1  # of relative ones, "null" is published and multiplied with
    model = given.model(DepthAnythingForDepthEstimation, config)
    licence = licence_of(choice)
    warn_of_licence(choice, licence)
    return model, _origin(model, given.source, licence)


def _random(kind: Kind) -> tuple[DepthAnythingForDepthEstimation, Origin]:
    """The published configuration with weights by chance, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = DepthAnythingForDepthEstimation(small_config(kind))
        enliven(model)
    return model.eval(), _origin(model, RANDOM, NO_LICENCE, SEED)


@torch.no_grad()
def enliven(model: DepthAnythingForDepthEstimation) -> None:
    """Draw weights that carry the picture through to the output (He et al. 2015, arXiv 1502.01852).

    The library's own initial ones lose it on the way: every picture gets 0.5 to seven digits, a constant, of which
    neither a comparison with torch nor a check would tell anything.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    # Else the last sigmoid, or ReLU, would be at its ends.
    model.head.conv3.weight /= LAST_SHRUNK_BY
    if (bias := model.head.conv3.bias) is not None:
        nn.init.ones_(bias)


def _origin(model: DepthAnythingForDepthEstimation, source: str, licence: str, seed: int | None = None) -> Origin:
    parameters = sum(one.numel() for one in model.parameters())
    return Origin(source, licence, weights_sha256(model.state_dict()), parameters, seed)


def _demand_kind(config: Any, variant: Variant, choice: str) -> None:
    """The layers may be of any number and width: the weights then are of another network, and are named so."""
    backbone: Any = getattr(config, "backbone_config", None)
    if config.model_type != "depth_anything" or getattr(backbone, "model_type", "") != "dinov2":
        raise InputError(
            f"{choice} is a '{config.model_type}' model, and {variant.name} is a Depth Anything on DINOv2.",
            f"Use {variant.weights}, or a fine-tuned one of its form.",
        )
    if config.depth_estimation_type != variant.kind:
        raise InputError(
            f"{choice} is {config.depth_estimation_type}, and {variant.name} needs {variant.kind} weights.",
            f"Use {variant.weights}, or a variant with {config.depth_estimation_type} weights; `lpcv zoo` lists them.",
        )
    if config.patch_size != PATCH_PX or backbone.patch_size != PATCH_PX:
        raise InputError(f"{choice} has patches of {config.patch_size} pixels, not {PATCH_PX}.", "Use DINOv2's.")
    if variant.kind == "metric" and not config.max_depth:
        raise InputError(f"{choice} names no max_depth, by which metres are divided.", "Write it into its config.json.")
    expected: Any = small_config(variant.kind).backbone_config
    given, wanted = ((one.hidden_size, one.num_hidden_layers, one.num_attention_heads) for one in (backbone, expected))
    if given != wanted:
        note(
            f"{choice} is no Small: width, layers and heads are {given}, not {wanted}. What was published of "
            f"{variant.name} is not said of it."
        )
