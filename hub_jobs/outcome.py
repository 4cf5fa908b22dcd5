"""What became of a job, as a value: never None, never an exception to be guessed from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Succeeded:
    """The job ended well; what it made can be fetched."""

    job_id: str
    url: str


@dataclass(frozen=True)
class Failed:
    """AI Hub ran the job and it failed; `reason` is AI Hub's, `log` the last lines of the log, both may be empty."""

    job_id: str
    url: str
    reason: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submitted:
    """The job is there and has not ended; nobody waits for it."""

    job_id: str
    url: str


@dataclass(frozen=True)
class TimedOut:
    """We stopped waiting; the job itself is not stopped."""

    job_id: str
    url: str
    waited_s: float


@dataclass(frozen=True)
class Expired:
    """AI Hub no longer knows the job (404): deleted, expired, or another account's."""

    job_id: str
    url: str


@dataclass(frozen=True)
class Unauthorised:
    """AI Hub does not accept the token: a sentence, and what helps. A job that was submitted is not lost by it."""

    reason: str
    remedy: str


Outcome = Succeeded | Failed | Submitted | TimedOut | Expired | Unauthorised
