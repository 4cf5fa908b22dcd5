"""What was typed at `lpcv check`, looked at before anything is run: the device's name, and where results go."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from ...errors import InputError
from ...files import demand_apart
from ...hub_jobs.devices import nearest, recorded
from ...runs import is_run

NEAREST = 3
PICTURE = "check.png"
RESULTS = (".json", ".png")
OWN_KEYS = {"findings", "model_sha256"}
"""What a file that `--json` wrote has, and none of a run's own."""


def demand_known(device: str) -> None:
    """Raises InputError with the nearest names for a device that is not recorded."""
    known = sorted({one.name for one in recorded()})
    if device not in known:
        near = nearest(device, known, NEAREST) or difflib.get_close_matches(device, known, NEAREST, cutoff=0)
        raise InputError(f"There is no device '{device}'.", f"Nearest: {', '.join(near)}; `lpcv devices` lists all.")


def demand_nothing_lost(outputs: Mapping[str, Path | None], model: Path, data: Path | None) -> None:
    """Raises InputError where a result would be written over the model, a file of its run, or a frame.

    outputs: option -> the file that it will write, or None; model: the file that is checked
    A result of an earlier check may be written again.
    """
    run = model.resolve().parent if is_run(model.parent) else None
    for option, path in outputs.items():
        if path is None or not path.exists():
            continue
        place = path.resolve()
        of_run = [run] if run is not None and not _is_earlier(place) else []
        demand_apart(option, path, [model, *of_run, *([data] if data else [])])
        if place.suffix.lower() not in RESULTS:  # weights beside a model have names of all kinds
            raise InputError(
                f"{option} {path} exists and is no {' or '.join(RESULTS)} file: it would be lost.",
                f"Give {option} another name.",
            )


def _is_earlier(path: Path) -> bool:
    if path.name == PICTURE:
        return True
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError):
        return False
    return isinstance(content, dict) and content.keys() >= OWN_KEYS
