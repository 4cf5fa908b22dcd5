"""What goes wrong on this side or with what AI Hub keeps: failed jobs, expired datasets, full disks, wrong clocks."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import tempfile
import time
import types
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import h5py
import pytest
from hub_bench import IMAGE, Bench, bench, compiling, place, told  # noqa: F401
from hub_faults import FILE, JOB, LIST, LOGS, SUBMIT, answers, first
from hub_processes import Processes, processes

DYNAMIC = ("batch", 3, 4, 6)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, place: object) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("processes")) as running:
        yield running


@pytest.fixture
def inferring(bench: Bench) -> list[object]:
    """`lpcv infer` of one frame with a compiled model."""
    return ["infer", bench.compiled(IMAGE), "--data", bench.images(1)]


# A job that failed


def test_a_failed_job_says_why_and_is_not_spent_again(bench: Bench) -> None:
    command = compiling(bench.model(DYNAMIC))
    for _ in range(2):
        ended = bench.type(*command)
        assert ended.code == 1
        assert "FAILED: " in ended.out
        assert "has a dynamic shape" in ended.out  # the reason
        assert re.search(r"^    .*failed: Input 'image'", ended.err, re.MULTILINE)  # the log's last line
        assert "Export with fixed sizes" in ended.err  # the remedy
        assert "with --again it orders another job" in ended.err
        assert bench.jobs == 1
    assert bench.type(*command, "--again").code == 1
    assert bench.jobs == 2
    assert bench.type(*command).code == 1
    assert (bench.jobs, bench.uploads) == (2, 1)


def test_the_reason_is_shown_where_the_log_cannot_be_had(bench: Bench) -> None:
    with bench.faults.on(LOGS, answers(503)):
        ended = bench.type(*compiling(bench.model(DYNAMIC)))
    assert ended.code == 1
    assert "has a dynamic shape" in ended.out
    assert "Its log cannot be had" in ended.err


def test_nothing_runs_what_was_not_compiled(bench: Bench) -> None:
    model = bench.model(DYNAMIC)
    bench.type(*compiling(model))
    sentence = told(bench.type("profile", model))
    assert "lpcv compile" in sentence
    assert bench.jobs == 1


# What AI Hub has forgotten


def test_an_expired_dataset_is_sent_again_once(bench: Bench, inferring: list[object]) -> None:
    with bench.faults.on(SUBMIT, answers(413)):
        told(bench.type(*inferring))
    (dataset,) = [event.facts["id"] for event in bench.events("uploaded") if event.facts["what"] == "dataset"]
    bench.served.hub.store.change("datasets", dataset, expires=1.0)
    ended = bench.type(*inferring)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 2)


@pytest.mark.parametrize("times", [1, None])
def test_a_dataset_that_only_the_server_knows_to_be_expired(
    bench: Bench, inferring: list[object], times: int | None
) -> None:
    with bench.faults.on(SUBMIT, answers(400, detail="Dataset d123 has expired."), times=times) as rule:
        ended = bench.type(*inferring)
    assert rule.hits == (times or 2)  # sent again once, not for ever
    if times is None:
        assert "has expired" in told(ended)
        ended = bench.type(*inferring)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 2)


@pytest.mark.parametrize("table", ["models", "datasets"])
def test_what_was_deleted_there_is_sent_again(bench: Bench, inferring: list[object], table: str) -> None:
    command = inferring if table == "datasets" else [*compiling(bench.model())]
    with bench.faults.on(SUBMIT, answers(413)):
        told(bench.type(*command))
    uploaded = bench.events("uploaded")[-1].facts["id"]
    bench.served.hub.store.run(f"DELETE FROM {table} WHERE id = ?", uploaded)
    bench.forget()
    ended = bench.type(*command)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 1)


def test_a_job_that_was_deleted_there_is_said_to_be_gone(bench: Bench) -> None:
    command = compiling(bench.model())
    with bench.faults.on(JOB, answers(401)):
        told(bench.type(*command))  # submitted, and not followed
    (record,) = bench.records()
    store = bench.served.hub.store
    while store.rows("SELECT 1 FROM jobs WHERE id = ? AND finished IS NULL", record.job_id):
        time.sleep(0.005)
    store.run("DELETE FROM jobs WHERE id = ?", record.job_id)
    for _ in range(2):
        ended = bench.type(*command)
        assert ended.code == 1
        assert "not known there any more" in ended.out
    ended = bench.type(*command, "--again")
    assert ended.code == 0, ended.err
    assert bench.jobs == 1  # the deleted one is not counted
    assert bench.records()[-1].intended["nth"] == 1


# What lies on this disk


@pytest.mark.parametrize(
    ("verb", "harm"),
    [
        pytest.param(verb, harm, marks=() if harm == always else pytest.mark.slow)
        for verb, always in (("compile", "cut"), ("profile", "gone"), ("infer", "changed"))
        for harm in ("changed", "cut", "gone")
    ],
)
def test_a_fetched_file_that_is_not_what_it_was_is_fetched_again(bench: Bench, verb: str, harm: str) -> None:
    model = bench.compiled(IMAGE)
    command = {"compile": [*compiling(model)], "profile": ["profile", model],
               "infer": ["infer", model, "--data", bench.images(1)]}[verb]  # fmt: skip
    assert bench.type(*command).code == 0
    jobs, record = bench.jobs, bench.records()[-1]
    (told_,) = record.fetched.values()
    path = bench.folder.root / told_["path"]
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if harm == "changed" else whole[: len(whole) // 2])
    assert bench.type(*command).code == 0
    assert path.read_bytes() == whole
    assert bench.jobs == jobs
    assert len(bench.events("fetched")) == len({event.key for event in bench.events("fetched")}) + 1


def test_predictions_that_are_gone_are_made_from_what_was_kept(bench: Bench, inferring: list[object]) -> None:
    bench.type(*inferring)
    (npy,) = bench.folder.root.glob("predictions/*/*.npy")
    whole = npy.read_bytes()
    npy.unlink()
    before = bench.faults.count(FILE)
    assert bench.type(*inferring).code == 0
    assert npy.read_bytes() == whole
    assert bench.faults.count(FILE) == before


def test_outputs_that_cannot_be_read_are_fetched_anew(bench: Bench, inferring: list[object]) -> None:
    with bench.faults.on(FILE, answers(200, body=b"not an HDF5 file")):
        assert "no output dataset" in told(bench.type(*inferring))
    ended = bench.type(*inferring)
    assert ended.code == 0, ended.err
    assert bench.jobs == 1


class FullDatabase(sqlite3.Connection):
    """Its n-th insertion finds no space on the disk."""

    nth = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("INSERT"):
            FullDatabase.nth -= 1
            if FullDatabase.nth == 0:
                raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *values)


@pytest.mark.parametrize(
    "nth", [pytest.param(nth, marks=() if nth in (1, 4) else pytest.mark.slow) for nth in range(1, 7)]
)
def test_the_ledgers_disk_is_full_at_any_event(bench: Bench, nth: int) -> None:
    command = compiling(bench.model())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FullDatabase, "nth", nth)
        connect = lambda *args, **kwargs: sqlite3.connect(*args, **kwargs, factory=FullDatabase)  # noqa: E731
        patched.setattr("lpcv.hub_jobs.ledger.sqlite3", types.SimpleNamespace(**{**vars(sqlite3), "connect": connect}))
        sentence = told(bench.type(*command))
    assert str(bench.folder.ledger) in sentence
    assert "Free some space" in sentence
    if nth == 1:
        assert bench.uploads == 0  # nothing is sent before the intention is written
    ended = bench.type(*command)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 2 if nth == 2 else 1)


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes")
@pytest.mark.parametrize("file_bytes", [30_000, pytest.param(44_000, marks=pytest.mark.slow)])
def test_a_file_system_that_takes_no_more(bench: Bench, started: Processes, file_bytes: int) -> None:
    """A real refusal of the system to let the ledger, or the file beside it, grow."""
    command = compiling(bench.model())
    process = started.start(bench.words(*command), bench.folder.root, file_bytes=file_bytes)
    assert started.ended(process) == 2, process.said
    assert "Traceback" not in process.said
    assert "cannot be used" in process.said
    ended = bench.type(*command)
    assert ended.code == 0, ended.err
    assert bench.jobs == 1


def test_the_disk_is_full_in_a_download(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    command = compiling(bench.model())
    with pytest.MonkeyPatch.context() as patched:

        def full(path: str, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            return open("/dev/full", mode, buffering=0) if mode == "wb" else open(path, mode, *args, **kwargs)

        patched.setattr("qai_hub.api_utils.open", full, raising=False)
        sentence = told(bench.type(*command))
    assert f"{os.strerror(errno.ENOSPC)} ({tempfile.gettempdir()}{os.sep}" in sentence
    job_id = str(bench.records()[-1].job_id)
    assert list(bench.folder.job(job_id).iterdir()) == []
    ended = bench.type(*command)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 1)


def test_the_disk_is_full_when_a_dataset_is_written(bench: Bench, inferring: list[object]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        real = h5py.File
        patched.setattr("h5py.File", lambda path, mode: real("/dev/full" if mode == "w" else path, mode))
        sentence = told(bench.type(*inferring))
    assert f"inputs.h5 cannot be written ({os.strerror(errno.ENOSPC)})" in sentence
    assert (bench.jobs, bench.uploads) == (0, 0)
    ended = bench.type(*inferring)
    assert ended.code == 0, ended.err
    assert (bench.jobs, bench.uploads) == (1, 1)


# The clock


def moved(patched: pytest.MonkeyPatch, days: float) -> None:
    """This side's clock, as the client and lpcv read it; the stand-in keeps the right time."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    for module in ("qai_hub.client", "lpcv.hub_jobs.answers", "lpcv.hub_jobs.ledger", "lpcv.hub_jobs.history"):
        patched.setattr(f"{module}.datetime", Moved)


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_moves_changes_nothing(bench: Bench, inferring: list[object], days: float) -> None:
    command = compiling(bench.model())
    assert bench.type(*command).code == 0
    assert bench.type(*inferring).code == 0
    with pytest.MonkeyPatch.context() as patched:
        moved(patched, days)
        for each in (command, inferring):
            assert bench.type(*each).code == 0
        assert bench.type("jobs", "wait").code == 0
    assert (bench.jobs, bench.uploads) == (2, 2)


def test_a_job_that_was_cut_off_is_found_with_another_clock(bench: Bench) -> None:
    command = compiling(bench.model())
    with (
        bench.faults.on(SUBMIT, answers(504, handled=True)),
        bench.faults.on(LIST, answers(503)),
        bench.faults.on(LIST, first(lambda: None), times=1),  # the look before anything is sent
    ):
        told(bench.type(*command))
    assert bench.jobs == 1
    with pytest.MonkeyPatch.context() as patched:
        moved(patched, -400)
        assert bench.type(*command).code == 0
    assert (bench.jobs, bench.uploads) == (1, 1)


def test_a_slow_clock_and_a_dataset_that_has_expired(bench: Bench, inferring: list[object]) -> None:
    with bench.faults.on(SUBMIT, answers(413)):
        told(bench.type(*inferring))
    dataset = bench.events("uploaded")[-1].facts["id"]
    bench.served.hub.store.change("datasets", dataset, expires=datetime.now().timestamp() - 3600)
    with pytest.MonkeyPatch.context() as patched:
        moved(patched, -1)  # by this clock it is good for another 23 hours
        ended = bench.type(*inferring)
    assert ended.code == 0, ended.err
    assert "has expired; sending it again" in ended.err
    assert (bench.jobs, bench.uploads) == (1, 2)


def test_a_fast_clock_is_told_where_every_dataset_would_be_expired(bench: Bench, inferring: list[object]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        moved(patched, 400)
        assert "Set this machine's clock" in told(bench.type(*inferring))
    assert bench.jobs == 0
    assert bench.type(*inferring).code == 0
    assert bench.jobs == 1
