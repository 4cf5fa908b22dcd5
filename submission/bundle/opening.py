"""Reading a zip that somebody else made: refused at the first thing that `lpcv package` does not write.

Nothing is unpacked, nothing is written, and only what is bounded is read: names and sizes are judged before contents,
and since files are stored one behind the other, without a gap or an overlap, they cannot be more than the zip itself.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ...errors import InputError
from .layout import MOST_FILES, most_bytes
from .zipping import END, END_MARK, LOCAL, LOCAL_MARK, ROW, ROW_MARK, STORED, Entry

REMEDY = "Do not unpack it; ask its sender for a bundle made by `lpcv package`."
DAMAGED = "Copy or download the bundle again."
CHUNK_BYTES = 2**20
LONGEST_NAME = 100
MOST_COMMENT_BYTES = 2**16
ZIP64_MARK, ZIP64_LOCATOR_BYTES = b"PK\x06\x07", 20
ENCRYPTED = 0x1


@dataclass(frozen=True)
class OpenBundle:
    """A zip whose form is safe; of its contents nothing is known yet."""

    path: Path
    stream: BinaryIO
    entries: dict[str, Entry]

    def digest(self, name: str) -> str:
        """SHA-256, read piece by piece. Raises InputError where the zip's own checksum does not agree."""
        total, crc = sha256(), 0
        for piece in self._pieces(self.entries[name]):
            total.update(piece)
            crc = zlib.crc32(piece, crc)
        if crc != self.entries[name].crc:
            raise InputError(f"{self.path}: {name} does not agree with the zip's checksum of it.", DAMAGED)
        return total.hexdigest()

    def read(self, name: str) -> bytes:
        """At most `layout.most_bytes` of memory."""
        return b"".join(self._pieces(self.entries[name]))

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        self.stream.seek(entry.content_offset)
        left = entry.size
        while left:
            piece = self.stream.read(min(left, CHUNK_BYTES))
            if not piece:
                raise InputError(f"{self.path} was cut off while it was read.", DAMAGED)
            left -= len(piece)
            yield piece


@contextmanager
def opened(path: Path) -> Iterator[OpenBundle]:
    """Raises InputError where the file is missing, no zip, cut off, or not as `zipping` writes it."""
    if not path.is_file():
        raise InputError(f"{path} does not exist.", "`lpcv package RUN -o bundle.zip` writes one.")
    try:
        with path.open("rb") as stream:
            yield OpenBundle(path, stream, _entries(path, stream))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).", DAMAGED) from None


def parse_json(content: bytes, name: str) -> Any:
    """Raises InputError for what is no JSON, is nested too deeply, or holds a number that is none or is too large."""
    try:
        return json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{name} is damaged: it is not readable JSON ({said}).", REMEDY) from None


def parse_record(content: bytes, name: str) -> dict[str, Any]:
    """Raises InputError for what `parse_json` refuses, and for JSON that is no object."""
    found = parse_json(content, name)
    if not isinstance(found, dict):
        raise InputError(f"{name} is damaged: it is no JSON object.", REMEDY)
    return found


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _entries(path: Path, stream: BinaryIO) -> dict[str, Entry]:
    """Name -> entry, in the order of the zip, all of them safe and as they should be."""
    directory_offset, directory, count = _directory(path, stream)
    entries: dict[str, Entry] = {}
    rows: list[bytes] = []
    for _ in range(count):
        entry, row = _row(path, directory)
        directory = directory[len(row) :]
        if entry.name.casefold() in (name.casefold() for name in entries):
            raise _unsafe(path, entry.name, "occurs more than once")
        entries[entry.name] = entry
        rows.append(row)
    if directory:
        raise InputError(f"{path}: its directory lists more files than the {count} that it counts.", REMEDY)
    _demand_no_folders(path, entries)
    reached = 0
    for entry, row in zip(entries.values(), rows, strict=True):
        if entry.offset != reached:
            how = "overlaps the file before it" if entry.offset < reached else "leaves a gap before it"
            raise _unsafe(path, entry.name, how)
        _demand_same_header(path, stream, entry)
        if row != entry.directory_row():
            raise _unsafe(path, entry.name, "has a header that `lpcv package` does not write")
        reached = entry.end
    if reached != directory_offset:
        how = "overlap its directory" if reached > directory_offset else "leave a gap before its directory"
        raise InputError(f"{path}: its files {how}.", REMEDY)
    return entries


def _directory(path: Path, stream: BinaryIO) -> tuple[int, bytes, int]:
    """Where the directory begins, its bytes, and how many files it counts."""
    size = os.fstat(stream.fileno()).st_size
    if stream.read(4) not in (LOCAL_MARK, END_MARK):
        raise _no_zip(path, "it does not begin like one: nothing may stand before the first file")
    if size < END.size:
        raise _no_zip(path, "it is too short")
    stream.seek(size - END.size)
    mark, disk, first_disk, here, count, length, offset, comment = END.unpack(stream.read(END.size))
    if mark != END_MARK or comment:
        stream.seek(max(0, size - MOST_COMMENT_BYTES - END.size))
        if END_MARK in stream.read():
            raise _no_zip(path, "data or a comment stands behind its end")
        raise _no_zip(path, "its end is missing")
    end = size - END.size
    stream.seek(max(0, end - ZIP64_LOCATOR_BYTES))
    if 0xFFFF in (here, count) or 0xFFFFFFFF in (length, offset) or stream.read(4) == ZIP64_MARK:
        raise InputError(f"{path} is a zip64, which no bundle needs.", REMEDY)
    if disk or first_disk or here != count:
        raise InputError(f"{path} is one part of a zip in several parts.", REMEDY)
    if count > MOST_FILES:
        raise InputError(f"{path} holds {count} files, a bundle at most {MOST_FILES}.", REMEDY)
    if length > MOST_FILES * (ROW.size + LONGEST_NAME):
        raise InputError(f"{path}: its directory is too long for {count} files.", REMEDY)
    if offset + length != end:
        raise _no_zip(path, "its directory is not where its end says")
    stream.seek(offset)
    return offset, stream.read(length), count


def _row(path: Path, directory: bytes) -> tuple[Entry, bytes]:
    """The first row of what is left of the directory, as an entry and as it stands there."""
    if len(directory) < ROW.size or directory[:4] != ROW_MARK:
        raise _no_zip(path, "its directory is damaged")
    (_, _, _, flags, method, _, _, crc, packed, size, name_length, extra, comment, _, _, attributes, offset) = (
        ROW.unpack(directory[: ROW.size])
    )
    length = ROW.size + name_length + extra + comment
    if len(directory) < length:
        raise _no_zip(path, "its directory is damaged")
    raw = directory[ROW.size : ROW.size + name_length]
    name = raw.decode("ascii", "backslashreplace")
    problem = _name_problem(raw) or _kind_problem(flags, method, attributes)
    if not problem and 0xFFFFFFFF in (packed, size, offset):
        problem = "has sizes as in a zip64, which no bundle needs"
    if not problem and size > most_bytes(name):
        problem = f"says that it has {size} bytes, at most {most_bytes(name)} are allowed"
    if not problem and packed != size:
        problem = "is stored, and yet its sizes packed and unpacked differ"
    if problem:
        raise _unsafe(path, name, problem)
    return Entry(name, size, crc, offset), directory[:length]


def _name_problem(raw: bytes) -> str | None:
    if not raw.isascii() or any(byte < 0x20 or byte == 0x7F for byte in raw):
        return "has a name that is not plain text"
    name = raw.decode("ascii")
    if not name or len(name) > LONGEST_NAME or name.startswith("/") or any(mark in name for mark in "\\:"):
        return "is no plain relative file name"
    if ".." in PurePosixPath(name).parts:
        return "leaves the folder it would be unpacked in"
    # Windows drops blanks and full stops at the end of a name, which makes two names one.
    if name != str(PurePosixPath(name)) or any(part != part.strip(" .") for part in name.split("/")):
        return "is no plain relative file name"
    return None


def _kind_problem(flags: int, method: int, attributes: int) -> str | None:
    if stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG):
        return "is a link or a special file"
    if flags & ENCRYPTED:
        return "is encrypted"
    if method != STORED:
        return "is compressed, while a bundle's files are stored as they are"
    return None


def _demand_no_folders(path: Path, entries: dict[str, Entry]) -> None:
    names = {name.casefold() for name in entries}
    for name in entries:
        for folder in PurePosixPath(name.casefold()).parents:
            if str(folder) in names:
                raise _unsafe(path, str(folder), f"is a file and also the folder of {name!r}")


def _demand_same_header(path: Path, stream: BinaryIO, entry: Entry) -> None:
    """The header before the content must say what the directory says: else two readers see two different files."""
    expected = entry.local_header()
    stream.seek(entry.offset)
    found = stream.read(len(expected))
    if found == expected:
        return
    if len(found) < LOCAL.size or found[:4] != LOCAL_MARK:
        raise _unsafe(path, entry.name, "has no header where the directory says")
    _, _, _, _, _, _, _, packed, size, name_length, _ = LOCAL.unpack(found[: LOCAL.size])
    if name_length != len(entry.name) or found[LOCAL.size :] != entry.name.encode():
        raise _unsafe(path, entry.name, "has another name in its own header")
    if (packed, size) != (entry.size, entry.size):
        raise _unsafe(path, entry.name, "has another size in its own header")
    raise _unsafe(path, entry.name, "has a header that `lpcv package` does not write")


def _unsafe(path: Path, name: str, problem: str) -> InputError:
    return InputError(f"{path}: the entry {name!r} {problem}.", REMEDY)


def _no_zip(path: Path, why: str) -> InputError:
    return InputError(f"{path} is not a readable zip, or is cut off ({why}).", DAMAGED)
