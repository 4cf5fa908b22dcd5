"""Commands as processes of their own that can be killed with -9, at a chosen step or from outside.

One process imports everything once and forks for each command: a second saved for each. It has no threads, so that
the forks are sound. `python hub_processes.py` is that process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()


@dataclass(frozen=True)
class Process:
    """A command that runs, and where what it says goes."""

    pid: int
    out: Path
    err: Path

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()


class Processes:
    """Where commands are started and waited for; one line of JSON each way."""

    def __init__(self, child: subprocess.Popen[str], root: Path) -> None:
        self._child, self._root, self._count = child, root, 0

    def start(self, words: list[str], folder: Path, **plan: Any) -> Process:
        """folder: LPCV_HUB_FOLDER. plan: `before=N`, `after=N` (kill itself around the N-th event), `answered=True`

        (right after a submission was answered), `file_bytes=N` (no file may become larger).
        """
        self._count += 1
        out, err = self._root / f"{self._count}.out", self._root / f"{self._count}.err"
        order = {"words": words, "out": str(out), "err": str(err), "folder": str(folder), "plan": plan}
        return Process(self._ask(order), out, err)

    def ended(self, process: Process) -> int:
        """Wait for it; its exit code, or minus the signal."""
        return self._ask({"wait": process.pid})

    def run(self, words: list[str], folder: Path, **plan: Any) -> int:
        return self.ended(self.start(words, folder, **plan))

    def _ask(self, order: Mapping[str, Any]) -> int:
        assert self._child.stdin
        assert self._child.stdout
        print(json.dumps(order), file=self._child.stdin, flush=True)
        return int(self._child.stdout.readline())


@contextmanager
def processes(root: Path) -> Iterator[Processes]:
    root.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.Popen(
        [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        yield Processes(child, root)
    finally:
        assert child.stdin
        assert child.stdout
        child.stdin.close()
        child.wait(30)
        child.stdout.close()


def serve() -> None:
    """Fork for each order, wait for what is asked for, until standard input ends."""
    import cv2  # noqa: F401  what commands import, here and once
    import h5py  # noqa: F401
    import onnx  # noqa: F401
    import qai_hub  # noqa: F401
    from lpcv.hub_jobs import collect, dispatch, inference, ledger, models, plan, profiling, sharing, waiting  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            os._exit(_command(order))
        print(pid, flush=True)


def _command(order: Mapping[str, Any]) -> int:
    """In the forked process."""
    import pytest
    from hub_bench import Clock
    from lpcv.cli import run

    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ["LPCV_HUB_FOLDER"] = order["folder"]
    Clock().installed(pytest.MonkeyPatch())
    plan = order["plan"]
    _kill_around_an_event(plan.get("before"), plan.get("after"))
    if plan.get("answered"):
        _kill_when_answered()
    if plan.get("file_bytes"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["file_bytes"], resource.RLIM_INFINITY))
    code = run(order["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_around_an_event(before: int | None, after: int | None) -> None:
    from lpcv.hub_jobs.ledger import Ledger

    real, count = Ledger.add, 0

    def add(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count == before:
            _die()
        real(*args, **kwargs)
        if count == after:
            _die()

    Ledger.add = add  # type: ignore[method-assign]


def _kill_when_answered() -> None:
    from requests.adapters import HTTPAdapter

    real = HTTPAdapter.send

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = real(self, request, *args, **kwargs)
        if request.method == "POST" and "/api/v1/jobs/" in request.url:
            _die()
        return response

    HTTPAdapter.send = send  # type: ignore[method-assign]


if __name__ == "__main__":
    serve()
