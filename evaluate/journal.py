"""Scores of single frames on disk while a long set is being scored, so that typing the command again goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..console import count, note
from ..data.folder import FrameFolder
from ..files import append_line, write_bytes
from .frame_score import FrameScore
from .predictions import HashedByFrame, Source
from .protocol import Protocol

Rows = tuple[FrameScore, ...]  # of one frame, one for each protocol


class Line(NamedTuple):
    """A line of the file that can be read; whether it is right is another question."""

    frame: str
    sha256: str
    rows: list[dict[str, Any]]
    raw: bytes


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines, one for each frame, appended and synced when it has been scored.

    Each line carries a hash over its rows and over all that decided them: the frame's own files, what predicted it,
    protocols, version. So a line that a crash cut short or a disk damaged is passed over and its frame scored again,
    and so is one whose frame or model has changed since; the others hold. Numbers survive JSON to the last bit.

    identity: frame -> the hash of all that decides its numbers; asked again, it looks again
    names: the frames that are being scored; others: those of the same folder that are not
    """

    path: Path
    protocols: Sequence[Protocol]
    identity: Callable[[str], str]
    names: tuple[str, ...]
    others: frozenset[str] = frozenset()

    @classmethod
    def beside(cls, out: Path, source: Source, frames: FrameFolder, protocols: Sequence[Protocol]) -> Journal:
        """The journal of this scoring beside the file or folder `out` that its result goes to.

        Its name holds what is scored, so that scorings that write to one place do not meet in it.
        """
        described = [dict(protocol.described()) for protocol in protocols]
        scored = [source.label, str(frames.root), described, source.kind]
        placed = out if out.name not in ("", "..") else out.resolve()
        name = f"{placed.name}.{_sha256(scored)[:8]}.part.jsonl"
        others = frozenset(frames.images) - frozenset(frames.names)
        return cls(placed.parent / name, protocols, identities(source, frames, protocols), frames.names, others)

    def resume(self) -> dict[str, Rows]:
        """What has been scored already and still holds, by frame."""
        wanted, identity = frozenset(self.names), cache(self.identity)
        held = [line for line in self._lines() if line.frame in wanted]
        done = {line.frame: self._rows(line) for line in held if line.sha256 == _hash(identity(line.frame), line.rows)}
        if done:
            note(f"Scored already: {count(len(done), 'frame')} ({self.path}); going on.")
        if stale := {line.frame for line in held} - set(done):
            again = count(len(stale), "frame")
            note(f"Scored again: {again} in {self.path}, of another model, data or version.")
        return done

    def append(self, identity: str, rows: Rows) -> None:
        """Add a frame; the first one begins the file. identity: as it was before the frame was read."""
        written = [row.as_json() for row in rows]
        line = json.dumps({"sha256": _hash(identity, written), "rows": written}, allow_nan=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A crash may have left a line without its end.
        append_line(self.path, line if _ends_a_line(self.path) else f"\n{line}")

    def finish(self) -> None:
        """Once the result itself has been written: remove these frames, and the file if no other frame is in it."""
        kept = [line for line in self._lines() if line.frame in self.others]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        write_bytes(self.path, b"".join(line.raw + b"\n" for line in kept))
        note(f"{self.path} still holds {count(len({line.frame for line in kept}), 'frame')} outside these.")

    def _lines(self) -> Iterator[Line]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        for raw in content.splitlines():
            try:
                told: Any = json.loads(raw)
                yield Line(str(told["rows"][0]["frame"]), str(told["sha256"]), told["rows"], raw)
            except (ValueError, LookupError, TypeError, RecursionError):  # cut short, or a disk lost a block
                continue

    def _rows(self, line: Line) -> Rows:
        # What has the right hash was written below this identity, so it has these protocols and their metrics.
        return tuple(
            FrameScore.from_json(row, protocol.metrics) for row, protocol in zip(line.rows, self.protocols, strict=True)
        )


def identities(source: Source, frames: FrameFolder, protocols: Sequence[Protocol]) -> Callable[[str], str]:
    """frame -> one hash of all that decides its numbers. It reads the frame's files."""
    described = [dict(protocol.described()) for protocol in protocols]
    same = _sha256([__version__, described, source.kind])
    predicts = source.sha256_of if isinstance(source, HashedByFrame) else _always(source.sha256())

    def identity(name: str) -> str:
        return _sha256([same, predicts(name), frames.subset((name,)).fingerprint()])

    return identity


def _always(value: str) -> Callable[[str], str]:
    return lambda name: value


def _hash(identity: str, written: Any) -> str:
    return _sha256([identity, written])


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _ends_a_line(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(size - 1, 0))
            return stream.read() in (b"", b"\n")
    except FileNotFoundError:
        return True
