"""Who this stand-in is: its id, token and signing key, made once per folder; and the files that lead a client to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...errors import InputError
from ...files import replacing
from .settings import VERSION

SECTION = "lpcv"  # in client.ini; the client ignores it, our tools read it


@dataclass(frozen=True)
class Identity:
    """Kept in `identity.json` (0600). The id is in every URL and as hard to guess as the token."""

    instance: str
    token: str
    signing_key: str

    def token_is(self, given: str) -> bool:
        """In constant time, whatever bytes were given."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())

    def sign(self, *parts: str | int) -> str:
        message = "\0".join(str(part) for part in parts).encode()
        return hmac.new(self.signing_key.encode(), message, hashlib.sha256).hexdigest()[:40]

    def signed(self, signature: str, *parts: str | int) -> bool:
        return hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self.sign(*parts).encode())


def identity_of(root: Path) -> Identity:
    """The folder's identity, made where it has none yet. Raises InputError where its file is damaged."""
    path = root / "identity.json"
    if not path.exists():
        made = Identity(secrets.token_hex(10), secrets.token_urlsafe(30), secrets.token_hex(32))
        write_private(path, json.dumps(vars(made), indent=2) + "\n")
    try:
        return Identity(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}).", f"Remove {root} and start the stand-in again.") from error


@contextmanager
def claimed(root: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder for this process. Raises InputError where another server has it."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(root / "server.lock")
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        url = (last_seen(root) or {}).get("url", "an unknown address")
        raise InputError(
            f"A stand-in for {root} is running already, at {url}.", "Use that one, or choose another --root."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_claimed(root: Path) -> bool:
    """Whether a server has the folder, or is just about to have it or to leave it."""
    try:
        with FileLock(root / "server.lock", timeout=0):
            return False
    except Timeout:
        return True


def write_access(root: Path, identity: Identity, port: int) -> Path:
    """Write `client.ini` for the client and `server.json` for our tools; gives the former."""
    url = f"http://127.0.0.1:{port}/{identity.instance}/"
    ini = root / "client.ini"
    write_private(
        ini,
        f"[api]\napi_token = {identity.token}\napi_url = {url}\nweb_url = {url}\nverbose = true\n\n"
        f"[{SECTION}]\nstand_in = {identity.instance}\n",
    )
    seen = {"url": url, "port": port, "pid": os.getpid(), "version": VERSION, "started": time.time()}
    write_private(root / "server.json", json.dumps(seen, indent=2) + "\n")
    return ini


def last_seen(root: Path) -> dict[str, Any] | None:
    """url, port and pid of the folder's last server; None where there was none, or the file says something else."""
    try:
        seen = json.loads((root / "server.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return seen if _leads_here(seen) else None


def _leads_here(seen: Any) -> bool:
    """Is it what `write_access` writes? The token goes to that address."""
    if not isinstance(seen, dict) or not isinstance(seen.get("url"), str):
        return False
    port, pid = seen.get("port"), seen.get("pid")
    return (
        type(port) is int and 0 < port < 65536 and type(pid) is int
        and re.fullmatch(rf"http://127\.0\.0\.1:{port}/[0-9a-f]+/", seen["url"]) is not None
    )  # fmt: skip


def write_private(path: Path, text: str) -> None:
    """Whole or absent, and never readable by others, not even for a moment."""
    with replacing(path, private=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
