"""The one file of a multipart/form-data request, streamed to disk."""

from __future__ import annotations

import re
from typing import BinaryIO

from starlette.requests import Request

LONGEST_HEAD = 64 * 1024  # of a part's header lines


class FormError(Exception):
    """What is wrong with the form, as a sentence, and the status that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def receive_file(request: Request, field: str, most_bytes: int, stream: BinaryIO) -> int:
    """Write the content of the part named `field` into `stream`; gives its size. Raises FormError."""
    kind = request.headers.get("content-type", "")
    match = re.fullmatch(r'multipart/form-data;\s*boundary="?([^";\s]{1,200})"?', kind)
    if match is None:
        raise FormError(400, "The upload must be multipart/form-data with a boundary.")
    reader = _Reader(match[1].encode("latin-1"), field, most_bytes, stream)
    async for chunk in request.stream():
        reader.feed(chunk)
    if reader.too_large:
        raise FormError(413, f"The file is larger than the stand-in takes ({most_bytes} bytes).")
    if not reader.complete:
        raise FormError(400, f"The form ended without a whole file named '{field}'.")
    return reader.size


class _Reader:
    """RFC 7578: each part begins with --boundary, has header lines, an empty line, and its content."""

    def __init__(self, boundary: bytes, field: str, most_bytes: int, stream: BinaryIO) -> None:
        self._mark = b"\r\n--" + boundary
        self._field = field.encode()
        self._most, self._stream = most_bytes, stream
        self._held = b"\r\n"  # the first boundary lacks the line end that the others have
        self._state = "content"  # of the preamble, which is thrown away
        self._wanted = False
        self.size = 0
        self.complete = False
        self.too_large = False

    def feed(self, chunk: bytes) -> None:
        self._held += chunk
        while self._state != "end" and self._step():
            pass
        if self._state == "end":
            self._held = b""

    def _step(self) -> bool:
        """Deal with what is held; False where more must come first."""
        if self._state == "content":
            at = self._held.find(self._mark)
            if at < 0:
                sure = len(self._held) - len(self._mark)  # a mark may lie across two chunks
                if sure > 0:
                    self._take(self._held[:sure])
                    self._held = self._held[sure:]
                return False
            self._take(self._held[:at])
            self._held = self._held[at + len(self._mark) :]
            self.complete = self.complete or self._wanted
            self._wanted, self._state = False, "head"
            return True
        if len(self._held) >= 2 and self._held.startswith(b"--"):
            self._state = "end"
            return True
        at = self._held.find(b"\r\n\r\n")
        if at < 0:
            if len(self._held) > LONGEST_HEAD:
                raise FormError(400, "A part of the form has too long a header.")
            return False
        named = re.search(rb'(?i)content-disposition:[^\r\n]*;\s*name="([^"\r\n]*)"', self._held[:at])
        self._wanted = named is not None and named[1] == self._field and not self.complete
        self._held = self._held[at + 4 :]
        self._state = "content"
        return True

    def _take(self, content: bytes) -> None:
        if not self._wanted:
            return
        self.size += len(content)
        if self.size > self._most:
            self.too_large = True
        else:
            self._stream.write(content)
