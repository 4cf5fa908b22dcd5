"""The ledger: only added to, by many at once, read without a change, and every broken file is a sentence."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_bench import HUB, KEY, database, filled, names, path  # noqa: F401
from lpcv.errors import InputError
from lpcv.hub_jobs import ledger as module
from lpcv.hub_jobs.ledger import Ledger

WRITER = """
import sys, time
from pathlib import Path
from lpcv.hub_jobs.ledger import Ledger
path, go, who, many = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
with Ledger(path) as ledger:
    for index in range(many):
        ledger.add("state", "hub", who, f"j{who}", {"state": str(index)})
        print(index, flush=True)
"""


def writer(path: Path, who: str, many: int) -> subprocess.Popen[str]:
    """A process that adds `many` events as soon as the file GO lies beside the ledger, and prints each afterwards."""
    words = [sys.executable, "-c", WRITER, str(path), str(path.parent / "GO"), who, str(many)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_events_come_back_as_they_were_written_in_order(filled: Path) -> None:
    with Ledger(filled) as ledger:
        events = ledger.all()
        assert [event.number for event in events] == [1, 2, 3]
        assert [event.event for event in events] == ["intended", "attempted", "submitted"]
        assert events[0].facts == {"type": "compile", "title": "Größe"}
        assert (events[1].facts, events[1].job_id) == ({}, None)
        assert (events[2].hub, events[2].key, events[2].job_id) == (HUB, KEY, "jabcde")
        assert ledger.all("attempted") == [events[1]]


def test_the_time_is_utc_of_now(filled: Path) -> None:
    with Ledger(filled) as ledger:
        at = datetime.fromisoformat(ledger.all()[0].at)
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(hours=1)


def test_a_job_brings_its_intention_and_nothing_of_others(path: Path) -> None:
    with Ledger(path) as ledger:
        for hub, key, job in (("h", "k", "j1111"), ("h", "other", "j2222"), ("other", "k", "j3333")):
            ledger.add("intended", hub, key)
            ledger.add("submitted", hub, key, job)
        ledger.add("fetched", "h", "k", "j1111")
        assert [event.event for event in ledger.of_job("j1111")] == ["intended", "submitted", "fetched"]
        assert {(event.hub, event.key) for event in ledger.of_job("j3333")} == {("other", "k")}
        assert ledger.of_job("j9999") == []
        assert ledger.of_key("h", "j1111") == []


def test_text_of_people_is_no_sql(path: Path) -> None:
    nasty = "'); DELETE FROM events; --"
    with Ledger(path) as ledger:
        ledger.add("intended", nasty, nasty, nasty, {nasty: nasty})
        assert ledger.of_key(nasty, nasty) == ledger.of_job(nasty) == ledger.all()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET facts = '{}'",
        "UPDATE OR REPLACE events SET number = 1 WHERE number = 2",
        "DELETE FROM events",
        "DELETE FROM events WHERE number = 3",
        "INSERT INTO events (number, at, hub, key, event, facts) VALUES (1, '', '', '', 'state', '{}')",
    ],
)
def test_sqlite_itself_refuses_to_change_or_lose_an_event(
    filled: Path, database: sqlite3.Connection, statement: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    assert names(filled) == ["intended", "attempted", "submitted"]


def test_an_event_cannot_be_replaced(filled: Path, database: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        database.execute("REPLACE INTO events (number, at, hub, key, event, facts) VALUES (1, '', '', '', 'x', '{}')")
    assert names(filled) == ["intended", "attempted", "submitted"]


def test_a_number_is_never_used_twice(filled: Path, database: sqlite3.Connection) -> None:
    database.execute("DROP TRIGGER no_loss")
    database.execute("DELETE FROM events WHERE number = 3")
    with Ledger(filled) as ledger:
        ledger.add("state", HUB, KEY)
        assert [event.number for event in ledger.all()] == [1, 2, 4]


def test_several_processes_start_at_once_on_a_missing_ledger_and_lose_nothing(path: Path) -> None:
    path.parent.mkdir()
    many, whos = 12, ("a", "b", "c", "d")
    running = [writer(path, who, many) for who in whos]
    assert [line_of(process) for process in running] == ["ready"] * len(whos)
    (path.parent / "GO").touch()
    assert [process.wait(60) for process in running] == [0] * len(whos)
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
    with Ledger(path) as ledger:
        assert len(ledger.all()) == many * len(whos)
        for who in whos:
            assert [event.facts["state"] for event in ledger.of_key("hub", who)] == [str(i) for i in range(many)]


def test_several_threads_each_with_its_own_ledger(path: Path) -> None:
    start, failed = threading.Barrier(6), []

    def work(who: str) -> None:
        try:
            start.wait()
            with Ledger(path) as ledger:
                for index in range(8):
                    ledger.add("state", "hub", who, None, {"state": index})
                    assert ledger.of_key("hub", who)[-1].facts == {"state": index}
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(str(who),)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(names(path)) == 48


def test_opening_waits_for_a_process_that_is_just_making_the_ledger(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA user_version=0")
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.1, other.execute, ["COMMIT"])
        release.start()
        try:
            with Ledger(path) as ledger:
                ledger.add("intended", HUB, KEY)
        finally:
            release.join()
    assert names(path) == ["intended"]


def test_what_was_added_outlives_kill_9(path: Path) -> None:
    path.parent.mkdir()
    process = writer(path, "a", 10_000)
    (path.parent / "GO").touch()
    told = [line_of(process) for _ in range(11)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert told == ["ready", *map(str, range(10))]
    with Ledger(path) as ledger:
        states = [event.facts["state"] for event in ledger.all()]
        assert len(states) >= 10
        assert states == [str(index) for index in range(len(states))]
        ledger.add("state", "hub", "b")


def test_reading_a_missing_ledger_gives_nothing_and_makes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path / "hub" / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.all() == ledger.of_job("jabcde") == ledger.of_key(HUB, KEY) == []
    assert list(tmp_path.iterdir()) == []


def test_reading_changes_no_byte_and_cannot_write(filled: Path) -> None:
    before = filled.read_bytes()
    with Ledger(filled, read_only=True) as ledger:
        assert len(ledger.all()) == 3
        with pytest.raises(InputError, match="readonly"):
            ledger.add("state", HUB, KEY)
    assert filled.read_bytes() == before


def test_reading_leaves_no_file_behind(filled: Path) -> None:
    before = sorted(filled.parent.iterdir())
    assert len(names(filled)) == 3
    assert sorted(filled.parent.iterdir()) == before


def test_reading_sees_what_a_process_that_still_writes_has_added(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add("intended", HUB, KEY)
        assert path.with_name("ledger.sqlite-wal").stat().st_size > 0
        assert names(path) == ["intended"]
        ledger.add("attempted", HUB, KEY)
        assert names(path) == ["intended", "attempted"]


def test_a_reader_does_not_hold_up_a_writer(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.1)
    with closing(sqlite3.connect(filled, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (3,)
        with Ledger(filled) as ledger:
            ledger.add("state", HUB, KEY)
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (3,)


@pytest.mark.parametrize("name", ["a b?mode=memory#x", "100%25", "Größe"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.add("intended", HUB, KEY)
    assert names(path) == ["intended"]


JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


@given(facts=st.dictionaries(st.text(max_size=5), JSON | st.lists(JSON, max_size=3), max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_facts_come_back(path: Path, facts: dict[str, object]) -> None:
    with Ledger(path) as ledger:
        ledger.add("state", HUB, KEY, None, facts)
        assert ledger.all()[-1].facts == json.loads(json.dumps(facts)) == facts
