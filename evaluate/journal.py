"""Scores of single frames on disk while a long set is being scored, so that typing the command again goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..console import note
from ..files import append_line, write_text
from .frame_score import FrameScore
from .protocol import Protocol

Rows = tuple[FrameScore, ...]  # of one frame, one for each protocol


def identity(protocols: Sequence[Protocol], kind: str, source_sha256: str, data_sha256: str) -> str:
    """One hash of all that decides the numbers: only rows of the same identity may be continued."""
    described = [dict(protocol.described()) for protocol in protocols]
    content = [__version__, described, kind, source_sha256, data_sha256]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines, one for each frame, appended and synced when it has been scored.

    Each line carries a hash over its rows and the identity that they belong to. So a line that a crash cut short or a
    disk damaged is dropped and its frame scored again, and so is one that another scoring wrote into the same file.
    Numbers survive JSON to the last bit.
    """

    path: Path
    identity: str
    protocols: Sequence[Protocol]

    def resume(self) -> dict[str, Rows]:
        """What has been scored already, by frame; the file is trimmed to it, or removed if that is nothing."""
        lines = self._lines()
        done = {rows[0].frame: rows for rows in map(self._rows, lines) if rows is not None}
        if done:
            write_text(self.path, "".join(f"{self._line(rows)}\n" for rows in done.values()))
            note(f"{len(done)} frames are scored already ({self.path}); going on.")
        elif lines:
            note(f"{self.path} holds no frame of this model, data and protocol: starting anew.")
            self.remove()
        return done

    def append(self, rows: Rows) -> None:
        """Add a frame; the first one begins the file."""
        if self.path.exists():
            append_line(self.path, self._line(rows))
        else:
            write_text(self.path, self._line(rows) + "\n")

    def remove(self) -> None:
        """Once the result itself has been written."""
        self.path.unlink(missing_ok=True)

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def _line(self, rows: Rows) -> str:
        written = [row.as_json() for row in rows]
        return json.dumps({"sha256": self._hash(written), "rows": written}, allow_nan=False)

    def _rows(self, line: bytes) -> Rows | None:
        """The rows of one line; None where they are not what was written, or not of this identity."""
        try:
            told: Any = json.loads(line)
            written = told["rows"]
            if told["sha256"] != self._hash(written):
                return None
        except (ValueError, KeyError, TypeError, RecursionError):  # cut short, or a disk lost a block
            return None
        # What has the right hash was written below this identity, so it has these protocols and their metrics.
        return tuple(
            FrameScore.from_json(row, protocol.metrics) for row, protocol in zip(written, self.protocols, strict=True)
        )

    def _hash(self, written: list[dict[str, Any]]) -> str:
        return hashlib.sha256(f"{self.identity}{json.dumps(written, allow_nan=False)}".encode()).hexdigest()
