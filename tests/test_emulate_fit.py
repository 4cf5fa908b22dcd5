"""What `lpcv emulate` says of the fit: every planted misfit by name, and before a frame is computed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import htp_graphs
import numpy as np
import pytest
from emulate_bench import S24, depth_model, hub, no_estimate, place, pretend, words  # noqa: F401
from htp_graphs import needs_emulator, node
from lpcv import cli
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.hub_jobs.htp.fit import Misfit
from lpcv.hub_jobs.htp.target import target_of
from lpcv.hub_jobs.verdict import milliseconds
from lpcv.submission.npu import rehearsal
from lpcv.submission.npu.fit import Fit
from lpcv.submission.npu.request import request_of
from lpcv.submission.npu.show import show_fit
from test_htp_fit import REFUSED, int64_input

MISFITS = {name: (build, remedy) for name, (build, _, remedy) in REFUSED.items()}
MISFITS |= {"int64 input": (int64_input, "AI Hub refuses")}
FEW = ("Acos", "dynamic axis", "int64 input")  # of each kind one, as each takes a second
AROUND = {"6-D transpose": {"/net/Reshape", "/net/Relu", "/net/Reshape_1"}}  # each has six dimensions, too


@needs_emulator
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in MISFITS]
)
def test_a_planted_misfit_is_named_with_its_remedy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("what does not fit the NPU is not run here either: it may need all memory there is")

    monkeypatch.setattr(rehearsal, "value_ranges", never)
    build, remedy = MISFITS[name]
    (tmp_path / "model.onnx").write_bytes(build())
    facts = tmp_path / "r.json"
    given = ["emulate", str(tmp_path / "model.onnx"), "--device", S24, "--json", str(facts), "--precision", "fp16"]
    assert cli.run(given) == 1
    said, told = capsys.readouterr(), json.loads(facts.read_text())
    (fit,) = told["fits"]
    found = {misfit["node"]: misfit for misfit in fit["misfits"]}
    assert set(found) == {"/net/Misfit"} | AROUND.get(name, set())
    planted = found["/net/Misfit"]
    assert remedy in f"{planted['reason']} {planted['remedy']}"
    assert planted["on_hub_only"] == (name == "int64 input")
    assert (fit["fits"], told["whole"], told["rows"]) == (False, False, [])
    for text in ("/net/Misfit", " NO "):
        assert text in said.out
    assert "Next:" not in said.err


@needs_emulator
def test_a_min_max_over_a_tiny_range_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the same model with other frames, there is nothing to warn of."""
    pretend(monkeypatch, lambda _, array: array)
    (tmp_path / "model.onnx").write_bytes(htp_graphs.min_max())
    for name, low in (("tiny", 254), ("wide", 0)):
        picture = np.random.default_rng(0).integers(low, 256, (16, 16, 3), np.uint8)
        write_png(tmp_path / name / "image" / "0000.png", picture)
        facts = tmp_path / f"{name}.json"
        given = ["emulate", str(tmp_path / "model.onnx"), "--device", S24, "--precision", "fp16"]
        assert cli.run([*given, "--data", str(tmp_path / name), "--json", str(facts)]) == 0
        told = json.loads(facts.read_text())
        assert [one["node"] for one in told["warnings"]] == (["/net/Div"] if name == "tiny" else [])
        assert told["warnings_ranges_measured_on"] == "0000"
        said = capsys.readouterr()
        assert ("computes something else" in said.out) == (name == "tiny")
        # Three channels are no map: compared with float, and not scored.
        assert "No score: the model gives float32 of shape (1, 3, 16, 16), not one floating map" in said.err


@needs_emulator
def test_what_fits_in_no_way_is_warned_of_from_its_graph(tmp_path: Path) -> None:
    nodes = [
        node("AveragePool", ["image"], ["a"], "/net/Pool", kernel_shape=[3, 3], pads=[1] * 4),
        node("Acos", ["a"], ["output_0"], "/net/Acos"),
    ]
    (tmp_path / "model.onnx").write_bytes(htp_graphs.content(nodes))
    facts = tmp_path / "r.json"
    given = ["emulate", str(tmp_path / "model.onnx"), "--device", S24, "--precision", "fp16", "--json", str(facts)]
    assert cli.run(given) == 1
    told = json.loads(facts.read_text())
    assert [one["node"] for one in told["warnings"]] == ["/net/Pool"]
    assert told["warnings_ranges_measured_on"] is None


@needs_emulator
def test_the_fit_is_shown_before_the_frames_and_whatever_becomes_of_them(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "r.json"
    told: dict[str, Any] = {}

    def compute(name: str, array: Any) -> Any:
        told.update(json.loads(facts.read_text()), shown=capsys.readouterr().out)
        raise InputError("The disk is full.", "Empty it.")

    pretend(monkeypatch, compute)
    assert cli.run(words(place, "--precision", "fp16", "--json", str(facts))) == 2
    assert "Does " in told["shown"]
    assert "No latency is estimated" in told["shown"]
    assert "The disk is full" in capsys.readouterr().err
    assert json.loads(facts.read_text())["fits"][0]["fits"]
    assert (told["whole"], told["finished"], told["rows"]) == (False, False, [])


@needs_emulator
def test_an_estimate_that_fails_is_a_sentence(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def estimate(*_: Any, **__: Any) -> None:
        raise InputError("The compiler's profile has no row 'x'.", "Use the recorded version.")

    pretend(monkeypatch)
    monkeypatch.setattr(rehearsal, "estimate", estimate)
    facts = tmp_path / "r.json"
    assert cli.run(words(place, "--precision", "fp16", "--json", str(facts))) == 0
    said = capsys.readouterr()
    assert "No latency can be estimated: The compiler's profile has no row 'x'." in said.out
    assert "has no row 'x'" in json.loads(facts.read_text())["estimated_latency_absent"]
    model = place / "model.onnx"
    assert " " in str(model)
    assert f"Next: lpcv compile {shlex.quote(str(model))} --device" in said.err


@needs_emulator
def test_nothing_computed_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be fed to a model with two outputs: it fits, and what it computes nobody has seen."""
    no_estimate(monkeypatch)
    nodes = [node("Relu", ["image"], ["output_0"], "a"), node("Neg", ["image"], ["output_1"], "b")]
    (tmp_path / "model.onnx").write_bytes(htp_graphs.content(nodes, outputs=("output_0", "output_1")))
    facts, out = tmp_path / "r.json", tmp_path / "out"
    given = ["emulate", str(tmp_path / "model.onnx"), "--device", S24, "--precision", "fp16", "--json", str(facts)]
    assert cli.run([*given, "--out", str(out)]) == 1
    said, told = capsys.readouterr(), json.loads(facts.read_text())
    assert told["fits"][0]["fits"]
    assert (told["whole"], told["finished"]) == (False, True)
    assert "Nothing was computed: the model has not one float32 input" in said.err
    assert f"Nothing was written into {out}: the model has not" in said.err
    assert "Next:" not in said.err


def test_a_misfit_of_several_precisions_is_one_row(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    misfit = Misfit("/net/Acos", "Acos", "The NPU has no Acos.", "Use Atan.", "tried")
    other = Misfit("/net/Mish", "Mish", "No Mish.", "Use Softplus.", "tried")
    fits = [Fit("fp16", None, None, (misfit, other), None, ""), Fit("w8a8", None, None, (misfit,), None, "")]
    limits: Any = None
    request = request_of(
        place / "model.onnx", S24, (), data=None, chosen=None, emulated=1, calibration=None, samples=1, seed=0,
        limits=limits, out=None,
    )  # fmt: skip
    assert request.target == target_of(S24)
    assert request.precisions == ("fp16", "w8a16", "w8a8")
    show_fit(rehearsal.Rehearsal(request, place, "", tuple(fits), (), None, None, (), None, None))
    rows = [line for line in capsys.readouterr().out.splitlines() if "/net/" in line]
    assert [row.split()[1:4] for row in rows] == [["fp16,", "w8a8", "│"], ["fp16", "│", "/net/Mish"]]


def test_a_small_estimate_is_no_zero() -> None:
    assert [milliseconds(value) for value in (0.00123, 0.5, 1.4321, 12.34, 1234.5)] == [
        "0.00123", "0.5", "1.43", "12.34", "1234.5",
    ]  # fmt: skip
