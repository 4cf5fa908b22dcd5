"""Frames and models for the tests of meaning: a model recognises a frame by its colours and gives a map for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.data.model_input import contract_input
from lpcv.submission.check.findings import Finding, failures
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = CONTRACT.image_size
METRES_AT_ONE = 10.0
Tensor = np.ndarray
Change = Callable[[Tensor], Tensor]


def scene(seed: int, least: float = 0.8, most: float = 4.0) -> Tensor:
    """(H, W) float32 metres: a smooth field with no plateau and no symmetry."""
    coarse = np.random.default_rng(seed).random((5, 7), np.float32)
    return least + (most - least) * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def write_scenes(root: Path, depths: list[Tensor]) -> FrameFolder:
    """Frames whose picture is one colour: a different one for each, so that a mean recognises it."""
    for index, depth_m in enumerate(depths):
        colour = np.array([40 + 37 * index, 200 - 31 * index, 60 + 45 * ((2 * index) % 5)], np.uint8)
        small = cv2.resize(depth_m, CONTRACT.depth_size, interpolation=cv2.INTER_NEAREST)
        write_png(root / "image" / f"{index:04d}.png", np.broadcast_to(colour, (HEIGHT, WIDTH, 3)).copy())
        write_png(root / "depth_raw" / f"{index:04d}.png", np.rint(small * 1000).astype(np.uint16))
        write_png(root / "depth_conf" / f"{index:04d}.png", np.full(small.shape, 2, np.uint8))
    return open_folder(root)


@pytest.fixture(scope="module")
def depths() -> list[Tensor]:
    return [scene(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def frames(depths: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Three varied ones, of `depths`."""
    return write_scenes(tmp_path_factory.mktemp("varied"), depths)


def as_it_is(values: Tensor) -> Tensor:
    return values


def recogniser(
    path: Path, frames: FrameFolder, maps: list[Tensor], own: Change = as_it_is, wanted: Change = as_it_is
) -> Path:
    """A model that normalises by `own` (affine), and knows the frames as `wanted` normalises them.

    A picture that is like none of them gives a map that is like none of theirs, the nearer the brighter it is.
    """
    keys = [wanted(contract_input(frames.frame(name).rgb)).mean((2, 3))[0] for name in frames.names]
    nought, one = own(np.zeros((1, 3, 1, 1), np.float32)), own(np.ones((1, 3, 1, 1), np.float32))
    ramp = np.random.default_rng(99).random((6, 8), np.float32)
    strange = 0.02 + 0.3 * cv2.resize(ramp, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    weights = {
        "factor": one - nought, "shift": nought, "keys": np.stack(keys)[:, :, None, None],
        "maps": np.stack([*maps, strange])[:, None].astype(np.float32),
        "far": np.full((1, 1, 1, 1), 0.01 * np.ptp(np.stack(keys)), np.float32),
        "dimmed": np.array([0.0] * len(maps) + [0.5], np.float32).reshape(-1, 1, 1, 1),
        "white": np.float32(255), "row": np.array([-1], np.int64),
        "sides": np.array([2, 3], np.int64), "colours": np.array([1], np.int64),
        "nought": np.float32(0), "one": np.float32(1),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["image", "sides"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]), helper.make_node("Add", ["scaled", "shift"], ["key"]),
        helper.make_node("Sub", ["keys", "key"], ["off"]), helper.make_node("Abs", ["off"], ["each"]),
        helper.make_node("ReduceMax", ["each", "colours"], ["distance"], keepdims=1),
        helper.make_node("Concat", ["distance", "far"], ["distances"], axis=0),
        helper.make_node("ArgMin", ["distances"], ["which4"], axis=0, keepdims=0),
        helper.make_node("Reshape", ["which4", "row"], ["which"]),
        helper.make_node("Gather", ["maps", "which"], ["map"], axis=0),
        helper.make_node("ReduceMean", ["mean", "colours"], ["light"], keepdims=1),
        helper.make_node("Div", ["light", "white"], ["part"]),
        helper.make_node("Clip", ["part", "nought", "one"], ["dim"]),
        helper.make_node("Gather", ["dimmed", "which"], ["most"], axis=0),
        helper.make_node("Mul", ["dim", "most"], ["less"]),
        helper.make_node("Sub", ["one", "less"], ["times"]), helper.make_node("Mul", ["map", "times"], ["output_0"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, CONTRACT.output_shape)],
        [numpy_helper.from_array(np.asarray(value, value.dtype), name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def relative(depths: list[Tensor]) -> list[Tensor]:
    return [(depth / METRES_AT_ONE).astype(np.float32) for depth in depths]


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def failed(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in failures(findings)}
