"""The unmodified client against the stand-in: every call of the flow, over loopback."""

from __future__ import annotations

import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import qai_hub
from hub_fixtures import S24, Served, call, frames, offline, small_model
from lpcv.hub_jobs.stand_in.settings import Settings
from onnx import TensorProto, helper, numpy_helper
from qai_hub import public_api_pb2 as pb
from qai_hub.client import JobType, UserError

DEVICE = qai_hub.Device(S24)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with offline(tmp_path_factory.mktemp("home")), Served(tmp_path_factory.mktemp("hub") / "root") as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture(scope="module")
def compiled(served: Served, model: Path) -> Any:
    """A finished compile job for tflite."""
    job = served.client().submit_compile_job(
        str(model), DEVICE, name="my <b>job", options="--target_runtime tflite", input_specs={"image": (1, 3, 4, 6)}
    )
    assert job.wait().success, job.get_status().message
    return job


def expected(image: np.ndarray) -> np.ndarray:
    return np.maximum(image, 0).mean(1, keepdims=True)


def test_devices_by_name_version_and_attribute(served: Served) -> None:
    client = served.client()
    (device,) = client.get_devices(S24)
    assert (device.name, device.os) == (S24, "14")
    assert "chipset:qualcomm-snapdragon-8gen3" in device.attributes
    assert len(client.get_devices()) > 40
    hexagon = client.get_devices(attributes=["hexagon:v75", "os:android"])
    assert S24 in {one.name for one in hexagon}
    assert client.get_devices(S24, os="[15,)") == []
    assert "framework:tflite" in client.get_device_attributes()
    assert [one.full_version for one in client.get_frameworks()] != []


def test_unknown_device_is_not_available(served: Served, model: Path) -> None:
    before = served.submissions()
    with pytest.raises(UserError, match="not available"):
        served.client().submit_compile_job(str(model), qai_hub.Device("Samsung Galaxy S99"))
    assert served.submissions() == before


def test_compile_gives_an_onnx_file_that_says_what_it_is(served: Served, compiled: Any, tmp_path: Path) -> None:
    target = compiled.get_target_model()
    assert target.model_type == qai_hub.SourceModelType.TFLITE
    assert compiled.get_target_shapes() == {"image": ((1, 3, 4, 6), "float32")}
    place = compiled.download_target_model(str(tmp_path / "student.tflite"))
    assert place.endswith("student.tflite.onnx")  # no file here passes for a TFLite one
    metadata = {entry.key: entry.value for entry in onnx.load(place).metadata_props}
    assert metadata["checkpoint_sha256"] == "abc"
    assert "stand-in" in metadata["lpcv_stand_in"]
    assert "tflite" in metadata["lpcv_stand_in"]
    again = served.client().get_model(target.model_id)
    assert again.output_spec[None][0][:3] == ("output_0", "float32", (1, 1, 4, 6))
    assert again.get_producer().job_id == compiled.job_id


def test_profile_is_named_a_cpus_everywhere(served: Served, compiled: Any) -> None:
    client = served.client()
    job = client.submit_inference_job(compiled.get_target_model(), DEVICE, options="--max_profiler_iterations 20")
    profile = job.download_profile()
    summary, layers = profile["execution_summary"], profile["execution_detail"]
    times = summary["all_inference_times"]
    assert len(times) == 20
    assert min(times) <= summary["estimated_inference_time"] <= max(times)
    assert summary["first_load_time"] > 0
    assert summary["inference_memory_peak_range"][0] >= summary["first_load_memory_peak_range"][0] > 2**20
    assert [(layer["name"], layer["type"], layer["compute_unit"]) for layer in layers] == [
        ("relu", "Relu", "CPU"),
        ("mean", "ReduceMean", "CPU"),
    ]
    assert "CPU" in repr(qai_hub.client.InferenceJobResult(job.get_status(), None, "", profile))
    message = raw_job(served, job.job_id)
    assert message.hub_version.endswith("ran on this machine's CPU, not on Samsung Galaxy S24")
    assert client.get_job(job.job_id).get_output_dataset() is None
    (first, *_) = client.get_job_summaries(limit=1)
    assert (first.job_id, first.estimated_inference_time) == (job.job_id, summary["estimated_inference_time"])


def test_inference_computes_every_batch_in_order(served: Served, compiled: Any, tmp_path: Path) -> None:
    images = frames(3)
    job = served.client().submit_inference_job(
        compiled.get_target_model(), DEVICE, inputs={"image": images}, options="--max_profiler_iterations 1"
    )
    outputs = job.download_output_data()
    assert list(outputs) == ["output_0"]
    for got, image in zip(outputs["output_0"], images, strict=True):
        np.testing.assert_allclose(got, expected(image), atol=1e-6)
    assert len(job.download_profile()["execution_summary"]["all_inference_times"]) == 1
    assert job.shapes == {"image": ((1, 3, 4, 6), "float32")}
    (log, *others) = job.download_job_logs(str(tmp_path / "logs"))
    text = Path(log).read_text()
    assert [Path(other).name for other in others] == [f"{job.job_id}_npu.json"]  # of the device: see test_stand_in_npu
    assert "ran on this machine's CPU" in text
    assert "3 batches" in text
    assert job.get_available_artifacts() == [
        qai_hub.client.JobArtifactType.HUB_LOG,
        qai_hub.client.JobArtifactType.PROFILE_TRACE,
    ]
    result = job.download_results(str(tmp_path / "all"))
    assert result.status.success
    assert {path.suffix for path in (tmp_path / "all").iterdir()} == {".log", ".h5", ".json"}


def test_data_that_do_not_fit_fail_with_a_sentence(served: Served, compiled: Any) -> None:
    job = served.client().submit_inference_job(
        compiled.get_target_model(), DEVICE, inputs={"image": frames(2, (1, 3, 6, 4))}
    )
    status = job.wait()
    assert status.failure
    assert status.message == (
        "Input 'image' of batch 0 is float32 (1, 3, 6, 4), but the model takes float32 (1, 3, 4, 6)."
    )
    assert job.download_output_data() is None
    assert job.download_profile() == {}


def test_a_folder_with_weights_beside_the_graph(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "conv.onnx"
    folder.mkdir()
    weights = numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["output_0"], name="conv")],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 4, 6))],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, (1, 1, 4, 6))],
        [weights],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, str(folder / "conv.onnx"), save_as_external_data=True, location="my.data", size_threshold=0)
    client = served.client()
    job = client.submit_compile_job(str(folder), DEVICE, options="--target_runtime onnx --output_names depth")
    assert job.wait().success, job.get_status().message
    target = job.get_target_model()
    assert target.model_type == qai_hub.SourceModelType.ONNX
    place = job.download_target_model(str(tmp_path))
    assert place.endswith("_stand_in.onnx.zip")
    assert zipfile.ZipFile(place).namelist() == ["conv_onnx_stand_in.onnx/model.onnx"]
    image = frames(1)
    outputs = client.submit_inference_job(target, DEVICE, inputs={"image": image}).download_output_data()
    np.testing.assert_allclose(outputs["depth"][0], image[0].sum(1, keepdims=True) / 2, atol=1e-6)


def test_a_failed_job_has_a_target_that_cannot_be_had(served: Served, tmp_path: Path) -> None:
    client = served.client()
    job = client.submit_compile_job(str(small_model(tmp_path / "free.onnx", ("n", 3, 4, 6))), DEVICE)
    status = job.wait()
    assert status.failure
    assert "Input 'image' has a dynamic shape (n, 3, 4, 6)" in status.message
    with pytest.raises(UserError, match="has no file"):
        job.download_target_model(str(tmp_path / "x"))
    following = client.submit_inference_job(job.get_target_model(), DEVICE).wait()
    assert following.failure
    assert f"because job {job.job_id} failed" in following.message
    assert "dynamic shape" in Path(job.download_job_logs(str(tmp_path / "logs"))[0]).read_text()


def test_sharing_names_and_lists(served: Served, compiled: Any) -> None:
    client = served.client()
    compiled.modify_sharing(add_emails=["a@example.org", "b@example.org"])
    compiled.modify_sharing(delete_emails=["a@example.org"])
    assert compiled.get_sharing() == ["b@example.org"]
    compiled.disable_sharing()
    assert compiled.get_sharing() == []
    with pytest.raises(UserError, match="no e-mail address"):
        compiled.modify_sharing(add_emails=["nobody"])
    target = compiled.get_target_model()
    target.modify_sharing(add_emails=["c@example.org"])
    assert target.get_sharing() == ["c@example.org"]

    compiled.set_name("renamed")
    assert client.get_job(compiled.job_id).name == "renamed"
    compiled.set_name("my <b>job")
    jobs = client.get_job_summaries()
    assert [job.date for job in jobs] == sorted((job.date for job in jobs), reverse=True)
    assert {job.job_id for job in client.get_job_summaries(type=JobType.COMPILE)} >= {compiled.job_id}
    assert all(job.status.success for job in client.get_job_summaries(state=qai_hub.JobStatus.State.SUCCESS))
    assert client.get_job_summaries(creator="somebody@example.org") == []
    last = len(jobs) - 1  # how many there are depends on which tests this process has run
    assert [job.job_id for job in client.get_job_summaries(limit=1, offset=last)] == [jobs[last].job_id]
    assert client.get_job_summaries(offset=len(jobs)) == []
    assert target.model_id in {one.model_id for one in client.get_models()}
    made = pb.ModelList.FromString(call(served, "GET", f"api/v1/models/?producer={compiled.job_id}")[1])
    assert [one.model_id for one in made.models] == [target.model_id]


def test_datasets_come_back_as_they_went_and_expire(served: Served, compiled: Any, tmp_path: Path) -> None:
    client = served.client()
    data = {"b": [np.arange(6, dtype=np.int16).reshape(2, 3)], "a": [np.array([True, False])]}
    dataset = client.upload_dataset(data, name="two")
    again = client.get_dataset(dataset.dataset_id)
    assert again.get_expiration_status() == "Not Expired"
    back = again.download()
    assert list(back) == ["b", "a"]
    assert all(
        (back[name][0] == values[0]).all() and back[name][0].dtype == values[0].dtype for name, values in data.items()
    )
    assert Path(dataset.download(str(tmp_path))).suffix == ".h5"  # the bare URL that only this way asks for
    assert dataset.dataset_id in {one.dataset_id for one in client.get_datasets()}

    served.hub.store.change("datasets", dataset.dataset_id, expires=time.time() - 1)
    before = served.submissions()
    with pytest.raises(UserError, match="has expired"):
        client.submit_inference_job(compiled.get_target_model(), DEVICE, inputs=dataset)
    with pytest.raises(UserError, match="download expired dataset"):  # the client sees it by itself
        client.get_dataset(dataset.dataset_id).download()
    assert call(served, "GET", f"api/v1/datasets/{dataset.dataset_id}/download_data/")[0] == 404
    with pytest.raises(UserError, match="is expired"):
        client.submit_inference_job(compiled.get_target_model(), DEVICE, inputs=client.get_dataset(dataset.dataset_id))
    assert served.submissions() == before


def test_what_is_not_offered_is_refused_with_a_sentence(served: Served, model: Path, tmp_path: Path) -> None:
    client = served.client()
    with pytest.raises(UserError, match="quantizes to INT8 weights with INT8 or INT16 activations"):
        client.submit_quantize_job(str(model), {"image": frames(1)}, weights_dtype=qai_hub.QuantizeDtype.INT4)
    (tmp_path / "x.dlc").write_bytes(b"anything")
    with pytest.raises(UserError, match="cannot run"):
        client.submit_inference_job(str(tmp_path / "x.dlc"), DEVICE)
    with pytest.raises(UserError, match="could not be found"):
        client.get_job("jlocal0000000")


def test_the_page_behind_the_link_escapes_names(served: Served, compiled: Any) -> None:
    page = urllib.request.urlopen(compiled.url).read().decode()
    assert "my &lt;b&gt;job" in page
    assert "<b>job" not in page
    assert "not on Samsung Galaxy S24" in page
    assert compiled.job_id in urllib.request.urlopen(served.url).read().decode()
    assert served.token not in page


def test_a_model_in_many_parts_is_stored_as_it_was(tmp_path: Path) -> None:
    settings = Settings(part_bytes=100, model_bytes=2000, dataset_bytes=20_000)
    path = small_model(tmp_path / "m.onnx")
    whole = path.read_bytes()
    assert 100 < len(whole) < 2000
    with offline(tmp_path), Served(tmp_path / "hub", settings=settings) as hub:
        uploaded = hub.client().upload_model(str(path))
        assert len(hub.hub.store.rows("SELECT * FROM parts")) == -(-len(whole) // 100)
        assert Path(uploaded.download(str(tmp_path / "back"))).read_bytes() == whole
        path.write_bytes(whole + bytes(2000))
        with pytest.raises(UserError, match="stand-in takes"):
            hub.client().upload_model(str(path))
        with pytest.raises(UserError, match="stand-in takes"):
            hub.client().upload_dataset({"x": [np.random.default_rng(0).random(9000).astype(np.float32)]})


def test_the_first_look_is_answered_at_once_and_the_next_is_held(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lpcv.hub_jobs.stand_in.worker.Worker.start", lambda self: None)
    with offline(tmp_path), Served(tmp_path / "hub") as hub:
        job = hub.client().submit_compile_job(str(model), DEVICE)  # makes the first GET itself
        assert job.get_target_model() is not None
        seen: list[pb.Job] = []
        thread = threading.Thread(target=lambda: seen.append(raw_job(hub, job.job_id)))
        thread.start()
        while not hub.hub._waiting:
            time.sleep(0.01)
        assert seen == []
        hub.hub.store.change("jobs", job.job_id, state=pb.JOB_STATE_FAILED, reason="because", finished=time.time())
        hub.hub._job_changed(job.job_id)
        thread.join(20)
        assert seen[0].compile_job.failure_reason == "because"


def test_an_uploads_answer_comes_from_one_address(served: Served, model: Path) -> None:
    """All that the server hands out leads back to it, whatever a request claims about its host."""
    uploaded = served.client().upload_model(str(model))
    claim = {"X-Forwarded-Host": "evil.example", "Host": f"localhost:{served.port}"}
    answered = call(served, "GET", f"api/v1/models/{uploaded.model_id}/download/", headers=claim)[1]
    assert pb.FileDownloadResponse.FromString(answered).url.url.startswith(served.url + "blob/get/models/")


def raw_job(served: Served, job_id: str) -> pb.Job:
    return pb.Job.FromString(call(served, "GET", f"api/v1/jobs/{job_id}/")[1])
