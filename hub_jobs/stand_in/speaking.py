"""How a job's process speaks: lines of its log, and the one sentence when it fails."""

from __future__ import annotations

import time


class JobError(Exception):
    """Why the job failed, as its submitter reads it."""


def log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def first_line(error: BaseException, most: int = 300) -> str:
    """Of a library's message, which often goes on for pages."""
    return str(error).strip().split("\n")[0][:most]
