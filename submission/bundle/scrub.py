"""Records without the machine they came from: paths are cut to their last component."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

INPUTS_KEY = "inputs"

_PATH_IN_TEXT = re.compile(
    r"""(?<![\w:/\\.])                                  # not inside a URL, a hub id or another path
        (?:file://|~|[A-Za-z]:)?[/\\]{1,2}              # what makes it absolute
        (?:[^\s"'/\\]+[/\\]+)*([^\s"'/\\]+)[/\\]*       # its folders, and the last component""",
    re.VERBOSE,
)
_WHOLE_PATH = re.compile(r"(?:file://)?(?:/\S|~|\\\\|\.{1,2}[/\\]|[A-Za-z]:[/\\])")


def scrub(value: Any) -> Any:
    """JSON without the machine it came from: absolute paths are cut to their last component.

    So are relative ones under "inputs", where every value is a path or a choice of frames. Elsewhere "a/b" is left
    alone: it may be a hub id.
    """
    if isinstance(value, dict):
        return {key: _scrub_inputs(part) if key == INPUTS_KEY else scrub(part) for key, part in value.items()}
    if isinstance(value, list):
        return [scrub(part) for part in value]
    return _scrub_text(value) if isinstance(value, str) else value


def _scrub_inputs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _scrub_inputs(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_scrub_inputs(part) for part in value]
    return last_component(value) if isinstance(value, str) else value


def _scrub_text(text: str) -> str:
    # A text that IS a path may hold blanks, so it is cut as a whole; paths within a text end at a blank.
    if _WHOLE_PATH.match(text):
        return last_component(text)
    return _PATH_IN_TEXT.sub(lambda found: found.group(1), text)


def last_component(text: str) -> str:
    return PurePosixPath(text.replace("\\", "/")).name or "."
