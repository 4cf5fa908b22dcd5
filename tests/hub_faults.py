"""What goes wrong between lpcv and AI Hub, on order: an ASGI middleware that answers badly, late, half or not at all.

`with faults.on(SUBMIT, answers(503)):` every POST of a job is answered with 503; `times=1` only the next one. A fault
that is `handled` comes AFTER the stand-in has done what was asked: the answer is lost, and the job is there.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]
Fault = Callable[[App, Any, Any, Any], Awaitable[None]]

LONGEST_S = 30.0  # of a silence, should nobody hang up
WORDS = "the words of the server"  # in every refusal here


@dataclass(frozen=True)
class Endpoint:
    """Some of the client's requests. path: a regular expression over what follows the stand-in's own part."""

    name: str
    method: str
    path: str

    def is_of(self, scope: Any) -> bool:
        path = scope["path"].split("/", 2)[-1]
        return scope["method"] == self.method and re.fullmatch(self.path, path) is not None

    def __str__(self) -> str:
        return self.name


PROBE = Endpoint("probe", "GET", "api/v1/frameworks/")
DEVICES = Endpoint("devices", "GET", "api/v1/devices/")
CREATE_MODEL = Endpoint("create-model", "POST", "api/v1/models/")
PART_URLS = Endpoint("part-urls", "GET", "api/v1/models/[^/]+/multipart_upload/")
PART = Endpoint("part", "PUT", "blob/part/.*")
PARTS_DONE = Endpoint("parts-done", "POST", "api/v1/models/[^/]+/multipart_upload/")
GET_MODEL = Endpoint("get-model", "GET", "api/v1/models/[^/]+/")
CREATE_DATASET = Endpoint("create-dataset", "POST", "api/v1/datasets/")
FORM_URL = Endpoint("form-url", "GET", "api/v1/datasets/[^/]+/upload_url/")
FORM = Endpoint("form", "POST", "blob/form/.*")
DATASET_DONE = Endpoint("dataset-done", "PATCH", "api/v1/datasets/[^/]+/")
GET_DATASET = Endpoint("get-dataset", "GET", "api/v1/datasets/[^/]+/")
SUBMIT = Endpoint("submit", "POST", "api/v1/jobs/")
JOB = Endpoint("job", "GET", "api/v1/jobs/[^/]+/")
RESULT = Endpoint("result", "GET", "api/v1/jobs/[^/]+/result/")
LOGS = Endpoint("logs", "GET", "api/v1/jobs/[^/]+/device_runs/.*")
LIST = Endpoint("list", "GET", "api/v1/job_summaries/")
MODEL_URL = Endpoint("model-url", "GET", "api/v1/models/[^/]+/download/")
OUTPUT_URL = Endpoint("output-url", "GET", "api/v1/datasets/[^/]+/download_data/")
FILE = Endpoint("file", "GET", "blob/get/.*")
GET_SHARING = Endpoint("get-sharing", "GET", "api/v1/jobs/[^/]+/shared_access/")
SHARE = Endpoint("share", "PATCH", "api/v1/jobs/[^/]+/shared_access/")


@dataclass
class Rule:
    """A fault that is in force. times: how often yet, None for always; reached: set when it has struck."""

    where: Endpoint
    fault: Fault
    times: int | None
    hits: int = 0
    reached: threading.Event = field(default_factory=threading.Event)


class Faults:
    """ASGI middleware; the names of the endpoints that were asked for are in `asked`."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.asked: list[str] = []

    def __call__(self, app: App) -> App:
        async def faulty(scope: Any, receive: Any, send: Any) -> None:  # uvicorn takes no bound method
            await self._answer(app, scope, receive, send)

        return faulty

    @contextmanager
    def on(self, where: Endpoint, fault: Fault, times: int | None = None) -> Iterator[Rule]:
        rule = Rule(where, fault, times)
        self.rules.insert(0, rule)
        try:
            yield rule
        finally:
            self.rules.remove(rule)

    def count(self, where: Endpoint) -> int:
        return self.asked.count(where.name)

    async def _answer(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        self.asked += [each.name for each in ALL if each.is_of(scope)]
        for rule in self.rules:
            if rule.where.is_of(scope) and rule.times != 0:
                rule.times = None if rule.times is None else rule.times - 1
                rule.hits += 1
                rule.reached.set()
                await rule.fault(app, scope, receive, send)
                return
        await app(scope, receive, send)


ALL = tuple(value for value in list(globals().values()) if isinstance(value, Endpoint))


def answers(
    status: int,
    *,
    retry_after: str | None = None,
    detail: str = WORDS,
    handled: bool = False,
    body: bytes | None = None,
) -> Fault:
    """An answer of that status with the sentence, or with `body` as a web page."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        await (_handled(app, scope, receive) if handled else _read(receive))
        content = json.dumps({"detail": detail}).encode() if body is None else body
        kind = b"application/json" if body is None else b"text/html"
        headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
        if retry_after is not None:
            headers.append((b"retry-after", retry_after.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return fault


def dropped(*, handled: bool = False) -> Fault:
    """The connection breaks, without a byte of an answer."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        if handled:
            await _handled(app, scope, receive)
        else:
            await receive()  # in the midst of what is sent
        await _cut(receive, send)

    return fault


def silent(*, handled: bool = False) -> Fault:
    """No answer until the client hangs up."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        await (_handled(app, scope, receive) if handled else receive())
        await _hung_up(receive)
        await _cut(receive, send)

    return fault


def half(*, then_silent: bool = False) -> Fault:
    """The head and half the body of the right answer; then the connection breaks, or nothing more comes."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        start, body = await _handled(app, scope, receive)
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if then_silent:
            await _hung_up(receive)
        await _cut(receive, send)

    return fault


def late(seconds: float) -> Fault:
    """The right answer, after a while."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        start, body = await _handled(app, scope, receive)
        await asyncio.sleep(seconds)
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return fault


def postponed(until: threading.Event, status: int) -> Fault:
    """Answered with `status` at once, and done all the same, but only when `until` is set."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)

        async def whole() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def do() -> None:
            while not until.is_set():
                await asyncio.sleep(0.005)
            await _handled(app, scope, whole)

        tasks.add(asyncio.create_task(do()))
        await answers(status)(app, scope, whole, send)

    return fault


tasks: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected


def first(before: Callable[[], object], then: Fault | None = None) -> Fault:
    """Call something when the request comes; then the fault, or the right answer."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        before()
        await (then or _right)(app, scope, receive, send)

    return fault


def once(other: Rule, then: Fault) -> Fault:
    """The right answer until another fault has struck; then this one."""

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        await (then if other.reached.is_set() else _right)(app, scope, receive, send)

    return fault


async def _right(app: App, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


async def _handled(app: App, scope: Any, receive: Any) -> tuple[Any, bytes]:
    """Let the stand-in do it; gives the start of its answer, and the body."""
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    await app({**scope, "extensions": {}}, receive, keep)  # without extensions a file is sent as bytes
    return sent[0], b"".join(message.get("body", b"") for message in sent[1:])


async def _read(receive: Any) -> bytes:
    """The whole body: a client that still sends hears no answer."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _hung_up(receive: Any) -> None:
    async with asyncio.timeout(LONGEST_S):
        while (await receive())["type"] != "http.disconnect":
            pass


async def _cut(receive: Any, send: Any) -> None:
    send.__self__.transport.abort()  # uvicorn's; nothing in ASGI breaks a connection
    await _hung_up(receive)
