"""Child processes: Python modules in a group of their own, which Ctrl-C in the terminal does not reach.

A child gets one end of a pipe whose other end its parent holds: where that closes, which the system does however the
parent ended, nobody wants the result any more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO


def start(
    module: str, folder: Path, output: IO[bytes], stdin: int = subprocess.DEVNULL, *, words: Sequence[str] = (),
    pass_fds: Sequence[int] = (), env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """`python -m MODULE FOLDER WORDS`; what it prints goes to `output`.

    stdin, pass_fds (not on Windows), env: as `subprocess` takes them
    """
    command = [sys.executable, "-P", "-m", module, str(folder.resolve()), *words]
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(
            command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, creationflags=group, env=env
        )
    return subprocess.Popen(
        command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=pass_fds,
        env=env,
    )  # fmt: skip


def kill(child: subprocess.Popen[bytes]) -> None:
    """The child, and where the system can what it started."""
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def end_with_the_parent(pipe: int, last: Callable[[], object] | None = None) -> None:
    """In the child: end this process, whatever it is doing, as soon as the pipe's other end closes.

    pipe: the file descriptor of its reading end; last: done before
    """

    def watch() -> None:
        while os.read(pipe, 4096):
            pass
        try:
            if last is not None:
                last()
        finally:
            os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
