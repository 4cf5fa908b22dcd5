"""Child processes: Python modules in a group of their own, so that Ctrl-C in the terminal does not reach them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO


def start(module: str, folder: Path, output: IO[bytes], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """`python -m MODULE FOLDER`; what it prints goes to `output`. stdin: as `subprocess` takes it"""
    command = [sys.executable, "-P", "-m", module, str(folder.resolve())]
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, creationflags=group)
    return subprocess.Popen(command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


def kill(child: subprocess.Popen[bytes]) -> None:
    """The child, and where the system can what it started."""
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
