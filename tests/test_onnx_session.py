"""The one door to ONNX Runtime: a quantized model is run as it is written, a float one as ONNX Runtime likes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from lpcv.hub_jobs.quantize.quantizer import quantize
from lpcv.onnx_session import is_quantized, open_session


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Float, and quantized."""
    root = tmp_path_factory.mktemp("session")
    source = graphs.write(root / "point.onnx", graphs.point())
    return source, quantize(source, graphs.frames(2), "w8a8", root / "q.onnx").path


def operators_run(model: Path, place: Path) -> set[str]:
    session = open_session(model, profile_to=place)
    given = session.get_inputs()[0]
    session.run(None, {given.name: np.zeros(given.shape, np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return {event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")}


def test_what_is_quantized_is_seen_in_the_file(models: tuple[Path, Path], tmp_path: Path) -> None:
    for model, wanted in zip(models, (False, True), strict=True):
        assert is_quantized(model) is wanted
        assert is_quantized(model.read_bytes()) is wanted
    (tmp_path / "empty.onnx").touch()
    assert not is_quantized(tmp_path / "empty.onnx")
    assert not is_quantized(tmp_path / "absent.onnx")


def test_a_name_is_no_operator(tmp_path: Path) -> None:
    model = graphs.point()
    model.graph.node[0].name = "QuantizeLinear"
    model.graph.name = "DequantizeLinear"
    assert not is_quantized(graphs.write(tmp_path / "named.onnx", model))


def test_a_quantized_model_is_run_as_it_is_written(models: tuple[Path, Path], tmp_path: Path) -> None:
    """Else ONNX Runtime would put QLinearConv in place, which rounds differently."""
    _, quantized = models
    written = {node.op_type for node in onnx.load(str(quantized)).graph.node}
    assert operators_run(quantized, tmp_path / "trace") == written
    assert "Conv" in written
