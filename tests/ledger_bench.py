"""What tests of the ledger share: three events of one job, and somebody who has SQLite in his hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from lpcv.hub_jobs.ledger import Ledger

HUB, KEY = "https://hub.example", "ab12"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub" / "ledger.sqlite"


@pytest.fixture
def filled(path: Path) -> Path:
    """Three events of one job, closed."""
    with Ledger(path) as ledger:
        ledger.add("intended", HUB, KEY, None, {"type": "compile", "title": "Größe"})
        ledger.add("attempted", HUB, KEY)
        ledger.add("submitted", HUB, KEY, "jabcde", {"url": "https://hub.example/jobs/jabcde/"})
    return path


@pytest.fixture
def database(filled: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with SQLite in his hand, who commits."""
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        yield connection


def names(path: Path) -> list[str]:
    with Ledger(path, read_only=True) as ledger:
        return [event.event for event in ledger.all()]
