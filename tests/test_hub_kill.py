"""kill -9 anywhere: the same command goes on, and there is one job. Also several processes and threads at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_bench import Bench, bench, compiling, ordering, place  # noqa: F401
from hub_faults import FILE, FORM, JOB, PART, SUBMIT, Endpoint, Fault, Faults, half, late, silent
from hub_fixtures import S24, Served
from hub_processes import Processes, processes
from lpcv.hub_jobs.desk import desk
from lpcv.hub_jobs.dispatch import dispatch
from lpcv.hub_jobs.ledger import Ledger
from lpcv.hub_jobs.models import model_of
from lpcv.hub_jobs.order import Order

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork")
KILLED = -signal.SIGKILL
COMPILE_EVENTS = ("intended", "uploaded", "attempted", "submitted", "state", "fetched")
PROFILE_EVENTS = ("intended", "attempted", "submitted", "state", "fetched")
ALWAYS = {("compile", "attempted"), ("compile", "submitted"), ("compile", "fetched"), ("infer", "uploaded")}
STEPS = [
    pytest.param(
        verb, events.index(step) + 1, when, id=f"{verb}-{when}-{step}",
        marks=() if (verb, step) in ALWAYS else pytest.mark.slow,
    )
    for verb, events in (("compile", COMPILE_EVENTS), ("profile", PROFILE_EVENTS), ("infer", COMPILE_EVENTS))
    for step in events
    for when in ("before", "after")
]  # fmt: skip


@pytest.fixture(scope="module")
def started(place: tuple[Served, Faults], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("processes")) as running:
        yield running


def has_taken(bench: Bench, jobs: int) -> None:
    """Wait until the server has so many: a fault that is handled strikes after that."""
    until = time.monotonic() + 30
    while bench.jobs < jobs and time.monotonic() < until:
        time.sleep(0.005)


def goes_on(bench: Bench, command: list[object], uploads: int) -> None:
    """Typed again, it ends well with one job, and with what was uploaded whole before not uploaded again."""
    ended = bench.type(*command)
    assert ended.code == 0, ended.said
    assert (bench.jobs, bench.uploads) == (1, uploads)
    record = bench.records()[-1]
    assert (record.state, record.in_doubt) == ("SUCCESS", False)
    assert all((bench.folder.root / told["path"]).is_file() for told in record.fetched.values())
    assert len(record.fetched) == 1
    assert bench.type(*command).code == 0  # and for ever
    assert bench.jobs == 1


@pytest.mark.parametrize(("verb", "nth", "when"), STEPS)
def test_killed_around_a_step_of_the_ledger(bench: Bench, started: Processes, verb: str, nth: int, when: str) -> None:
    command = ordering(bench, verb, 2)
    written = len(bench.events())
    assert started.run(bench.words(*command), bench.folder.root, **{when: nth}) == KILLED
    events = [event.event for event in bench.events()[written:]]
    assert len(events) == nth - (when == "before")
    # What was whole on the server but not yet in the ledger is sent again: nobody can know of it.
    unknown = verb != "profile" and when == "before" and nth == 2
    goes_on(bench, command, (verb != "profile") + unknown)


@pytest.mark.parametrize("verb", ["compile", pytest.param("profile", marks=pytest.mark.slow), "infer"])
def test_killed_when_the_submission_was_answered(bench: Bench, started: Processes, verb: str) -> None:
    command = ordering(bench, verb, 2)
    assert started.run(bench.words(*command), bench.folder.root, answered=True) == KILLED
    assert bench.jobs == 1
    assert bench.events()[-1].event == "attempted"
    goes_on(bench, command, verb != "profile")
    assert bench.events("submitted")[-1].facts["known_by"] == "name"


@pytest.mark.parametrize(
    ("verb", "where", "fault", "jobs"),
    [
        ("compile", PART, silent(), 0),
        ("infer", FORM, silent(), 0),
        pytest.param("compile", SUBMIT, silent(), 0, id="submission-on-its-way"),
        pytest.param("compile", SUBMIT, silent(handled=True), 1, id="submission-made"),
        pytest.param("infer", SUBMIT, silent(handled=True), 1, marks=pytest.mark.slow),
        pytest.param("compile", JOB, silent(), 1, marks=pytest.mark.slow),
        ("compile", FILE, half(then_silent=True), 1),
        pytest.param("infer", FILE, half(then_silent=True), 1, marks=pytest.mark.slow),
        pytest.param("profile", SUBMIT, silent(handled=True), 1, marks=pytest.mark.slow),
    ],
)
def test_killed_while_a_request_is_on_its_way(
    bench: Bench, started: Processes, verb: str, where: Endpoint, fault: Fault, jobs: int
) -> None:
    command = ordering(bench, verb, 2)
    with bench.faults.on(where, fault) as rule:
        process = started.start(bench.words(*command), bench.folder.root)
        assert rule.reached.wait(30), process.said
        has_taken(bench, jobs)
        process.kill()
        assert started.ended(process) == KILLED
    assert bench.jobs == jobs
    assert [path for path in bench.folder.root.glob("jobs/*/*") if path.is_file()
            and path.parent.name == bench.records()[-1].job_id] == []  # fmt: skip
    goes_on(bench, command, verb != "profile")


def test_killed_while_sharing(bench: Bench, started: Processes) -> None:
    bench.type(*compiling(bench.model()))
    (record,) = bench.records()
    sharing = ["jobs", "share", record.job_id, "--with", "a@example.org", "--yes"]
    assert started.run(bench.words(*sharing), bench.folder.root, before=1) == KILLED  # shared, and not written down
    assert bench.records()[0].shared == ()
    ended = bench.type(*sharing)
    assert ended.code == 0, ended.err
    assert bench.records()[0].shared == ("a@example.org",)
    assert bench.served.hub.store.shared_with("jobs", str(record.job_id)) == ["a@example.org"]


def test_two_processes_with_the_same_order_make_one_job(bench: Bench, started: Processes) -> None:
    words = bench.words(*compiling(bench.model()))
    with bench.faults.on(SUBMIT, late(0.3)):
        both = [started.start(words, bench.folder.root) for _ in range(3)]
        assert [started.ended(each) for each in both] == [0, 0, 0], [each.said for each in both]
    assert (bench.jobs, bench.uploads) == (1, 1)
    assert len(bench.events("intended")) == len(bench.events("submitted")) == 1


def test_two_processes_with_one_model_for_two_devices_upload_it_once(bench: Bench, started: Processes) -> None:
    model = bench.model()
    orders = [bench.words("compile", model, "--device", device) for device in (S24, "Samsung Galaxy S23")]
    with bench.faults.on(PART, late(0.3)):
        both = [started.start(words, bench.folder.root) for words in orders]
        assert [started.ended(each) for each in both] == [0, 0], [each.said for each in both]
    assert (bench.jobs, bench.uploads) == (2, 1)
    assert {record.intended["device"] for record in bench.records()} == {S24, "Samsung Galaxy S23"}


def test_a_process_that_is_killed_gives_way_to_the_one_that_waits_for_it(bench: Bench, started: Processes) -> None:
    words = bench.words(*compiling(bench.model()))
    with bench.faults.on(SUBMIT, silent(handled=True), times=1) as rule:
        one = started.start(words, bench.folder.root)
        assert rule.reached.wait(30)
        has_taken(bench, 1)
        other = started.start(words, bench.folder.root)
        one.kill()
        assert (started.ended(one), started.ended(other)) == (KILLED, 0), other.said
    assert (bench.jobs, bench.uploads) == (1, 1)
    assert len(bench.events("submitted")) == 1


def test_three_threads_with_the_same_order_make_one_job(bench: Bench) -> None:
    order = Order("compile", "threads", model_of(bench.model()), S24, "--target_runtime tflite")
    found: list[str | None] = []

    def submit() -> None:
        with desk(str(bench.served.ini), bench.folder) as opened:
            found.append(dispatch(opened, order).job_id)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    with bench.faults.on(SUBMIT, late(0.2)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(found) == 3
    assert len(set(found)) == 1
    assert (bench.jobs, bench.uploads) == (1, 1)


WRITER = """
import sys
from pathlib import Path
from lpcv.hub_jobs.ledger import Ledger
sys.stdin.readline()
for number in range(40):
    with Ledger(Path(sys.argv[1])) as ledger:
        ledger.add("intended", "hub", f"{sys.argv[2]} {number}")
"""


def test_several_processes_write_into_a_ledger_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    ends = [(writer.communicate()[1], writer.returncode) for writer in writers]
    assert ends == [("", 0)] * 4
    with Ledger(path) as ledger:
        keys = [event.key for event in ledger.all()]
    assert sorted(keys) == sorted(f"{one} {number}" for one in range(4) for number in range(40))
