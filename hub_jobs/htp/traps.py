"""What compiles and computes something else: on the emulator, or in half precision anywhere.

The emulator's deviations were measured against ONNX Runtime on the CPU (onnxruntime-qnn 2.7.0, 2026-11-21). Whether a
phone deviates alike is not known, so each is a reason to avoid the form, not a reason to trust the phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .advice import MEASURED, NodeFinding
from .graph import FLOAT, UINT8, Graph, attribute, load
from .nearest import emulated_rows, nearest_rows

if TYPE_CHECKING:
    import numpy.typing as npt
    from onnx import NodeProto, TensorProto

Ranges = Mapping[str, tuple[float, float]]
FP16_MAX = 65504.0  # the largest number of IEEE 754's binary16
FP16_STEP = 2.0**-11  # its relative rounding error, at most
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "MatMul", "Gemm", "Conv", "ConvTranspose")
PRODUCTS = ("Conv", "Gemm", "MatMul")
FUSED_ALONG = ("Identity", "Reshape", "Transpose", "BatchNormalization", "Add", "Mul")  # with a constant
SEE_THROUGH = ("Identity", "Unsqueeze", "Squeeze", "Reshape", "Expand", "Cast", "Flatten")


class Deviation(NodeFinding):
    """A node that fits, and computes something else."""


def warnings(model: Path | bytes, ranges: Ranges | None = None, *, half_precision: bool = True) -> list[Deviation]:
    """The traps in the graph, in its order.

    ranges: value -> its least and greatest, as value_ranges() measures them; without it, what depends on the data is
    warned of wherever it may happen; half_precision: also what fp16 cannot hold (False for integers)
    Raises InputError where `model` is no ONNX model.
    """
    graph = Graph(load(model))
    checks: list[Callable[[Graph, NodeProto], Deviation | None]] = [_pool, _nearest, _cast, _pad]
    checks.append(lambda graph, node: _not_finite(graph, node, ranges))
    if half_precision:
        checks.append(_activation)
        checks += [lambda graph, node: _large(graph, node, ranges), lambda graph, node: _min_max(graph, node, ranges)]
    return [found for node in graph.nodes for check in checks if (found := check(graph, node)) is not None]


def _pool(graph: Graph, node: NodeProto) -> Deviation | None:
    if node.op_type != "AveragePool":
        return None
    before = graph.maker.get(node.input[0])  # ONNX Runtime makes a Pad with zeros and the pool one node again
    fused = before is not None and before.op_type == "Pad" and attribute(before, "mode", "constant") == "constant"
    padded = any(attribute(node, "pads", [])) or str(attribute(node, "auto_pad", "")).startswith("SAME")
    if not (padded or fused):
        return None
    return Deviation(
        node.name, node.op_type,
        "A padded AveragePool is wrong on the emulator for many sizes, by as much as its values, or crashes it.",
        "Use a depthwise Conv with equal weights; where the padding does not count (count_include_pad=0), multiply by "
        "the kernel's size over the number of real pixels under it. A Pad node before the pool is fused with it again.",
    )  # fmt: skip


def _nearest(graph: Graph, node: NodeProto) -> Deviation | None:
    if node.op_type != "Resize" or attribute(node, "mode", "nearest") != "nearest":
        return None
    coordinates = str(attribute(node, "coordinate_transformation_mode", "half_pixel"))
    rounding = str(attribute(node, "nearest_mode", "round_prefer_floor"))
    before, after = graph.tensor(node.input[0]).shape, graph.tensor(node.output[0]).shape
    if (coordinates, rounding) == ("asymmetric", "floor"):
        return None
    if before is not None and after is not None and None not in (*before, *after):
        axes = [(a, b) for a, b in zip(before, after, strict=True) if a != b and a is not None and b is not None]
        try:
            if all(nearest_rows(a, b, coordinates, rounding) == emulated_rows(a, b, coordinates) for a, b in axes):
                return None
        except KeyError:  # a mode that is neither known here nor exported by anybody
            pass
    return Deviation(
        node.name, node.op_type,
        f"A nearest Resize with {coordinates} and {rounding} takes other pixels on the emulator at this size.",
        "Use 'asymmetric' with 'floor', which is what torch's mode='nearest' exports and is computed as written.",
    )  # fmt: skip


def _cast(graph: Graph, node: NodeProto) -> Deviation | None:
    if node.op_type != "Cast" or attribute(node, "to") != FLOAT or graph.tensor(node.input[0]).elem != UINT8:
        return None
    return Deviation(
        node.name, node.op_type,
        "A Cast from uint8 to float gives 1 for every value on the emulator.",
        "Use DequantizeLinear with scale 1 and zero point 0, which is exact; or take float32, as the contract does.",
    )  # fmt: skip


def _pad(graph: Graph, node: NodeProto) -> Deviation | None:
    if node.op_type != "Pad" or attribute(node, "mode", "constant") != "edge" or node.input[0] not in graph.inputs:
        return None
    return Deviation(
        node.name, node.op_type,
        "An edge Pad of the model's own input is wrong on the emulator in some graphs.",
        "Pad after the first layer that works pixel by pixel (a Relu changes nothing from 0 up); or by reflection, "
        "which is right, too, but another border.",
    )  # fmt: skip


def _activation(graph: Graph, node: NodeProto) -> Deviation | None:
    """A Sigmoid or Tanh that the compiler fuses with a product before it."""
    if node.op_type not in ("Sigmoid", "Tanh"):
        return None
    before = graph.maker.get(node.input[0])
    while before is not None and before.op_type in FUSED_ALONG:
        computed = [name for name in before.input if name and name not in graph.constants]
        before = graph.maker.get(computed[0]) if len(computed) == 1 else None
    if before is None or before.op_type not in PRODUCTS or _depthwise(graph, before):
        return None
    return Deviation(
        node.name, node.op_type,
        "Right after a convolution or matrix product it is fused with it, and errs by up to 0.0037 (Sigmoid) or 0.0074 "
        "(Tanh), from the Snapdragon 8 Gen 2 on.",
        "Put a Clip to -100 and 100 before it, which changes no float value; `lpcv export` does.",
    )  # fmt: skip


def _depthwise(graph: Graph, node: NodeProto) -> bool:
    """Whether each channel is convolved alone, which nothing is fused with."""
    shape = graph.tensor(node.output[0]).shape
    return node.op_type == "Conv" and shape is not None and 1 < int(attribute(node, "group", 1)) == shape[1]


def _not_finite(graph: Graph, node: NodeProto, ranges: Ranges | None) -> Deviation | None:
    """A constant in arithmetic, or a measured value that does not come from such a one, with NaN or infinity in it."""
    constants = {name: graph.constants[name] for name in node.input if name in graph.constants}
    for name, tensor in constants.items():
        values = _floats(tensor)
        if np.isfinite(values).all() or node.op_type not in ARITHMETIC:
            continue
        what = "NaN" if np.isnan(values).any() else "infinity"
        return Deviation(
            node.name, node.op_type,
            f"The constant '{name}' holds {what}, in whose place the emulator computes with a number.",
            "Find out where it comes from; to mask before a Softmax, -10000 does the same.",
        )  # fmt: skip
    measured = ranges or {}
    if any(not np.isfinite(measured.get(name, 0.0)).all() for name in node.input):
        return None
    harmless = np.isfinite if node.op_type != "Where" else lambda pair: ~np.isnan(pair)  # -inf masks before a Softmax
    bad = next((name for name in node.output if not harmless(measured.get(name, 0.0)).all()), None)
    if bad is None:
        return None
    return Deviation(
        node.name, node.op_type,
        f"The value '{bad}' is infinite or NaN already in float32; the emulator goes on with a number in its place.",
        "Keep what goes in within the operator's domain: a Clip before Log, Sqrt or Div, say.",
    )  # fmt: skip


def _large(graph: Graph, node: NodeProto, ranges: Ranges | None) -> Deviation | None:
    """A constant in arithmetic, or a measured value, that half precision cannot hold."""
    largest, what = 0.0, ""
    if node.op_type in ARITHMETIC:
        for name in node.input:
            if name in graph.constants and (held := float(np.abs(_floats(graph.constants[name])).max())) > largest:
                largest, what = held, f"The constant '{name}'"
    for name in node.output:
        if ranges and name in ranges and (held := max(map(abs, ranges[name]))) > largest:
            largest, what = held, f"The value '{name}'"
    if largest <= FP16_MAX or largest == math.inf:  # which _not_finite tells
        return None
    return Deviation(
        node.name, node.op_type,
        f"{what} reaches {largest:.3g}, and half precision ends at 65504; the emulator saturates there.",
        "Scale before, not after: divide by 255 or by the standard deviation first, and square or sum later.",
    )  # fmt: skip


def _floats(tensor: TensorProto) -> npt.NDArray[np.float32]:
    """A constant's values; 0 where they are no float32, or lie in another file."""
    from onnx import numpy_helper

    if tensor.data_type != FLOAT or tensor.data_location == tensor.EXTERNAL or 0 in tensor.dims:
        return np.zeros(1, np.float32)
    return numpy_helper.to_array(tensor)


def _min_max(graph: Graph, node: NodeProto, ranges: Ranges | None) -> Deviation | None:
    """(x - min x) / (max x - min x), where rounding x in half precision is large against the range."""
    if node.op_type != "Div":
        return None
    numerator, denominator = (_made_by(graph, name) for name in node.input)
    while denominator is not None and denominator.op_type in ("Add", "Max", "Clip"):  # + 1e-6 against division by 0
        inner = [_made_by(graph, name) for name in denominator.input if name]
        denominator = next((one for one in inner if one is not None), None)
    if numerator is None or denominator is None or {numerator.op_type, denominator.op_type} != {"Sub"}:
        return None
    low = _made_by(graph, numerator.input[1])
    high, also_low = (_made_by(graph, name) for name in denominator.input)
    kinds = [one.op_type if one is not None else "" for one in (low, high, also_low)]
    if kinds != ["ReduceMin", "ReduceMax", "ReduceMin"]:
        return None
    span, error = "a narrow range", None
    if ranges and (measured := ranges.get(numerator.input[0])) is not None:
        width, largest = measured[1] - measured[0], max(map(abs, measured))
        error = math.inf if width == 0 else FP16_STEP * largest / width
        if error <= 0.01:
            return None
        span = f"a range of {width:.3g} at values up to {largest:.3g}"
    size = "" if error is None else f": up to {min(error, 1.0):.2g} of the output's range"
    return Deviation(
        node.name, node.op_type,
        f"Min-max normalisation over {span} is mostly rounding in half precision{size}.",
        "Divide by a constant instead (depth over the greatest depth), which the official score wants anyway.",
        f"{MEASURED}: 0.13 over a range of 1e-3",
    )  # fmt: skip


def _made_by(graph: Graph, name: str) -> NodeProto | None:
    """The node that made the value, looking through those that only change its shape or type."""
    node = graph.maker.get(name)
    while node is not None and node.op_type in SEE_THROUGH:
        node = graph.maker.get(node.input[0])
    return node
