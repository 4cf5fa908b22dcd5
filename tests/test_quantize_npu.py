"""Quantized here, compiled for the NPU entirely, and emulated to the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
import quantize_units as units
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.door import is_available
from lpcv.hub_jobs.htp.emulator import run as emulate
from lpcv.hub_jobs.htp.emulator import run_all as emulate_all
from lpcv.hub_jobs.htp.outcome import Compiled
from lpcv.hub_jobs.htp.target import target_of
from lpcv.hub_jobs.quantize.calibration import Frames, calibrate
from lpcv.hub_jobs.quantize.layers import layers
from lpcv.hub_jobs.quantize.prepare import prepare
from lpcv.hub_jobs.quantize.quantizer import assemble, quantize
from lpcv.onnx_session import open_session
from onnx import numpy_helper

pytestmark = pytest.mark.skipif(not is_available(), reason="the extra `emulator` is missing or cannot run here")
DEVICES = ("Samsung Galaxy S23", "Samsung Galaxy S24", "Samsung Galaxy S25")
MAKERS = {"student": graphs.student, "transformer": graphs.transformer, "border": graphs.border}


def compiled(model: Path, device: str, cache: Path) -> Compiled:
    outcome = compile_model(model, target_of(device), cache)
    assert isinstance(outcome, Compiled), outcome
    return outcome


def output_step(model: Path) -> float:
    """The scale of the integers that the output is made from."""
    graph = onnx.load(str(model)).graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    assert last.op_type == "DequantizeLinear"
    return float(next(numpy_helper.to_array(each) for each in graph.initializer if each.name == last.input[1]))


def differences(model: Path, fed: dict[str, np.ndarray], cache: Path) -> list[np.ndarray]:
    """Emulated minus ONNX Runtime's QDQ execution, for each frame."""
    session = open_session(model, optimised=False)
    found = emulate(compiled(model, "Samsung Galaxy S24", cache), fed.items())
    return [np.abs(values - np.asarray(session.run(None, {"image": fed[name]})[0])) for name, values in found]


@pytest.mark.parametrize("name", ["student", "transformer", "border"])
@pytest.mark.parametrize("precision", ["w8a8", "w8a16"])
def test_fits_and_is_emulated_as_onnx_runtime_computes_it(name: str, precision: str, tmp_path: Path) -> None:
    source = graphs.write(tmp_path / "float.onnx", MAKERS[name]())
    made = quantize(source, graphs.frames(), precision, tmp_path / "q.onnx").path  # type: ignore[arg-type]
    fed = dict(list(graphs.frames().items())[:2])
    for found in differences(made, fed, tmp_path / "cache"):
        if precision == "w8a16":
            assert found.max() < 1e-3
        elif name != "transformer":
            # Random weights multiply a rounding that fell to the other side.
            assert found.max() < 4.01 * output_step(made)
            assert (found < 1.01 * output_step(made)).mean() > 0.9
        else:
            # The emulator's layer norm is up to 4 of its own steps away from ONNX Runtime's, all to one side.
            assert found.max() < 6.01 * output_step(made)


def test_one_convolution_differs_by_a_step_at_most(tmp_path: Path) -> None:
    source = graphs.write(tmp_path / "float.onnx", graphs.point())
    made = quantize(source, graphs.frames(), "w8a8", tmp_path / "q.onnx").path
    fed = dict(list(graphs.frames().items())[:2])
    for found in differences(made, fed, tmp_path / "cache"):
        assert found.max() < 1.01 * output_step(made)


def steps_apart(model: Path, image: np.ndarray, cache: Path) -> dict[str, float]:
    """How many steps of its own output each operator is off on the emulator, fed the same integers; at most."""
    quantized = onnx.load(str(model))
    single, feed, of = units.apart(quantized, units.activations(quantized, image))
    wanted = open_session(single, optimised=False).run(list(of), feed)
    outcome = compile_model(single, target_of("Samsung Galaxy S24"), cache)
    assert isinstance(outcome, Compiled), outcome
    ((_, found),) = emulate_all(outcome, [("0", feed)])
    pairs = zip(of.items(), wanted, strict=True)
    return {
        f"{unit.kind} {unit.name}": float(np.abs(found[name] - np.asarray(value)).max() / unit.step)
        for (name, unit), value in pairs
    }


@pytest.mark.parametrize("name", ["border", "student"])
def test_no_operator_is_off_by_more_than_a_step(name: str, tmp_path: Path) -> None:
    """Which is what makes two executions of a trained network part: a rounding's other side, then multiplied."""
    source = graphs.write(tmp_path / "float.onnx", MAKERS[name]())
    made = quantize(source, graphs.frames(), "w8a8", tmp_path / "q.onnx").path
    found = steps_apart(made, graphs.frames()["0001"], tmp_path / "cache")
    assert len(found) > 5
    assert max(found.values()) < 1.01, found


@pytest.mark.slow
def test_no_operator_of_the_real_student_is_off_by_more_than_a_step(
    tiny_run: Path, scenes: Path, tmp_path: Path
) -> None:
    from lpcv.data.folder import open_folder
    from lpcv.hub_jobs.quantize.calibration import model_image

    frames: Frames = open_folder(scenes)
    made = quantize(tiny_run, frames, "w8a8", tmp_path / "q.onnx").path
    image = model_image(prepare(tiny_run, sixteen_bits=False), frames, "0000")
    found = steps_apart(made, image, tmp_path / "cache")
    assert len(found) > 100
    assert max(found.values()) < 1.01, found


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["w8a8", "w8a16"])
@pytest.mark.parametrize("name", ["student", "transformer"])
def test_fits_the_phones(name: str, precision: str, device: str, tmp_path: Path) -> None:
    source = graphs.write(tmp_path / "float.onnx", MAKERS[name]())
    made = quantize(source, graphs.frames(), precision, tmp_path / "q.onnx").path  # type: ignore[arg-type]
    compiled(made, device, tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "transformer"])
def test_every_layer_in_16_bits_fits(name: str, tmp_path: Path) -> None:
    source = graphs.write(tmp_path / "float.onnx", MAKERS[name]())
    prepared = prepare(source, sixteen_bits=True)
    found = calibrate(prepared, graphs.frames(), samples=6, seed=0)
    for index, layer in enumerate(layers(prepared)):
        model = tmp_path / f"{index}.onnx"
        model.write_bytes(assemble(found, "w8a8", keep_16bit=[layer.name]))
        compiled(model, "Samsung Galaxy S24", tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "steps", "most"), [("w8a8", 1.01, 1.0), ("w8a16", 1e9, 1e-3)])
def test_the_real_student(
    precision: str, steps: float, most: float, tiny_run: Path, scenes: Path, tmp_path: Path
) -> None:
    from lpcv.data.folder import open_folder
    from lpcv.hub_jobs.quantize.calibration import model_image

    frames: Frames = open_folder(scenes)
    made = quantize(tiny_run, frames, precision, tmp_path / "q.onnx").path  # type: ignore[arg-type]
    for device in DEVICES:
        compiled(made, device, tmp_path / "cache")
    fed = {"0000": model_image(prepare(tiny_run, sixteen_bits=False), frames, "0000")}
    (found,) = differences(made, fed, tmp_path / "cache")
    assert found.max() < min(steps * output_step(made), most)
