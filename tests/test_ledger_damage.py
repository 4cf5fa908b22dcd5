"""What is no ledger, is damaged, full, held or of another version is a sentence, and what was added stays."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from ledger_bench import HUB, KEY, database, filled, names, path  # noqa: F401
from lpcv.errors import InputError
from lpcv.hub_jobs import ledger as module
from lpcv.hub_jobs.ledger import SCHEMA, Ledger


def read(path: Path) -> int | None:
    """How many events there are; None where a sentence says that it cannot be told."""
    try:
        return len(names(path))
    except InputError:
        return None


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"not a database, but long enough to have a header" * 9, b"\0" * 4096])
def test_what_is_no_database_is_a_sentence_and_is_left_alone(path: Path, content: bytes, read_only: bool) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a ledger.*lpcv jobs reconcile"), Ledger(path, read_only=read_only):
        names(path)
    assert path.read_bytes() == content


def test_a_folder_in_the_ledger_s_place_is_a_sentence(path: Path) -> None:
    path.mkdir(parents=True)
    for read_only in (False, True):
        with pytest.raises(InputError, match="cannot be used"), Ledger(path, read_only=read_only) as ledger:
            ledger.all()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_a_later_version_is_a_sentence(filled: Path, database: sqlite3.Connection, read_only: bool) -> None:
    database.execute(f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(InputError, match="later version of lpcv"), Ledger(filled, read_only=read_only) as ledger:
        ledger.all()


def test_reading_a_ledger_that_was_just_begun_gives_nothing(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert names(path) == []


def test_a_ledger_that_was_just_begun_is_gone_on_with(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Ledger(path) as ledger:
        ledger.add("intended", HUB, KEY)
    assert names(path) == ["intended"]


def test_a_damaged_schema_is_a_sentence_or_does_no_harm(filled: Path) -> None:
    """The first page of 4096 bytes holds the header and the tables' definitions; one byte of it is changed."""
    whole, damaged = filled.read_bytes(), filled.with_name("damaged.sqlite")
    for at in range(0, 4096, 13):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 128]) + whole[at + 1 :])
        assert read(damaged) in (3, None)
        for beside in ("-wal", "-shm"):
            damaged.with_name(f"damaged.sqlite{beside}").unlink(missing_ok=True)


def test_a_damaged_event_is_a_sentence(filled: Path) -> None:
    whole = filled.read_bytes()
    assert whole.count(b'{"title"') == 1
    filled.write_bytes(whole.replace(b'{"title"', b'{+title"'))
    with pytest.raises(InputError, match="is damaged"):
        names(filled)


def test_a_file_that_was_cut_off_is_a_sentence(filled: Path) -> None:
    filled.write_bytes(filled.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"is not a ledger, or is damaged|cannot be used"):
        names(filled)


def test_a_full_disk_is_a_sentence_and_what_was_added_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        pages = ledger._database.execute("PRAGMA page_count").fetchone()[0]
        ledger._database.execute(f"PRAGMA max_page_count={pages + 3}")
        added, said = 0, ""
        try:
            for _ in range(100):
                ledger.add("state", HUB, KEY, "jabcde", {"padding": "x" * 500})
                added += 1
        except InputError as error:
            said = str(error)
        assert re.search(rf"{path} .*full\).*Free some space", said)
        assert 0 < added < 100
        assert len(ledger.all()) == added
        ledger._database.execute("PRAGMA max_page_count=1000000")
        ledger.add("state", HUB, KEY)  # room again: it goes on where it stopped
        assert len(ledger.all()) == added + 1


def locked_out(filled: Path, monkeypatch: pytest.MonkeyPatch, database: sqlite3.Connection) -> InputError:
    """What a command says while another process holds the ledger for longer than we wait."""
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    database.execute("BEGIN IMMEDIATE")
    with Ledger(filled) as ledger, pytest.raises(InputError) as caught:
        ledger.add("state", HUB, KEY)
    return caught.value


def test_a_ledger_that_somebody_holds_is_a_sentence_and_is_not_written(
    filled: Path, monkeypatch: pytest.MonkeyPatch, database: sqlite3.Connection
) -> None:
    assert "locked" in locked_out(filled, monkeypatch, database).problem
    assert len(names(filled)) == 3


def test_a_ledger_that_somebody_holds_is_not_blamed_on_the_disk(
    filled: Path, monkeypatch: pytest.MonkeyPatch, database: sqlite3.Connection
) -> None:
    assert "disk" not in locked_out(filled, monkeypatch, database).remedy
