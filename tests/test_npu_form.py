"""What the NPU's compiler fuses inexactly is kept apart, and no float32 value changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from htp_graphs import S24, graph, needs_emulator, node, on_cpu
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import open_folder
from lpcv.data.model_input import contract_input
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.emulator import run
from lpcv.hub_jobs.htp.outcome import Compiled
from lpcv.hub_jobs.htp.traps import warnings
from lpcv.submission.npu.form import keep_activations_apart
from onnx import ModelProto

SHAPE = (1, 32, 24, 32)


def head(activation: str) -> ModelProto:
    """A convolution that passes the first of 32 channels on, and the activation."""
    weights = np.zeros((1, 32, 1, 1), np.float32)
    weights[0, 0] = 1
    nodes = [
        node("Conv", ["image", "w"], ["a"], "/net/Conv"),
        node(activation, ["a"], ["output_0"], "/net/Activation"),
    ]
    return graph(nodes, {"w": weights}, shape=SHAPE, out_shape=(1, 1, 24, 32))


def ramp(limit: float) -> np.ndarray:
    values = np.linspace(-limit, limit, SHAPE[2] * SHAPE[3], dtype=np.float32)
    return np.broadcast_to(values.reshape(1, 1, *SHAPE[2:]), SHAPE).copy()


def kinds(model: ModelProto) -> list[str]:
    return [one.op_type for one in model.graph.node]


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh"])
def test_no_float_value_changes(activation: str) -> None:
    model = head(activation)
    before = model.SerializeToString()
    assert keep_activations_apart(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert kinds(model) == ["Conv", "Clip", activation]
    for limit in (1, 10, 90, 300, 1e30):
        here, there = on_cpu(before, ramp(limit)), on_cpu(model.SerializeToString(), ramp(limit))
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-43)


def test_twice_is_once_and_other_graphs_stay_as_they_are() -> None:
    model = head("Sigmoid")
    keep_activations_apart(model)
    for settled in (model, head("Relu"), head("HardSwish")):
        before = settled.SerializeToString(deterministic=True)
        assert keep_activations_apart(settled) == 0
        assert settled.SerializeToString(deterministic=True) == before


def test_an_exported_run_has_the_form(tiny_run: Path) -> None:
    content = (tiny_run / "model.onnx").read_bytes()
    made = {name: one for one in onnx.load_from_string(content).graph.node for name in one.output}
    sigmoids = [one for one in made.values() if one.op_type == "Sigmoid"]
    assert [made[one.input[0]].op_type for one in sigmoids] == ["Clip"]
    assert not [one for one in warnings(content) if one.op_type in ("Sigmoid", "Tanh")]


def emulated(model: bytes, image: np.ndarray, cache: Path) -> np.ndarray:
    result = compile_model(model, S24, cache)
    assert isinstance(result, Compiled), result
    ((_, made),) = run(result, [("frame", image)])
    return made


@needs_emulator
@pytest.mark.parametrize(("activation", "apart"), [("Sigmoid", 1e-3), ("Tanh", 5e-4)])
def test_fused_it_errs_and_apart_it_does_not(activation: str, apart: float, tmp_path: Path) -> None:
    """If the first assertion fails, the compiler has been mended: the form and its warning can go."""
    model = head(activation)
    image = ramp(8).astype(np.float16).astype(np.float32)
    wanted = on_cpu(model.SerializeToString(), image)
    assert [one.node for one in warnings(model.SerializeToString())] == ["/net/Activation"]
    assert np.abs(emulated(model.SerializeToString(), image, tmp_path) - wanted).max() > 3e-3
    keep_activations_apart(model)
    assert warnings(model.SerializeToString()) == []
    assert np.abs(emulated(model.SerializeToString(), image, tmp_path) - wanted).max() < apart


@needs_emulator
@pytest.mark.slow
def test_exported_student_is_float_within_a_thousandth(tiny_run: Path, scenes: Path, tmp_path: Path) -> None:
    content = (tiny_run / "model.onnx").read_bytes()
    image = contract_input(next(iter(open_folder(scenes))).rgb)
    wanted = on_cpu(content, image)
    assert wanted.shape == (1, 1, *CONTRACT.image_size[::-1])
    with torch.inference_mode():
        assert np.abs(emulated(content, image, tmp_path) - wanted).mean() < 4e-4  # fused, 5.5e-4
