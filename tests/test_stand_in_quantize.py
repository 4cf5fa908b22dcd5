"""Quantize jobs, by the unmodified client and by `lpcv quantize --on hub`: what --on local makes, and once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from htp_graphs import needs_emulator
from hub_bench import Bench, Ended, bench_at, shared_stand_in, told
from hub_faults import Faults
from hub_fixtures import S24, Served, small_model
from lpcv.contract import CURRENT as CONTRACT
from lpcv.files import sha256_file
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.connection import Connection
from lpcv.hub_jobs.order import DatasetFile, ModelFile, Order
from lpcv.hub_jobs.quantize.on_hub import unpack
from lpcv.hub_jobs.quantize.quantizer import quantize
from lpcv.onnx_session import open_session
from onnx import TensorProto, helper, numpy_helper
from qai_hub import QuantizeDtype
from qai_hub.client import UserError

INT8, INT16 = QuantizeDtype.INT8, QuantizeDtype.INT16


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Faults]]:
    with shared_stand_in(tmp_path_factory.mktemp("quantize")) as place:
        yield place


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks at a job every ten seconds (and counts by a remainder, so a power of two it must be)."""
    monkeypatch.setattr("qai_hub.client.Job._polling_interval", 0.125)


@pytest.fixture
def bench(place: tuple[Served, Faults], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench_at(place, tmp_path, monkeypatch)


def images(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    return [random.uniform(0, 255, (1, 3, graphs.SIDE, graphs.SIDE)).astype(np.float32) for _ in range(count)]


def full_size(path: Path) -> Path:
    """One strided convolution and a resize with the contract's interface: a moment to calibrate at 480 x 640."""
    weights = np.random.default_rng(1).normal(0, 0.01, (1, 3, 8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["small"], strides=[8, 8], name="conv"),
        helper.make_node("Resize", ["small", "", "scales"], ["output_0"], mode="linear", name="resize"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)
    output = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, (1, 1, *CONTRACT.input_shape[2:]))
    held = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.array([1, 1, 8, 8], np.float32), "scales"),
    ]
    graph = helper.make_graph(nodes, "g", [image], [output], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def on_hub(bench: Bench, *more: object) -> Ended:
    model = bench.root / "model.onnx"
    if not model.exists():
        full_size(model)
        (bench.root / "images").mkdir()
        for index in range(3):
            noise = np.random.default_rng(index).integers(0, 255, (480, 640, 3), np.uint8)
            cv2.imwrite(str(bench.root / "images" / f"{index:04d}.png"), noise)
    words = ["quantize", model, "--data", bench.root / "images", "--precision", "w8a8", "--samples", 2, "--on", "hub"]
    return bench.type(*words, *more)


def jobs_model(job: Any, folder: Path) -> Path:
    """The file in what the client downloads."""
    made = unpack(Path(job.get_target_model().download(str(folder / "job"))), folder / "job.model.onnx")
    return made[0]


@pytest.mark.parametrize(
    ("activations", "precision"), [(INT8, "w8a8"), pytest.param(INT16, "w8a16", marks=pytest.mark.slow)]
)
def test_the_unmodified_client_gets_what_local_quantizing_makes(
    place: tuple[Served, Faults], tmp_path: Path, activations: QuantizeDtype, precision: Any
) -> None:
    source = graphs.write(tmp_path / "model.onnx", graphs.student())
    job = place[0].client().submit_quantize_job(str(source), {"image": images()}, INT8, activations, name="mine")
    assert job.wait().success, job.get_status().message
    assert (job.weights_dtype, job.activations_dtype) == (INT8, activations)
    assert job.get_target_model() is not None
    made = onnx.load(str(jobs_model(job, tmp_path)))
    frames = {f"{index:06d}": image for index, image in enumerate(images())}
    local = onnx.load(str(quantize(source, frames, precision, tmp_path / "local.onnx").path))
    assert made.graph == local.graph
    metadata = {entry.key: entry.value for entry in made.metadata_props}
    assert metadata["checkpoint_sha256"] == "c0ffee"
    assert metadata["quantized"] == precision
    assert "stand-in" in metadata["lpcv_stand_in"]
    again = place[0].client().get_job(job.job_id)
    assert again.shapes == {"image": ((1, 3, graphs.SIDE, graphs.SIDE), "float32")}
    assert "this machine's CPU, not on AI Hub" in again.hub_version
    summary = next(one for one in place[0].client().get_job_summaries() if one.job_id == job.job_id)
    assert (summary.job_type.name, summary.name) == ("QUANTIZE", "mine")


def test_a_quantize_jobs_model_is_compiled_and_run_as_it_is_written(
    place: tuple[Served, Faults], tmp_path: Path
) -> None:
    """Model to quantize job to compile job to inference job, as the service's own examples go."""
    client = place[0].client()
    source = graphs.write(tmp_path / "model.onnx", graphs.student())
    job = client.submit_quantize_job(str(source), {"image": images()})
    compiled = client.submit_compile_job(
        job.get_target_model(), device=client.get_devices(S24)[0], options="--target_runtime onnx"
    )
    assert compiled.wait().success, compiled.get_status().message
    run = client.submit_inference_job(
        compiled.get_target_model(), client.get_devices(S24)[0], {"image": images(2)}, profile=False
    )
    made = run.download_output_data()["output_0"]
    session = open_session(jobs_model(job, tmp_path), optimised=False)
    for got, image in zip(made, images(2), strict=True):
        np.testing.assert_array_equal(got, session.run(None, {"image": image})[0])


@needs_emulator
def test_it_compiles_for_the_npu_and_has_no_latency_estimate(place: tuple[Served, Faults], tmp_path: Path) -> None:
    client = place[0].client()
    device = client.get_devices(S24)[0]
    source = graphs.write(tmp_path / "model.onnx", graphs.student())
    job = client.submit_quantize_job(str(source), {"image": images()})
    compiled = client.submit_compile_job(job.get_target_model(), device=device)
    assert compiled.wait().success, compiled.get_status().message
    profiled = client.submit_inference_job(compiled.get_target_model(), device, profile=True)
    assert profiled.wait().success
    _, report_file = sorted(profiled.download_job_logs(str(tmp_path / "logs")))
    report = json.loads(Path(report_file).read_text())
    assert report["estimated"] is None
    assert "with tflite in integers" in report["sentence"]


@pytest.mark.parametrize(
    ("data", "words", "sentence"),
    [
        ({"other": images(1)}, {}, "other"),
        ({"image": [np.zeros((1, 3, 4, 4), np.float32)]}, {}, r"batch 0 is float32 \(1, 3, 4, 4\)"),
        ({"image": images(1)}, {"options": "--range_scheme mse"}, "knows no options of quantize jobs: --range_scheme"),
    ],
)
def test_what_does_not_fit_fails_with_a_sentence(
    place: tuple[Served, Faults], tmp_path: Path, data: Any, words: Any, sentence: str
) -> None:
    source = graphs.write(tmp_path / "model.onnx", graphs.student())
    job = place[0].client().submit_quantize_job(str(source), data, **words)
    status = job.wait()
    assert not status.success
    assert re.search(sentence, status.message), status.message


@pytest.mark.parametrize("weights", [QuantizeDtype.INT4, QuantizeDtype.INT16])
def test_other_numbers_of_bits_are_refused(
    place: tuple[Served, Faults], tmp_path: Path, weights: QuantizeDtype
) -> None:
    with pytest.raises(UserError, match="INT8 weights with INT8 or INT16 activations"):
        place[0].client().submit_quantize_job(str(small_model(tmp_path / "m.onnx")), {"image": images(1)}, weights)


def test_through_the_ledger_one_job_and_one_file_of_our_name(bench: Bench) -> None:
    out, facts = bench.root / "mine.onnx", bench.root / "facts.json"
    first = on_hub(bench, "--out", out, "--json", facts)
    assert first.code == 0, first.err
    assert bench.jobs == 1
    assert bench.uploads == 2  # the model and the frames
    (record,) = bench.records()
    assert (record.type, record.state, record.intended["precision"]) == ("quantize", "SUCCESS", "w8a8")
    row = json.loads(facts.read_text())
    assert row["sha256"] == sha256_file(out)
    assert len(row["calibration"]["frames"]) == 2
    assert row["quantized_on"] == "this CPU (stand-in for AI Hub), not a device"
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(str(out)).graph.node}
    made = out.read_bytes()
    out.unlink()
    again = on_hub(bench, "--out", out)
    assert again.code == 0, again.err
    assert "used again" in again.err
    assert (bench.jobs, bench.uploads) == (1, 2)
    assert out.read_bytes() == made
    assert bench.type("jobs", "last", "quantize").out.strip() == record.job_id


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--keep-16bit", "conv"], "takes no --keep-16bit"),
        (["--on", "local"], "--hub is for a job of AI Hub"),
    ],
)
def test_options_that_do_not_go_together(bench: Bench, words: list[str], sentence: str) -> None:
    assert sentence in told(on_hub(bench, *words))
    assert bench.jobs == 0


def test_a_dry_run_says_what_it_would_spend(bench: Bench) -> None:
    ended = on_hub(bench, "--dry-run")
    assert ended.code == 0, ended.err
    assert "a new job" in ended.out
    assert (bench.jobs, bench.uploads, bench.events()) == (0, 0, [])


def test_precision_is_part_of_the_order_and_leaves_other_orders_as_they_were() -> None:
    where = Connection("default", Path("client.ini"), "https://hub.example/", "https://hub.example/", "t")
    model, data = ModelFile((Path("m.onnx"),), "aa"), DatasetFile("dd", Path.touch)
    eight, sixteen = (
        Order("quantize", "mine", model, "", "", dataset=data, precision=each).base(where) for each in ("w8a8", "w8a16")
    )
    assert eight != sixteen
    # an order of an earlier version keeps its key, or its job would be submitted again
    compiling = Order("compile", "mine", model, S24, "--target_runtime tflite")
    assert compiling.base(where) == "5dd121060ba0073bebe47fd1ebefc44948dfb496057bbc0123df825e3bc5c92a"


@pytest.mark.slow
def test_a_lost_answer_is_not_a_second_quantize_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own POST is cut off after the server took it; the job is found again by its mark."""
    real = HubClient._submitted

    def lost(self: HubClient, submit: Any) -> Any:
        from lpcv.hub_jobs.answers import SubmissionError
        from lpcv.hub_jobs.one_post import Post

        real(self, submit)
        raise SubmissionError(Post(sent=True), ConnectionError("cut off"))

    monkeypatch.setattr(HubClient, "_submitted", lost)
    ended = on_hub(bench, "--seed", 1, "--samples", 3)  # not what another test has ordered, which would be adopted
    assert ended.code == 0, ended.err
    assert bench.jobs == 1
    assert [event.facts["known_by"] for event in bench.events("submitted")] == ["name"]
