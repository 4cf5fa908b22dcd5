"""Neither ~/.netrc nor a proxy of the surroundings comes between us and a server on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from loopback import Listener, listening
from lpcv.hub_jobs.connection import Connection, own_surroundings

TOKEN = "planted0token0planted0token0planted0toke"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and none of this machine's proxies."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NETRC", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def at(url: str) -> Connection:
    return Connection("x", Path("x.ini"), url, url, TOKEN)


def test_surroundings_are_set_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "mine")
    monkeypatch.setenv("no_proxy", "a.example,b.example")
    before = dict(os.environ)
    with own_surroundings(at("http://127.0.0.1:8000/")):
        assert os.environ["NETRC"] == os.devnull
        assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "a.example,b.example,127.0.0.1"
    assert dict(os.environ) == before

    def work() -> None:
        assert os.environ["NO_PROXY"].endswith(",localhost")
        raise RuntimeError

    with pytest.raises(RuntimeError), own_surroundings(at("http://localhost/")):
        work()
    assert dict(os.environ) == before


def test_what_was_not_set_is_not_set_afterwards() -> None:
    with own_surroundings(at("http://[::1]:8000/")):
        assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "::1"
    assert not {"NETRC", "no_proxy", "NO_PROXY"} & set(os.environ)


def test_the_upper_case_list_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "a.example")
    with own_surroundings(at("http://127.0.0.1/")):
        assert os.environ["no_proxy"] == "a.example,127.0.0.1"
    assert (os.environ["NO_PROXY"], "no_proxy" in os.environ) == ("a.example", False)


def test_the_real_hub_is_reached_through_the_user_s_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "a.example")
    with own_surroundings(at("https://hub.example")):
        assert (os.environ["NO_PROXY"], "no_proxy" in os.environ) == ("a.example", False)
        assert os.environ["NETRC"] == os.devnull


@pytest.fixture(params=["127.0.0.1", "::1", "localhost"])
def server(request: pytest.FixtureRequest) -> Iterator[Listener]:
    """A server under each of this machine's names."""
    name = request.param
    try:
        with listening(name.replace("localhost", "127.0.0.1")) as here:
            here.url = here.url.replace("127.0.0.1", name)
            yield here
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.mark.parametrize("listed", [None, "a.example"])
def test_neither_netrc_nor_a_proxy_reach_a_local_server(
    server: Listener, home: Path, monkeypatch: pytest.MonkeyPatch, listed: str | None
) -> None:
    url = server.url
    (home / ".netrc").write_text("default login somebody password secret\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("no_proxy", "*")
    asked = {"Authorization": f"token {TOKEN}"}
    requests.get(url, headers=asked, timeout=5)
    assert server.seen.pop().authorization.startswith(
        "Basic "
    )  # so ~/.netrc takes the token's place where nobody keeps it away

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}/")
    monkeypatch.delenv("no_proxy")
    if listed:
        monkeypatch.setenv("no_proxy", listed)
    with pytest.raises(requests.exceptions.ProxyError):  # and so the proxy is asked for this machine
        requests.get(url, headers=asked, timeout=5)

    with own_surroundings(at(url)):
        assert requests.get(url, headers=asked, timeout=5).status_code == 201
        session = requests.Session()
        assert session.get(url, headers=asked, timeout=5).status_code == 201
    assert [seen.authorization for seen in server.seen] == [f"token {TOKEN}"] * 2


def test_the_client_itself_reaches_a_local_server(
    server: Listener, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through its own session, with retries and all."""
    from qai_hub.util.session import create_session

    url = server.url
    (home / ".netrc").write_text("default login somebody password secret\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    with own_surroundings(at(url)):
        assert create_session().get(url, headers={"Authorization": f"token {TOKEN}"}).status_code == 201
    assert [seen.authorization for seen in server.seen] == [f"token {TOKEN}"]
