"""What AI Hub answers, as values of our own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .one_post import Post

FINISHED = {"SUCCESS", "FAILED"}


@dataclass(frozen=True)
class HubDevice:
    """A device as AI Hub names it."""

    name: str
    os: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Uploaded:
    """A model or dataset on AI Hub; expires_at in seconds since 1970, None for what stays."""

    id: str
    expires_at: float | None = None


@dataclass(frozen=True)
class Created:
    """A job on AI Hub."""

    job_id: str
    url: str


@dataclass(frozen=True)
class Summary:
    """A line of AI Hub's list of jobs."""

    job_id: str
    name: str
    url: str
    state: str


@dataclass(frozen=True)
class Status:
    """state: AI Hub's word, SUCCESS and FAILED are the last ones; hub_version: what ran it, as the server says."""

    state: str
    reason: str
    hub_version: str

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


class SubmissionError(Exception):
    """A submission did not end with a job; `post` is what is known, `cause` the sentence."""

    def __init__(self, post: Post, cause: Exception) -> None:
        super().__init__(str(cause))
        self.post, self.cause = post, cause


def expires_soon(expires_at: float | None, now: float | None = None) -> bool:
    """Within an hour of its end a dataset may be gone before its job has started."""
    return expires_at is not None and expires_at - (now or datetime.now().timestamp()) < 3600
