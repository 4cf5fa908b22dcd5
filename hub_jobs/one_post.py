"""One submission, one POST: the client retries a POST whose answer is late, and so makes the job a second time.

Done at `requests.Session.request`, which is public and below everything that the client does, and it shows what was
really sent: whether the POST went out, what came back, and the new job's id even if the client fails afterwards.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .calling import ONE_CALL

JOBS = "/jobs/"  # the last part of the path to which jobs are posted


class SecondPostError(Exception):
    """The client wanted to send a submission again. Not among the exceptions that it retries."""


@dataclass
class Post:
    """What is known of the one POST.

    sent: it may have reached AI Hub; status: None where no answer came
    """

    sent: bool = False
    status: int | None = None
    body: bytes = b""
    retry_after_s: float | None = None

    @property
    def created(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """AI Hub read it and said no, so there is no job."""
        return self.status is not None and 400 <= self.status < 500


@contextmanager
def only_one_post() -> Iterator[Post]:
    """Let one POST to `.../jobs/` through, and refuse every other until the end of the block."""
    import requests

    post = Post()

    def guarded(self: requests.Session, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        if str(method).upper() != "POST" or not urlsplit(str(url)).path.endswith(JOBS):
            return original(self, method, url, *args, **kwargs)
        if post.sent:
            raise SecondPostError(f"the answer was {post.status}")
        post.sent = True
        try:
            response = original(self, method, url, *args, **kwargs)
        except requests.exceptions.ConnectionError as error:
            post.sent = not _never_connected(error)
            raise
        post.status, post.body = response.status_code, response.content
        with contextlib.suppress(KeyError, ValueError):  # Retry-After may also be a date, or absent
            wait_s = float(response.headers["Retry-After"])
            post.retry_after_s = wait_s if 0 <= wait_s < math.inf else None
        return response

    with ONE_CALL:
        original = requests.Session.request
        requests.Session.request = guarded  # type: ignore[method-assign]
        try:
            yield post
        finally:
            requests.Session.request = original  # type: ignore[method-assign]


def _never_connected(error: Exception) -> bool:
    """Was there no connection at all, so that nothing can have been sent?"""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
