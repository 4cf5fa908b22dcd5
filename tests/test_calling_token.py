"""The token and signed addresses are in no sentence and in no traceback, whoever put them there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import requests
from calling_bench import TOKEN, at, caught, devices, model, service, shown  # noqa: F401
from loopback import PROTOBUF, Listener
from lpcv.cli import run as run_cli
from lpcv.errors import LpcvError
from lpcv.hub_jobs.calling import Caller, chain_of
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.faults import RefusedError, UnavailableError


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 426, 429, 500, 503])
@pytest.mark.parametrize("where", ["detail", "page"])
def test_a_server_that_repeats_the_token_is_not_quoted(service: Listener, model: Path, status: int, where: str) -> None:
    said = f"no access with token {TOKEN} for you"
    service.answers = [(status, {}, (f'{{"detail": "{said}"}}' if where == "detail" else f"<p>{said}</p>").encode())]
    for call in (devices, lambda client: client.upload_model(str(model))):
        error = caught(at(service), call)
        assert isinstance(error, LpcvError)
        assert TOKEN not in f"{error} {error.problem} {error.remedy} {error!r}"
        assert TOKEN not in shown(error)
        for each in chain_of(error):
            assert TOKEN not in f"{each!r} {each} {vars(each)}"


def test_the_token_is_taken_out_of_all_that_led_to_an_error(service: Listener) -> None:
    def work() -> None:
        try:
            try:
                raise RuntimeError(f"bad header 'token {TOKEN}'")
            except RuntimeError:
                raise LpcvError(f"{TOKEN}!", TOKEN) from None
        except LpcvError as inner:
            inner.__suppress_context__ = False
            raise KeyError(TOKEN, 7, f"twice {TOKEN} {TOKEN}") from inner

    with pytest.raises(KeyError) as error, Caller(at(service)).calling():
        work()
    assert error.value.args == ("[token]", 7, "twice [token] [token]")
    assert TOKEN not in shown(error.value)
    for each in chain_of(error.value):
        assert TOKEN not in f"{each!r} {each} {vars(each)}"


def noted() -> Exception:
    error = RuntimeError("a")
    error.add_note(f"sent: {TOKEN}")
    return error


HIDDEN = {
    "bytes": lambda: ValueError(f"token {TOKEN}".encode()),
    "tuple": lambda: ValueError(("Authorization", f"token {TOKEN}")),
    "dictionary": lambda: ValueError({"Authorization": f"token {TOKEN}"}),
    "note": noted,
    "words of the system": lambda: OSError(5, f"no {TOKEN}"),
    "name of a file": lambda: OSError(2, "No such file", f"/{TOKEN}"),
}


@pytest.mark.parametrize("where", HIDDEN)
def test_the_token_is_taken_out_wherever_a_traceback_shows_it(service: Listener, where: str) -> None:
    with pytest.raises(Exception) as error, Caller(at(service)).calling():  # noqa: PT011
        raise HIDDEN[where]()
    assert TOKEN not in shown(error.value)


def test_probing_does_not_quote_a_header_that_cannot_be_sent(
    service: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(*_: object, **__: object) -> None:
        raise requests.exceptions.InvalidHeader(f"a bad header value: 'token {TOKEN}'")

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(UnavailableError) as error:
        HubClient(at(service)).probe()
    assert TOKEN not in shown(error.value)


def test_probing_does_not_quote_the_token(service: Listener) -> None:
    service.answers = [(400, {}, f'{{"detail": "token {TOKEN} is no good"}}'.encode())]
    with pytest.raises(RefusedError, match=r"refused \(400\): token \[token\] is no good") as error:
        HubClient(at(service)).probe()
    assert TOKEN not in shown(error.value)


def test_a_command_with_debug_does_not_show_the_token(
    service: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    ini = tmp_path / "x.ini"
    ini.write_text(f"[api]\napi_token = {TOKEN}\napi_url = {service.url}\nweb_url = http://web.example/\n")
    service.answers = [(403, {}, f'{{"detail": "token {TOKEN} may not"}}'.encode())]
    service.at["/frameworks/"] = (200, PROTOBUF, b"")
    assert run_cli(["devices", "--hub", str(ini)]) == 2
    with pytest.raises(RefusedError) as error:
        run_cli(["--debug", "devices", "--hub", str(ini)])
    said = capsys.readouterr()
    assert "token [token] may not" in said.err
    assert TOKEN not in said.out + said.err + shown(error.value)


def test_without_a_token_a_text_stays_as_it_is(service: Listener) -> None:
    """`--dry-run` of a stand-in that was never started has none."""
    assert Caller(replace(at(service), token="")).plain("as it is") == "as it is"


@pytest.mark.parametrize(
    "url",
    [
        "https://store.example/a/b?X-Amz-Signature=secret&X=1",
        "http://store.example?secret",
        "https://s.example/a?secret=x)",
    ],
)
def test_a_signed_address_is_not_shown(service: Listener, url: str) -> None:
    assert "secret" not in Caller(at(service)).plain(f"cannot fetch ({url}) from there")
    with pytest.raises(RuntimeError) as error, Caller(at(service)).calling():
        raise RuntimeError(f"cannot fetch '{url}'")
    assert "secret" not in str(error.value)
