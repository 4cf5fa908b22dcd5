"""A prepared graph computes the same; layers alone or in more bits; the same bytes in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from lpcv.hub_jobs.quantize import graph as surgery
from lpcv.hub_jobs.quantize.calibration import Calibrated, calibrate
from lpcv.hub_jobs.quantize.layers import layers
from lpcv.hub_jobs.quantize.prepare import Prepared, prepare
from lpcv.hub_jobs.quantize.quantizer import assemble
from lpcv.hub_jobs.quantize.variants import alone, kept_in_16_bits
from lpcv.onnx_session import open_session
from onnx import ModelProto, TensorProto, helper

READ_BY = {
    "sub": {"conv_a"}, "conv_a": {"conv_b", "add"}, "conv_b": {"swish_b"}, "swish_b": {"add"}, "add": {"resize"},
    "resize": {"gain"}, "gain": {"conv_c"}, "conv_c": {"sigmoid"}, "sigmoid": set(),
}  # fmt: skip
BITS: dict[int, int] = {TensorProto.UINT8: 8, TensorProto.INT8: 8, TensorProto.UINT16: 16, TensorProto.INT32: 32}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    source = graphs.write(tmp_path_factory.mktemp("float") / "student.onnx", graphs.student())
    return prepare(source, sixteen_bits=True)


@pytest.fixture(scope="module")
def calibrated(prepared: Prepared) -> Calibrated:
    return calibrate(prepared, graphs.frames(), samples=6, seed=0)


def output(model: ModelProto | bytes) -> np.ndarray:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    session = open_session(content, optimised=False)
    return np.concatenate([np.asarray(session.run(None, {"image": image})[0]) for image in graphs.frames().values()])


def bits(model: bytes) -> dict[str, int]:
    """What QuantizeLinear makes -> its bits."""
    graph = onnx.load_from_string(model).graph
    kinds = {tensor.name: BITS.get(tensor.data_type, 0) for tensor in graph.initializer}
    return {node.output[0]: kinds[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}


def operand_bits(model: bytes, node: str) -> list[int]:
    """Of each quantized input of a node and of its output, the bits it is dequantized from or rounded to."""
    graph = onnx.load_from_string(model).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    makers = {name: each for each in graph.node for name in each.output}
    wanted = next(each for each in graph.node if each.name == node)
    after = [each for each in graph.node if each.op_type == "QuantizeLinear" and each.input[0] == wanted.output[0]]
    types = [kinds[makers[name].input[2]] for name in wanted.input if name in makers] + [kinds[after[0].input[2]]]
    return [BITS[kind] for kind in types]


@pytest.mark.parametrize("sixteen_bits", [False, True])
@pytest.mark.parametrize("make", [graphs.student, graphs.transformer])
def test_preparing_changes_no_number(make, sixteen_bits: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = make()
    ready = prepare(graphs.write(tmp_path / "m.onnx", model), sixteen_bits=sixteen_bits)
    assert np.abs(output(ready.model) - output(model)).max() < 2e-6
    names = [node.name for node in ready.model.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    kinds = {node.op_type for node in ready.model.graph.node}
    assert not {"Erf", "HardSigmoid", "Relu6"} & kinds
    assert ("Gelu" in kinds) == (make is graphs.transformer)
    assert ("HardSwish" in kinds) == (make is graphs.student)


def test_layers_stand_in_order_with_their_relu(prepared: Prepared) -> None:
    found = layers(prepared)
    assert [layer.name for layer in found] == [
        "sub", "conv_a", "conv_b", "swish_b", "add", "resize", "gain", "conv_c", "sigmoid",
    ]  # fmt: skip
    assert {layer.name: layer.nodes for layer in found if len(layer.nodes) > 1} == {"conv_a": ("conv_a", "relu_a")}
    assert {layer.name: layer.weights for layer in found if layer.weights} == {
        "conv_a": 8 * 3 * 9 + 8, "conv_b": 8 * 8 * 9 + 8, "conv_c": 8 + 1,
    }  # fmt: skip


def test_a_layer_alone_leaves_the_rest_in_float(calibrated: Calibrated) -> None:
    exact = output(calibrated.prepared.model)
    everything = np.abs(output(assemble(calibrated, "w8a8")) - exact).mean()
    costs = {}
    for layer in layers(calibrated.prepared):
        model = alone(calibrated, layer, "w8a8")
        stored = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(model).graph.initializer}
        assert sum(kind == TensorProto.INT8 for name, kind in stored.items() if name.endswith("_quantized")) == (
            1 if layer.weights else 0
        ), layer
        assert 2 <= len(bits(model)) <= 3, layer  # what goes in and what comes out
        costs[layer.name] = np.abs(output(model) - exact).mean()
        assert costs[layer.name] < 1.5 * everything, layer
    assert min(costs.values()) >= 0
    assert max(costs.values()) > 0.1 * everything


def test_the_parts_make_the_whole(calibrated: Calibrated) -> None:
    every = [layer.name for layer in layers(calibrated.prepared)]
    whole, parts = assemble(calibrated, "w8a8"), assemble(calibrated, "w8a8", only=every)
    assert np.array_equal(output(whole), output(parts))
    nothing = assemble(calibrated, "w8a8", only=[])
    assert np.array_equal(output(nothing), output(calibrated.prepared.model))


def test_a_layer_kept_in_16_bits_is_read_in_16_bits_and_no_other_is(calibrated: Calibrated) -> None:
    eight = bits(assemble(calibrated, "w8a8"))
    assert set(eight.values()) == {8}
    for layer in layers(calibrated.prepared):
        model = kept_in_16_bits(calibrated, layer)
        weighted = [16, 8, 32, 16] if layer.weights else None
        inputs = {"add": 2, "sub": 2, "gain": 2}.get(layer.name, 1)
        if len(layer.nodes) == 1:
            assert operand_bits(model, layer.name) == (weighted or [16] * (inputs + 1)), layer
        for other in layers(calibrated.prepared):
            if other.name not in ("conv_a", layer.name):
                assert operand_bits(model, other.name)[0] == (16 if other.name in READ_BY[layer.name] else 8), layer


def test_16_bits_are_not_rounded_away(calibrated: Calibrated) -> None:
    """Given in 16 bits to those who read 8, they would change nothing: the model must be another one, and nearer."""
    exact, eight = output(calibrated.prepared.model), output(assemble(calibrated, "w8a8"))
    nearer = 0
    for layer in layers(calibrated.prepared):
        model = kept_in_16_bits(calibrated, layer)
        kept = output(model)
        assert not np.array_equal(kept, eight), layer
        nearer += np.abs(kept - exact).mean() < np.abs(eight - exact).mean()
    assert nearer >= 5


def test_more_layers_in_16_bits_come_nearer(calibrated: Calibrated) -> None:
    exact = output(calibrated.prepared.model)
    every = [layer.name for layer in layers(calibrated.prepared)]
    error = [np.abs(output(assemble(calibrated, "w8a8", keep_16bit=every[:count])) - exact).mean() for count in (0, 10)]
    wide = np.abs(output(assemble(calibrated, "w8a16")) - exact).mean()
    assert error[1] < error[0] / 2
    assert error[1] == pytest.approx(wide, rel=0.3)


def test_gelu_and_layer_norm_are_quantized_too(tmp_path: Path) -> None:
    """A Gelu of ONNX Runtime's own domain has no type that ONNX infers; the NPU takes unsigned layer norm weights."""
    source = graphs.write(tmp_path / "m.onnx", graphs.transformer())
    ready = prepare(source, sixteen_bits=False)
    found = assemble(calibrate(ready, graphs.frames(), samples=6, seed=0), "w8a8")
    graph = onnx.load_from_string(found).graph
    (gelu,) = [node for node in graph.node if node.op_type == "Gelu"]
    assert operand_bits(found, gelu.name) == [8, 8]
    (norm,) = [node for node in graph.node if node.op_type == "LayerNormalization"]
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    weight = next(node for node in graph.node if norm.input[1] in node.output)
    assert kinds[weight.input[0]] == TensorProto.UINT8


def test_constants_get_a_copy_for_each_use_but_weights_do_not() -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w", "zero"], ["a"], name="a"), node("Conv", ["image", "w", "zero"], ["b"], name="b"),
        node("Add", ["a", "zero"], ["c"], name="c"), node("Add", ["b", "c"], ["output_0"], name="d"),
    ]  # fmt: skip
    model = graphs.build(
        nodes, {"w": np.ones((1, 3, 1, 1), np.float32), "zero": np.zeros(1, np.float32)}, (1, 1, 16, 16)
    )
    before = output(model)
    assert surgery.unshare_constants(model.graph) == 2
    assert [each.input[1] for each in model.graph.node[:2]] == ["w", "w"]
    uses = Counter(name for each in model.graph.node for name in each.input if name.startswith("zero"))
    assert len(uses) == 3
    assert set(uses.values()) == {1}
    assert np.array_equal(output(model), before)


@pytest.mark.parametrize(
    ("alpha", "second", "twice", "fused"),
    [(1 / 6, "image", False, 1), (0.2, "image", False, 0), (1 / 6, "gate", False, 0), (1 / 6, "image", True, 0)],
)
def test_only_x_times_its_own_gate_is_hard_swish(alpha: float, second: str, twice: bool, fused: int) -> None:
    node = helper.make_node
    nodes = [
        node("HardSigmoid", ["image"], ["gate"], name="gate", alpha=alpha, beta=0.5),
        node("Mul", ["gate", second], ["product"], name="product"),
        node("Add", ["product", "gate" if twice else "product"], ["output_0"], name="sum"),
    ]
    model = graphs.build(nodes, {}, (1, 3, 16, 16))
    before = output(model)
    assert surgery.fuse_hard_swish(model.graph) == fused
    assert np.allclose(output(model), before, rtol=1e-5)
    assert [each.op_type for each in model.graph.node] == (
        ["HardSwish", "Add"] if fused else ["HardSigmoid", "Mul", "Add"]
    )


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(calibrated: Calibrated) -> None:
    """Also with another order of sets, which the library keeps the converted readers in."""
    program = (
        "import sys, hashlib, quantize_graphs as graphs; from pathlib import Path\n"
        "from lpcv.hub_jobs.quantize.calibration import calibrate; from lpcv.hub_jobs.quantize.layers import layers\n"
        "from lpcv.hub_jobs.quantize.prepare import prepare; from lpcv.hub_jobs.quantize.quantizer import assemble\n"
        "from lpcv.hub_jobs.quantize.variants import kept_in_16_bits\n"
        "ready = prepare(Path(sys.argv[1]), sixteen_bits=True)\n"
        "found = calibrate(ready, graphs.frames(), samples=6, seed=0)\n"
        "print(*(hashlib.sha256(each).hexdigest() for each in (assemble(found, 'w8a8'), assemble(found, 'w8a16'),\n"
        "    kept_in_16_bits(found, layers(ready)[2]))))\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    source = str(calibrated.prepared.source)
    done = subprocess.run(
        [sys.executable, "-c", program, source], capture_output=True, text=True, check=True, env=environment
    )
    import hashlib

    here = (
        assemble(calibrated, "w8a8"),
        assemble(calibrated, "w8a16"),
        kept_in_16_bits(calibrated, layers(calibrated.prepared)[2]),
    )
    assert done.stdout.split() == [hashlib.sha256(each).hexdigest() for each in here]
