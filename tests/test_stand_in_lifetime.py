"""What the stand-in survives: restarts, kills, jobs that hang or crash; and how long one on demand lives."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qai_hub
from hub_fixtures import S24, Served, offline, small_model
from lpcv.errors import InputError, MissingStepError, UnreachableError
from lpcv.files import write_json
from lpcv.hub_jobs.stand_in.identity import claimed, identity_of, last_seen, write_access
from lpcv.hub_jobs.stand_in.on_demand import running
from lpcv.hub_jobs.stand_in.serve import listening, serve
from lpcv.hub_jobs.stand_in.settings import Settings
from qai_hub import public_api_pb2 as pb

DEVICE = qai_hub.Device(S24)
HANG = "time.sleep(600)"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path) -> Iterator[None]:
    with offline(tmp_path):
        yield


@pytest.fixture
def jobs_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Jobs run this Python instead of their work, until `monkeypatch.undo()`."""

    def replace(source: str) -> None:
        (tmp_path / "instead.py").write_text(f"import os, signal, time\n{source}\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr("lpcv.hub_jobs.stand_in.worker.WORK", "instead")

    return replace


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(small_model(tmp_path / "m.onnx"))


def until(condition: Callable[[], Any], what: str) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited in vain until {what}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_restart_goes_on_with_what_was_unfinished(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, jobs_that: Callable[[str], None]
) -> None:
    jobs_that(HANG)
    with Served(tmp_path / "hub") as hub:
        jobs = [hub.client().submit_compile_job(model, DEVICE, name=f"job {index}").job_id for index in range(2)]
        until(lambda: hub.hub.store.get("jobs", jobs[0])["attempts"] == 1, "the first job runs")  # type: ignore[index]
        before = (hub.port, hub.url, hub.token)
    monkeypatch.undo()
    with Served(tmp_path / "hub") as hub:
        assert (hub.port, hub.url, hub.token) == before
        assert [hub.client().get_job(job).wait().success for job in jobs] == [True, True]
        assert hub.submissions() == 2
        rows = [hub.hub.store.get("jobs", job) for job in jobs]
        assert [row["attempts"] for row in rows if row] == [1, 1]  # stopped on purpose: that one did not count


def test_killed_with_its_job_it_goes_on_at_the_next_start(tmp_path: Path, model: str) -> None:
    root = tmp_path / "hub"
    with running(root) as ini:
        job = client_of(ini).submit_compile_job(model, DEVICE)
        database = sqlite3.connect(f"file:{root / 'stand_in.sqlite'}?mode=ro", uri=True)
        until(lambda: database.execute("SELECT attempts FROM jobs").fetchone() == (1,), "the job runs")
        os.kill(pid_of(root), signal.SIGKILL)
        until(lambda: not alive(pid_of(root)), "the server is dead")
    with running(root) as ini:
        client = client_of(ini)
        assert client.get_job(job.job_id).wait().success
        assert len(client.get_job_summaries()) == 1
    database.close()


def test_a_jobs_process_ends_with_the_server(tmp_path: Path) -> None:
    """Its standard input closes when the server is gone, however that went."""
    write_json(tmp_path / "order.json", {"memory_bytes": 2**40, "kind": "slow", "name": "x", "device": S24})
    program = (
        "import sys, time; from pathlib import Path; from lpcv.hub_jobs.stand_in import work\n"
        "work._result = lambda *_: time.sleep(600); work.main(Path(sys.argv[1]))"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 3


def client_of(ini: Path) -> Any:
    """As the unmodified client reads the file."""
    from qai_hub.api_utils import load_api_config_from_file

    config = load_api_config_from_file(str(ini))
    config.verbose = False
    return qai_hub.Client(config=config)


def pid_of(root: Path) -> int:
    return (last_seen(root) or {})["pid"]


def test_one_on_demand_is_shared_and_goes_when_nobody_is_left(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with running(root) as ini:
        pid, port = pid_of(root), (last_seen(root) or {})["port"]
        assert ini.stat().st_mode & 0o077 == 0
        with running(root):
            assert pid_of(root) == pid
        assert [one.name for one in client_of(ini).get_devices(S24)] == [S24]
        time.sleep(1.5)  # longer than it lingers
        assert alive(pid)
        with pytest.raises(InputError, match=f"running already, at http://127.0.0.1:{port}/"), claimed(root):
            pass
    until(lambda: not alive(pid), "the server has gone")
    killed = subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"held\n"
    pid = pid_of(root)
    assert (last_seen(root) or {})["port"] == port
    killed.kill()
    killed.wait()
    until(lambda: not alive(pid), "the server has noticed that its user is dead")


HOLDER = """
import sys, time
from pathlib import Path
from lpcv.hub_jobs.stand_in.on_demand import running
with running(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    identity_of(root)
    (root / "identity.json").write_text("{")
    with pytest.raises(UnreachableError, match=r"did not start.*identity\.json is damaged"), running(root):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold the stand-in"), running(tmp_path / "file"):
        pass


@pytest.mark.parametrize("package", ["h5py", "starlette", "uvicorn"])
def test_without_the_extra_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python then says to `import`
    sentence = rf"The stand-in needs {package}, which is not installed here\. Run `pip install 'lpcv\[hub\]'`\."
    with pytest.raises(MissingStepError, match=sentence), running(tmp_path / "hub"):
        pass
    with pytest.raises(MissingStepError, match=sentence):
        serve(tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_the_server_can_be_named_without_the_extra() -> None:
    """Else `lpcv hub serve` would end with an ImportError before anybody could say a sentence."""
    absent = "import sys; sys.modules |= dict.fromkeys(['h5py', 'starlette', 'uvicorn', 'anyio', 'qai_hub'])"
    program = f"{absent}; from lpcv.hub_jobs.stand_in import needs, on_demand, serve"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


SEEN = {"url": "http://127.0.0.1:8000/a1b2/", "port": 8000, "pid": 7}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "8000", '"text"', "{}", "\ud800",
        *(json.dumps({**SEEN, **change}) for change in (
            {"url": None}, {"url": "http://elsewhere.example:8000/a1b2/"}, {"url": "http://127.0.0.1:8001/a1b2/"},
            {"url": "http://127.0.0.1:8000@elsewhere.example/"}, {"port": "8000"}, {"port": True}, {"port": 0},
            {"port": -1}, {"port": 8000.0}, {"pid": None}, {"pid": "7"},
        )),
    ],
)  # fmt: skip
def test_a_damaged_note_of_the_last_server_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert last_seen(tmp_path) is None
    with listening(tmp_path, None) as listener:  # as if there had been none
        assert listener.getsockname()[1] > 0


def test_what_is_written_of_a_server_is_read(tmp_path: Path) -> None:
    assert last_seen(tmp_path) is None
    identity = identity_of(tmp_path)
    ini = write_access(tmp_path, identity, 8000)
    seen = last_seen(tmp_path)
    assert seen is not None
    assert seen["url"] == f"http://127.0.0.1:8000/{identity.instance}/"
    assert (seen["port"], seen["pid"]) == (8000, os.getpid())
    assert ini in tmp_path.iterdir()
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600] * 3


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with listening(tmp_path, None) as other:
        port = other.getsockname()[1]
        assert other.getsockname()[0] == "127.0.0.1"
        with pytest.raises(InputError, match=f"Port {port} of 127.0.0.1 cannot be had"):
            listening(tmp_path, port)
    with pytest.raises(InputError, match="Port 70000"):
        listening(tmp_path, 70000)


def failure(hub: Served, model: str) -> str:
    status = hub.client().submit_compile_job(model, DEVICE).wait()
    assert status.failure
    return status.message or ""


def test_jobs_that_hang_crash_or_want_too_much(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, jobs_that: Callable[[str], None]
) -> None:
    with Served(tmp_path / "hub", settings=Settings(job_seconds=0.3)) as hub:
        jobs_that(HANG)
        assert "took longer than the stand-in allows (0.3 s)" in failure(hub, model)
    with Served(tmp_path / "hub", settings=Settings(job_memory_bytes=2**27)) as hub:
        jobs_that("os.kill(os.getpid(), signal.SIGSEGV)")
        assert "ended by signal SIGSEGV" in failure(hub, model)
        jobs_that("raise SystemExit(7)")
        assert "ended with code 7 and without a result" in failure(hub, model)
        monkeypatch.undo()
        assert failure(hub, model) != ""  # how a library reports it differs; the server lives
        assert hub.submissions() == 4


def test_a_job_that_ends_every_server_is_given_up(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpcv.hub_jobs.stand_in.worker.Worker.start", lambda self: None)
    with Served(tmp_path / "hub") as hub:
        job = hub.client().submit_compile_job(model, DEVICE).job_id
    with sqlite3.connect(tmp_path / "hub" / "stand_in.sqlite") as database:
        database.execute("UPDATE jobs SET attempts = 5")
    monkeypatch.undo()
    with Served(tmp_path / "hub") as hub:
        assert "gave up" in (hub.client().get_job(job).wait().message or "")


def test_a_full_disk_is_said_to_be_one(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with Served(tmp_path / "hub") as hub:
        monkeypatch.setattr(hub.hub.store, "add", full)
        with pytest.raises(qai_hub.client.InternalError):
            hub.client().upload_model(model)
        monkeypatch.undo()
        assert hub.client().upload_model(model).model_id.startswith("m")


@pytest.mark.parametrize("times", [1, 3])
def test_a_full_disk_under_a_job_is_no_end_of_the_server(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    from lpcv.hub_jobs.stand_in import worker

    real, left = worker._keep_log, iter(range(times))

    def full(here: Path, folder: Path) -> None:
        if next(left, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        real(here, folder)

    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "_keep_log", full)
    with Served(tmp_path / "hub") as hub:
        status = hub.client().submit_compile_job(model, DEVICE).wait()
        (job,) = hub.hub.store.rows("SELECT attempts, reason FROM jobs")
        if times < worker.TRIES:
            assert (status.success, job["attempts"]) == (True, 1)
        else:
            assert status.failure
            assert "No space left on device" in job["reason"]
            assert "together with the server" not in job["reason"]
            assert str(tmp_path) not in job["reason"]


def test_unfinished_uploads_and_expired_data_are_dropped(tmp_path: Path, model: str) -> None:
    with Served(tmp_path / "hub") as hub:
        kept = hub.client().upload_model(model).model_id
        begun = hub.hub.store.add("models", {"name": "x", "type": pb.MODEL_TYPE_ONNX, "is_directory": 0})
        hub.hub.store.blob(begun).write_bytes(b"half")
        hub.hub.store.change("models", begun, created=time.time() - 2 * 86400)
        hub.hub.store.change("models", kept, created=time.time() - 2 * 86400)
        old = hub.client().upload_dataset({"x": [np.zeros(3, np.float32)]}).dataset_id
        hub.hub.store.change("datasets", old, expires=time.time() - 1)
    with Served(tmp_path / "hub") as hub:
        assert [path.name for path in hub.hub.store.blobs.iterdir()] == [kept]
        assert hub.hub.store.get("models", begun) is None
        assert hub.hub.store.get("datasets", old) is not None  # that it was, and when it expired, is still known
