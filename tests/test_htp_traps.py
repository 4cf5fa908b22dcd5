"""What compiles and computes something else is warned of, and it really does: measured here, on the emulator."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from htp_graphs import S24, after_relu, content, fitting, graph, min_max, needs_emulator, node, on_cpu, picture
from lpcv.errors import InputError
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.emulator import EmulationStopped, run, run_all
from lpcv.hub_jobs.htp.nearest import emulated_rows, nearest_rows
from lpcv.hub_jobs.htp.outcome import Compiled, Crashed
from lpcv.hub_jobs.htp.ranges import value_ranges
from lpcv.hub_jobs.htp.traps import warnings
from lpcv.onnx_session import open_session
from onnx import TensorProto


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("htp")


@needs_emulator
def test_min_max_over_a_tiny_range_is_named_and_really_wrong(cache: Path) -> None:
    image = 0.5 + 1e-3 * (picture() + 1) / 3
    result = compile_model(min_max(), S24, cache)
    assert isinstance(result, Compiled)
    ((_, emulated),) = run(result, [("tiny", image)])
    assert np.abs(emulated - on_cpu(min_max(), image)).max() > 0.1
    (found,) = warnings(min_max(), value_ranges(min_max(), {"image": image}))
    assert found.node == "/net/Div"
    assert "0.000999 at values up to 0.501" in found.reason
    assert "Divide by a constant" in found.remedy
    assert [one.node for one in warnings(min_max())] == ["/net/Div"]  # without a picture, it may be tiny
    assert warnings(min_max(), value_ranges(min_max(), {"image": picture()})) == []
    assert warnings(min_max(), half_precision=False) == []


@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
def test_onnxs_nearest_rows_are_those_of_onnx_runtime(coordinates: str) -> None:
    roundings = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
    for (size, new), rounding in itertools.product([(6, 12), (8, 4), (7, 13), (5, 1), (4, 10), (9, 3)], roundings):
        model = content(
            [node("Resize", ["image", "", "", "s"], ["output_0"], mode="nearest", nearest_mode=rounding,
                  coordinate_transformation_mode=coordinates)],
            {"s": np.array([1, 1, 1, new])}, shape=(1, 1, 1, size), out_shape=(1, 1, 1, new),
        )  # fmt: skip
        rows = on_cpu(model, np.arange(size, dtype=np.float32)[None, None, None])
        assert rows.ravel().astype(int).tolist() == nearest_rows(size, new, coordinates, rounding), (
            size,
            new,
            rounding,
        )


@needs_emulator
def test_the_emulators_nearest_rows_are_the_emulators(cache: Path) -> None:
    """In one graph: three kinds of coordinates, two sizes, and a rounding that the emulator does not heed."""
    wanted = list(itertools.product(["half_pixel", "pytorch_half_pixel", "align_corners"], [9, 4]))
    nodes = [node("Relu", ["image"], ["a"], "r")]
    for index, (coordinates, new) in enumerate(wanted):
        made = [f"b{index}", f"output_{index}"]
        nodes.append(node("Resize", ["a", "", "", f"s{new}"], made[:1], f"/net/Resize_{index}", mode="nearest",
                          nearest_mode="round_prefer_floor", coordinate_transformation_mode=coordinates))  # fmt: skip
        nodes.append(node("Relu", made[:1], made[1:], f"relu_{index}"))
    model = graph(
        nodes, {"s9": np.array([1, 1, 4, 9]), "s4": np.array([1, 1, 4, 4])}, shape=(1, 1, 4, 6), out_shape=None,
        outputs=[f"output_{index}" for index in range(len(wanted))],
    )  # fmt: skip
    result = compile_model(model.SerializeToString(), S24, cache)
    assert isinstance(result, Compiled), result
    ramp = np.broadcast_to(np.arange(6, dtype=np.float32), (1, 1, 4, 6)).copy()
    ((_, made),) = run_all(result, [("ramp", {"image": ramp})])
    other = []
    for index, (coordinates, new) in enumerate(wanted):
        rows = made[f"output_{index}"][0, 0, 0].round().astype(int).tolist()
        assert rows == emulated_rows(6, new, coordinates), (coordinates, new)
        if rows != nearest_rows(6, new, coordinates, "round_prefer_floor"):
            other.append(f"/net/Resize_{index}")
    assert [one.node for one in warnings(model.SerializeToString())] == other
    assert 0 < len(other) < len(wanted)


def test_torchs_nearest_is_not_warned_of() -> None:
    exact = after_relu(
        "Resize", "/net/Resize", {"s": np.array([1, 3, 24, 24])}, inputs=["a", "", "", "s"], mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor", out_shape=(1, 3, 24, 24),
    )  # fmt: skip
    assert warnings(exact) == []


def pool(**words: Any) -> bytes:
    return after_relu("AveragePool", "/net/Pool", **words)


def test_padded_pools_are_warned_of_and_others_not() -> None:
    for padded in ({"pads": [1, 1, 1, 1]}, {"pads": [0, 0, 1, 1], "count_include_pad": 1}, {"auto_pad": "SAME_UPPER"}):
        (found,) = warnings(pool(kernel_shape=[3, 3], out_shape=None, **padded))
        assert found.node == "/net/Pool"
        assert "depthwise Conv" in found.remedy
    assert warnings(pool(kernel_shape=[2, 2], strides=[2, 2], out_shape=None)) == []
    assert warnings(pool(kernel_shape=[2, 2], pads=[0, 0, 0, 0], out_shape=None)) == []


@pytest.mark.parametrize(("mode", "warned"), [("constant", True), ("reflect", False)])
def test_a_pad_before_a_pool_is_one_node_with_it(mode: str, warned: bool) -> None:
    """ONNX Runtime makes it so before the compiler sees it (tests/test_htp_advice.py pins that)."""
    model = content(
        [
            node("Relu", ["image"], ["a"]), node("Pad", ["a", "around"], ["b"], mode=mode),
            node("AveragePool", ["b"], ["output_0"], "/net/Pool", kernel_shape=[2, 2]),
        ],
        {"around": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, out_shape=None,
    )  # fmt: skip
    assert [one.node for one in warnings(model)] == ["/net/Pool"] * warned


@needs_emulator
def test_a_padded_pool_really_goes_wrong(cache: Path) -> None:
    model = pool(kernel_shape=[3, 3], pads=[0, 0, 1, 1], out_shape=None)
    result = compile_model(model, S24, cache)
    assert isinstance(result, Compiled)
    outcome, largest = None, 0.0
    try:
        ((_, emulated),) = run(result, [("frame", picture())])
        largest = float(np.abs(emulated - on_cpu(model, picture())).max())
    except EmulationStopped as stopped:  # what 2.7.0 does with these pads; with others it computes something else
        outcome = stopped.outcome
    assert isinstance(outcome, Crashed) or largest > 0.01


@needs_emulator
def test_a_cast_from_uint8_is_warned_of_and_really_wrong(cache: Path) -> None:
    nodes = [
        node("Cast", ["image"], ["a"], "/net/Cast", to=TensorProto.FLOAT),
        node("Mul", ["a", "k"], ["output_0"], "/net/Mul"),
    ]
    model = content(nodes, {"k": np.float32(0.5)}, kind=TensorProto.UINT8, out_kind=TensorProto.FLOAT)
    (found,) = warnings(model)
    assert (found.node, "DequantizeLinear" in found.remedy) == ("/net/Cast", True)
    result = compile_model(model, S24, cache)
    assert isinstance(result, Compiled)
    ((_, emulated),) = run(result, [("frame", np.full((1, 3, 16, 16), 200, np.uint8))])
    np.testing.assert_allclose(emulated, 0.5, rtol=1e-3)  # and not 100: if this fails, the emulator has been mended


def test_an_edge_pad_of_the_input_is_warned_of() -> None:
    pads = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    at_input = content([node("Pad", ["image", "p"], ["output_0"], "/net/Pad", mode="edge")], pads, out_shape=None)
    assert [one.node for one in warnings(at_input)] == ["/net/Pad"]
    assert warnings(after_relu("Pad", "/net/Pad", pads, mode="edge", out_shape=None)) == []
    by_reflection = content([node("Pad", ["image", "p"], ["output_0"], mode="reflect")], pads, out_shape=None)
    assert warnings(by_reflection) == []


def test_values_beyond_half_precision() -> None:
    big = content([node("Mul", ["image", "k"], ["output_0"], "/net/Mul")], {"k": np.float32(1e5)})
    (found,) = warnings(big)
    assert "'k' reaches 1e+05" in found.reason
    squared = content([node("Mul", ["image", "image"], ["output_0"], "/net/Mul")])
    assert warnings(squared) == []
    (measured,) = warnings(squared, value_ranges(squared, {"image": 1000 * picture()}))
    assert measured.node == "/net/Mul"
    assert "'output_0' reaches" in measured.reason
    assert warnings(squared, value_ranges(squared, {"image": 100 * picture()})) == []
    largest = content([node("Mul", ["image", "k"], ["output_0"])], {"k": np.float32(65504)})
    assert warnings(largest) == []
    mask = content([node("Clip", ["image", "", "k"], ["output_0"])], {"k": np.float32(3.4e38)})
    assert warnings(mask) == []  # a bound is no value


@needs_emulator
@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_a_constant_that_is_no_number_is_warned_of_and_really_becomes_one(cache: Path, value: float, what: str) -> None:
    nodes = [node("Relu", ["image"], ["a"], "r"), node("Add", ["a", "k"], ["output_0"], "/net/Add")]
    model = content(nodes, {"k": np.float32(value)})
    for half_precision in (True, False):
        (found,) = warnings(model, half_precision=half_precision)
        assert (found.node, f"'k' holds {what}" in found.reason) == ("/net/Add", True)
    (found,) = warnings(model, value_ranges(model, {"image": picture()}))  # told once, not of its value again
    assert "'k' holds" in found.reason
    result = compile_model(model, S24, cache)
    assert isinstance(result, Compiled)
    ((_, emulated),) = run(result, [("frame", picture())])
    assert not np.isfinite(on_cpu(model, picture())).any()
    assert np.isfinite(emulated).all()  # if this fails, the emulator has been mended


def test_a_value_that_is_no_number_is_told_where_it_begins() -> None:
    nodes = [
        node("Log", ["image"], ["a"], "/net/Log"),  # of negative numbers
        node("Relu", ["a"], ["b"], "/net/Relu"),
        node("Mul", ["b", "b"], ["output_0"], "/net/Mul"),
    ]
    ranges = {"image": (-1.0, 2.0), "a": (np.nan, np.nan), "b": (np.nan, np.nan), "output_0": (np.nan, np.nan)}
    (found,) = warnings(content(nodes), ranges)
    assert (found.node, "'a' is infinite or NaN" in found.reason) == ("/net/Log", True)
    (found,) = warnings(content(nodes), {**ranges, "a": (-np.inf, 1.0)})
    assert found.node == "/net/Log"
    constants = {"k": np.float32(-np.inf), "c": np.ones(16, bool)}
    masked = content([node("Where", ["c", "k", "image"], ["output_0"])], constants)
    assert (
        warnings(masked, {"image": (0.0, 1.0), "output_0": (-np.inf, 1.0)}) == []
    )  # as attention is masked, and computed right


def test_value_ranges_are_those_of_the_values(tmp_path: Path) -> None:
    image = picture()
    model = onnx.load_from_string(fitting())
    ranges = value_ranges(fitting(), {"image": image})
    assert set(ranges) == {"image", "a", "output_0"}
    output = on_cpu(fitting(), image)
    assert ranges["output_0"] == pytest.approx((0.0, float(output.max())))
    assert ranges["image"] == (float(image.min()), float(image.max()))
    assert ranges["a"][0] < 0 < ranges["a"][1] == ranges["output_0"][1]
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.data", size_threshold=0)
    assert value_ranges(path, {"image": image}) == ranges
    assert open_session(path).get_outputs()[0].name == "output_0"  # the file is as it was
    with pytest.raises(InputError, match="cannot be run"):
        value_ranges(fitting(), {"image": image[:, :1]})
