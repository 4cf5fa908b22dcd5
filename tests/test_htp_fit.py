"""What does not fit the NPU is named, with what to use instead, which does fit: measured here, on the compiler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from htp_graphs import S24, after_relu, content, fitting, needs_emulator, node, picture
from lpcv.console import count
from lpcv.hub_jobs.htp.advice import ADVICE, advice_for
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.fit import NO_ADVICE, Misfit, findings
from lpcv.hub_jobs.htp.outcome import Compiled, Crashed, OutOfTime, Refused, Unsupported
from lpcv.hub_jobs.htp.traps import warnings
from lpcv.hub_jobs.quantize.precision import Precision
from lpcv.hub_jobs.quantize.quantizer import quantize
from onnx import TensorProto

HALF = np.array([1, 3, 8, 8])
SIX = {"to_six": np.array([1, 3, 4, 4, 4, 4]), "back": np.array([1, 3, 16, 16])}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("htp")


def grid() -> dict[str, np.ndarray]:
    return {"grid": np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 2)).astype(np.float32)}


def six_dimensions() -> bytes:
    return content(
        [
            node("Reshape", ["image", "to_six"], ["a"], "/net/Reshape"),
            node("Transpose", ["a"], ["b"], "/net/Misfit", perm=[1, 0, 3, 2, 5, 4]),
            node("Relu", ["b"], ["c"], "/net/Relu"),
            node("Reshape", ["c", "back"], ["output_0"], "/net/Reshape_1"),
        ],
        SIX,
    )


def lone_dequantize() -> bytes:
    constants = {
        "q": np.full((1, 3, 16, 16), 3, np.int8), "s": np.array([0.1, 0.2, 0.3], np.float32), "z": np.zeros(3, np.int8)
    }  # fmt: skip
    nodes = [
        node("DequantizeLinear", ["q", "s", "z"], ["w"], "/net/Misfit", axis=1),
        node("Add", ["image", "w"], ["output_0"], "/net/Add"),
    ]
    return content(nodes, constants)


def clip_to_a_computed_bound() -> bytes:
    nodes = [
        node("Relu", ["image"], ["a"], "r"),
        node("ReduceMax", ["a"], ["high"], "/net/ReduceMax", keepdims=0),
        node("Clip", ["a", "", "high"], ["output_0"], "/net/Misfit"),
    ]
    return content(nodes)


def int64_input() -> bytes:
    nodes = [
        node("Cast", ["image"], ["a"], "/net/Misfit", to=TensorProto.FLOAT),
        node("Relu", ["a"], ["output_0"], "r"),
    ]
    return content(nodes, kind=TensorProto.INT64, out_kind=TensorProto.FLOAT)


def deformed() -> bytes:
    weights = {"w": np.ones((3, 3, 3, 3), np.float32), "offset": np.zeros((1, 18, 16, 16), np.float32)}
    return after_relu("DeformConv", "/net/Misfit", weights, kernel_shape=[3, 3], pads=[1] * 4)


REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {  # model, in the reason, in the remedy
    "bicubic GridSample": (
        lambda: after_relu("GridSample", "/net/Misfit", grid(), mode="bicubic"), "bicubic", "bilinear",
    ),
    "cubic GridSample, as opset 20 calls it": (
        lambda: after_relu("GridSample", "/net/Misfit", grid(), mode="cubic", opset=20), "mode cubic", "bilinear",
    ),
    "antialiased Resize": (
        lambda: after_relu(
            "Resize", "/net/Misfit", {"s": HALF}, inputs=["a", "", "", "s"], mode="linear", antialias=1,
            out_shape=(1, 3, 8, 8),
        ), "anti-aliasing", "antialias=False",
    ),
    "dynamic axis": (
        lambda: content([node("Relu", ["image"], ["output_0"], "/net/Misfit")], shape=("batch", 3, 16, 16),
                        out_shape=("batch", 3, 16, 16)),
        "'image' (?, 3, 16, 16)", "fixed sizes",
    ),
    "odd Einsum": (
        lambda: after_relu("Einsum", "/net/Misfit", inputs=["a", "a"], equation="bhid,bhjd->ij", out_shape=(16, 16)),
        "bhid,bhjd->ij", "MatMul",
    ),
    "6-D transpose": (six_dimensions, "6 dimensions", "DepthToSpace"),
    "Acos": (lambda: after_relu("Acos", "/net/Misfit"), "no Acos", "Atan"),
    "DeformConv": (deformed, "no DeformConv", "GridSample"),
    "Clip with tensor bounds": (clip_to_a_computed_bound, "dynamic min/max", "Min and Max"),
    "float64": (
        lambda: content([node("Relu", ["image"], ["output_0"], "/net/Misfit")], kind=TensorProto.DOUBLE),
        "float64", "float32",
    ),
    "standalone per-channel DQ": (lone_dequantize, "per-channel", "one scale"),
}  # fmt: skip


def named(found: list[Misfit]) -> Misfit:
    return next(one for one in found if one.node == "/net/Misfit")


@needs_emulator
@pytest.mark.parametrize("name", REFUSED)
def test_a_planted_misfit_is_named_with_its_remedy(cache: Path, name: str) -> None:
    build, reason, remedy = REFUSED[name]
    result = compile_model(build(), S24, cache)
    assert isinstance(result, Refused)
    assert "/net/Misfit" in result.sentence
    found = findings(build(), result)
    misfit = named(found)
    assert reason in misfit.reason
    assert remedy in misfit.remedy
    assert misfit.source
    assert not misfit.on_hub_only
    others = {one.node for one in found} - {"/net/Misfit"}
    assert others == ({"/net/Reshape", "/net/Relu", "/net/Reshape_1"} if name == "6-D transpose" else set())


@needs_emulator
def test_an_int64_input_fits_the_emulator_and_not_ai_hub(cache: Path) -> None:
    result = compile_model(int64_input(), S24, cache)
    assert isinstance(result, Compiled)
    (misfit,) = findings(int64_input(), result)
    assert (misfit.node, misfit.on_hub_only) == ("/net/Misfit", True)
    assert "--truncate_64bit_io" in misfit.remedy


@needs_emulator
def test_what_follows_from_a_refused_node_is_no_cause(cache: Path) -> None:
    nodes = [
        node("NonZero", ["image"], ["found"], "/net/NonZero"),
        node("Cast", ["found"], ["output_0"], "/net/Cast", to=TensorProto.FLOAT),
    ]
    model = content(nodes, out_shape=(4, "n"))
    result = compile_model(model, S24, cache)
    assert isinstance(result, Refused)
    assert len(result.unsupported) == 2
    (misfit,) = findings(model, result)
    assert misfit.node == "/net/NonZero"
    assert "mask" in misfit.remedy


@needs_emulator
@pytest.mark.parametrize(
    ("name", "precision"),
    [("odd Einsum", "w8a8"), ("Clip with tensor bounds", "w8a16"), ("bicubic GridSample", "w8a8"), ("Acos", "w8a8")],
)
def test_in_integers_too_the_cause_is_a_node_of_the_users_model(
    cache: Path, tmp_path: Path, name: str, precision: Precision
) -> None:
    """The compiler refuses the operator together with the DequantizeLinear and QuantizeLinear around it."""
    build, reason, remedy = REFUSED[name]
    source = tmp_path / "model.onnx"
    source.write_bytes(build())
    frames = {str(seed): np.abs(picture(seed) / 3) for seed in range(2)}
    made = quantize(source, frames, precision, tmp_path / "quantized.onnx", samples=2).path
    result = compile_model(made, S24, cache)
    (misfit,) = findings(made, result)
    assert misfit.node == "/net/Misfit"
    assert reason in misfit.reason
    assert remedy in misfit.remedy
    assert result.sentence == f"This node does not fit the NPU of the {S24.device}: /net/Misfit ({misfit.op_type})."


def test_only_what_a_refused_operator_explains_is_left_out() -> None:
    """Another reason, or one that says nothing and another place, may be a cause of its own."""
    ends = {"s": np.float32(1), "z": np.uint8(0)}
    nodes = [
        node("QuantizeLinear", ["image", "s", "z"], ["a"], "/far/Q"),
        node("DequantizeLinear", ["a", "s", "z"], ["b"], "/far/DQ"),
        node("Relu", ["b"], ["c"], "/net/Relu"),
        node("QuantizeLinear", ["c", "s", "z"], ["d"], "/near/Q"),
        node("DequantizeLinear", ["d", "s", "z"], ["e"], "/near/DQ"),
        node("Transpose", ["e"], ["output_0"], "/net/Transpose", perm=[0, 1, 2, 3]),
    ]

    def left(reason: str, other: str) -> list[str]:
        names = ["/far/Q", "/near/DQ", "/near/DQ/duplicated"]
        refused = [Unsupported(name, "DequantizeLinear" if "DQ" in name else "QuantizeLinear", other) for name in names]
        unsupported = (*refused, Unsupported("/net/Transpose", "Transpose", reason))
        return [one.node for one in findings(content(nodes, ends), Refused(S24, "", unsupported))]

    assert left("It has six legs.", "It has six legs.") == ["/net/Transpose"]
    assert left("Failed to add node.", "Failed to add node.") == ["/far/Q", "/net/Transpose"]
    assert left("It has six legs.", "Another.") == ["/far/Q", "/near/DQ", "/net/Transpose", "/near/DQ/duplicated"]


@needs_emulator
def test_nameless_nodes_get_a_name(cache: Path) -> None:
    model = content([node("Relu", ["image"], ["a"]), node("Acos", ["a"], ["output_0"])])
    (misfit,) = findings(model, compile_model(model, S24, cache))
    assert (misfit.node, misfit.op_type) == ("Acos:output_0", "Acos")
    assert misfit.sentence.startswith("Acos:output_0 (Acos): The NPU has no Acos. Write")


@needs_emulator
def test_a_function_that_only_the_log_names(cache: Path) -> None:
    model = after_relu("Mish", "/net/Mish", opset=18)
    (misfit,) = findings(model, compile_model(model, S24, cache))
    assert misfit.node == "/net/Mish"
    assert "Softplus" in misfit.remedy


@needs_emulator
def test_a_model_that_fits_has_no_finding(cache: Path) -> None:
    assert findings(fitting(), compile_model(fitting(), S24, cache)) == []
    assert warnings(fitting()) == []


def test_a_stopped_attempt_names_no_node() -> None:
    for stopped in (OutOfTime(1), Crashed("by signal SIGSEGV")):
        assert findings(fitting(), stopped) == []


@needs_emulator
def test_an_int64_output_hides_no_refusal(cache: Path) -> None:
    """One node with two faults: AI Hub refuses the output's type, and the compiler the operator."""
    where = node("NonZero", ["image"], ["output_0"], "/net/where")
    model = content([where], out_shape=None, out_kind=TensorProto.INT64)
    found = findings(model, compile_model(model, S24, cache))
    assert [(one.node, one.on_hub_only) for one in found] == [("/net/where", True), ("/net/where", False)]


def test_numbers_and_their_nouns() -> None:
    assert [count(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert count(2, "batch", "es") == "2 batches"


def test_what_nobody_has_tried_has_no_advice() -> None:
    assert advice_for("Relu", "Failed to add node.") is None
    assert NO_ADVICE.endswith(".")
    assert all(row.remedy.endswith(".") and row.source for row in ADVICE)
    before = [(row.op_type, row.pattern) for row in ADVICE]
    assert len(set(before)) == len(before)
