"""What tests of calls to AI Hub share: a service on loopback that answers as a test says, and the unmodified client."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Listener, listening
from lpcv.hub_jobs.calling import Caller
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.connection import Connection

TOKEN = "planted0token0planted0token0planted0toke"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Listener]:
    """The client's sleeps cost nothing, and home and proxies are not this machine's."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as here:
        yield here


def at(service: Listener) -> Connection:
    return Connection("x", Path("x.ini"), service.url, "http://web.example/", TOKEN)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"model")
    return path


def caught(connection: Connection, call: Callable[[Any], object]) -> BaseException:
    """What a call of the unmodified client ends with."""
    client = HubClient(connection).client
    with pytest.raises(Exception) as error, Caller(connection).calling():  # noqa: PT011
        call(client)
    return error.value


def devices(client: Any) -> object:
    return client.get_devices()


def job(client: Any) -> object:
    return client.get_job("jabcde")


def shown(error: BaseException) -> str:
    """As `--debug` shows it."""
    return "".join(traceback.format_exception(error))
