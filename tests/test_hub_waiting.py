"""Waiting for a job: not at all, not for ever, until Ctrl-C; and going on with it by typing the same again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hub_bench import Clock
from hub_fixtures import S24, Served, small_model
from hub_front import Front, front, hub, own_place, served  # noqa: F401
from lpcv.cli import run
from lpcv.hub_jobs import waiting
from lpcv.hub_jobs.ending import goes_on
from onnx import TensorProto
from starlette.requests import Request
from starlette.responses import Response


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Another one for each test: jobs of the same content are found again by their names."""
    model = onnx.load(small_model(tmp_path / "small.onnx"))
    model.doc_string = str(tmp_path)
    onnx.save(model, tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


@pytest.fixture
def lpcv(served: Served, hub: Path) -> Callable[..., int]:
    """A command at the served stand-in."""
    return lambda *words: run([str(word) for word in words] + ["--hub", str(served.ini)])


def test_no_wait_then_jobs_wait(
    lpcv: Callable[..., int],
    served: Served,
    model: Path,
    hub: Path,
    front: Front,
    capsys: pytest.CaptureFixture[str],
) -> None:
    front.instead = still_running
    assert lpcv("compile", model, "--device", S24, "--no-wait", "--json", hub / "told.json") == 0
    out, err = capsys.readouterr()
    told = json.loads((hub / "told.json").read_text())
    job = told["job_id"]
    assert (told["outcome"], "waited_s" in told) == ("Submitted", False)
    assert f"{job} is submitted: {served.url}jobs/{job}/" in out
    assert "It goes on there. Type the same command again: it follows the same job." in err
    assert err.splitlines()[-1] == f"Next: lpcv jobs wait {job} --hub {served.ini}"
    assert not (hub / "jobs").exists()
    front.reset()
    assert lpcv("jobs", "wait") == 0
    out, err = capsys.readouterr()
    assert f"{job} succeeded" in out
    assert "kept: " in err
    (kept,) = (path for path in (hub / "jobs" / job).iterdir() if path.name != "npu.json")
    assert kept.name.endswith("_stand_in.onnx")
    assert lpcv("jobs", "wait") == 0
    assert "Every job of this hub has ended." in capsys.readouterr().err
    assert lpcv("jobs", "wait", "jnotmine") == 2


@pytest.mark.parametrize(("elem", "code", "outcome"), [(TensorProto.DOUBLE, 1, "Failed"), (1, 0, "Succeeded")])
def test_no_wait_says_what_has_become_of_a_job_that_has_ended(
    lpcv: Callable[..., int],
    served: Served,
    tmp_path: Path,
    front: Front,
    elem: int,
    code: int,
    outcome: str,
) -> None:
    words = ("compile", small_model(tmp_path / f"m{elem}.onnx", elem=elem), "--device", S24, "--no-wait")
    front.instead = still_running
    assert lpcv(*words) == 0
    front.reset()
    until_all_have_ended(served)
    assert lpcv(*words, "--json", tmp_path / "told.json") == code
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["outcome"] == outcome
    assert ("fetched" in told) == (code == 0)


def until_all_have_ended(served: Served) -> None:
    while served.hub.store.rows("SELECT 1 FROM jobs WHERE finished IS NULL"):
        time.sleep(0.005)


def still_running(request: Request) -> Response | None:
    """A job that is never done: the server answers each GET of one at once, and says that it still runs."""
    from qai_hub import public_api_pb2 as pb

    *_, kind, job, end = request.scope["path"].split("/")
    if request.method != "GET" or kind != "jobs" or end:
        return None
    detail = pb.CompileJob(compile_job_id=job, job_state=pb.JOB_STATE_OPTIMIZING_MODEL)
    return Response(pb.Job(compile_job=detail).SerializeToString(), media_type="application/x-protobuf")


def test_a_timeout_leaves_the_job_running_and_says_so(
    lpcv: Callable[..., int],
    served: Served,
    model: Path,
    front: Front,
    hub: Path,
    small_frames: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    front.instead = still_running
    before = served.submissions()
    assert lpcv("compile", model, "--device", S24, "--timeout", "0") == 0
    out, err = capsys.readouterr()
    assert "has not ended after 0 s" in out
    assert "Type the same command again: it follows the same job." in err
    assert lpcv("profile", model, "--timeout", "0") == 2
    err = capsys.readouterr().err
    assert "has not ended after 0 s, and this needs its model." in err
    assert "compile again" not in err  # that would spend another job for nothing
    assert lpcv("infer", model, "--data", small_frames, "--timeout", "0") == 2
    front.reset()
    assert lpcv("compile", model, "--device", S24) == 0
    assert served.submissions() == before + 1


def test_again_orders_another_but_not_while_the_last_one_runs(
    lpcv: Callable[..., int], served: Served, model: Path, hub: Path, front: Front
) -> None:
    assert lpcv("compile", model, "--device", S24) == 0
    before = served.submissions()
    front.instead = still_running
    assert lpcv("compile", model, "--device", S24, "--again", "--no-wait") == 0
    assert served.submissions() == before + 1
    assert lpcv("compile", model, "--device", S24, "--again", "--timeout", "0") == 0
    assert served.submissions() == before + 1
    front.reset()
    assert lpcv("compile", model, "--device", S24) == 0
    assert served.submissions() == before + 1
    assert len(list((hub / "jobs").iterdir())) == 2


def test_again_asks_whether_the_last_one_has_ended(
    lpcv: Callable[..., int], served: Served, model: Path, hub: Path, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the ledger knows is from the last time that somebody asked."""
    front.instead = still_running
    assert lpcv("compile", model, "--device", S24, "--no-wait") == 0
    front.reset()
    until_all_have_ended(served)
    before = served.submissions()
    assert lpcv("compile", model, "--device", S24, "--again") == 0
    assert "has not ended yet" not in capsys.readouterr().err
    assert served.submissions() == before + 1


def test_polls_stay_within_the_timeout(
    lpcv: Callable[..., int], model: Path, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.instead = still_running
    monkeypatch.setattr(waiting, "REHEARSAL_POLL_S", 10.0)
    clock = Clock().installed(monkeypatch)
    assert lpcv("compile", model, "--device", S24, "--timeout", "25") == 0
    slept = [seconds for seconds in clock.slept if seconds > 1]
    assert slept[:2] == [10.0, 10.0]
    assert 4 < slept[2] <= 5
    assert len(slept) == 3


@pytest.mark.parametrize(("way", "where"), [(None, "there"), ("work", "there"), ("local", "`--hub local`")])
def test_a_job_of_a_stand_in_that_ends_with_the_command_goes_on_with_the_next(way: str | None, where: str) -> None:
    assert f"{where}. Type the same command again" in goes_on(way)


def test_ctrl_c_while_waiting_is_safe(
    lpcv: Callable[..., int],
    served: Served,
    model: Path,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, handler = served.submissions(), signal.getsignal(signal.SIGINT)
    asked: list[str] = []

    def interrupting(request: Request) -> Response | None:
        answer = still_running(request)
        if answer is not None:
            asked.append(request.scope["path"])
        if len(asked) == 3:  # the first is the client's own submission, the second the first look at the job
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    front.instead = interrupting
    monkeypatch.setattr(waiting, "REHEARSAL_POLL_S", 0.01)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
    try:
        assert lpcv("compile", model, "--device", S24) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    err = capsys.readouterr().err
    assert "Stopped waiting for compile job jlocal" in err
    assert err.splitlines()[-1].endswith("Type the same command again: it follows the same job.")
    front.reset()
    assert lpcv("compile", model, "--device", S24) == 0
    assert "was submitted before; it is used again." in capsys.readouterr().err
    assert served.submissions() == before + 1
