"""What every command needs at hand: the hub, the ledger, and where things lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..console import note
from ..errors import InputError
from ..files import sha256_file
from ..hub_folder import HubFolder
from .answers import Summary
from .client import HubClient
from .connection import DEFAULT, Connection, connected
from .history import Record, kept_file, record_of_job, records
from .ledger import EventName, Ledger
from .order import MARK, owner

LOCK_NOTE_S = 2.0


@dataclass(frozen=True)
class Desk:
    """One command's access to one AI Hub."""

    hub: HubClient
    ledger: Ledger
    folder: HubFolder

    @property
    def connection(self) -> Connection:
        return self.hub.connection

    @property
    def way(self) -> str | None:
        """What `--hub` said, None where it said nothing."""
        return None if self.connection.name == DEFAULT else self.connection.name

    @cached_property
    def owner(self) -> str:
        """Whose jobs these are; what belongs to another account or hub is as if it were not there."""
        return owner(self.connection)

    @cached_property
    def marked(self) -> list[Summary]:
        """AI Hub's list of jobs that bear lpcv's mark, newest first, as it was when this command first looked."""
        return self.hub.find(MARK)

    def records(self) -> list[Record]:
        """The ledger's, of this owner, oldest intention first."""
        return [record for record in records(self.ledger) if record.hub == self.owner]

    def add(self, event: EventName, key: str, job_id: str | None = None, **facts: Any) -> None:
        self.ledger.add(event, self.owner, key, job_id, facts)

    @contextmanager
    def alone(self, content: str) -> Iterator[None]:
        """One process at a time for the same content; the lock of a process that dies is given back by the system."""
        from filelock import FileLock, Timeout

        self.folder.locks.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(f"{self.owner} {content}".encode()).hexdigest()[:32]
        lock = FileLock(self.folder.locks / f"{name}.lock")
        try:
            lock.acquire(timeout=LOCK_NOTE_S)
        except Timeout:
            note("Another lpcv is busy with the same; waiting for it.")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def record(self, job_id: str) -> Record:
        """Raises InputError where the ledger does not know the job, or it is another hub's."""
        record = record_of_job(self.ledger, job_id)
        if record is None:
            raise InputError(
                f"{self.folder.ledger} does not know job {job_id}.", "`lpcv jobs` lists what it knows; check the id."
            )
        if record.hub != self.owner:
            way = record.reached_by
            raise InputError(
                f"Job {job_id} belongs to {record.hub}, not to {self.owner}.",
                f"It was ordered with `--hub {way}`." if way else "It was ordered without --hub: leave that away.",
            )
        return record

    def seen(self, record: Record) -> Record:
        """The record with what AI Hub said of the job at last; its intention as it was given (`inference.in_set`)."""
        now = record_of_job(self.ledger, record.job_id or "") or record
        return replace(record, state=now.state, reason=now.reason, hub_version=now.hub_version)

    def keep(self, record: Record, what: str, path: Path, **facts: Any) -> None:
        """Write down that `path` is what the job gave."""
        inside = path.relative_to(self.folder.root).as_posix()
        self.add("fetched", record.key, record.job_id, what=what, path=inside, sha256=sha256_file(path), **facts)

    def kept(self, record: Record, what: str) -> Path | None:
        """What was fetched before, if it is still there and unchanged."""
        return kept_file(record, what, self.folder.root)


@contextmanager
def desk(hub: str | None, folder: HubFolder) -> Iterator[Desk]:
    """Everything open, the hub probed: nothing is sent where it is away or does not know us.

    hub: what `--hub` said. Raises InputError, MissingStepError, UnavailableError or UnauthorisedError.
    """
    with connected(hub, folder.stand_in) as connection, HubClient(connection) as opened:
        opened.probe()
        with Ledger(folder.ledger) as ledger:
            yield Desk(opened, ledger, folder)
