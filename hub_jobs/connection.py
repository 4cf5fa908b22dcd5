"""Which AI Hub: a client configuration read from a named file, never the client's global one."""

from __future__ import annotations

import configparser
import contextlib
import ipaddress
import os
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InputError

DEFAULT = "default"  # the name of a connection that nobody named
LOCAL = "local"  # the word for the stand-in, in place of a profile
CLIENT_INI = "QAIHUB_CLIENT_INI"  # the client's own variable (qai_hub/api_utils.py:46)
CONFIG_FOLDER = Path("~/.qai_hub")  # qai_hub/api_utils.py:61
FIELDS = ("api_token", "api_url", "web_url")


@dataclass(frozen=True)
class Connection:
    """Where AI Hub is and who asks; the token is never shown.

    stand_in: the id of the stand-in that wrote the configuration, None for the real service
    """

    name: str
    config_file: Path
    api_url: str
    web_url: str
    token: str = field(repr=False)
    default_project: str | None = None
    stand_in: str | None = None

    @property
    def identity(self) -> str:
        """What a job belongs to: a stand-in keeps its own over a change of port, so none passes for another hub."""
        if self.stand_in is not None:
            return f"stand-in:{self.stand_in}"
        address = urlsplit(self.api_url)
        own = {"http": 80, "https": 443}.get(address.scheme)
        port = f":{address.port}" if address.port not in (None, own) else ""
        return f"{address.scheme}://{(address.hostname or '').lower()}{port}{address.path.rstrip('/')}"

    @property
    def loopback(self) -> bool:
        """Does the address name this very machine, in whatever way it is written?"""
        host = (urlsplit(self.api_url).hostname or "").rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            try:
                address = ipaddress.ip_address(socket.inet_aton(host))  # short forms, such as 127.1
            except OSError:
                return False
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or address.is_unspecified

    @property
    def rehearsal(self) -> bool:
        """Is it a stand-in, whose numbers say nothing about a device?"""
        return self.stand_in is not None or self.loopback

    @property
    def called(self) -> str:
        return "the stand-in" if self.rehearsal else "AI Hub"

    @property
    def renewal(self) -> str:
        """How another token gets into the configuration, as a remedy."""
        if self.stand_in is not None:
            return "A stand-in writes its client.ini at each start: take the one of that which answers there."
        return f"`{configuring(self.config_file, self.name)}` stores a new one; it is shown on AI Hub's account page."

    def without_secrets(self, text: str) -> str:
        """Text from outside, without the token, and without the query of an address, which may be its signature.

        Such an address stands in an error that qualcomm/ai-hub-models#173 quotes.
        """
        text = re.sub(r"(https?://[^\s?]+)\?[^\s)'\"]+", r"\1?[...]", text)
        return text.replace(self.token, "[token]") if self.token else text


def configuring(path: Path, name: str) -> str:
    """The client's own command that writes this configuration.

    name: what `--hub` said, DEFAULT where it said nothing
    """
    command = "qai-hub configure"
    if name == DEFAULT:
        return f"{command} --api_token TOKEN"
    if path == (CONFIG_FOLDER / f"{name}.ini").expanduser():
        return f"{command} --profile {shlex.quote(name)} --api_token TOKEN"
    return f"{CLIENT_INI}={shlex.quote(str(path.absolute()))} {command} --api_token TOKEN"


def config_path(profile: str | None) -> Path:
    """Where the client would look: a profile, else `QAIHUB_CLIENT_INI`, else its default file; or a path to an .ini."""
    if profile is not None:
        named = Path(profile).expanduser()
        return named if named.suffix == ".ini" else (CONFIG_FOLDER / f"{profile}.ini").expanduser()
    return Path(os.environ.get(CLIENT_INI) or CONFIG_FOLDER / "client.ini").expanduser()


def read_connection(path: Path, name: str) -> Connection:
    """Raises InputError where the file is missing, is no configuration, or lacks a field."""
    if not path.is_file():
        raise InputError(
            f"There is no AI Hub configuration at {path}.",
            f"`{configuring(path, name)}` writes one (the token is on AI Hub's account page); "
            "`--hub local` rehearses without an account.",
        )
    anew = f"`{configuring(path, name)}` writes it anew."
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        # the parser's message quotes the line that it cannot read, which may be the token's
        raise InputError(f"{path} is not a client configuration.", anew) from None
    if parser.has_section("lpcv"):
        anew = "The stand-in writes it anew at its next start."
    api = parser["api"] if parser.has_section("api") else {}
    missing = [key for key in FIELDS if not api.get(key)]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)} in [api].", anew)
    if not _is_address(api["api_url"]):
        raise InputError(f"{path}: api_url is no http(s) address.", anew)
    if not re.fullmatch(r"[!-~]+", api["api_token"]):  # no header can carry anything else; the client would crash
        raise InputError(f"{path}: api_token holds what no token holds.", anew)
    return Connection(
        name, path, api["api_url"], api["web_url"], api["api_token"], api.get("default_project"),
        parser.get("lpcv", "stand_in", fallback=None),
    )  # fmt: skip


def has_token(path: Path) -> bool:
    """Is there something in the place of the token, whether or not the rest can be used?"""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser.read_string(path.read_text(encoding="utf-8"))
    return bool(parser.get("api", "api_token", fallback=None))


def _is_address(url: str) -> bool:
    try:
        address = urlsplit(url)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # a bracket without its other, a port that is no number
        return False


@contextmanager
def connected(hub: str | None, stand_in_root: Path) -> Iterator[Connection]:
    """The connection that `--hub` names; the word `local` starts a stand-in in `stand_in_root` for as long.

    Raises InputError or MissingStepError where there is none.
    """
    if hub == LOCAL:
        from .stand_in.on_demand import running

        with running(stand_in_root) as ini:
            yield read_connection(ini, LOCAL)
    else:
        yield read_connection(config_path(hub), hub or DEFAULT)


@contextmanager
def own_surroundings(connection: Connection) -> Iterator[None]:
    """Keep what `requests` takes from the environment out of the way, and put it back afterwards.

    A `default` entry of ~/.netrc would replace the token (401); a proxy would be asked for 127.0.0.1.
    """
    changed = {"NETRC": os.devnull}
    if connection.loopback:
        host = urlsplit(connection.api_url).hostname or ""
        spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        changed |= dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, (spared, host))))
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
