"""What a verification says: one thing that was looked at, its state, and a sentence that any terminal can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ..check.findings import State
from .opening import parse_json

LONGEST_SENTENCE = 400


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at. found: a sentence; state "undecided" where nothing can be said of it"""

    name: str
    state: State
    found: str


def plain(text: str) -> str:
    """One line that a terminal can be shown, whatever the bundle holds."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= LONGEST_SENTENCE else f"{shown[:LONGEST_SENTENCE]} ..."


def json_in(contents: dict[str, bytes], name: str) -> Any:
    """None where it is not JSON; the caller's comparison then fails with a sentence."""
    try:
        return parse_json(contents[name], name)
    except InputError:
        return None
