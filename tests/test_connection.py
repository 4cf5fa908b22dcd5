"""Which AI Hub: found where the client would look, told apart from a rehearsal, and the token never quoted."""

from __future__ import annotations

import shlex
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lpcv.errors import InputError
from lpcv.hub_jobs.connection import (
    DEFAULT,
    Connection,
    config_path,
    configuring,
    connected,
    has_token,
    read_connection,
)
from qai_hub.api_utils import get_config_path

TOKEN = "planted0token0planted0token0planted0toke"
INI = f"[api]\napi_token = {TOKEN}\napi_url = https://hub.example\nweb_url = https://web.example\nverbose = True\n"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and none of this machine's proxies."""
    home = tmp_path / "home"
    (home / ".qai_hub").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("QAIHUB_CLIENT_INI", "NETRC", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "client.ini"
    path.write_text(INI)
    return path


def at(url: str, stand_in: str | None = None) -> Connection:
    return Connection("x", Path("x.ini"), url, url, TOKEN, stand_in=stand_in)


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# --- where it is looked for


def test_a_profile_a_path_the_variable_and_the_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / ".qai_hub"
    assert config_path(None) == folder / "client.ini"
    assert config_path("work") == folder / "work.ini"
    assert config_path("my.work") == folder / "my.work.ini"
    assert config_path("there/some.ini") == Path("there/some.ini")
    monkeypatch.setenv("QAIHUB_CLIENT_INI", "~/other.ini")
    assert config_path(None) == home / "other.ini"
    assert config_path("work") == folder / "work.ini"
    monkeypatch.setenv("QAIHUB_CLIENT_INI", "")
    assert config_path(None) == folder / "client.ini"


def test_a_path_may_begin_at_home(home: Path) -> None:
    assert config_path("~/some.ini") == home / "some.ini"


@pytest.mark.parametrize("profile", [None, "work"])
@pytest.mark.parametrize("variable", [None, "~/named.ini"])
def test_it_is_where_the_client_looks(
    home: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None, variable: str | None
) -> None:
    if variable:
        monkeypatch.setenv("QAIHUB_CLIENT_INI", variable)
    assert config_path(profile) == Path(get_config_path(profile))


def test_a_configuration_is_read_as_the_client_reads_it(ini: Path) -> None:
    from qai_hub.api_utils import load_api_config_from_file

    ini.write_text(INI + "default_project = p1\n")
    ours, theirs = read_connection(ini, "work"), load_api_config_from_file(str(ini))
    assert (ours.token, ours.api_url, ours.web_url, ours.default_project) == (
        theirs.api_token, theirs.api_url, theirs.web_url, theirs.default_project,
    )  # fmt: skip
    assert (ours.name, ours.config_file, ours.stand_in) == ("work", ini, None)


def test_a_percent_sign_is_a_letter(ini: Path) -> None:
    ini.write_text(INI.replace(TOKEN, "a%b%(c)s"))
    assert read_connection(ini, "x").token == "a%b%(c)s"


def test_connected_takes_what_hub_names(ini: Path, home: Path, tmp_path: Path) -> None:
    (home / ".qai_hub" / "work.ini").write_text(INI.replace("hub.example", "work.example"))
    with connected("work", tmp_path) as work, connected(str(ini), tmp_path) as named:
        assert (work.name, work.api_url) == ("work", "https://work.example")
        assert named.api_url == "https://hub.example"
    with pytest.raises(InputError, match=r"no AI Hub configuration at .*client\.ini.*qai-hub configure"):
        connected(None, tmp_path).__enter__()
    assert not (home / ".qai_hub" / "client.ini").exists()


# --- what cannot be used is a sentence without the token


def test_a_missing_file_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="qai-hub configure --api_token TOKEN") as caught:
        read_connection(tmp_path / "none.ini", "x")
    assert "--hub local" in caught.value.remedy
    with pytest.raises(InputError, match="There is no AI Hub configuration"):
        read_connection(tmp_path, "x")


def test_the_command_that_configures_is_that_of_this_configuration(home: Path, tmp_path: Path) -> None:
    for hub, command in (
        (None, "`qai-hub configure --api_token TOKEN`"),
        ("work", "`qai-hub configure --profile work --api_token TOKEN`"),
        (f"{tmp_path}/a b.ini", f"`QAIHUB_CLIENT_INI='{tmp_path}/a b.ini' qai-hub configure --api_token TOKEN`"),
    ):
        with pytest.raises(InputError) as caught:
            connected(hub, tmp_path).__enter__()
        assert caught.value.remedy.startswith(f"{command} writes one")
        path = config_path(hub)
        path.write_text(INI)
        with connected(hub, tmp_path) as connection:
            assert connection.renewal.startswith(f"{command} stores a new one")
        path.write_text(INI + "[lpcv]\nstand_in = a1b2\n")
        with connected(hub, tmp_path) as connection:
            assert "qai-hub configure" not in connection.renewal
        path.write_text(INI.replace(TOKEN, "") + "[lpcv]\nstand_in = a1b2\n")
        with pytest.raises(InputError, match="The stand-in writes it anew"):
            connected(hub, tmp_path).__enter__()


def test_the_client_takes_that_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the unmodified client's own parser, and where it would write."""
    from qai_hub._cli import get_cli_parser

    for hub in ("work", str(tmp_path / "x.ini"), None):
        command = configuring(config_path(hub), hub or DEFAULT)
        *variables, _, rest = command.partition("qai-hub ")
        given = get_cli_parser().parse_args(shlex.split(rest))
        assert given.api_token == "TOKEN"
        with monkeypatch.context() as patched:
            for word in shlex.split(variables[0]):
                patched.setenv(*word.split("=", 1))
            assert Path(get_config_path(given.profile)) == config_path(hub)


@pytest.mark.parametrize(
    ("text", "there"),
    [(INI, True), (INI.replace(TOKEN, ""), False), ("[api]\napi_token = x\n", True), ("[api\n", False), ("", False)],
)
def test_whether_a_token_is_there(ini: Path, text: str, there: bool) -> None:
    ini.write_text(text)
    assert has_token(ini) == there
    assert not has_token(ini.parent)


GARBLED = {
    "no section": INI.replace("[api]", ""),
    "another section": INI.replace("[api]", "[web]"),
    "half a section": INI.replace("[api]", "[api"),
    "token alone": TOKEN,
    "no equals sign": INI.replace("api_token = ", "api_token "),
    "twice": INI + f"api_token = {TOKEN}\n",
    "section twice": INI + INI,
    "empty": "",
    "no token": INI.replace(TOKEN, ""),
    "no address": INI.replace("https://hub.example", ""),
    "token as address": INI.replace("https://hub.example", TOKEN),
    "a file": INI.replace("https://hub.example", "file:///etc/passwd"),
    "UTF-16": INI.encode("utf-16"),
    "zeros": b"\0" * 100 + INI.encode(),
}
NO_USE = {
    "no host": INI.replace("https://hub.example", "https://"),
    "no port": INI.replace("https://hub.example", "https://hub.example:port/"),
    "too great a port": INI.replace("https://hub.example", "https://hub.example:99999/"),
    "half an IPv6": INI.replace("https://hub.example", "https://[::1"),
    "a token of two lines": INI.replace(TOKEN, f"{TOKEN}\n  {TOKEN}"),
    "a token with a dash of a text editor": INI.replace(TOKEN, f"{TOKEN}\N{EN DASH}a"),
}


@pytest.mark.parametrize("what", GARBLED)
def test_a_garbled_file_is_a_sentence_that_does_not_quote_the_token(ini: Path, what: str) -> None:
    content = GARBLED[what]
    ini.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_connection(ini, "x")
    assert str(ini) in caught.value.problem
    assert "qai-hub configure" in caught.value.remedy
    assert TOKEN not in everything_said(caught.value)


@pytest.mark.parametrize("what", NO_USE)
def test_an_address_or_a_token_that_no_request_can_carry_is_a_sentence(ini: Path, what: str) -> None:
    ini.write_text(NO_USE[what], encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_connection(ini, "x")
    assert TOKEN not in everything_said(caught.value)


def outcome(ini: Path) -> str:
    """What a reader sees: the sentence, or the connection, without what became another field than the token."""
    try:
        connection = read_connection(ini, "x")
    except InputError as error:
        return everything_said(error)
    return repr(connection) if connection.token == TOKEN else ""


@given(cut=st.integers(0, len(INI)), noise=st.text(max_size=12))
@example(cut=INI.index("api_url"), noise="[")
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_lets_the_token_out(ini: Path, cut: int, noise: str) -> None:
    for content in (INI[:cut] + noise + INI[cut:], INI[:cut] + noise, noise + INI[cut:]):
        ini.write_bytes(content.encode())
        shown = outcome(ini)
        assert TOKEN not in shown


def test_a_missing_field_is_named(ini: Path) -> None:
    ini.write_text(f"[api]\napi_token = {TOKEN}\n")
    with pytest.raises(InputError, match=r"lacks api_url, web_url in \[api\]") as caught:
        read_connection(ini, "x")
    assert TOKEN not in everything_said(caught.value)


def test_a_connection_does_not_show_its_token(ini: Path) -> None:
    connection = read_connection(ini, "x")
    assert connection.token == TOKEN
    assert TOKEN not in f"{connection} {connection!r} {connection.identity} {connection.called}"


# --- whose jobs are they?


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://hub.example", "https://hub.example"),
        ("https://hub.example/", "https://hub.example"),
        ("HTTPS://Hub.Example/", "https://hub.example"),
        ("https://hub.example:8443/", "https://hub.example:8443"),
        ("https://hub.example/path/", "https://hub.example/path"),
        ("https://hub.example/Path/", "https://hub.example/Path"),
        ("http://hub.example/", "http://hub.example"),
        ("https://user:secret@hub.example/", "https://hub.example"),
    ],
)
def test_a_hub_is_its_address(url: str, identity: str) -> None:
    assert at(url).identity == identity


def test_a_stand_in_is_its_id_and_never_its_address(ini: Path) -> None:
    port, moved, other = at("http://127.0.0.1:1/a/", "a"), at("http://127.0.0.1:2/a/", "a"), at("http://x/", "b")
    assert port.identity == moved.identity == "stand-in:a"
    assert other.identity == "stand-in:b"
    assert at("http://127.0.0.1:1/a/").identity == "http://127.0.0.1:1/a"
    ini.write_text(INI + "[lpcv]\nstand_in = a1b2\n")
    assert read_connection(ini, "x").identity == "stand-in:a1b2"


@given(st.text(max_size=30), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20))
def test_no_stand_in_passes_for_a_real_hub(stand_in: str, host: str) -> None:
    assert at("https://hub.example/", stand_in).identity != at(f"https://{host}/").identity
    assert at("https://hub.example/", stand_in).rehearsal
    assert at("https://hub.example/", stand_in).called == "the stand-in"


LOOPBACK = ("http://127.0.0.1/", "http://127.0.0.1:8000/a/", "http://127.9.8.7/", "http://[::1]:8000/", "https://localhost",
            "http://LOCALHOST:1/", "http://[0:0:0:0:0:0:0:1]/")  # fmt: skip
ELSEWHERE = ("https://hub.example", "http://128.0.0.1/", "http://10.0.0.1/", "http://[::2]/", "http://localhost.example/",
             "http://127.0.0.1.example/", "http://hub.example/127.0.0.1/", "http://127.0.0.1@hub.example/",
             "http://notlocalhost/")  # fmt: skip
NOT_KNOWN_YET = ("http://localhost.:8000/", "http://a.localhost/", "http://[::ffff:127.0.0.1]/", "http://127.1/",
                 "http://0.0.0.0:8000/")  # fmt: skip


@pytest.mark.parametrize("url", LOOPBACK)
def test_this_machine_is_always_a_rehearsal(url: str) -> None:
    assert at(url).loopback
    assert at(url).rehearsal


@pytest.mark.parametrize("url", ELSEWHERE)
def test_another_machine_is_not(url: str) -> None:
    assert not at(url).loopback
    assert not at(url).rehearsal
    assert at(url).called == "AI Hub"


@pytest.mark.parametrize("url", NOT_KNOWN_YET)
def test_other_forms_of_this_machine_are_a_rehearsal_too(url: str) -> None:
    assert at(url).rehearsal
