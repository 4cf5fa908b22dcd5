"""The state that all requests share: the store, the worker, who waits for which job, and whether anybody is here."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path

from starlette.requests import Request

from .identity import identity_of
from .settings import Settings
from .store import Row, Store
from .wire import refuse
from .worker import TERMINAL, Worker

NOUNS = {"models": "model", "datasets": "dataset", "jobs": "job"}


class ServerState:
    """One stand-in. `start` and `stop` belong to the event loop's thread."""

    def __init__(self, root: Path, settings: Settings) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.settings = settings
        self.identity = identity_of(root)
        self.store = Store(root)
        self.worker = Worker(self.store, settings, self._job_changed)
        self.in_flight = 0
        self.leases = 0
        self.last_request = time.monotonic()
        self.ever_asked = False
        self._closing: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self.store.forget_abandoned(self.settings.abandoned_seconds)
        self.worker.start()

    def stop(self) -> None:
        """Ends the worker and its job, which goes on at the next start."""
        self.release_waiting()
        self.worker.stop()
        self.store.close()

    @property
    def closing(self) -> asyncio.Event:
        assert self._closing is not None, "the application's lifespan has not begun"
        return self._closing

    def release_waiting(self) -> None:
        """Answer every held request now, and grant no lease any more."""
        if self._closing is not None:
            self._closing.set()
        for events in self._waiting.values():
            for event in events:
                event.set()

    def idle_seconds(self) -> float:
        """How long nobody has asked for anything; 0 while a request or a lease is open."""
        return 0.0 if self.in_flight or self.leases else time.monotonic() - self.last_request

    async def until_finished(self, job_id: str) -> None:
        """Return when the job is done or failed, when the server closes, or after `hold_seconds`."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            job = self.store.get("jobs", job_id)
            if job is None or job["state"] in TERMINAL or self.closing.is_set():
                return
            async with asyncio.timeout(self.settings.hold_seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _job_changed(self, job_id: str) -> None:
        """Called from the worker's thread, when a job is done or failed."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._wake, job_id)
        except RuntimeError:  # the loop has closed: nobody is waiting any more
            return

    def _wake(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, ()):
            event.set()


def state_of(request: Request) -> ServerState:
    return request.app.state.hub


def found(request: Request, table: str, identifier: str | None = None) -> Row:
    """The row that the path names. Raises 404."""
    wanted = request.path_params["id"] if identifier is None else identifier
    row = state_of(request).store.get(table, wanted) if wanted.isascii() and len(wanted) <= 40 else None
    if row is None:
        raise refuse(404, f"There is no {NOUNS[table]} '{wanted[:40]}' here.")
    return row


def base_url(request: Request) -> str:
    """Of this server, from the socket: what the client claims in its headers is not asked."""
    port = request.scope["server"][1]
    return f"http://127.0.0.1:{port}/{state_of(request).identity.instance}/"
