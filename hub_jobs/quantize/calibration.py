"""The frames that fix the ranges: which ones, recorded by hash, and the ranges that they give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto

from ...console import track
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder
from ...data.images import read_rgb
from ...data.model_input import contract_input
from ...errors import InputError
from ...onnx_session import open_session
from ..value_ranges import add_range_outputs
from . import graph as graphs
from .prepare import Prepared

if TYPE_CHECKING:
    import onnxruntime

Image = npt.NDArray[np.float32]
Frames = FrameFolder | Mapping[str, Image]  # arrays as the model takes them, by name
Range = tuple[float, float]


@dataclass(frozen=True)
class CalibrationSet:
    """Which frames were fed, in sorted order, and a SHA-256 over their names and the tensors as they were fed."""

    names: tuple[str, ...]
    sha256: str
    seed: int


@dataclass(frozen=True)
class Calibrated:
    """A prepared graph with the range of every activation: tensor -> (least, largest) over the calibration set."""

    prepared: Prepared
    ranges: dict[str, Range]
    frames: CalibrationSet


def choose(names: Sequence[str], samples: int, seed: int) -> tuple[str, ...]:
    """At most `samples` of the names, by chance from `seed`, sorted; the order in which they come does not matter."""
    every = sorted(names)
    picked = np.random.default_rng(seed).permutation(len(every))[:samples]
    return tuple(every[index] for index in sorted(picked))


def calibrate(prepared: Prepared, frames: Frames, *, samples: int, seed: int) -> Calibrated:
    """Feed the chosen frames and note the least and largest value of every activation.

    The range of the contract's input is the contract's own, 0 to 255: 8 bits then hold each of its values exactly.
    Raises InputError where there is no frame, one has another shape, or the model computes NaN or infinity.
    """
    names = choose(list(frames.names if isinstance(frames, FrameFolder) else frames), samples, seed)
    if not names:
        raise InputError("There is no frame to calibrate with.", "Give --data a folder with images.")
    watched = _watched(prepared.model.graph)
    reporting = ModelProto()
    reporting.CopyFrom(prepared.model)
    outputs = add_range_outputs(reporting, watched)
    session = open_session(reporting.SerializeToString(), optimised=False)
    total = hashlib.sha256()
    least, largest = np.full(len(watched), np.inf), np.full(len(watched), -np.inf)
    for name in track(names, "calibrating"):
        image = model_image(prepared, frames, name)
        total.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        total.update(image.tobytes())
        found = np.array(_run(session, outputs, prepared, image), np.float64).reshape(len(watched), 2)
        _demand_finite(prepared, watched, found, name)
        least, largest = np.minimum(least, found[:, 0]), np.maximum(largest, found[:, 1])
    ranges = {name: (float(low), float(high)) for name, low, high in zip(watched, least, largest, strict=True)}
    return Calibrated(prepared, _with_input(prepared, ranges), CalibrationSet(names, total.hexdigest(), seed))


def model_images(prepared: Prepared, frames: Frames, names: Sequence[str]) -> Iterator[tuple[str, Image]]:
    """The named frames, as the model takes them."""
    return ((name, model_image(prepared, frames, name)) for name in names)


def model_image(prepared: Prepared, frames: Frames, name: str) -> Image:
    """One frame as the model takes it. Raises InputError where it has another shape or type."""
    shape = prepared.input_shape
    if isinstance(frames, FrameFolder):
        if len(shape) != 4 or shape[:2] != (1, 3):
            raise InputError(
                f"{prepared.source} takes {shape_text(shape)}, not 1 x 3 x height x width: a folder of pictures "
                "cannot feed it.",
                "Give a model with the contract's interface (`lpcv check MODEL`).",
            )
        return contract_input(read_rgb(frames.images[name]), (shape[3], shape[2]))
    image = np.asarray(frames[name])
    if image.shape != shape or image.dtype != np.float32:
        raise InputError(
            f"Frame {name} is {shape_text(image.shape)} {image.dtype}, but {prepared.source} takes "
            f"{shape_text(shape)} float32.",
            "Feed frames of the model's own size.",
        )
    return np.ascontiguousarray(image)


def _watched(graph: GraphProto) -> list[str]:
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    return sorted(graphs.float_tensors(graph) & used)


def _run(session: onnxruntime.InferenceSession, outputs: list[str], prepared: Prepared, image: Image) -> list[Image]:
    return session.run(outputs, {prepared.input_name: image})  # type: ignore[return-value]


def _demand_finite(prepared: Prepared, watched: Sequence[str], found: npt.NDArray[np.float64], frame: str) -> None:
    broken = {name for name, pair in zip(watched, found, strict=True) if not np.isfinite(pair).all()}
    if broken:
        # the first in the graph's order: what follows it is only infected
        node = next(node for node in prepared.model.graph.node if broken & {*node.input, *node.output})
        raise InputError(
            f"{prepared.source} computes NaN or infinity in node {node.name} ({node.op_type}) on frame {frame}.",
            "Such a model has no range to quantize: mend it, and look at it with `lpcv check`.",
        )


def _with_input(prepared: Prepared, ranges: dict[str, Range]) -> dict[str, Range]:
    name = prepared.input_name
    if name != CONTRACT.input_name or prepared.input_shape[:2] != CONTRACT.input_shape[:2]:
        return ranges
    low, high = ranges[name]
    return ranges | {name: (min(low, CONTRACT.input_range[0]), max(high, CONTRACT.input_range[1]))}


def shape_text(shape: Sequence[int]) -> str:
    """1 x 3 x 480 x 640"""
    return " x ".join(map(str, shape)) or "a scalar"
