"""`lpcv emulate`: fit, numbers beside numbers over the same frames, what is kept, and what it says when it cannot."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import htp_graphs
import numpy as np
import pytest
import quantize_graphs as graphs
from emulate_bench import S24, by_row, depth_model, hub, no_estimate, place, words  # noqa: F401
from htp_graphs import needs_emulator
from lpcv import cli
from lpcv.hub_jobs.htp import door, emulator
from lpcv.submission.npu import frames


def official(source: Path, data: Path, out: Path, *more: str) -> dict[str, Any]:
    assert cli.run(["score", str(source), "--data", str(data), "--json", str(out), *more]) == 0
    return json.loads(out.read_text())["mean"]


@needs_emulator
def test_all_precisions_in_one_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts, out = tmp_path / "r.json", tmp_path / "out"
    assert cli.run(words(place, "--limit", "2", "--json", str(facts), "--out", str(out))) == 0
    said, told = capsys.readouterr(), json.loads(facts.read_text())
    rows = by_row(told)
    assert set(rows) == {
        ("float", "ONNX Runtime", 3), ("w8a16", "ONNX Runtime QDQ", 3), ("w8a8", "ONNX Runtime QDQ", 3),
        ("float", "ONNX Runtime", 2), ("fp16", "HTP emulator", 2), ("w8a16", "HTP emulator", 2),
        ("w8a8", "HTP emulator", 2),
    }  # fmt: skip
    gaps = {key: row["difference_from_float_on_the_same_frames"] for key, row in rows.items()}
    assert 0 < gaps["fp16", "HTP emulator", 2]["mean"] < 1e-3
    assert gaps["w8a16", "HTP emulator", 2]["largest"] < gaps["w8a8", "HTP emulator", 2]["largest"]
    assert gaps["float", "ONNX Runtime", 3] is None
    for one in told["emulator_against_onnx_runtime"]:
        assert one["frames"] == 2
        assert one["largest"] <= max(2.01 * one["output_step"], 1e-3)
    # The same numbers as `lpcv score` gives the model and the emulated predictions.
    data = place / "data"
    assert rows["float", "ONNX Runtime", 3]["mean"] == official(place / "model.onnx", data, tmp_path / "s.json")
    few = rows["fp16", "HTP emulator", 2]["frames"]
    assert few == ["0000", "0002"]
    for name in few:
        (mine,) = [row for row in rows["fp16", "HTP emulator", 2]["frame_scores"] if row["frame"] == name]
        there = official(out / "fp16", data, tmp_path / "s.json", "--frames", name)
        assert {key: mine[key] for key in there} == there
    subset = [row for row in rows["float", "ONNX Runtime", 3]["frame_scores"] if row["frame"] in few]
    mean = np.mean([row["f_score"] for row in subset])
    assert rows["float", "ONNX Runtime", 2]["mean"]["f_score"] == pytest.approx(mean)
    # Said: who computed it, estimated as such, and that calibration frames are scored.
    assert "fp16: HTP emulator, 2 frames of these" in said.out
    assert "w8a8: ONNX Runtime QDQ, 3 frames" in said.out
    assert "Estimated latency in fp16" in said.out
    assert "estimated, not measured" in said.out
    assert "3 scored frames are among the calibration frames" in said.err
    steps = [line for line in said.err.splitlines() if line.startswith("Step ")]
    assert [line.split(":")[0] for line in steps] == [f"Step {index} of 10" for index in range(1, 11)]
    assert steps[0] == f"Step 1 of 10: compiling in fp16 for the {S24}"
    assert steps[-1] == f"Step 10 of 10: w8a8 on 2 frames by the emulator of the {S24}'s NPU"
    assert told["frames_both_scored_and_calibrated_with"] == ["0000", "0001", "0002"]
    assert (out / "model.w8a8.onnx").is_file()
    assert all(fit["fits"] and fit["context_bytes"] > 0 for fit in told["fits"])
    assert json.loads((out / "fp16" / "predictions.json").read_text())["computed_by"].startswith("HTP emulator")


@needs_emulator
def test_typed_again_nothing_is_emulated_twice(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_estimate(monkeypatch)
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    command = words(place, "--limit", "2", "--precision", "fp16", "--json")
    assert cli.run([*command, str(first)]) == 0
    asked: list[str] = []

    def counting(compiled: Any, inputs: Any, limits: Any) -> Iterator[Any]:
        for name, array in inputs:
            asked.append(name)
            yield from emulator.run(compiled, [(name, array)], limits)

    monkeypatch.setattr(frames, "run", counting)
    assert cli.run([*command, str(second)]) == 0
    assert asked == []
    assert "Emulated before: 2 frames" in capsys.readouterr().err
    assert first.read_bytes() == second.read_bytes()
    kept = sorted((place / "hub" / "htp" / "frames").rglob("*.npy"))
    for file in kept:
        file.write_bytes(file.read_bytes()[:-40])  # what a full disk leaves
    assert cli.run([*command, str(second)]) == 0
    assert asked == ["0000", "0002"]
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.usefixtures("keyboard")
@needs_emulator
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    stop: signal.Signals,
) -> None:
    before = signal.getsignal(stop)
    no_estimate(monkeypatch)
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    asked: list[str] = []
    interrupt = True

    def run(compiled: Any, inputs: Any, limits: Any) -> Iterator[Any]:
        for name, array in inputs:
            if interrupt and asked:
                signal.raise_signal(stop)
            asked.append(name)
            yield name, array.mean(1, keepdims=True)

    monkeypatch.setattr(frames, "run", run)
    command = words(place, "--precision", "fp16")
    assert cli.run(command) == 130
    assert "emulated 1 of 3 frames" in capsys.readouterr().err
    assert signal.getsignal(stop) == before
    interrupt = False
    assert cli.run(command) == 0
    assert asked == ["0000", "0001", "0002"]


@needs_emulator
def test_a_free_dimension_with_frames_is_a_row_for_each_precision(place: Path, tmp_path: Path) -> None:
    nodes = [htp_graphs.node("Relu", ["image"], ["output_0"], "r")]
    free = htp_graphs.content(nodes, shape=("batch", 3, 12, 16), out_shape=("batch", 3, 12, 16))
    (tmp_path / "free.onnx").write_bytes(free)
    given = ["emulate", str(tmp_path / "free.onnx"), "--device", S24, "--data", str(place / "data")]
    assert cli.run([*given, "--json", str(tmp_path / "r.json")]) == 1
    told = json.loads((tmp_path / "r.json").read_text())
    assert [fit["outcome"] for fit in told["fits"]] == ["Refused", "NotQuantized", "NotQuantized"]
    assert "fixed size" in told["fits"][0]["misfits"][0]["reason"]
    assert all("no fixed size" in fit["sentence"] for fit in told["fits"][1:])


@needs_emulator
def test_what_cannot_be_quantized_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The logarithm of flat 0 is infinite: no range, so no integers; in half precision it is not in the way."""
    (tmp_path / "log.onnx").write_bytes(htp_graphs.content([htp_graphs.node("Log", ["image"], ["output_0"], "log")]))
    facts = tmp_path / "r.json"
    given = ["emulate", str(tmp_path / "log.onnx"), "--device", S24, "--precision", "fp16", "--precision", "w8a8"]
    assert cli.run([*given, "--json", str(facts)]) == 1
    fits = {fit["precision"]: fit for fit in json.loads(facts.read_text())["fits"]}
    assert fits["fp16"]["fits"]
    assert "NaN or infinity in node log" in fits["w8a8"]["sentence"]
    assert "not finite" in capsys.readouterr().out


@needs_emulator
def test_without_frames_there_is_no_score(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = tmp_path / "r.json"
    assert cli.run([*words(place, data=False), "--precision", "w8a8", "--json", str(facts)]) == 0
    said, told = capsys.readouterr(), json.loads(facts.read_text())
    row = by_row(told)["w8a8", "HTP emulator", 3]
    assert row["frames"] == ["noise 0", "flat 0", "flat 255"]
    assert row["mean"] is None
    assert row["difference_from_float_on_the_same_frames"]["mean"] > 0
    assert "No score: no frames were given" in said.err
    assert "nothing of the error on pictures" in said.err


@needs_emulator
@pytest.mark.parametrize(
    ("option", "value", "outcome"), [("--seconds", "0.01", "OutOfTime"), ("--memory-mb", "20", "OutOfMemory")]
)
def test_limits_give_a_clear_row(
    option: str, value: str, outcome: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    facts = tmp_path / "r.json"
    assert cli.run(words(place, "--precision", "fp16", option, value, "--json", str(facts))) == 1
    (fit,) = json.loads(facts.read_text())["fits"]
    assert (fit["outcome"], fit["fits"]) == (outcome, False)
    assert "Stopped:" in capsys.readouterr().out


@needs_emulator
@pytest.mark.slow
def test_the_real_student(tiny_run: Path, scenes: Path, tmp_path: Path) -> None:
    facts = tmp_path / "r.json"
    given = ["emulate", str(tiny_run), "--device", S24, "--data", str(scenes), "--limit", "1", "--json", str(facts)]
    assert cli.run(given) == 0
    rows = by_row(json.loads(facts.read_text()))
    assert rows["fp16", "HTP emulator", 1]["difference_from_float_on_the_same_frames"]["mean"] < 1e-3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--precision", "float"], "float is not computed on an NPU"),
        (["--frames", "0000"], "--frames and --calibration are about frames"),
        (["--data", "nowhere"], "is not a folder"),
        (["--device", "Samsung Galaxy S99"], "There is no device 'Samsung Galaxy S99'"),
    ],
)
@needs_emulator
def test_what_cannot_be_used_is_a_sentence(
    given: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words(place, data=False), *given]) == 2
    assert said in capsys.readouterr().err


@needs_emulator
def test_a_quantized_model_is_refused(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lpcv.hub_jobs.quantize.quantizer import quantize

    source = graphs.write(tmp_path / "float.onnx", graphs.point())
    made = quantize(source, graphs.frames(2), "w8a8", tmp_path / "q.onnx").path
    assert cli.run(["emulate", str(made), "--device", S24]) == 2
    assert "is already quantized" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("darwin", "arm64", "this is macOS on arm64"),
        ("linux", "aarch64", "this is Linux on aarch64"),
        ("linux", "x86_64", "pip install 'lpcv[emulator]'"),
    ],
)
def test_elsewhere_one_sentence_says_what_is_missing(
    system: str, machine: str, said: str, place: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(door.sys, "platform", system)
    monkeypatch.setattr(door.platform, "machine", lambda: machine)
    monkeypatch.setattr(door, "_glibc", lambda: (2, 36))
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    assert cli.run(words(place)) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""
    assert cli.run(["emulate", "--help"]) == 0
