"""How a job's process speaks: lines of its log, and the one sentence when it fails."""

from __future__ import annotations

import time


class JobError(Exception):
    """Why the job failed, as its submitter reads it."""


def log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
