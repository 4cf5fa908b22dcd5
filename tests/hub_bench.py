"""A desk to try things at: one stand-in with faults, a ledger of its own for each test, sleeps that take no time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hub_faults import Faults
from hub_fixtures import S24, Served, offline, small_model
from lpcv.cli import run
from lpcv.hub_folder import HubFolder
from lpcv.hub_jobs.history import Record, records
from lpcv.hub_jobs.ledger import Event, Ledger
from lpcv.hub_jobs.stand_in.settings import Settings
from lpcv.hub_jobs.stand_in.worker import Worker

IMAGE = (1, 3, 480, 640)
QUICK = Settings(hold_seconds=0.1)  # a GET of an unfinished job is held shorter than `impatience` lasts
SLEEPERS = ("urllib3.util.retry", "backoff._sync", "lpcv.hub_jobs.dispatch", "lpcv.hub_jobs.waiting",
            "lpcv.hub_jobs.client")  # fmt: skip
LEAST_S = 0.003  # what a sleep really takes, so that the stand-in's threads come to work
MADE: dict[str, tuple[str | None, dict[str, bytes]]] = {}  # by `computed_once`: why a job failed, and its files
numbers = itertools.count()


class Clock:
    """The client side's `time`: a sleep only moves it on, and is written down. The stand-in keeps the real one."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        if not seconds >= 0:
            raise ValueError("sleep length must be non-negative")  # as the real one
        self.slept.append(seconds)
        time.sleep(min(seconds, LEAST_S))

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.slept)

    def installed(self, patched: pytest.MonkeyPatch) -> Clock:
        module = types.SimpleNamespace(**{**vars(time), "sleep": self.sleep, "monotonic": self.monotonic})
        for name in SLEEPERS:
            patched.setattr(f"{name}.time", module)
        return self


def impatience(patched: pytest.MonkeyPatch, seconds: float) -> None:
    """How long the client waits for an answer, in place of 28 s (4 s for uploads and downloads)."""
    from qai_hub.util.session import SessionWithRetryAndTimeout as Session

    real = Session.__init__

    def init(self: Any, *args: Any, response_timeout_seconds: float, **kwargs: Any) -> None:
        real(self, *args, response_timeout_seconds=seconds, **kwargs)  # type: ignore[arg-type]

    patched.setattr(Session, "__init__", init)
    patched.setattr("lpcv.hub_jobs.client.PROBE_TIMEOUT_S", (3.05, seconds))


@contextmanager
def computed_once() -> Iterator[None]:
    """What a job's process made of the same graph, options and inputs is copied: faults are tested, not numbers."""
    real = Worker._work

    def work(self: Worker, here: Path) -> str | None:
        order = json.loads((here / "order.json").read_text())
        graph = hashlib.sha256(onnx.load(order["model"]).graph.SerializeToString()).hexdigest()
        inputs = order.get("dataset")
        told = [graph, inputs and hashlib.sha256(Path(inputs).read_bytes()).hexdigest()]
        told += [order.get(key) for key in ("kind", "options", "inputs", "profiling", "precision", "device")]
        key = json.dumps(told)
        if key not in MADE:
            reason = real(self, here)
            MADE[key] = reason, {path.name: path.read_bytes() for path in here.iterdir()}
        reason, files = MADE[key]
        for name, content in files.items():
            (here / name).write_bytes(content)
        return reason

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Worker, "_work", work)
        yield


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Bench:
    """One test's ledger at a stand-in that many tests share; counts what came there since it was made."""

    def __init__(self, served: Served, faults: Faults, clock: Clock, root: Path) -> None:
        self.served, self.faults, self.clock, self.root = served, faults, clock, root
        self.folder = HubFolder(root / "hub")
        self._before = {table: self._count(table) for table in ("jobs", "models", "datasets")}

    def model(self, shape: tuple[Any, ...] = (1, 3, 4, 6)) -> Path:
        """A model that no other test has: the graph is the same, a remark is not."""
        number = next(numbers)
        path = small_model(self.root / f"m{number}" / f"net{number}.onnx", shape)
        remark = onnx.ModelProto()
        remark.metadata_props.add(key="number", value=f"{self.root} {number}")
        path.write_bytes(path.read_bytes() + remark.SerializeToString())  # protobuf messages merge when joined
        return path

    def images(self, count: int) -> Path:
        """A folder of images of one colour each."""
        folder = self.root / "images"
        folder.mkdir(exist_ok=True)
        for index in range(count):
            cv2.imwrite(str(folder / f"{index:04d}.png"), np.full((480, 640, 3), 10 + index, np.uint8))
        return folder

    def words(self, *words: object) -> list[str]:
        return [*map(str, words), "--hub", str(self.served.ini)]

    def type(self, *words: object) -> Ended:
        """Run `lpcv WORDS --hub ...` in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(self.words(*words))
        return Ended(code, out.getvalue(), err.getvalue())

    def compiled(self, shape: tuple[Any, ...] = IMAGE) -> Path:
        """A model that has been compiled, and whose job does not count."""
        model = self.model(shape)
        ended = self.type(*compiling(model))
        assert ended.code == 0, ended.err
        self.forget()
        return model

    def forget(self) -> None:
        """Count from now on."""
        self._before = {table: self._count(table) for table in self._before}

    @property
    def jobs(self) -> int:
        """Submissions that the server took."""
        return self._count("jobs") - self._before["jobs"]

    @property
    def uploads(self) -> int:
        """Models and datasets that arrived there whole."""
        return sum(self._count(table) - self._before[table] for table in ("models", "datasets"))

    def events(self, *names: str) -> list[Event]:
        """The ledger's, all or those of some names."""
        with Ledger(self.folder.ledger, read_only=True) as ledger:
            return [event for event in ledger.all() if not names or event.event in names]

    def records(self) -> list[Record]:
        with Ledger(self.folder.ledger, read_only=True) as ledger:
            return records(ledger)

    def _count(self, table: str) -> int:
        where = {"models": "producer IS NULL AND complete = 1", "jobs": "1"}.get(
            table, "complete = 1 AND name NOT LIKE '%outputs (stand-in)'"
        )
        return self.served.hub.store.rows(f"SELECT COUNT(*) AS count FROM {table} WHERE {where}")[0]["count"]


def compiling(model: Path, *more: str) -> list[str]:
    return ["compile", str(model), "--device", S24, *more]


Again = Callable[[], Ended]


def told(ended: Ended) -> str:
    """The sentence with which a command gave up. It must be one, with exit code 2, and no traceback."""
    lines = ended.err.strip().splitlines()
    assert ended.code == 2, ended.said
    assert lines[-1].startswith("lpcv: "), ended.err
    assert "Traceback" not in ended.said
    return lines[-1].removeprefix("lpcv: ")


@contextmanager
def shared_stand_in(root: Path) -> Iterator[tuple[Served, Faults]]:
    """For the tests of a module."""
    faults = Faults()
    with offline(root / "home"), computed_once(), Served(root / "server", faults, QUICK) as served:
        yield served, faults


def bench_at(place: tuple[Served, Faults], root: Path, patched: pytest.MonkeyPatch) -> Bench:
    """A desk with its own ledger for one test."""
    served, faults = place
    bench = Bench(served, faults, Clock().installed(patched), root)
    patched.setenv("LPCV_HUB_FOLDER", str(bench.folder.root))
    return bench


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Faults]]:
    with shared_stand_in(tmp_path_factory.mktemp("stand-in")) as both:
        yield both


@pytest.fixture
def bench(place: tuple[Served, Faults], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench_at(place, tmp_path, monkeypatch)


def ordering(bench: Bench, verb: str, images: int = 1) -> list[object]:
    """A command of that verb; what it needs first is there and does not count. images: that `infer` is given"""
    if verb == "compile":
        return [*compiling(bench.model())]
    model = bench.compiled(IMAGE if verb == "infer" else (1, 3, 4, 6))
    return ["infer", model, "--data", bench.images(images)] if verb == "infer" else ["profile", model]
