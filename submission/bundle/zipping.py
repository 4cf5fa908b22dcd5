"""A zip whose bytes depend on names and contents alone: one way to write each header, and no other.

Entries are stored uncompressed: weights hardly compress, and different builds of zlib give different bytes. Since each
header can be written in one way only, `opening` refuses every zip that is written in another.
Format: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory) and 4.3.16 (end).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

LOCAL, ROW, END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
LOCAL_MARK, ROW_MARK, END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
VERSION, FLAGS, STORED = 20, 0, 0
MADE_ON_UNIX = 3 << 8 | VERSION
TIME, DATE = 0, 1 << 5 | 1
"""1 January 1980, the least date a zip can hold: the time of packaging would make two packagings differ."""
ATTRIBUTES = (0o100000 | 0o644) << 16  # a regular file


@dataclass(frozen=True)
class Entry:
    """One file in a zip. size: bytes; offset: of its header from the beginning of the zip"""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def content_offset(self) -> int:
        return self.offset + LOCAL.size + len(self.name.encode())

    @property
    def end(self) -> int:
        return self.content_offset + self.size

    def local_header(self) -> bytes:
        name = self.name.encode()
        sizes = (self.size, self.size, len(name), 0)
        return LOCAL.pack(LOCAL_MARK, VERSION, FLAGS, STORED, TIME, DATE, self.crc, *sizes) + name

    def directory_row(self) -> bytes:
        name = self.name.encode()
        sizes = (self.size, self.size, len(name), 0, 0, 0, 0)
        made = (MADE_ON_UNIX, VERSION, FLAGS, STORED, TIME, DATE)
        return ROW.pack(ROW_MARK, *made, self.crc, *sizes, ATTRIBUTES, self.offset) + name


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """The zip of these files (name in ASCII -> content), sorted by name; below 4 GB in all."""
    parts, rows, offset = [], [], 0
    for name in sorted(files):
        entry = Entry(name, len(files[name]), zlib.crc32(files[name]), offset)
        parts += [entry.local_header(), files[name]]
        rows.append(entry.directory_row())
        offset = entry.end
    directory = b"".join(rows)
    end = END.pack(END_MARK, 0, 0, len(rows), len(rows), len(directory), offset, 0)
    return b"".join([*parts, directory, end])
