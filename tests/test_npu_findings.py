"""What does not fit the NPU: by the compiler where it is asked, by the table of what it refuses where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from htp_graphs import content, fitting, graph, needs_emulator, node
from lpcv.errors import UnknownNameError
from lpcv.hub_jobs.htp.outcome import OutOfTime, Refused
from lpcv.hub_jobs.htp.target import target_of
from lpcv.submission.check import npu as module
from lpcv.submission.check.findings import Finding
from lpcv.submission.check.graph import graph_of
from lpcv.submission.check.npu import REFUSED_ALWAYS, listed, npu_findings
from onnx import TensorProto

S24 = "Samsung Galaxy S24"
SIZES = {"s": np.array([1, 3, 32, 32], np.int64)}
UP = {"out_shape": (1, 3, 32, 32)}


def findings(tmp_path: Path, model: bytes, device: str | None = None) -> tuple[Finding, Finding]:
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    fits, traps = npu_findings(onnx.load_model_from_string(model), path, device, cache=tmp_path / "cache")
    assert (fits.name, traps.name) == ("fits the NPU", "NPU traps")
    return fits, traps


def one(op: str, **words: object) -> bytes:
    return content([node("Relu", ["image"], ["a"], "r"), node(op, ["a"], ["output_0"], "/net/Misfit", **words)])


def resize(**words: object) -> bytes:
    nodes = [node("Relu", ["image"], ["a"], "r"), node("Resize", ["a", "", "", "s"], ["output_0"], "/net/Up", **words)]
    return content(nodes, SIZES, **UP)


def gelu() -> bytes:
    nodes = [
        node("Div", ["image", "root"], ["a"]), node("Erf", ["a"], ["b"], "/net/Erf"), node("Add", ["b", "one"], ["c"]),
        node("Mul", ["image", "c"], ["d"]), node("Mul", ["d", "half"], ["output_0"]),
    ]  # fmt: skip
    return content(nodes, {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)})


def test_without_a_device_a_good_model_is_undecided_never_passed(tmp_path: Path) -> None:
    fits, traps = findings(tmp_path, fitting())
    assert (fits.state, traps.state) == ("undecided", "pass")
    assert "no device is given" in fits.found
    assert "--device" in fits.remedy


def test_without_the_compiler_a_device_does_not_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_available", lambda: False)
    fits, _ = findings(tmp_path, fitting(), S24)
    assert (fits.state, "not installed" in fits.found) == ("undecided", True)


@pytest.mark.parametrize("op", sorted(set(REFUSED_ALWAYS) - {"RandomNormal", "MeanVarianceNormalization"}))
def test_what_is_always_refused_fails_by_the_table(op: str) -> None:
    model = graph([node("Relu", ["image"], ["a"], "r"), node(op, ["a"], ["output_0"], "/net/Misfit")])
    (row,) = listed(graph_of(model))
    assert (row.node, row.certain, row.advice) == ("/net/Misfit", True, REFUSED_ALWAYS[op])


def test_the_finding_names_node_count_remedy_and_source(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, one("Softsign"))
    assert (fits.state, fits.found) == ("fail", "1 Softsign: /net/Misfit")
    assert "x / (1 + Abs(x))" in fits.remedy
    assert "onnxruntime-qnn 2.7.0" in fits.why


def test_erf_inside_a_gelu_is_undecided(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, gelu())
    assert (fits.state, "/net/Erf" in fits.found) == ("undecided", True)
    assert findings(tmp_path, one("Erf"))[0].state == "fail"


def test_clip_by_its_bounds(tmp_path: Path) -> None:
    constants = {"low": np.float32(0), "high": np.float32(1)}
    fixed = content([node("Clip", ["image", "low", "high"], ["output_0"], "/net/Clip")], constants)
    assert listed(graph_of(onnx.load_model_from_string(fixed))) == []
    nodes = [
        node("ReduceMax", ["image"], ["top"], keepdims=0),
        node("Clip", ["image", "low", "top"], ["output_0"], "/net/Clip"),
    ]
    fits, _ = findings(tmp_path, content(nodes, constants))
    assert (fits.state, fits.found) == ("fail", "1 Clip: /net/Clip")


def test_types_inside_and_dimensions(tmp_path: Path) -> None:
    wide = [
        node("Cast", ["image"], ["a"], "/net/In", to=TensorProto.DOUBLE), node("Exp", ["a"], ["b"]),
        node("Cast", ["b"], ["output_0"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    fits, _ = findings(tmp_path, content(wide))
    assert (fits.state, "float32" in fits.remedy) == ("fail", True)
    many = [
        node("Reshape", ["image", "six"], ["a"], "/net/Six"), node("Relu", ["a"], ["b"]),
        node("Reshape", ["b", "four"], ["output_0"]),
    ]  # fmt: skip
    sizes = {"six": np.array([1, 3, 4, 4, 4, 4]), "four": np.array([1, 3, 16, 16])}
    fits, _ = findings(tmp_path, content(many, sizes))
    assert (fits.state, "more than 5" in fits.remedy) == ("undecided", True)


def test_what_other_findings_name_is_not_named_again(tmp_path: Path) -> None:
    fits, traps = findings(tmp_path, resize(mode="linear", antialias=1))
    assert (fits.state, traps.state) == ("undecided", "pass")
    assert "none of those known" in fits.found
    corners = resize(mode="nearest", coordinate_transformation_mode="align_corners", nearest_mode="floor")
    assert findings(tmp_path, corners)[1].state == "pass"
    double = content([node("Exp", ["image"], ["output_0"])], kind=TensorProto.DOUBLE)
    assert "none of those known" in findings(tmp_path, double)[0].found


def test_traps_are_undecided_with_reason_remedy_and_source(tmp_path: Path) -> None:
    pool = content([node("AveragePool", ["image"], ["output_0"], "/net/Pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])])
    fits, traps = findings(tmp_path, pool)
    assert (fits.state, traps.state) == ("undecided", "undecided")
    assert traps.found.startswith("1 AveragePool: /net/Pool")
    assert "depthwise Conv" in traps.remedy
    assert "onnxruntime-qnn 2.7.0" in traps.why


def test_an_unknown_device_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Samsung Galaxy S24"):
        findings(tmp_path, fitting(), "Samsung Galaxy S42")


def test_a_device_without_a_recorded_chip_is_undecided(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, fitting(), "Google Pixel 3")
    assert (fits.state, "soc_model" in fits.found) == ("undecided", True)


def test_a_compiler_that_was_stopped_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = OutOfTime(600.0)
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "compile_model", lambda *_: stopped)
    fits, _ = findings(tmp_path, fitting(), S24)
    assert (fits.state, fits.found) == ("undecided", stopped.sentence)


def test_a_refusal_without_a_node_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Refused(target_of(S24), "Failed to finalize the graph.", (), {})
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "compile_model", lambda *_: refused)
    fits, _ = findings(tmp_path, fitting(), S24)
    assert (fits.state, "finalize" in fits.found) == ("fail", True)


@needs_emulator
def test_the_compiler_passes_what_fits_and_names_its_versions(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, fitting(), S24)
    assert fits.state == "pass"
    assert "onnxruntime-qnn" in fits.found
    assert "qairt" in fits.found
    assert findings(tmp_path, gelu(), S24)[0].state == "pass", "where the table was undecided"


@needs_emulator
def test_the_compiler_fails_what_does_not_fit(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, one("Softsign"), S24)
    assert (fits.state, fits.found.startswith("1 Softsign: /net/Misfit")) == ("fail", True)
    assert "x / (1 + Abs(x))" in fits.remedy


@needs_emulator
def test_the_compiler_too_leaves_to_other_findings_what_is_theirs(tmp_path: Path) -> None:
    fits, _ = findings(tmp_path, resize(mode="linear", antialias=1), S24)
    assert (fits.state, "other findings" in fits.found) == ("undecided", True)
