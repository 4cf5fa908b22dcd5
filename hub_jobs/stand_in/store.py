"""What the stand-in knows, in SQLite, and where the bytes lie. File names are our ids, never a client's words."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Statement = tuple[str, Sequence[Any]]

SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, type INTEGER NOT NULL, is_directory INTEGER NOT NULL,
    created REAL NOT NULL, complete INTEGER NOT NULL DEFAULT 0, size INTEGER, upload TEXT, producer TEXT,
    input_spec TEXT, output_spec TEXT);
CREATE TABLE IF NOT EXISTS parts (
    model TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, PRIMARY KEY (model, number));
CREATE TABLE IF NOT EXISTS datasets (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL, expires REAL, permanent INTEGER NOT NULL,
    received INTEGER NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, request BLOB NOT NULL,
    name TEXT NOT NULL, device TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL, started REAL, finished REAL, attempts INTEGER NOT NULL DEFAULT 0,
    asked INTEGER NOT NULL DEFAULT 0, model TEXT NOT NULL, dataset TEXT, target_model TEXT, output_dataset TEXT,
    result TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE TABLE IF NOT EXISTS shares (
    kind TEXT NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, PRIMARY KEY (kind, id, email));
"""
PREFIXES = {"models": "m", "datasets": "d", "jobs": "jlocal"}  # "jlocal": nobody takes it for a job of the service


class Store:
    """One connection for all threads of the server; each statement is durable when it returns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (self.blobs, self.jobs):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            root / "stand_in.sqlite", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def blob(self, identifier: str) -> Path:
        """The bytes of a model or dataset; what is run, where that differs from what is handed out."""
        return self.blobs / identifier

    def packed(self, identifier: str) -> Path:
        """A target model as it is handed out, where that is not `blob` itself (ONNX models go zipped)."""
        return self.blobs / f"{identifier}.zip"

    def npu_model(self, identifier: str) -> Path:
        """What the NPU's compiler was given for a target model: one ONNX file."""
        return self.blobs / f"{identifier}.npu.onnx"

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(self, table: str, values: Mapping[str, Any]) -> str:
        """Insert a row with a fresh id, which is returned."""
        identifier, insertion = self.insertion(table, values)
        self.run_all([insertion])
        return identifier

    def insertion(self, table: str, values: Mapping[str, Any]) -> tuple[str, Statement]:
        """A fresh id and the statement that inserts the row, for `run_all`."""
        while True:
            random = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(7))
            identifier = PREFIXES[table] + random
            if self.get(table, identifier) is None:
                break
        row = {"id": identifier, "created": time.time(), **values}
        marks = ", ".join("?" * len(row))
        return identifier, (f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def get(self, table: str, identifier: str) -> Row | None:
        found = self.rows(f"SELECT * FROM {table} WHERE id = ?", identifier)
        return found[0] if found else None

    def change(self, table: str, identifier: str, **values: Any) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.run(f"UPDATE {table} SET {assignments} WHERE id = ?", *values.values(), identifier)

    def rows(self, query: str, *values: Any) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(query, values)]

    def run(self, statement: str, *values: Any) -> int:
        """One statement, committed and fsynced; gives how many rows it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def run_all(self, statements: Sequence[Statement]) -> None:
        """All of them or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._connection.execute(statement, tuple(values))
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def count_jobs(self) -> int:
        return int(self.rows("SELECT COUNT(*) AS count FROM jobs")[0]["count"])

    def share(self, kind: str, identifier: str, add: Sequence[str], remove: Sequence[str]) -> None:
        delete = "DELETE FROM shares WHERE kind = ? AND id = ? AND email = ?"
        gone: list[Statement] = [(delete, (kind, identifier, email)) for email in remove]
        new: list[Statement] = [("INSERT OR IGNORE INTO shares VALUES (?, ?, ?)", (kind, identifier, e)) for e in add]
        self.run_all([*gone, *new])

    def unshare(self, kind: str, identifier: str) -> None:
        self.run("DELETE FROM shares WHERE kind = ? AND id = ?", kind, identifier)

    def shared_with(self, kind: str, identifier: str) -> list[str]:
        query = "SELECT email FROM shares WHERE kind = ? AND id = ? ORDER BY rowid"
        return [row["email"] for row in self.rows(query, kind, identifier)]

    def forget_abandoned(self, older_than_seconds: float) -> None:
        """Drop uploads that were begun long ago and never finished, expired data, and files that no row speaks of."""
        limit = time.time() - older_than_seconds
        for table in ("models", "datasets"):
            produced = " AND producer IS NULL" if table == "models" else ""
            self.run(f"DELETE FROM {table} WHERE complete = 0 AND created < ?{produced}", limit)
        self.run("DELETE FROM parts WHERE model NOT IN (SELECT id FROM models)")
        alive = "SELECT id FROM models UNION SELECT id FROM datasets WHERE expires IS NULL OR expires > ?"
        known = {row["id"] for row in self.rows(alive, time.time())}
        for path in self.blobs.iterdir():
            if path.name.split(".")[0] not in known:
                path.unlink()


def read_json(text: str | None) -> Any:
    return json.loads(text) if text else None
