"""One submission, one POST: what leaves this machine, and what is known of it afterwards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from loopback import Listener, listening
from lpcv.hub_jobs.one_post import Post, SecondPostError, only_one_post

REAL = requests.Session.request


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as here:
        yield here


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test does, `requests` is afterwards what it was before."""
    yield
    assert requests.Session.request is REAL


def test_the_post_and_its_answer_are_known(listener: Listener) -> None:
    with only_one_post() as post:
        assert post == Post()
        answer = requests.post(f"{listener.url}api/v1/jobs/", data=b"order")
        assert answer.content == b"made"
    assert post == Post(sent=True, status=201, body=b"made")
    assert (post.created, post.refused) == (True, False)
    assert [(seen.method, seen.path, seen.body) for seen in listener.seen] == [("POST", "/api/v1/jobs/", b"order")]


@pytest.mark.parametrize("status", [200, 201, 400, 403, 429, 500, 503])
def test_a_second_post_never_leaves_whatever_the_first_brought(listener: Listener, status: int) -> None:
    listener.answers = [(status, {}, b"")]
    session = requests.Session()
    with only_one_post() as post:
        session.post(f"{listener.url}api/v1/jobs/")
        for send in (session.post, requests.Session().post, requests.post):
            with pytest.raises(SecondPostError, match=str(status)):
                send(f"{listener.url}api/v1/jobs/?seed_target_model=true")
    assert len(listener.seen) == 1
    assert post.status == status
    assert (post.created, post.refused) == (status < 300, 400 <= status < 500)


def test_a_second_post_is_not_among_what_the_client_sends_again() -> None:
    from qai_hub.util.session import TRANSIENT_HTTP_EXCEPTIONS

    assert not issubclass(SecondPostError, TRANSIENT_HTTP_EXCEPTIONS)
    assert not issubclass(SecondPostError, OSError)


def test_the_client_s_own_retries_send_one_post(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decorator sends a POST 7 times over 503, as it stands; here the second is refused."""
    from qai_hub.util import session

    monkeypatch.setattr("time.sleep", lambda _: None)
    listener.answers = [(503, {}, b"")]

    def submit() -> requests.Response:
        return session.retry_call_with_backoff(lambda: session.create_session().post(f"{listener.url}api/v1/jobs/"))

    assert submit().status_code == 503
    assert len(listener.seen) == 1 + session.MAX_RETRIES
    listener.seen.clear()
    with only_one_post() as post, pytest.raises(SecondPostError):
        submit()
    assert len(listener.seen) == 1
    assert (post.sent, post.status) == (True, 503)


def test_a_late_answer_counts_as_sent(listener: Listener) -> None:
    listener.answers = [None]
    with only_one_post() as post:
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(f"{listener.url}jobs/", timeout=0.1)
        with pytest.raises(SecondPostError):
            requests.post(f"{listener.url}jobs/", timeout=0.1)
    assert (post.sent, post.status, post.created, post.refused) == (True, None, False, False)
    assert len(listener.seen) == 1


def test_the_client_s_own_retry_over_a_late_answer_sends_one_post(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qai_hub.util import session

    monkeypatch.setattr("time.sleep", lambda _: None)
    listener.answers = [None, (201, {}, b"a second job")]

    def submit() -> requests.Response:
        made = session.create_session(response_timeout_seconds=0.1)  # type: ignore[arg-type]
        return session.retry_call_with_backoff(lambda: made.post(f"{listener.url}jobs/"))

    with only_one_post() as post, pytest.raises(SecondPostError):
        submit()
    assert (len(listener.seen), post.sent, post.status) == (1, True, None)
    assert submit().content == b"a second job"  # the trap itself, without us


def test_half_an_answer_counts_as_sent(listener: Listener) -> None:
    listener.answers = [(201, {"Content-Length": "100", "Connection": "close"}, b"ma")]
    with only_one_post() as post, pytest.raises(requests.exceptions.RequestException):
        requests.post(f"{listener.url}jobs/", timeout=5)
    assert (post.sent, post.status, post.created) == (True, None, False)


def test_a_connection_that_breaks_after_sending_counts_as_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/jobs/"
        with only_one_post() as post, pytest.raises(requests.exceptions.ConnectionError):
            requests.Session().request("POST", url, proxies={"http": ""}, timeout=5)
        thread.join()
    assert (post.sent, post.status) == (True, None)


def test_no_answer_comes_from_interrupting_it(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> requests.Response:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Session, "send", interrupted)
    with only_one_post() as post, pytest.raises(KeyboardInterrupt):
        requests.post(f"{listener.url}jobs/")
    assert (post.sent, post.status) == (True, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_what_found_nobody_counts_as_not_sent_and_may_be_sent_again(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    look_up = socket.getaddrinfo

    def found(name: str, *rest: Any, **named: Any) -> Any:
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return look_up(name, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with only_one_post() as post:
        for _ in range(2):
            with pytest.raises(requests.exceptions.ConnectionError):
                requests.request("POST", f"http://{host}:{port}/jobs/", proxies={"http": ""}, timeout=5)
            assert post == Post()
        assert requests.post(f"{listener.url}jobs/").status_code == 201
        with pytest.raises(SecondPostError):
            requests.post(f"{listener.url}jobs/")
    assert post.created
    assert len(listener.seen) == 1


def test_no_connection_in_time_counts_as_not_sent(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import ConnectTimeoutError

    def late(self: HTTPConnection) -> None:
        raise ConnectTimeoutError(self, "no connection in time")

    monkeypatch.setattr(HTTPConnection, "_new_conn", late)
    with only_one_post() as post, pytest.raises(requests.exceptions.ConnectTimeout):
        requests.post(f"{listener.url}jobs/", timeout=5)
    assert post == Post()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        ("soon", None),
        ("-5", None),  # nobody can sleep so long
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_in_seconds_is_known(listener: Listener, told: str, seconds: float | None) -> None:
    listener.answers = [(429, {"Retry-After": told}, b'{"detail": "later"}')]
    with only_one_post() as post:
        requests.post(f"{listener.url}jobs/")
    assert post.retry_after_s == seconds
    assert (post.refused, post.body) == (True, b'{"detail": "later"}')


def test_everything_else_passes(listener: Listener) -> None:
    url = f"{listener.url}api/v1"
    with only_one_post() as post:
        for _ in range(2):
            requests.get(f"{url}/jobs/")
            requests.put(f"{url}/jobs/")
            requests.patch(f"{url}/jobs/")
            requests.post(f"{url}/models/")
            requests.post(f"{url}/datasets/?next=/jobs/")
            requests.post(f"{url}/jobs/jabcde/")
        assert post == Post()
        requests.request("post", f"{url}/projects/p1/jobs/")
        requests.post(f"{url}/models/")
    assert post.sent
    assert [seen.method for seen in listener.seen].count("POST") == 8


def test_a_redirected_post_reaches_its_end_once(listener: Listener) -> None:
    listener.answers = [(308, {"Location": "/there/jobs/"}, b""), (201, {}, b"made")]
    with only_one_post() as post:
        requests.post(f"{listener.url}jobs/", data=b"order")
    assert [seen.path for seen in listener.seen] == ["/jobs/", "/there/jobs/"]
    assert (post.status, post.body) == (201, b"made")


def test_each_block_has_its_own_post(listener: Listener) -> None:
    for _ in range(2):
        with only_one_post() as post:
            requests.post(f"{listener.url}jobs/")
            assert post.created
    requests.post(f"{listener.url}jobs/")
    requests.post(f"{listener.url}jobs/")
    assert len(listener.seen) == 4


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_requests_is_put_back_after_anything(listener: Listener, error: type[BaseException]) -> None:
    def work() -> None:
        assert requests.Session.request is not REAL
        raise error

    with pytest.raises(error), only_one_post():
        work()
    assert requests.Session.request is REAL
