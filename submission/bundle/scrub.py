"""Records without the machine they came from: paths cut to their last component, no token, no user's or host's name."""

from __future__ import annotations

import getpass
import html
import re
import socket
from pathlib import PurePosixPath
from typing import Any

from .ordinary import SHARED, is_ordinary

INPUTS_KEY = "inputs"
REMOVED = "[removed]"

_PATH_IN_TEXT = re.compile(
    r"""(?<![\w/\\.])(?!(?<=:)//)                       # not inside a URL, a hub id or another path
        (?:file://|~|[A-Za-z]:)?[/\\]{1,2}              # what makes it absolute
        (?:[^\s"'/\\]+[/\\]+)*([^\s"'/\\]+)[/\\]*       # its folders, and the last component""",
    re.VERBOSE,
)
_WHOLE_PATH = re.compile(r"(?:file://)?(?:/\S|~|\\\\|\.{1,2}[/\\]|[A-Za-z]:[/\\])")
_SECRET_NAME = r"(?:(?:api|access|auth|hub|hf)[_-]?)?(?:token|password|passwd|secret|api[_-]?key|authorization)"
_SECRET_KEY = re.compile(_SECRET_NAME, re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(rf"\b({_SECRET_NAME})\b[\"']?\s*[=:]\s*(?:bearer\s+)?\S+", re.IGNORECASE)
_KNOWN_TOKEN = re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_)\w{16,}")
_URL_USER = re.compile(r"(\w+://)[^/\s@]+@")
_URL_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_EMAIL = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}\b")
_TAG = re.compile(r"(<script\b.*?</script>|<style\b.*?</style>|<[^>]*>)", re.DOTALL)


def scrub(value: Any) -> Any:
    """JSON without the machine it came from: absolute paths are cut to their last component.

    So are relative ones under "inputs", where every value is a path or a choice of frames. Elsewhere "a/b" is left
    alone: it may be a hub id. What is called a token, or begins like one, is removed, and so are e-mail addresses and
    every word, of whatever length, that is this machine's or its user's name. A name that is an ordinary word
    (`ordinary`) is removed only where it can be nothing else: beside an "@", and behind "home/" or "Users/".
    """
    return _scrubbed(value, _machine())


def scrub_html(page: str) -> str:
    """A page whose texts, but neither tags nor scripts, are scrubbed."""
    machine = _machine()
    parts = _TAG.split(page)
    parts[::2] = [_scrub_escaped(text, machine) for text in parts[::2]]
    return "".join(parts)


def gives_away(text: str) -> str | None:
    """What in a text that cannot be changed would give the machine away, or None."""
    for found in _PATH_IN_TEXT.finditer(text):
        if len(re.findall(r"[/\\]+", found.group().rstrip("/\\"))) >= 2 or found.group().startswith("~"):
            return f"the path {found.group()}"
    if found := _EMAIL.search(text):
        return f"the e-mail address {found.group()}"
    if _SECRET_IN_TEXT.search(text) or _KNOWN_TOKEN.search(text):
        return "something that is called a token"
    if (words := _machine()) and (found := words.search(text)):
        return f"'{found.group()}', a name of this machine or its user"
    return None


def last_component(text: str) -> str:
    return PurePosixPath(text.replace("\\", "/")).name or "."


def machine_names() -> tuple[str, ...]:
    """The user's and the host's names, longest first, without ordinary words."""
    return tuple(name for name in _names() if not is_ordinary(name))


def _names() -> tuple[str, ...]:
    """Longest first, so that no part of a name is left over."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = ""
    host = socket.gethostname()
    names = {name for name in (user, host, host.split(".")[0]) if name}
    return tuple(sorted(names, key=lambda name: (-len(name), name)))


def _machine() -> re.Pattern[str] | None:
    """What finds the names as whole words; "_" and "-" are one, since networks write the second for the first."""
    patterns = []
    for name in _names():
        joined = "[-_]".join(re.escape(part) for part in re.split("[-_]", name))
        word = rf"(?<![^\W_]){joined}(?![^\W_])"
        if not is_ordinary(name):
            patterns.append(word)
        elif name.lower() not in SHARED:
            patterns += [rf"{word}(?=@\w)", rf"(?<=\w@){word}", rf"(?<=home[/\\]){word}", rf"(?<=Users[/\\]){word}"]
    return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None


def _scrubbed(value: Any, machine: re.Pattern[str] | None) -> Any:
    if isinstance(value, dict):
        return {_scrub_text(str(key), machine): _scrub_part(str(key), part, machine) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed(part, machine) for part in value]
    return _scrub_text(value, machine) if isinstance(value, str) else value


def _scrub_part(key: str, part: Any, machine: re.Pattern[str] | None) -> Any:
    if _SECRET_KEY.fullmatch(key) and part is not None:
        return REMOVED
    return _scrub_inputs(part, machine) if key == INPUTS_KEY else _scrubbed(part, machine)


def _scrub_inputs(value: Any, machine: re.Pattern[str] | None) -> Any:
    if isinstance(value, dict):
        return {key: _scrub_inputs(part, machine) for key, part in value.items()}
    if isinstance(value, list):
        return [_scrub_inputs(part, machine) for part in value]
    return _scrub_text(last_component(value), machine) if isinstance(value, str) else value


def _scrub_text(text: str, machine: re.Pattern[str] | None) -> str:
    # A text that IS a path may hold blanks, so it is cut as a whole; paths within a text end at a blank.
    if _WHOLE_PATH.match(text):
        text = last_component(text)
    text = _URL_QUERY.sub(r"\1", _URL_USER.sub(r"\1", text))
    text = _EMAIL.sub(REMOVED, text)
    text = _PATH_IN_TEXT.sub(lambda found: found.group(1), text)
    text = _KNOWN_TOKEN.sub(REMOVED, _SECRET_IN_TEXT.sub(rf"\1={REMOVED}", text))
    return machine.sub(REMOVED, text) if machine else text


def _scrub_escaped(text: str, machine: re.Pattern[str] | None) -> str:
    """Unchanged, to the byte, where there is nothing to scrub."""
    plain = html.unescape(text)
    # A text between tags may begin with blanks and line ends; the path in it is whole all the same.
    lead = plain[: len(plain) - len(plain.lstrip())]
    clean = lead + _scrub_text(plain[len(lead) :], machine) if plain.strip() else plain
    return text if clean == plain else html.escape(clean)
