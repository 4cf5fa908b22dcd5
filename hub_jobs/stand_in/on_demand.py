"""A stand-in for as long as somebody needs it: started if none runs, shared, and gone soon after the last user."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from ...errors import InputError, UnreachableError
from ..children import start
from .identity import identity_of, is_claimed, last_seen
from .needs import demand_stand_in

START_SECONDS = 60.0  # importing everything on a busy machine
TRY_SECONDS = 0.1
ANSWER_SECONDS = 10.0
_started: list[subprocess.Popen[bytes]] = []  # they outlive their lease a little; Python asks after forgotten children


@contextmanager
def running(root: Path) -> Iterator[Path]:
    """Yield the `client.ini` of a running stand-in for `root`, and keep it running meanwhile.

    The lease is an open connection, so that it also ends when this process is killed.
    Raises UnreachableError where no server comes up, InputError where `root` cannot be a folder, MissingStepError where
    a package is missing.
    """
    demand_stand_in()
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(f"{root} cannot hold the stand-in ({error}).", "Choose another folder.") from error
    lease = _obtain(root)
    try:
        yield root / "client.ini"
    finally:
        lease.close()


def _obtain(root: Path) -> http.client.HTTPConnection:
    """A lease of the server that runs, or of one that is started."""
    log = root / "server.log"
    with FileLock(root / "start.lock", timeout=START_SECONDS * 2):  # one starts it, the others find it
        lease = _lease(root)
        if lease is not None:
            return lease
        # A server that is just going still holds the folder; the new one waits for that.
        child = _start(root, log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            lease = _lease(root)
            if lease is not None:
                return lease
            if child.poll() is not None:
                raise UnreachableError(f"The stand-in for {root} did not start.", f"{log} says why: {_last_line(log)}")
            time.sleep(TRY_SECONDS)
        child.kill()
        child.wait()
    raise UnreachableError(f"The stand-in for {root} does not answer after {START_SECONDS:.0f} s.", f"See {log}.")


def _lease(root: Path) -> http.client.HTTPConnection | None:
    """None where no server answers, or one that is closing. Proxies of the environment are not asked."""
    seen = last_seen(root)
    if seen is None or not is_claimed(root):  # at the old address there may be somebody else, who gets no token
        return None
    parts = urlsplit(str(seen["url"]))
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(
            "GET", f"{parts.path}private/lease/", headers={"Authorization": f"token {identity_of(root).token}"}
        )
        response = connection.getresponse()
        if response.status == 200 and response.readline():
            return connection  # which keeps its unfinished response, and so the socket, open
    except (OSError, http.client.HTTPException):
        pass  # nobody there, or somebody else
    connection.close()
    return None


def _start(root: Path, log: Path) -> subprocess.Popen[bytes]:
    """In a group of its own: Ctrl-C is for the command, which may still want to fetch something."""
    with log.open("ab") as stream:
        child = start("lpcv.hub_jobs.stand_in", root, stream)
    _started.append(child)
    return child


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it is empty."
