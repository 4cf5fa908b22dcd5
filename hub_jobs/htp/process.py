"""A child process that may crash, hang or eat memory: asked line by line, watched, and stopped in every case.

Its address space is not limited (the library then fails as if nodes were unsupported): what it really holds is watched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ...files import write_json
from ..children import kill, start
from .outcome import Crashed, Limits, OutOfMemory, OutOfTime, Stopped

CHILD = "lpcv.hub_jobs.htp.child"
LOG = "log.txt"
GENERIC = "fallback to CPU EP has been explicitly disabled"
LOOK_EVERY_S = 0.02  # between two looks at the child's memory; it can grow by some tens of MB in between
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ ")
_NOISE = ("# LIBNATIVE", "File mapped weights feature", "EPContext encryption config unavailable")


class Child:
    """One child at work in `folder`, which holds its order.json and gets its log.txt. Use it in a `with`.

    The folder is for this alone: where this process is killed, the child removes it and ends.
    """

    def __init__(self, folder: Path, order: dict[str, Any], limits: Limits) -> None:
        self.folder, self._order, self._limits = folder, order, limits
        self._unread = b""

    def __enter__(self) -> Child:
        write_json(self.folder / "order.json", self._order)
        # Answers come through a pipe of their own: the library prints what it likes to the other two. Nothing goes
        # through the second one, which closes with this process, however it ends.
        self._reports, writing = os.pipe()
        watched, self._alive = os.pipe()
        try:
            with (self.folder / LOG).open("wb") as log:
                self._process = start(
                    CHILD, self.folder, log, subprocess.PIPE, words=(str(writing), str(watched)),
                    pass_fds=(writing, watched), env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
                )  # fmt: skip
        except BaseException:
            os.close(self._reports)
            os.close(self._alive)
            raise
        finally:
            os.close(writing)
            os.close(watched)
        return self

    def __exit__(self, *_: object) -> None:
        """The child ends here in every case, whether it was done or not."""
        self._kill()
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        os.close(self._reports)
        os.close(self._alive)  # after its end: a child that sees this one close removes the folder

    def tell(self, line: str) -> None:
        """One line to the child; nothing where it has ended, which the next answer() says."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()

    def answer(self) -> dict[str, Any] | Stopped:
        """The child's next answer, or why there will be none. The limit of time begins anew with each call."""
        end = time.monotonic() + self._limits.seconds
        while b"\n" not in self._unread:
            if (held := self._memory_mb()) > self._limits.memory_mb:
                self._kill()
                return OutOfMemory(self._limits.memory_mb, f"it held {held:.0f} MB")
            left = end - time.monotonic()
            if left <= 0:
                self._kill()
                return OutOfTime(self._limits.seconds, last_line(self.folder / LOG))
            if select.select([self._reports], [], [], min(LOOK_EVERY_S, left))[0]:
                if not (read := os.read(self._reports, 65536)):
                    return self._ended()
                self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _memory_mb(self) -> float:
        """Resident memory; 0 where the process is gone."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _ended(self) -> Stopped:
        code = self._process.wait()
        line = last_line(self.folder / LOG)
        if re.search(r"bad_alloc|MemoryError|cannot allocate memory", line, re.IGNORECASE):
            return OutOfMemory(self._limits.memory_mb, line)
        if code >= 0:
            return Crashed(f"with code {code}", line)
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return Crashed(f"by signal {name}", line)

    def _kill(self) -> None:
        """The child and what it started."""
        kill(self._process)
        self._process.wait()


def last_line(log: Path) -> str:
    """The last line that says an error, or the last line; without colours, times and what it always prints."""
    lines = [_PREFIX.sub("", _COLOUR.sub("", line)).strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line and not any(noise in line for noise in _NOISE)]
    errors = [line for line in lines if line.startswith(("[E:", "[F:"))]
    telling = [line for line in errors if GENERIC not in line]  # it comes last, and says nothing
    return (telling or errors or lines or [""])[-1][:500]
