"""What can go wrong, as sentences with a remedy. Only `cli.py` turns them into exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LpcvError(Exception):
    """A problem its reader can mend: one sentence of what is wrong, one of what to do."""

    exit_code = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        # torch raises a loader worker's exception again with its text alone, hence the default.
        super().__init__(f"{problem} {remedy}".rstrip())
        self.problem = problem
        self.remedy = remedy


class InputError(LpcvError):
    """A file, folder or value that was given cannot be used."""


class MissingStepError(LpcvError):
    """An earlier step has not been run; the remedy is the command that runs it."""


class UnreachableError(LpcvError):
    """A service or a download cannot be reached; the remedy names what works offline."""


class UnknownNameError(LpcvError):
    """A name that is not in a closed list; suggests the nearest and lists the rest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        super().__init__(f"There is no {kind} '{name}'.", f"{hint}Known: {', '.join(names)}.")


class Interrupted(LpcvError):
    """Stopped by Ctrl-C or SIGTERM after saving; the remedy says how to go on."""

    exit_code = 130


def first_line(error: BaseException, most: int = 300) -> str:
    """Of a library's message, which may go on for pages, at most so many characters; its type where it says nothing."""
    said = str(error).strip().split("\n")[0].strip()
    return said[:most] or type(error).__name__
