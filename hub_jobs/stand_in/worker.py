"""Runs the jobs, one after another, each in a process of its own that may crash, hang or eat memory."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from qai_hub import public_api_pb2 as pb

from ...files import write_json
from ..children import kill, start
from .npu import MODEL, REPORT
from .orders import order_for
from .settings import Settings
from .store import Row, Statement, Store

TERMINAL = (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED)
ATTEMPTS = 5  # a job that takes the whole server down each time is given up
TRIES = 3  # ... as one is for which the server itself lacks something, such as room on the disk
PAUSE_SECONDS = 1.0  # before something is tried again
WORK = "lpcv.hub_jobs.stand_in.work"
log = logging.getLogger(__name__)


class Worker:
    """A thread with one child process at a time, so that nothing disturbs a measurement."""

    def __init__(self, store: Store, settings: Settings, finished: Callable[[str], None]) -> None:
        self._store, self._settings, self._finished = store, settings, finished
        self._wanted = threading.Condition()
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None
        self._in_vain: Counter[str] = Counter()  # job -> how often the server itself could not do it
        self._thread = threading.Thread(target=self._loop, name="worker", daemon=True)

    def start(self) -> None:
        """Also takes up the jobs that an earlier server left unfinished."""
        self._store.run(
            "UPDATE jobs SET state = ? WHERE state NOT IN (?, ?, ?)",
            pb.JOB_STATE_CREATED, pb.JOB_STATE_CREATED, *TERMINAL,
        )  # fmt: skip
        self._thread.start()

    def wake(self) -> None:
        with self._wanted:
            self._wanted.notify()

    def stop(self) -> None:
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
            if self._child is not None:
                kill(self._child)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                job = self._next()
                if job is None:
                    with self._wanted:
                        if not self._stopping and self._next() is None:
                            self._wanted.wait(timeout=5)
                    continue
            except Exception:  # the thread must live
                if self._stopping:
                    return
                log.exception("the worker failed")
                time.sleep(PAUSE_SECONDS)
                continue
            try:
                self._run(job)
            except Exception as error:  # a full disk, say
                if self._stopping:
                    return
                log.exception("the worker failed")
                self._try_again(job, error)

    def _try_again(self, job: Row, error: Exception) -> None:
        """After a while, and that attempt does not count as one that ended the server; or never again."""
        self._in_vain[job["id"]] += 1
        try:
            if self._in_vain[job["id"]] >= TRIES:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                self._fail(job, f"The stand-in's machine could not do it, {TRIES} times: {reason}.")
                return
            self._store.change("jobs", job["id"], attempts=job["attempts"])
        except Exception:  # nothing can be written, not even that
            log.exception("the worker could not write that down")
        time.sleep(PAUSE_SECONDS)

    def _next(self) -> Row | None:
        query = "SELECT * FROM jobs WHERE state NOT IN (?, ?) ORDER BY number LIMIT 1"
        found = self._store.rows(query, *TERMINAL)
        return found[0] if found else None

    def _run(self, job: Row) -> None:
        attempt = job["attempts"] + 1
        folder = self._store.jobs / job["id"]
        if attempt > ATTEMPTS:
            self._fail(job, f"The stand-in gave up: the job ended {ATTEMPTS} times together with the server.")
            return
        profiling = pb.Job.FromString(job["request"]).inference_job.is_profiling_on
        running = pb.JOB_STATE_MEASURING_PERFORMANCE if profiling else pb.JOB_STATE_RUNNING_INFERENCE
        making = {"compile": pb.JOB_STATE_OPTIMIZING_MODEL, "quantize": pb.JOB_STATE_QUANTIZING_MODEL}
        state = making.get(job["kind"], running)
        self._store.change("jobs", job["id"], state=state, attempts=attempt, started=time.time())
        order, refusal = order_for(job, self._store, self._settings)
        if order is None:
            self._fail(job, refusal)
            return
        here = folder / str(attempt)
        shutil.rmtree(here, ignore_errors=True)
        write_json(here / "order.json", order)
        reason = self._work(here)
        if self._stopping and reason is not None:
            # stopped on purpose: that attempt does not count
            self._store.change("jobs", job["id"], state=pb.JOB_STATE_CREATED, attempts=attempt - 1)
            return
        _keep_log(here, folder)
        if reason is None:
            self._succeed(job, here, folder)
        else:
            self._fail(job, reason)
        shutil.rmtree(here, ignore_errors=True)

    def _work(self, here: Path) -> str | None:
        """Run the child to its end; gives why it failed, or None."""
        with (here / "log.txt").open("wb") as stream:
            with self._wanted:
                if self._stopping:
                    return "stopped"
                # The child ends when its standard input does, which also happens when this server is killed.
                self._child = start(WORK, here, stream, stdin=subprocess.PIPE)
            try:
                self._child.wait(timeout=self._settings.job_seconds)
            except subprocess.TimeoutExpired:
                kill(self._child)
                return f"The job took longer than the stand-in allows ({self._settings.job_seconds:g} s)."
            finally:
                code = self._child.wait()
                if self._child.stdin:
                    self._child.stdin.close()
                self._child = None
        result = here / "result.json"
        if not result.exists():
            return _how_it_ended(code)
        return json.loads(result.read_text(encoding="utf-8"))["reason"]

    def _succeed(self, job: Row, here: Path, folder: Path) -> None:
        """Take over the child's files, then the database in one step: killed in between, the job is done again."""
        result = json.loads((here / "result.json").read_text(encoding="utf-8"))
        changes: list[Statement] = []
        output = None
        if target := job["target_model"]:
            _take(here / "model.onnx", self._store.blob(target))
            _take(here / "model.zip", self._store.packed(target))
            _take(here / MODEL, self._store.npu_model(target))
            changes.append(
                (
                    "UPDATE models SET complete = 1, input_spec = ?, output_spec = ? WHERE id = ?",
                    (json.dumps(result["inputs"]), json.dumps(result["outputs"]), target),
                )
            )
        if (here / "outputs.h5").exists():
            lifetime = self._settings.dataset_days * 86400
            values = {"name": f"{job['name']} outputs (stand-in)", "expires": time.time() + lifetime, "permanent": 0}
            output, insertion = self._store.insertion("datasets", {**values, "received": 1, "complete": 1})
            _take(here / "outputs.h5", self._store.blob(output))
            changes.append(insertion)
        for name in ("trace.json", REPORT):
            _take(here / name, folder / name)
        done = "UPDATE jobs SET state = ?, finished = ?, output_dataset = ?, result = ? WHERE id = ?"
        changes.append((done, (pb.JOB_STATE_DONE, time.time(), output, json.dumps(result), job["id"])))
        self._store.run_all(changes)
        self._finished(job["id"])

    def _fail(self, job: Row, reason: str) -> None:
        changes = {"state": pb.JOB_STATE_FAILED, "reason": reason, "finished": time.time()}
        self._store.change("jobs", job["id"], **changes)
        self._finished(job["id"])


def _take(path: Path, place: Path) -> None:
    """Move, durably; nothing where the child left no such file."""
    if path.exists():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
        path.replace(place)


def _keep_log(here: Path, folder: Path) -> None:
    """The last attempt's log stands for the job."""
    (here / "log.txt").replace(folder / "log.txt")


def _how_it_ended(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"The job's process was ended by signal {name}; perhaps it needed too much memory. See the job's log."
    return f"The job's process ended with code {code} and without a result. See the job's log."
