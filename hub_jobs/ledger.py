"""The ledger: what was meant, sent and received, as events that are only added. SQLite, so every crash is survived.

An event is written BEFORE what it announces (`intended`, `attempted`) and right AFTER what it reports (`uploaded`,
`submitted`, `state`, `filed`, `fetched`, `shared`). Several processes may use it at once. It never holds a token.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError

EventName = Literal[
    "intended", "uploaded", "attempted", "refused", "submitted", "state", "filed", "fetched", "shared", "expired"
]
SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,            -- UTC, ISO 8601; shown, never compared: clocks move
    hub TEXT NOT NULL,           -- order.owner
    key TEXT NOT NULL,           -- content key of the job, or SHA-256 of what was uploaded
    event TEXT NOT NULL,
    job_id TEXT,
    facts TEXT NOT NULL          -- JSON
);
CREATE INDEX IF NOT EXISTS by_key ON events (key);
CREATE INDEX IF NOT EXISTS by_job ON events (job_id);
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER IF NOT EXISTS no_swap BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER IF NOT EXISTS no_loss BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
"""
WAIT_S = 30.0  # for another process that is writing


@dataclass(frozen=True)
class Event:
    """One line of the ledger; facts are what the event is about."""

    number: int
    at: str
    hub: str
    key: str
    event: str
    job_id: str | None
    facts: dict[str, Any]


class Ledger:
    """Events of jobs and uploads, in the order in which they were written."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, or make, the ledger. Raises InputError where the file is no ledger, or of a later version.

        read_only: not a byte is changed; a ledger that is not there reads as an empty one
        """
        self.path = path
        with self._sentences():
            if read_only:
                self._database = _opened_to_read(path)
                version = self._version()
                if version == 0 and not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
                    self._database.close()  # cut off while it was being made: nothing was ever meant
                    self._database = _opened_to_read(None)
                    version = SCHEMA
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
                self._log_ahead()
                self._database.execute("PRAGMA synchronous=FULL")
                version = self._version()
            if version > SCHEMA:
                raise InputError(
                    f"{path} was written by a later version of lpcv.", "Update lpcv: `pip install -U lpcv`."
                )
            if version < SCHEMA and not read_only:
                self._database.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")

    def _version(self) -> int:
        return self._database.execute("PRAGMA user_version").fetchone()[0]

    def _log_ahead(self) -> None:
        """Write-ahead logging; while another process is just turning it on, SQLite refuses without waiting."""
        until = time.monotonic() + WAIT_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self, event: EventName, hub: str, key: str, job_id: str | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Append an event; it is on the disk when this returns. Raises InputError where it cannot be written."""
        row = (datetime.now(UTC).isoformat(), hub, key, event, job_id, json.dumps(facts or {}, sort_keys=True))
        with self._sentences():
            self._database.execute("INSERT INTO events (at, hub, key, event, job_id, facts) VALUES (?,?,?,?,?,?)", row)

    def of_key(self, hub: str, key: str) -> list[Event]:
        return self._events("hub = ? AND key = ?", hub, key)

    def of_job(self, job_id: str) -> list[Event]:
        """Everything under the job's key, the intention included; empty where the job is unknown."""
        known = self._events("job_id = ?", job_id)
        return self.of_key(known[0].hub, known[0].key) if known else []

    def all(self, event: EventName | None = None) -> list[Event]:
        return self._events("event = ?", event) if event else self._events("1")

    def _events(self, where: str, *values: object) -> list[Event]:
        with self._sentences():
            rows = self._database.execute(
                f"SELECT number, at, hub, key, event, job_id, facts FROM events WHERE {where} ORDER BY number", values
            ).fetchall()
            return [
                Event(number, at, hub, key, event, job, json.loads(facts))
                for number, at, hub, key, event, job, facts in rows
            ]

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            said = str(error)
            remedy = "Check the disk and its permissions."
            if "full" in said:
                remedy = "Free some space and type the command again."
            elif "locked" in said:
                remedy = "Another lpcv has been writing for long; type the command again."
            raise InputError(f"The ledger {self.path} cannot be used ({said}).", remedy) from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.path} is not a ledger, or is damaged ({error}).",
                "Move it aside; `lpcv jobs reconcile` lists the jobs that bear lpcv's mark.",
            ) from error


def _opened_to_read(path: Path | None) -> sqlite3.Connection:
    """Not a byte is changed and no file is left behind; without a ledger, an empty one in memory."""
    if path is None or not path.exists():
        empty = sqlite3.connect(":memory:", isolation_level=None)
        empty.executescript(f"{TABLES} PRAGMA user_version={SCHEMA};")
        return empty
    # Where no other process has it open there is no log beside it, and SQLite would leave an empty one.
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{alone}", timeout=WAIT_S, isolation_level=None, uri=True)
