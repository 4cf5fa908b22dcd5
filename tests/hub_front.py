"""What tests of the AI Hub commands share: a place of their own, and an ASGI front before a stand-in.

The front counts what is asked, answers itself where a test says so, and changes answers on their way out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hub_bench import computed_once
from hub_fixtures import Served, offline
from starlette.requests import Request
from starlette.responses import Response

PROTOBUF = "application/x-protobuf"
Instead = Callable[[Request], Response | None]
Change = Callable[[Request, bytes], bytes]


class Front:
    """`Served(root, faults=front)`. asked: "METHOD /path" of every request, without the stand-in's own first part.

    instead: gives the answer to a request in the stand-in's place, None where the stand-in is to answer
    change: gives another body for a protobuf answer
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.reset()

    def reset(self) -> None:
        self.instead: Instead = lambda request: None
        self.change: Change | None = None

    def __call__(self, app: Any) -> Any:
        async def front(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            self.asked.append(f"{scope['method']} /{scope['path'].split('/', 2)[2]}")
            answer = self.instead(request)
            if answer is not None:
                await request.body()
                await answer(scope, receive, send)
                return
            await app(scope, receive, self._changed(request, send) if self.change else send)

        return front

    def _changed(self, request: Request, send: Any) -> Any:
        held: list[Any] = []
        body = bytearray()

        async def change(message: Any) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = dict(held[0]["headers"])
            protobuf = headers.get(b"content-type") == PROTOBUF.encode()
            told = self.change(request, bytes(body)) if protobuf and self.change else bytes(body)
            headers[b"content-length"] = str(len(told)).encode()
            await send({**held[0], "headers": list(headers.items())})
            await send({"type": "http.response.body", "body": told})

        return change


@contextmanager
def own_place(root: Path) -> Iterator[Path]:
    """Home, hub folder and current directory below `root`; gives the hub folder, which need not exist."""
    (root / "home").mkdir(parents=True, exist_ok=True)
    with offline(root / "home"), pytest.MonkeyPatch.context() as patched:
        patched.setenv("LPCV_HUB_FOLDER", str(root / "hub"))
        patched.chdir(root)
        yield root / "hub"


def contents(root: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below `root`; empty where it is not there."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, front: Front) -> Iterator[Served]:
    with computed_once(), Served(tmp_path_factory.mktemp("served") / "root", front) as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path, front: Front) -> Iterator[Path]:
    """An own, empty hub folder."""
    front.reset()
    with own_place(tmp_path) as folder:
        yield folder
    front.reset()
