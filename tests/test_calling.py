"""Every way in which the client can fail is a fault with a sentence, prints nothing, and leaves nothing."""

from __future__ import annotations

import re
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from calling_bench import TOKEN, at, caught, devices, job, model, service, shown  # noqa: F401
from loopback import PROTOBUF, Listener
from lpcv.errors import InputError, LpcvError
from lpcv.hub_jobs.calling import Caller, reason_of
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.connection import Connection
from lpcv.hub_jobs.faults import GoneError, RefusedError, UnauthorisedError, UnavailableError

Fault = type[LpcvError]


# --- a status is a fault

TOLD = b'{"detail": "that is why"}'
STATUSES: list[tuple[int, Fault, str]] = [
    (400, RefusedError, r"refused \(400\): that is why\. Mend that"),
    (401, UnauthorisedError, r"the token of x\.ini\. `QAIHUB_CLIENT_INI=\S+/x\.ini qai-hub configure --api"),
    (403, RefusedError, r"refused \(403\): that is why\."),
    (404, GoneError, r"says: that is why"),
    (405, RefusedError, r"refused \(405\)"),
    (409, RefusedError, r"refused \(409\): that is why\."),
    (413, RefusedError, r"refused \(413\): that is why.*Send less at a time\."),
    (418, RefusedError, r"refused \(418\)"),
    (426, RefusedError, r"refused \(426\): that is why\. Update the client: `pip install -U qai-hub`\."),
    (429, RefusedError, r"refused \(429\): too many requests\. Type the command again later"),
    *((status, UnavailableError, rf"{status}.*Type the same command again later") for status in (500, 502, 503, 504)),
    (501, UnavailableError, r"answers with 501"),
]


@pytest.mark.parametrize(("status", "fault", "sentence"), STATUSES)
def test_a_status_of_a_question_is_its_fault(service: Listener, status: int, fault: Fault, sentence: str) -> None:
    service.answers = [(status, {}, TOLD)]
    error = caught(at(service), devices)
    assert type(error) is fault
    assert re.search(sentence, str(error))
    assert len(service.seen) == (7 if status in (429, 500, 502, 503, 504) else 1)
    if isinstance(error, RefusedError):
        assert error.status == status


@pytest.mark.parametrize(
    ("status", "fault"),
    [(400, RefusedError), (401, UnauthorisedError), (404, GoneError), (429, RefusedError), (503, UnavailableError)],
)
def test_a_status_of_an_upload_is_its_fault(service: Listener, model: Path, status: int, fault: Fault) -> None:
    service.answers = [(status, {}, TOLD)]
    error = caught(at(service), lambda client: client.upload_model(str(model)))
    assert type(error) is fault
    if status == 429:
        assert str(error).endswith("refused (429): that is why. Type the command again later; nothing is lost.")


def test_an_unknown_job_is_gone(service: Listener) -> None:
    service.answers = [(404, {}, TOLD)]
    error = caught(at(service), job)
    assert type(error) is GoneError
    assert "ID 'jabcde' could not be found." in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'"text"', b"[1]", b'{"other": 1}', b'{"detail": null}', b"\xff\xfe", b"null"]
)
def test_any_body_is_a_sentence(service: Listener, body: bytes) -> None:
    service.answers = [(400, {}, body)]
    error = caught(at(service), devices)
    assert type(error) is RefusedError
    assert "refused (400): " in error.problem
    assert error.problem.endswith(".")


def test_a_404_is_a_sentence_with_an_end(service: Listener) -> None:
    service.answers = [(404, {}, TOLD)]
    error = caught(at(service), devices)
    assert isinstance(error, GoneError)
    assert error.problem.endswith("that is why.")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        pytest.param(200, {"Content-Type": "text/html"}, b"<html>log in</html>", id="login page"),
        pytest.param(204, {}, b"", id="nothing"),
        pytest.param(302, {}, b"", id="redirect to nowhere"),
        pytest.param(200, PROTOBUF, b"\xff\xff garbage", id="garbage"),
        pytest.param(301, {"Location": "/round"}, b"", id="redirects without end"),
        pytest.param(200, PROTOBUF | {"Content-Length": "50"}, b"half", id="half an answer"),
        pytest.param(200, PROTOBUF | {"Content-Encoding": "gzip"}, b"no gzip", id="not compressed"),
    ],
)
def test_what_is_no_answer_of_ai_hub_is_unavailable(
    service: Listener, status: int, headers: dict[str, str], body: bytes
) -> None:
    service.answers = [(status, headers, body)]
    error = caught(at(service), devices)
    assert isinstance(error, UnavailableError)
    assert service.url in error.problem


def test_an_answer_without_an_id_is_a_refusal_with_its_reason(service: Listener, model: Path) -> None:
    from qai_hub.public_api_pb2 import CreateUpdateResponse

    body = CreateUpdateResponse(status="too many models").SerializeToString()
    service.answers = [(200, PROTOBUF, body)]
    error = caught(at(service), lambda client: client.upload_model(str(model)))
    assert isinstance(error, LpcvError)
    assert "too many models" in str(error)


def test_a_job_that_the_client_does_not_understand(service: Listener) -> None:
    service.answers = [(200, PROTOBUF, b"")]
    error = caught(at(service), job)
    assert isinstance(error, UnavailableError)
    assert "Unable to retrieve job jabcde" in str(error)


# --- no answer is a fault


def test_a_server_that_is_away(service: Listener, model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        away = replace(at(service), api_url=f"http://127.0.0.1:{closed.getsockname()[1]}/")
    for call in (devices, job, lambda client: client.upload_model(str(model))):
        error = caught(away, call)
        assert type(error) is UnavailableError
        assert f"{away.api_url} does not answer (Failed to establish a new connection: " in str(error)
        assert "0x" not in str(error)


NETWORK: list[tuple[Exception, str]] = [
    (requests.exceptions.ReadTimeout("read"), "no answer in time"),
    (requests.exceptions.ConnectTimeout("connect"), "no answer in time"),
    (requests.exceptions.SSLError("certificate verify failed"), "certificate verify failed"),
    (requests.exceptions.ProxyError("no proxy there"), "no proxy there"),
    (requests.exceptions.ChunkedEncodingError("broken off"), "broken off"),
    (requests.exceptions.ConnectionError(), "ConnectionError"),
    (requests.exceptions.InvalidHeader("a bad header"), "a bad header"),
]


@pytest.mark.parametrize(("thrown", "reason"), NETWORK, ids=[type(error).__name__ for error, _ in NETWORK])
def test_an_error_of_the_network_is_unavailable(
    service: Listener, monkeypatch: pytest.MonkeyPatch, thrown: Exception, reason: str
) -> None:
    def send(*_: object, **__: object) -> requests.Response:
        raise thrown

    monkeypatch.setattr(requests.Session, "send", send)
    error = caught(at(service), devices)
    assert type(error) is UnavailableError
    assert f"does not answer ({reason})" in str(error)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("HTTPConnectionPool(host='x', port=1): Max retries exceeded", "Max retries exceeded"),
        ("<urllib3.connection.HTTPConnection object at 0x7f>: refused", "refused"),
        ("", "ConnectionError"),
    ],
)
def test_a_reason_has_no_addresses_in_memory(text: str, reason: str) -> None:
    assert reason_of(requests.exceptions.ConnectionError(text)) == reason


@pytest.mark.parametrize(
    ("url", "stand_in", "otherwise"),
    [
        ("https://hub.example/", None, "`--hub local` rehearses without it."),
        ("http://127.0.0.1:1/a/", "a", "`lpcv hub serve` with its --root starts one that has ended."),
        ("http://127.0.0.1:1/a/", None, "it goes on where it stopped."),
    ],
)
def test_what_else_helps_depends_on_who_is_away(url: str, stand_in: str | None, otherwise: str) -> None:
    where = Connection("x", Path("x.ini"), url, url, TOKEN, stand_in=stand_in)
    assert Caller(where).unavailable("is away").remedy.endswith(otherwise)


def test_what_the_client_refuses_itself_is_bad_input(service: Listener, tmp_path: Path) -> None:
    (tmp_path / "m.nothing").write_bytes(b"")
    error = caught(at(service), lambda client: client.upload_model(str(tmp_path / "m.nothing")))
    assert type(error) is InputError
    assert len(service.seen) == 0


@pytest.mark.parametrize(
    "thrown", [OSError(28, "No space left on device", "x.h5"), InputError("a", "b"), RuntimeError("unexpected")]
)
def test_what_is_not_the_client_s_stays_what_it_is(service: Listener, thrown: Exception) -> None:
    with pytest.raises(type(thrown)) as error, Caller(at(service)).calling():
        raise thrown
    assert error.value is thrown


def test_what_led_to_an_error_is_kept(service: Listener) -> None:
    with pytest.raises(RuntimeError) as error, Caller(at(service)).calling():
        raise RuntimeError("outer") from OSError("inner")
    assert "OSError: inner" in shown(error.value)


def test_ctrl_c_is_ctrl_c(service: Listener) -> None:
    with pytest.raises(KeyboardInterrupt), Caller(at(service)).calling():
        raise KeyboardInterrupt


def test_text_boxes_of_the_client_become_one_line(service: Listener) -> None:
    box = "\n┌────┐\n| Failed to   |\n| go on: a|b |\n└────┘"
    assert Caller(at(service)).plain(box) == "Failed to go on: a b"


# --- nothing is printed, nothing is left


def test_prints_of_the_client_are_swallowed(service: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    from qai_hub.client import _visible_textbox

    caller = Caller(at(service))
    with caller.calling():
        print(_visible_textbox("Retrying"))

    def work() -> None:
        print("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), caller.calling():
        work()
    print("ours")
    assert capsys.readouterr() == ("ours\n", "")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_failed_upload_leaves_nothing_although_the_client_does(
    service: Listener, model: Path, temporary: Path
) -> None:
    service.answers = [(403, {}, TOLD)]
    client = HubClient(at(service)).client
    with pytest.raises(Exception, match="that is why"):
        client.upload_model(str(model))
    left = list(temporary.iterdir())
    assert len(left) == 1  # the client's own leftover
    error = caught(at(service), lambda client: client.upload_model(str(model)))
    assert type(error) is RefusedError
    assert list(temporary.iterdir()) == left
    assert tempfile.gettempdir() == str(temporary)


def test_the_temporary_folder_is_put_back(service: Listener, temporary: Path) -> None:
    def work(thrown: BaseException | None) -> None:
        with Caller(at(service)).calling():
            inside = Path(tempfile.mkstemp()[1])
            assert inside.parent.parent == temporary
            if thrown:
                raise thrown

    work(None)
    for thrown in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(thrown):
            work(thrown())
        assert tempfile.tempdir == str(temporary)
        assert list(temporary.iterdir()) == []
