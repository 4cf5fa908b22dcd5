"""Waiting for a job: not at all, not for ever, until Ctrl-C; and going on with it by typing the same again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_bench import computed_once
from hub_fixtures import S24, Served, small_model
from hub_front import Front, own_place
from lpcv.cli import run
from lpcv.hub_jobs import waiting
from starlette.requests import Request
from starlette.responses import Response


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, front: Front) -> Iterator[Served]:
    with computed_once(), Served(tmp_path_factory.mktemp("served") / "root", front) as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path, front: Front) -> Iterator[Path]:
    """An own, empty hub folder."""
    front.reset()
    with own_place(tmp_path) as folder:
        yield folder
    front.reset()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture
def lpcv(served: Served, hub: Path) -> Callable[..., int]:
    """A command at the served stand-in."""
    return lambda *words: run([str(word) for word in words] + ["--hub", str(served.ini)])


def test_no_wait_then_jobs_wait(
    lpcv: Callable[..., int], served: Served, model: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lpcv("compile", model, "--device", S24, "--no-wait", "--json", hub / "told.json") == 0
    out, err = capsys.readouterr()
    job = json.loads((hub / "told.json").read_text())["job_id"]
    assert f"{job} still runs" in out
    assert err.splitlines()[-1] == f"Next: lpcv jobs wait --hub {served.ini}"
    assert not (hub / "jobs").exists()
    assert lpcv("jobs", "wait") == 0
    out, err = capsys.readouterr()
    assert f"{job} succeeded" in out
    assert "kept: " in err
    (kept,) = (hub / "jobs" / job).iterdir()
    assert kept.name.endswith("_stand_in.onnx")
    assert lpcv("jobs", "wait") == 0
    assert "Every job of this hub has ended." in capsys.readouterr().err
    assert lpcv("jobs", "wait", "jnotmine") == 2


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
    assert "still runs after 0 s" in out
    assert "Type the same command again: it follows the same job." in err
    assert lpcv("profile", model, "--timeout", "0") == 2
    err = capsys.readouterr().err
    assert "still runs" in err
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
    assert lpcv("compile", model, "--device", S24, "--again", "--no-wait") == 0
    assert served.submissions() == before + 1
    front.instead = still_running
    assert lpcv("compile", model, "--device", S24, "--again", "--timeout", "0") == 0
    assert served.submissions() == before + 1
    front.reset()
    assert lpcv("compile", model, "--device", S24) == 0
    assert served.submissions() == before + 1
    assert len(list((hub / "jobs").iterdir())) == 2


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
    assert "Stopped waiting; compile job jlocal" in err
    assert err.splitlines()[-1].endswith("Type the same command again: it follows the same job.")
    front.reset()
    assert lpcv("compile", model, "--device", S24) == 0
    assert "was submitted before; it is used again." in capsys.readouterr().err
    assert served.submissions() == before + 1
