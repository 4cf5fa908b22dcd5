"""Fewer operators for the same numbers: what the NPU computes coarsely, or only in floats, is taken out beforehand."""

from __future__ import annotations

import math

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from . import graph as graphs

FROM_0_TO_1 = ("Sigmoid", "HardSigmoid", "Softmax")
KEEPS_RANGE = ("Resize", "Reshape", "Transpose", "MaxPool")  # no value comes out that lies outside of those put in


def drop_idle_clips(graph: GraphProto) -> int:
    """Remove every Clip whose input cannot leave its bounds, such as a clamp to [0, 1] of a resized Sigmoid.

    Returns how many. Quantized, such a Clip gives the Resize before it an output range other than its input's; the
    NPU then computes that Resize in floats (on the emulator 80 times as slowly, QAIRT 2.51).
    """
    dropped = 0
    for clip in list(graph.node):
        # looked up anew each time: two Clips may follow each other
        makers, outputs, known = graphs.producers(graph), _outputs(graph), graphs.constants(graph)
        if clip.op_type != "Clip" or clip.input[0] not in makers or clip.input[0] in outputs:
            continue
        low, high = _bounds(clip, known)
        least, most = _range_of(clip.input[0], makers, known)
        if not (low <= least and most <= high):
            continue
        graph.node.remove(clip)
        for node in graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == clip.input[0]:
                        names[index] = clip.output[0]
        dropped += 1
    return dropped


def fold_divisions(graph: GraphProto) -> int:
    """Put a division by one constant per channel, as in (image - mean) / std, into the convolution that follows.

    Returns how many. Exact but for float32's rounding, padding included, which is 0 on both sides. Quantized it is one
    rounding less, and the NPU's 16-bit division is up to 6 steps off (QAIRT 2.51).
    """
    folded = 0
    for division in list(graph.node):
        known, readers = graphs.constants(graph), graphs.consumers(graph)
        if division.op_type != "Div" or division.output[0] in _outputs(graph) or division.input[0] in known:
            continue
        after = readers.get(division.output[0], [])
        if len(after) != 1 or after[0].op_type != "Conv" or division.output[0] in after[0].input[1:]:
            continue
        weight, divisor = known.get(after[0].input[1]), known.get(division.input[1])
        if weight is None or divisor is None or len(readers[weight.name]) != 1:
            continue
        values = numpy_helper.to_array(weight)
        channels = _per_channel(numpy_helper.to_array(divisor), values.shape)
        if channels is None:
            continue
        shape = (1, -1, *(1,) * (values.ndim - 2))
        quotient = values.astype(np.float64) / channels.astype(np.float64).reshape(shape)
        weight.CopyFrom(numpy_helper.from_array(quotient.astype(values.dtype), weight.name))
        after[0].input[0] = division.input[0]
        graph.node.remove(division)
        folded += 1
    return folded


def _per_channel(divisor: np.ndarray, weight: tuple[int, ...]) -> np.ndarray | None:
    """The divisor of each input channel of an ungrouped convolution; None where it is not of that form."""
    channels = weight[1]
    wanted = [channels, *(1,) * (len(weight) - 2)]
    shape = [1] * (len(weight) - divisor.ndim) + list(divisor.shape)
    if divisor.size == 1 and divisor.ndim <= len(weight):
        divisor = np.full(channels, divisor.item())
    elif shape != [1, *wanted]:
        return None
    found = divisor.reshape(-1)
    return found if np.isfinite(found).all() and (found != 0).all() else None


def _outputs(graph: GraphProto) -> set[str]:
    return {value.name for value in graph.output}


def _range_of(tensor: str, makers: dict[str, NodeProto], known: dict[str, TensorProto]) -> tuple[float, float]:
    """What the operators alone promise of a tensor's values."""
    while (node := makers.get(tensor)) is not None:
        if node.op_type in FROM_0_TO_1:
            return 0.0, 1.0
        if node.op_type == "Clip":
            return _bounds(node, known)
        if node.op_type not in KEEPS_RANGE or not _only_averages(node):
            break
        tensor = node.input[0]
    return -math.inf, math.inf


def _only_averages(node: NodeProto) -> bool:
    """Whether a Resize stays within its input: a cubic one overshoots, and one that crops may put in another value."""
    if node.op_type != "Resize":
        return True
    found = {attribute.name: attribute.s for attribute in node.attribute}
    cropped = found.get("coordinate_transformation_mode") == b"tf_crop_and_resize"
    return found.get("mode", b"nearest") in (b"nearest", b"linear") and not cropped


def _bounds(clip: NodeProto, known: dict[str, TensorProto]) -> tuple[float, float]:
    """A Clip's constant bounds; NaN, which nothing is within, where one of them is computed."""
    found = [-math.inf, math.inf]
    for index, name in enumerate(clip.input[1:3]):
        if name in known:
            found[index] = float(numpy_helper.to_array(known[name]))
        elif name:
            return math.nan, math.nan
    return found[0], found[1]
