"""The stand-in's NPU: what does not fit fails by name, --compute_unit npu is the emulator, estimates are called so."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import qai_hub
from htp_graphs import after_relu, fitting, min_max, needs_emulator, on_cpu, picture
from hub_bench import QUICK, Bench, Clock, compiling
from hub_faults import Faults
from hub_fixtures import S24, Served, offline
from lpcv.contract import CURRENT as CONTRACT
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.collect import computed_by
from lpcv.hub_jobs.history import Record
from lpcv.hub_jobs.stand_in import npu
from lpcv.hub_jobs.stand_in.options import OptionsError, compile_options, engine_of, run_options
from lpcv.hub_jobs.stand_in.settings import EMULATOR, Settings, engine_said, ran_on
from lpcv.hub_jobs.stand_in.speaking import JobError
from onnx import TensorProto, helper


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("npu")
    with offline(place), Served(place / "hub", settings=QUICK) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks at a job every ten seconds (and counts by a remainder, so a power of two it must be)."""
    monkeypatch.setattr("qai_hub.client.Job._polling_interval", 0.125)


@pytest.fixture
def bench(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(served, Faults(), Clock().installed(monkeypatch), tmp_path)
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(made.folder.root))
    return made


def order(cache: Path | None, *devices: str) -> dict[str, Any]:
    """What a job's process is told, as far as the NPU is concerned."""
    allowed = {"cache": str(cache), "seconds": 60.0, "memory_mb": 4096.0} if cache else None
    return {"npu": allowed, "devices": list(devices or (S24,)), "device": (devices or (S24,))[0]}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def depth(path: Path) -> Path:
    """A network with the contract's interface that the emulator computes in no time: one row in forty is looked at."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1, name="grey"),
        helper.make_node("Mul", ["grey", "scale"], ["output_0"], name="scale_it"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)
    output = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, (1, 1, *CONTRACT.input_shape[2:]))
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255])
    graph = helper.make_graph(nodes, "depth", [image], [output], [scale])
    path.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


@needs_emulator
def test_a_misfit_fails_with_its_node_and_what_to_use_instead(bench: Bench) -> None:
    ended = bench.type(*compiling(written(bench.root / "m.onnx", after_relu("Acos", "/net/Acos_7"))))
    assert ended.code == 1
    said = " ".join(ended.out.split())
    assert "1 node of the model cannot run on the NPU of the Samsung Galaxy S24. /net/Acos_7 (Acos):" in said
    assert "Write pi/2 - 2 * Atan(x / (1 + Sqrt(1 - x * x)))" in said
    assert "The message is not one that lpcv knows" not in ended.said
    assert "the real service fails in words of its own" in " ".join(ended.err.split())


@needs_emulator
def test_what_was_compiled_without_the_npu_never_passes_for_what_fits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time the same command is typed it says what is known of the NPU, and with the NPU it is another job."""
    command = compiling(written(bench.root / "m.onnx", after_relu("Acos", "/net/Acos_9")))
    told = bench.root / "told.json"
    with monkeypatch.context() as off:
        off.setenv("LPCV_STAND_IN_NPU", "off")
        off.setattr(bench.served.hub.worker, "_settings", dataclasses.replace(QUICK, npu=False))
        for _ in range(2):
            ended = bench.type(*command, "--json", told)
            assert ended.code == 0, ended.said
            assert "nobody knows whether it fits: The NPU's compiler is switched off" in ended.err
            assert "Nor does anything else of it" in ended.err
            report = json.loads(told.read_text())["npu"]
            assert (report["fits"], "nobody knows" in report["sentence"]) == (None, True)
    assert bench.jobs == 1
    ended = bench.type(*command)
    assert (ended.code, bench.jobs) == (1, 2)
    assert "/net/Acos_9 (Acos)" in ended.out


@needs_emulator
def test_what_fits_is_said_each_time_and_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    command = compiling(written(bench.root / "m.onnx", fitting()))
    told = bench.root / "told.json"
    for turn in range(2):
        if turn:
            monkeypatch.setattr(HubClient, "npu_report", None)  # it is not asked for again
        ended = bench.type(*command, "--json", told)
        assert ended.code == 0, ended.said
        assert ("used again" in ended.err) == bool(turn)
        assert "Whether the model fits the NPU is the word of Qualcomm's compiler" in ended.err
        assert ended.err.count("Every node fits the NPU of the Samsung Galaxy S24: 4 operations.") == 1
        facts = json.loads(told.read_text())
        assert facts["npu"]["fits"] is True
        assert json.loads((bench.folder.job(facts["job_id"]) / "npu.json").read_text()) == facts["npu"]


@needs_emulator
@pytest.mark.parametrize("units", ["npu,cpu", "all"])
def test_where_other_units_are_allowed_a_misfit_is_only_told(served: Served, tmp_path: Path, units: str) -> None:
    path = written(tmp_path / "m.onnx", after_relu("Acos", "/net/Acos_7"))
    job = served.client().submit_compile_job(
        str(path), device=qai_hub.Device(S24), options=f"--target_runtime onnx --compute_unit {units}"
    )
    assert job.wait().success
    log, report = map(Path, sorted(job.download_job_logs(str(tmp_path / "logs"))))
    assert "/net/Acos_7 (Acos)" in json.loads(report.read_text())["sentence"]
    assert "allows other units" in log.read_text()


@needs_emulator
def test_what_fits_says_so_with_its_numbers_and_traps(served: Served, tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", min_max())
    job = served.client().submit_compile_job(str(path), device=qai_hub.Device(S24))
    assert job.wait().success, job.get_status().message
    log, report = map(Path, sorted(job.download_job_logs(str(tmp_path / "logs"))))
    (fact,) = json.loads(report.read_text())["compiled"]
    assert (fact["device"], fact["soc_model"], fact["htp_arch"]) == (S24, 57, "v75")
    assert fact["context_bytes"] > 0
    assert "onnxruntime-qnn" in fact["versions"]
    assert "WARNING: /net/Div (Div): Min-max normalisation" in log.read_text()
    assert "Every node fits the NPU" in urllib.request.urlopen(job.url).read().decode()


@needs_emulator
def test_the_emulator_computes_where_the_npu_is_asked_for_and_nowhere_else(served: Served, tmp_path: Path) -> None:
    client = served.client()
    device = qai_hub.Device(S24)
    job = client.submit_compile_job(str(written(tmp_path / "m.onnx", fitting())), device=device)
    images = [picture(seed) for seed in range(2)]
    run = {
        options: client.submit_inference_job(
            job.get_target_model(), device, {"image": images}, options=options, profile=False
        )
        for options in ("", "--compute_unit npu")
    }
    here, there = (run[options].download_output_data()["output_0"] for options in run)
    for cpu, emulated, image in zip(here, there, images, strict=True):
        exact = on_cpu(fitting(), image)
        np.testing.assert_allclose(cpu, exact, atol=1e-5)
        assert 0 < np.abs(emulated - exact).max() < 2e-3 * np.abs(exact).max()
    assert client.get_job(run[""].job_id).hub_version.endswith("ran on this machine's CPU, not on Samsung Galaxy S24")
    emulated = client.get_job(run["--compute_unit npu"].job_id)
    assert emulated.hub_version.endswith("ran on the NPU's emulator, not on Samsung Galaxy S24")
    assert emulated.download_profile() == {}  # seconds of emulation are nobody's latency
    assert "ran on the NPU&#x27;s emulator" in urllib.request.urlopen(emulated.url).read().decode()
    log = Path(min(emulated.download_job_logs(str(tmp_path / "logs")))).read_text()
    assert "batch 2 of 2 emulated in" in log
    # as the client submits without being told otherwise: profiled, too
    both = client.submit_inference_job(
        job.get_target_model(), device, {"image": images}, options="--compute_unit npu --max_profiler_iterations 1"
    )
    for one, other in zip(both.download_output_data()["output_0"], there, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(both.download_profile()["execution_summary"]["all_inference_times"]) == 1
    assert "the NPU's emulator (its times: this machine's CPU)" in client.get_job(both.job_id).hub_version


@needs_emulator
def test_emulated_predictions_and_estimated_latency_are_called_what_they_are(bench: Bench) -> None:
    model = depth(bench.root / "depth" / "model.onnx")
    assert bench.type(*compiling(model)).code == 0
    told = bench.root / "told.json"
    ended = bench.type("profile", model, "--json", told)
    assert ended.code == 0, ended.err
    facts = json.loads(told.read_text())
    estimated = facts["estimated_for_the_device"]["estimated"]
    assert 0 < estimated["low_ms"] < estimated["ms"] < estimated["high_ms"]
    assert "estimated, not measured" in estimated["basis"]
    assert facts["latency_ms"] != estimated["ms"]  # which is this CPU's
    assert (facts["verdict"], facts["rehearsal"]) == ("none", True)
    assert "ESTIMATED for Samsung Galaxy S24, not measured" in ended.out
    ended = bench.type("infer", model, "--data", bench.images(1), "--options", "--compute_unit npu", "--json", told)
    assert ended.code == 0, ended.err
    facts = json.loads(told.read_text())
    assert facts["computed_by"] == "the NPU's emulator (stand-in for Samsung Galaxy S24), not a device"
    folder = Path(facts["fetched"])
    described = next(folder.glob("*.json"))
    assert json.loads(described.read_text())["computed_by"] == facts["computed_by"]
    made = np.load(folder / "0000.npy")
    np.testing.assert_allclose(made, 10 / 255, atol=1e-3)
    assert (np.abs(made - np.float32(10 / 255)) > 1e-8).any()  # half precision, not ONNX Runtime's float32


@needs_emulator
def test_each_device_of_a_job_is_compiled_for_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "m.onnx", fitting())
    report = npu.compile_for(order(tmp_path, S24, "Samsung Galaxy S24 Ultra", "Samsung Galaxy S25"), path, ())
    assert [fact["soc_model"] for fact in report["compiled"]] == [57, 69]


@needs_emulator
def test_an_npu_of_integers_refuses_floats(tmp_path: Path) -> None:
    from lpcv.hub_jobs.devices import recorded

    old = next(device.name for device in recorded() if device.htp_arch == "v68" and device.soc_model)
    with pytest.raises(JobError, match=r"computes integers only, and the model has floating-point tensors"):
        npu.compile_for(order(tmp_path, old), written(tmp_path / "m.onnx", fitting()), ())


@needs_emulator
def test_a_compiler_that_is_stopped_is_a_sentence(tmp_path: Path) -> None:
    told = order(tmp_path)
    told["npu"]["seconds"] = 0.01
    with pytest.raises(JobError, match=r"not done after 0\.01 s\. --options '--compute_unit cpu' rehearses without"):
        npu.compile_for(told, written(tmp_path / "m.onnx", fitting()), ())


@needs_emulator
def test_more_frames_than_there_is_time_for_are_given_up_early(tmp_path: Path) -> None:
    from lpcv.hub_jobs.stand_in.emulating import emulate
    from lpcv.hub_jobs.stand_in.tensors import write_dataset

    write_dataset(tmp_path / "in.h5", ["image"], ({"image": picture(seed)} for seed in range(3)))
    path = written(tmp_path / "m.onnx", fitting())
    told = {**order(tmp_path), "npu_model": str(path), "dataset": str(tmp_path / "in.h5"), "job_seconds": 0.001}
    with pytest.raises(JobError, match=r"needs about \d+ minutes for 3 batches.*Give fewer frames"):
        emulate(told, tmp_path)


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpcv.hub_jobs.htp.door.find_spec", lambda name: None)


@pytest.mark.parametrize("how", ["switched off", "not installed", "compute unit"])
def test_without_the_npu_a_compile_job_says_what_nobody_knows(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if how == "not installed":
        without(monkeypatch)
    told = order(None if how == "switched off" else tmp_path)
    report = npu.compile_for(told, tmp_path / "never read", ("cpu",) if how == "compute unit" else ())
    assert report["compiled"] == []
    assert report["sentence"] in capsys.readouterr().out
    assert {"switched off": "LPCV_STAND_IN_NPU=off", "compute unit": "--compute_unit is cpu"}.get(
        how, "Not compiled for the NPU, so nobody knows whether it fits"
    ) in report["sentence"]


@pytest.mark.parametrize("ask", [npu.ready_to_run, npu.estimated])
def test_without_the_npu_nothing_is_emulated_or_estimated(
    ask: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    told = {**order(tmp_path), "npu_model": str(tmp_path / "m.onnx"), "runtime": "tflite"}
    if ask is npu.ready_to_run:
        with pytest.raises(JobError, match=r"asks for the NPU .*, and its emulator cannot run here"):
            ask(told)
    else:
        assert ask(told)["estimated"] is None
        assert "No latency is estimated for the device" in ask(told)["sentence"]


@pytest.mark.parametrize("there", [True, False])
def test_doctor_names_the_emulator(there: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if there:
        monkeypatch.setattr("lpcv.hub_jobs.htp.door.demand_available", lambda: None)
    else:
        without(monkeypatch)
    told = bench.root / "doctor.json"
    bench.type("doctor", "--json", told)
    (finding,) = (one for one in json.loads(told.read_text()) if one["what"] == "NPU emulator")
    assert finding["state"] == ("ok" if there else "note")
    assert there or "cannot say whether a model fits the NPU" in finding["remedy"]


@pytest.mark.parametrize("profiling", [True, False])
def test_times_are_never_called_the_emulators(profiling: bool) -> None:
    """A profile job with frames and --compute_unit npu has emulated outputs, and this CPU's times."""
    engine = engine_of("--compute_unit npu", profiling=profiling, with_data=True)
    intended = {"type": "profile" if profiling else "inference", "device": S24, "rehearsal": True}
    record = Record("stand-in:x", "key", intended, "now", hub_version=ran_on(S24, engine))
    by = "this CPU" if profiling else "the NPU's emulator"
    assert computed_by(record) == f"{by} (stand-in for {S24}), not a device"
    assert computed_by(dataclasses.replace(record, hub_version=ran_on(S24))).startswith("this CPU")


def test_the_engine_is_read_as_it_is_said() -> None:
    for engine in (None, EMULATOR, "another"):
        assert engine_said(ran_on(S24, engine)) == engine
    assert engine_said("AI Hub aihub-2026.11") is None


@pytest.mark.parametrize(("value", "npu_is_used"), [("off", False), ("on", True), (None, True)])
def test_the_switch(value: str | None, npu_is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LPCV_STAND_IN_NPU", raising=False)
    if value:
        monkeypatch.setenv("LPCV_STAND_IN_NPU", value)
    assert Settings().npu is npu_is_used


def test_compute_units_are_read_and_unknown_ones_refused() -> None:
    assert compile_options("--compute_unit NPU,cpu").units == ("npu", "cpu")
    assert run_options("--compute_unit=npu").units == ("npu",)
    assert run_options("").units == ()
    with pytest.raises(OptionsError, match="there is no unit 'tpu'"):
        run_options("--compute_unit tpu")
    asked = run_options("--compute_unit npu")
    assert asked.emulated
    assert not run_options("--compute_unit npu,cpu").emulated
    assert engine_of("--compute_unit npu", profiling=False, with_data=True) == "the NPU's emulator"
    assert engine_of("--compute_unit npu", profiling=True, with_data=False) is None
    assert engine_of("--compute_unit tpu", profiling=False, with_data=True) is None
