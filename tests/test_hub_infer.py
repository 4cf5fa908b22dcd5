"""`lpcv infer`, `lpcv score JOB`, sharing and `lpcv jobs` end to end: frames in, what was computed out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_fixtures import S24, Served, small_model
from hub_front import Front, own_place
from lpcv.cli import run
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import open_folder
from lpcv.data.model_input import contract_input
from lpcv.evaluate.predictions import read_prediction
from lpcv.hub_folder import HubFolder
from lpcv.onnx_session import open_session
from starlette.requests import Request

CPU = f"this CPU (stand-in for {S24}), not a device"
ADDRESS = CONTRACT.sharing_address
NAMES = tuple(f"{number:04d}" for number in range(6))


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, front: Front) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served") / "root", front) as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small.onnx", CONTRACT.input_shape)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, small: Any) -> Path:
    """Six frames; read only."""
    return small.write_frames(tmp_path_factory.mktemp("frames") / "six", NAMES)


@pytest.fixture(scope="module")
def ran(served: Served, model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub folder in which five frames ran, two in a job; copied, never changed."""
    with own_place(tmp_path_factory.mktemp("ran")) as folder:
        assert run(["compile", str(model), "--device", S24, "--hub", str(served.ini)]) == 0
        words = ["infer", str(model), "--data", str(data), "--limit", "5", "--frames-per-job", "2"]
        assert run([*words, "--hub", str(served.ini), "--json", str(folder / "told.json")]) == 0
    return folder


@pytest.fixture
def hub(ran: Path, tmp_path: Path, front: Front) -> Iterator[HubFolder]:
    """That folder, for a test to change."""
    front.reset()
    with own_place(tmp_path) as folder:
        shutil.copytree(ran, folder)
        yield HubFolder(folder)
    front.reset()


@pytest.fixture
def lpcv(served: Served, hub: HubFolder) -> Callable[..., int]:
    """A command at the served stand-in."""
    return lambda *words: run([str(word) for word in words] + ["--hub", str(served.ini)])


def jobs_of(path: Path) -> list[dict[str, Any]]:
    told = json.loads(path.read_text())
    return told if isinstance(told, list) else [told]


def demand_equals_onnx_runtime(model: Path, data: Path, predictions: Path, names: tuple[str, ...]) -> None:
    session, frames = open_session(model, 1), open_folder(data)
    assert sorted(path.stem for path in predictions.glob("*.npy")) == list(names)
    for name in names:
        expected = np.asarray(session.run(None, {"image": contract_input(frames.frame(name).rgb)})[0])
        np.testing.assert_array_equal(read_prediction(predictions / f"{name}.npy"), expected[0, 0])


def test_slices_become_jobs_and_one_folder_that_is_onnx_runtimes_own(hub: HubFolder, model: Path, data: Path) -> None:
    told = jobs_of(hub.root / "told.json")
    assert [job["outcome"] for job in told] == ["Succeeded"] * 3
    assert len({job["job_id"] for job in told}) == 3
    assert all(job["computed_by"] == CPU and job["rehearsal"] for job in told)
    (folder,) = {hub.predictions_of(job["job_id"]) for job in told}
    demand_equals_onnx_runtime(model, data, folder, NAMES[:5])
    described = json.loads((folder / "predictions.json").read_text())
    assert described["frames"] == list(NAMES[:5])
    assert (described["kind"], described["computed_by"]) == (CONTRACT.output_kind, CPU)


def test_the_same_again_sends_nothing(
    lpcv: Callable[..., int], served: Served, hub: HubFolder, model: Path, data: Path, front: Front
) -> None:
    before, asked = served.submissions(), len(front.asked)
    assert lpcv("infer", model, "--data", data, "--limit", 5, "--frames-per-job", 2) == 0
    assert served.submissions() == before
    assert front.asked[asked:] == ["GET /api/v1/frameworks/"]  # the probe, and nothing else


def test_more_frames_use_the_slices_that_ran_and_make_one_folder(
    lpcv: Callable[..., int], served: Served, hub: HubFolder, model: Path, data: Path, tmp_path: Path, front: Front
) -> None:
    before, asked = served.submissions(), len(front.asked)
    words = ("infer", model, "--data", data, "--frames-per-job", 2, "--json", tmp_path / "more.json")
    assert lpcv(*words) == 0
    assert served.submissions() == before + 1
    uploads = [line for line in front.asked[asked:] if line == "POST /api/v1/datasets/"]
    assert len(uploads) == 1  # the frames 0004 and 0005, together new
    told = jobs_of(tmp_path / "more.json")
    assert len(told) == 3
    (folder,) = {hub.predictions_of(job["job_id"]) for job in told}
    demand_equals_onnx_runtime(model, data, folder, NAMES)
    assert run(["score", told[-1]["job_id"], "--data", str(data)]) == 0  # no frame is missing


def test_ordered_again_what_the_new_job_computed_is_kept(
    lpcv: Callable[..., int], served: Served, hub: HubFolder, model: Path, data: Path, tmp_path: Path
) -> None:
    old = hub.predictions_of(jobs_of(hub.root / "told.json")[0]["job_id"])
    for path in old.glob("*.npy"):
        np.save(path, np.zeros(CONTRACT.output_shape, np.float32))  # as if an earlier driver had computed otherwise
    before, words = served.submissions(), ("infer", model, "--data", data, "--limit", 5, "--frames-per-job", 2)
    assert lpcv(*words, "--again", "--no-wait") == 0
    assert lpcv("jobs", "wait") == 0
    assert lpcv(*words, "--json", tmp_path / "again.json") == 0
    assert served.submissions() == before + 3
    (folder,) = {hub.predictions_of(each["job_id"]) for each in jobs_of(tmp_path / "again.json")}
    demand_equals_onnx_runtime(model, data, folder, NAMES[:5])
    assert not np.any([np.load(path) for path in old.glob("*.npy")])  # a job's numbers never become another's


def test_waiting_for_a_job_leaves_its_predictions_where_the_last_command_put_them(
    lpcv: Callable[..., int], hub: HubFolder, model: Path, data: Path, tmp_path: Path
) -> None:
    first = [job["job_id"] for job in jobs_of(hub.root / "told.json")]
    words = ("infer", model, "--data", data, "--frames-per-job", 2)
    assert lpcv(*words, "--json", tmp_path / "six.json") == 0
    six = [job["job_id"] for job in jobs_of(tmp_path / "six.json")]
    (folder,) = {hub.predictions_of(job) for job in six}
    for job in (first[0], *six):
        assert lpcv("jobs", "wait", job) == 0
        assert hub.predictions_of(job) == folder
    assert run(["score", first[0], "--data", str(data)]) == 0  # all six are there
    assert lpcv(*words, "--limit", 5) == 0  # the smaller set again, by name: now it is the newest
    assert lpcv("jobs", "wait", first[0]) == 0
    demand_equals_onnx_runtime(model, data, hub.predictions_of(first[0]), NAMES[:5])


def test_slices_of_which_one_was_ordered_again_land_in_one_folder(
    lpcv: Callable[..., int], hub: HubFolder, model: Path, data: Path, tmp_path: Path
) -> None:
    words = ("infer", model, "--data", data, "--frames-per-job", 2)
    assert lpcv(*words, "--limit", 2, "--again", "--no-wait") == 0
    assert lpcv("jobs", "wait") == 0  # a job that was ordered again has a folder of its own from the start
    assert lpcv(*words, "--limit", 5, "--json", tmp_path / "mixed.json") == 0
    mixed = [job["job_id"] for job in jobs_of(tmp_path / "mixed.json")]
    old = [job["job_id"] for job in jobs_of(hub.root / "told.json")]
    assert mixed[0] not in old
    assert mixed[1:] == old[1:]
    (folder,) = {hub.predictions_of(job) for job in mixed}
    assert folder != hub.predictions_of(old[0])
    for job in mixed:
        assert lpcv("jobs", "wait", job) == 0
    assert {hub.predictions_of(job) for job in mixed} == {folder}
    demand_equals_onnx_runtime(model, data, folder, NAMES[:5])


def test_score_of_a_job_is_of_the_frames_it_was_given(
    hub: HubFolder, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs_of(hub.root / "told.json")[-1]["job_id"]
    assert run(["score", job, "--data", str(data), "--json", str(tmp_path / "score.json")]) == 0
    out, err = capsys.readouterr()
    assert f"5 frames of 6: those that job {job}, computed by {CPU}, was given." in err
    assert f"{job}, computed by {CPU} on 5 frames" in out
    assert CPU in (tmp_path / "score.json").read_text()


def test_jobs_lists_shows_and_waits(
    lpcv: Callable[..., int],
    served: Served,
    hub: HubFolder,
    tmp_path: Path,
    front: Front,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = len(front.asked)
    assert run(["jobs", "--json", str(tmp_path / "list.json")]) == 0
    out, err = capsys.readouterr()
    listed = json.loads((tmp_path / "list.json").read_text())
    assert [job["type"] for job in listed] == ["compile", "inference", "inference", "inference"]
    assert all(job["state"] == "SUCCESS" and job["rehearsal"] and job["job_id"] in out for job in listed)
    assert out.count("stand-in, success") == 4
    assert err.count("Submitted today to stand-in:") == 1
    assert ": 4." in err
    last = listed[-1]
    assert run(["jobs", "show", last["job_id"], "--json", str(tmp_path / "job.json")]) == 0
    shown = json.loads((tmp_path / "job.json").read_text())
    assert [event["event"] for event in shown["events"]] == ["intended", "attempted", "submitted", "state", "fetched"]
    assert shown["fetched"]["outputs"].startswith(f"jobs/{last['job_id']}/")
    out = capsys.readouterr().out
    assert "small 0004-0004" in out
    assert "images_sha256" not in out  # a set may have thousands of frames
    assert run(["jobs", "show", "jnotmine"]) == 2
    assert run(["jobs", "last", "inference"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == last["job_id"]
    assert run(["jobs", "last", "profile"]) == 2
    assert len(front.asked) == asked  # nobody was asked
    assert lpcv("jobs", "wait", last["job_id"]) == 0
    assert f"kept: {hub.predictions_of(last['job_id'])}" in capsys.readouterr().err


def test_reconcile_finds_what_a_lost_ledger_knew(
    lpcv: Callable[..., int], hub: HubFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs_of(hub.root / "told.json")[0]["job_id"]
    assert lpcv("jobs", "reconcile") == 0
    assert job not in capsys.readouterr().out
    hub.ledger.unlink()
    assert lpcv("jobs", "reconcile") == 0
    out = capsys.readouterr().out
    assert "Marked by lpcv, not in this ledger" in out
    assert job in out


def test_an_empty_ledger_is_an_answer(hub: HubFolder, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(hub.root)
    assert run(["jobs"]) == 0
    out, err = capsys.readouterr()
    assert "0 jobs in" in out
    assert "Next: lpcv compile RUN" in err
    assert not hub.root.exists()


def test_sharing_asks_does_and_reads_back(
    lpcv: Callable[..., int], served: Served, hub: HubFolder, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs_of(hub.root / "told.json")[0]["job_id"]
    asked = len(front.asked)
    assert lpcv("jobs", "share", job) == 2  # a test has no terminal
    err = capsys.readouterr().err
    assert "Sharing asks first, and there is nobody to ask. Add --yes." in err
    assert len(front.asked) == asked
    assert lpcv("jobs", "share", job, "--yes") == 0
    out, err = capsys.readouterr()
    assert "with it every asset: model, compiled model, datasets, logs." in err
    assert f"{job} is shared with {ADDRESS} (read back from the stand-in)." in out
    assert served.hub.store.shared_with("jobs", job) == [ADDRESS]
    assert lpcv("jobs", "share", job, "--yes", "--with", ADDRESS.upper()) == 0  # is no other address
    assert served.hub.store.shared_with("jobs", job) == [ADDRESS]
    assert lpcv("jobs", "share", job, "--yes", "--with", "a@example.org") == 0
    assert f"is shared with {ADDRESS}, a@example.org" in capsys.readouterr().out
    assert run(["jobs", "show", job]) == 0
    assert "a@example.org" in capsys.readouterr().out


def test_sharing_that_cannot_be_read_back_is_no_success(
    lpcv: Callable[..., int], hub: HubFolder, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs_of(hub.root / "told.json")[1]["job_id"]

    def forgotten(request: Request, body: bytes) -> bytes:
        return b"" if request.method == "GET" and "shared_access" in request.scope["path"] else body

    front.change = forgotten
    assert lpcv("jobs", "share", job, "--yes") == 2
    out, err = capsys.readouterr()
    assert f"{job} was shared with {ADDRESS}, but reading it back does not show that. Look at http" in err
    assert "is shared with" not in out
    assert run(["jobs", "show", job]) == 0
    assert ADDRESS not in capsys.readouterr().out


def test_a_job_of_another_hub_is_refused(
    hub: HubFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], served: Served
) -> None:
    """Neither `--hub` of a real service nor the rehearsal's takes the other's jobs."""
    job = jobs_of(hub.root / "told.json")[0]["job_id"]
    ini = tmp_path / "real.ini"
    ini.write_text("".join(line for line in served.ini.read_text().splitlines(True) if "stand_in" not in line))
    assert run(["jobs", "wait", job, "--hub", str(ini)]) == 2
    assert f"Job {job} belongs to stand-in:" in capsys.readouterr().err


def test_devices_by_part_of_a_name(
    lpcv: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lpcv("devices", "galaxy s24", "--json", tmp_path / "devices.json") == 0
    out, _ = capsys.readouterr()
    assert "Devices of the stand-in" in out
    assert "v75" in out
    found = {device["name"]: device for device in json.loads((tmp_path / "devices.json").read_text())}
    assert "Samsung Galaxy S24 (Family)" in found
    assert "hexagon:v75" in found[S24]["attributes"]
    assert lpcv("devices", "Galaxi S24") == 2
    assert "Samsung Galaxy S24" in capsys.readouterr().err
