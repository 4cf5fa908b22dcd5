"""Local quantization: numbers that can be followed, an interface that stays, a calibration set that is known."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from lpcv.data.folder import open_folder
from lpcv.errors import LpcvError
from lpcv.files import sha256_file
from lpcv.hub_jobs.quantize.calibration import calibrate, choose
from lpcv.hub_jobs.quantize.prepare import prepare
from lpcv.hub_jobs.quantize.quantizer import quantize
from lpcv.onnx_session import open_session, session_metadata
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.write(tmp_path_factory.mktemp("float") / "student.onnx", graphs.student())


def output(model: Path, image: np.ndarray) -> np.ndarray:
    (found,) = open_session(model, optimised=False).run(None, {"image": image})
    return np.asarray(found)


def constants(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}


def feeding(path: Path, tensor: str) -> onnx.NodeProto:
    return next(node for node in onnx.load(str(path)).graph.node if tensor in node.output)


@pytest.mark.parametrize(("precision", "levels"), [("w8a8", 255), ("w8a16", 65535)])
def test_numbers_are_those_of_the_formula(precision: str, levels: int, tmp_path: Path) -> None:
    """One 1x1 convolution, computed a second time in integers by numpy from the definition of each scale."""
    source = graphs.write(tmp_path / "point.onnx", graphs.point())
    fed = graphs.frames(3)
    made = quantize(source, fed, precision, tmp_path / "q.onnx")  # type: ignore[arg-type]
    weights, bias = (constants(source)[name].astype(np.float64) for name in ("w", "b"))
    weights = weights.reshape(2, 3)
    exact = np.stack([np.einsum("oc,chw->ohw", weights, image[0]) + bias[:, None, None] for image in fed.values()])

    in_step = 255 / levels  # the contract's range, whatever the frames hold
    w_step = np.abs(weights).max(1) / 127
    low, high = min(exact.min(), 0.0), max(exact.max(), 0.0)
    out_step = (high - low) / levels
    zero = round(-low / out_step)
    stored = constants(made.path)
    assert stored["image_scale"] == pytest.approx(in_step)
    assert stored["image_zero_point"] == 0
    assert np.array_equal(stored["w_quantized"].reshape(2, 3), np.round(weights / w_step[:, None]))
    assert np.array_equal(stored["b_quantized"], np.round(bias / (in_step * w_step)))

    image = fed["0001"]
    whole = np.einsum("oc,chw->ohw", stored["w_quantized"].reshape(2, 3).astype(np.int64), np.round(image[0] / in_step))
    real = (whole + stored["b_quantized"][:, None, None]) * (in_step * w_step)[:, None, None]
    wanted = (np.clip(np.round(real / out_step) + zero, 0, levels) - zero) * out_step
    found = output(made.path, image)[0]
    assert np.abs(found - wanted).max() < 1.01 * out_step  # a tie may fall to either side in float32
    assert (np.abs(found - wanted) < 1e-3).mean() > 0.99
    assert np.abs(found - exact[1]).max() < 1.5 * out_step + 255 * (w_step / 2).max() * 3


@pytest.mark.parametrize(("precision", "most"), [("w8a8", 2e-2), ("w8a16", 1e-2)])
def test_interface_and_metadata_stay(precision: str, most: float, student: Path, tmp_path: Path) -> None:
    made = quantize(student, graphs.frames(), precision, tmp_path / "q.onnx", samples=4, seed=3)  # type: ignore[arg-type]
    session = open_session(made.path, optimised=False)
    (fed,), (out,) = session.get_inputs(), session.get_outputs()
    assert (fed.name, fed.shape, fed.type) == ("image", [1, 3, 16, 16], "tensor(float)")
    assert (out.name, out.shape, out.type) == ("output_0", [1, 1, 32, 32], "tensor(float)")
    metadata = session_metadata(session)
    assert metadata["checkpoint_sha256"] == "c0ffee"
    assert metadata["output_kind"] == "relative_depth"
    assert metadata["quantized"] == precision
    assert metadata["quantized_from_sha256"] == sha256_file(student) == made.source_sha256
    assert metadata["calibration_sha256"] == made.calibration.sha256
    assert (metadata["calibration_frames"], metadata["calibration_seed"]) == ("4", "3")
    assert made.sha256 == sha256_file(made.path)
    assert 0 < made.mean_difference <= made.largest_difference < most
    stored = onnx.load(str(made.path))
    assert {entry.domain: entry.version for entry in stored.opset_import} == {"": 18 if precision == "w8a8" else 21}
    wide = {"w8a8": TensorProto.UINT8, "w8a16": TensorProto.UINT16}[precision]
    written = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    activations = {written[node.input[2]] for node in stored.graph.node if node.op_type == "QuantizeLinear"}
    assert activations == {wide}
    assert not [name for name, kind in written.items() if kind == TensorProto.FLOAT and name in constants(student)
                and name != "sizes"]  # fmt: skip
    assert not {"HardSigmoid", "Relu"} & {node.op_type for node in stored.graph.node}


def test_sixteen_bits_are_closer_than_eight(student: Path, tmp_path: Path) -> None:
    fed = graphs.frames()
    eight = quantize(student, fed, "w8a8", tmp_path / "8.onnx").mean_difference
    sixteen = quantize(student, fed, "w8a16", tmp_path / "16.onnx").mean_difference
    assert sixteen < eight / 2


def test_each_convolution_has_its_own_bias_and_scale(student: Path, tmp_path: Path) -> None:
    """The two share one tensor of zeros before: with one scale for both, one would be wrong."""
    made = quantize(student, graphs.frames(), "w8a8", tmp_path / "q.onnx")
    nodes = {node.name: node for node in onnx.load(str(made.path)).graph.node}
    stored = constants(made.path)
    biases = [feeding(made.path, nodes[name].input[2]) for name in ("conv_a", "conv_b")]
    assert biases[0].input[0] != biases[1].input[0]
    for name, bias in zip(("conv_a", "conv_b"), biases, strict=True):
        scales = [stored[feeding(made.path, tensor).input[1]] for tensor in nodes[name].input[:2]]
        assert np.allclose(stored[bias.input[1]], scales[0] * scales[1])


def test_nothing_that_the_library_says_configures_logging(student: Path, tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers), logging.root.manager.disable
    quantize(student, graphs.frames(), "w8a16", tmp_path / "q.onnx")
    assert (list(logging.getLogger().handlers), logging.root.manager.disable) == before


def test_calibration_set_is_chosen_by_seed_and_known_by_hash(student: Path) -> None:
    prepared, fed = prepare(student, sixteen_bits=False), graphs.frames()
    backwards = dict(reversed(fed.items()))
    first = calibrate(prepared, fed, samples=3, seed=1)
    again = calibrate(prepared, backwards, samples=3, seed=1)
    assert (first.frames, first.ranges) == (again.frames, again.ranges)
    assert list(first.frames.names) == sorted(first.frames.names)
    assert len({choose(list(fed), 3, seed) for seed in range(8)}) > 1
    assert choose(list(fed), 99, 0) == tuple(fed)
    changed = fed | {first.frames.names[0]: fed[first.frames.names[0]] + 1}
    assert calibrate(prepared, changed, samples=3, seed=1).frames.sha256 != first.frames.sha256
    renamed = {f"x{name}": image for name, image in fed.items()}
    assert calibrate(prepared, renamed, samples=3, seed=1).frames.sha256 != first.frames.sha256


def test_ranges_are_those_of_the_frames(student: Path) -> None:
    """Against numpy, for tensors that are easy to compute; the contract's input has the contract's range."""
    prepared, fed = prepare(student, sixteen_bits=False), graphs.frames(4)
    found = calibrate(prepared, fed, samples=4, seed=0).ranges
    mean = constants(student)["mean"]
    centred = np.concatenate([image - mean for image in fed.values()])
    assert found["image"] == (0.0, 255.0)
    assert found["centred"] == pytest.approx((centred.min(), centred.max()))
    assert "normal" not in found  # the division is in the convolution's weights
    results = np.concatenate([output(student, image) for image in fed.values()])
    assert found["output_0"] == pytest.approx((results.min(), results.max()), rel=1e-5)


def test_a_folder_feeds_what_the_contract_feeds(student: Path, small_frames: Path, tmp_path: Path) -> None:
    folder = open_folder(small_frames)
    made = quantize(student, folder, "w8a8", tmp_path / "q.onnx", samples=2, seed=0)
    from lpcv.data.model_input import contract_input

    fed = {frame.name: contract_input(frame.rgb, (16, 16)) for frame in folder}
    same = quantize(student, fed, "w8a8", tmp_path / "same.onnx", samples=2, seed=0)
    assert (made.sha256, made.calibration) == (same.sha256, same.calibration)


def broken(kind: str) -> onnx.ModelProto:
    model = graphs.student()
    if kind == "dynamic":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    elif kind == "two inputs":
        model.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1]))
    elif kind == "double":
        node = helper.make_node("Identity", ["image"], ["output_0"], name="same")
        model = graphs.build([node], {}, (1, 3, 16, 16), elem=TensorProto.DOUBLE)
    elif kind == "infinite":
        nodes = [
            helper.make_node("Relu", ["image"], ["r"], name="fine"),
            helper.make_node("Log", ["r"], ["l"], name="planted"),
            helper.make_node("Neg", ["l"], ["output_0"], name="after"),
        ]
        model = graphs.build(nodes, {}, (1, 3, 16, 16))
    elif kind == "invalid":
        model.graph.node[2].input[1] = "nowhere"
    return model


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dynamic", ("image has no fixed size (batch x 3 x 16 x 16)", "lpcv export")),
        ("two inputs", ("has 2 inputs (image, depth)",)),
        ("double", ("image is double, not float32",)),
        ("infinite", ("node planted (Log) on frame 0000",)),
        ("invalid", ("model.onnx", "nowhere")),
    ],
)
def test_models_that_cannot_be_quantized(kind: str, said: tuple[str, ...], tmp_path: Path) -> None:
    source = graphs.write(tmp_path / "model.onnx", broken(kind))
    zeros = {"0000": np.zeros((1, 3, 16, 16), np.float32)}
    with pytest.raises(LpcvError) as caught:
        quantize(source, zeros, "w8a8", tmp_path / "q.onnx")
    for part in said:
        assert part in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_already_quantized_is_refused_with_the_node(student: Path, tmp_path: Path) -> None:
    made = quantize(student, graphs.frames(2), "w8a8", tmp_path / "q.onnx")
    with pytest.raises(LpcvError, match=r"already quantized: its node \S+ is a \w+Linear"):
        quantize(made.path, graphs.frames(2), "w8a8", tmp_path / "twice.onnx")


@pytest.mark.parametrize(
    ("fed", "said"),
    [
        ({}, "no frame to calibrate"),
        ({"a": np.zeros((1, 3, 8, 16), np.float32)}, "Frame a is 1 x 3 x 8 x 16 float32"),
        ({"a": np.zeros((1, 3, 16, 16), np.uint8)}, "Frame a is 1 x 3 x 16 x 16 uint8"),
    ],
)
def test_frames_that_cannot_be_fed(fed: dict[str, np.ndarray], said: str, student: Path, tmp_path: Path) -> None:
    with pytest.raises(LpcvError, match=said):
        quantize(student, fed, "w8a8", tmp_path / "q.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("precision", "options", "said"),
    [
        ("w4a8", {}, "no precision 'w4a8'"),
        ("w8a16", {"keep_16bit": ["conv_a"]}, "16 bits already"),
        ("w8a8", {"keep_16bit": ["conv_x"]}, r"no layer 'conv_x'. Did you mean 'conv_"),
        ("w8a8", {"only": ["nothing like it"]}, "no layer"),
    ],
)
def test_wishes_that_make_no_sense(precision: str, options: dict, said: str, student: Path, tmp_path: Path) -> None:
    with pytest.raises(LpcvError, match=said):
        quantize(student, graphs.frames(1), precision, tmp_path / "q.onnx", **options)  # type: ignore[arg-type]
