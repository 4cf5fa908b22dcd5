"""The bundle of what is sent: does it stand, and if not, packaged on the way and verified before anything is shared."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...console import note
from ...errors import LpcvError
from ...files import sha256_file
from ...hub_folder import HubFolder
from ...runs import Run
from ..bundle.layout import (
    DECISIONS,
    MANIFEST,
    MODEL,
    SCORES,
)  # fmt: skip
from ..bundle.opening import opened
from ..bundle.pack import package, run_files
from ..bundle.verify import verify
from .checklist import BUNDLE, Item
from .decisions import Decisions, decide, decided
from .scores import summary

ON_THE_WAY = "Nothing to do: that happens before anything is shared."


@dataclass(frozen=True)
class Bundle:
    """What is known of the bundle.

    path: where it is or will be; item: its line of the checklist, which passes where there is nothing left to write
    sha256: of the file as it lies there, None where there is none; scores: those that it will hold (`scores.summary`)
    """

    path: Path
    item: Item
    sha256: str | None = None
    scores: dict[str, Any] = field(default_factory=dict)


def look(run: Run, folder: HubFolder, path: Path, model_sha256: str, decisions: Decisions) -> Bundle:
    """Whether the bundle is whole, of the very model, and all that packaging knows now; nothing is written.

    What is damaged or of another model is for a person to replace: it may be the only one of its kind.
    """
    try:
        files = run_files(run, folder)
        if not path.exists():
            found = f"there is no {path} yet: it is packaged and verified"
            item = Item(BUNDLE, "undecided", found, ON_THE_WAY, _command(run, path))
            return Bundle(path, item, None, _scores(files))
        bundle, old = _judged(run, path, model_sha256)
    except LpcvError as error:
        command = _command(run, path)
        here = sha256_file(path) if path.is_file() else None
        return Bundle(path, Item(BUNDLE, "fail", error.problem, error.remedy or f"Run `{command}`.", command), here)
    changed = {name for name in {*old, *files} if old.get(name) != files.get(name)}
    if decided(run) != decisions:
        changed.add(DECISIONS)
    if bundle.item.state != "pass" or not changed:
        return bundle
    found = f"{path} holds this model, and is replaced by one with {', '.join(sorted(changed))} as it is now"
    item = Item(BUNDLE, "undecided", found, ON_THE_WAY, _command(run, path))
    return Bundle(path, item, bundle.sha256, _scores(files))


def made(run: Run, folder: HubFolder, before: Bundle, model_sha256: str, decisions: Decisions) -> Bundle:
    """Decisions written, bundle packaged, verified; where all of it stands nothing is written.

    before: as `look` found it. Raises InputError or MissingStepError where the run cannot be packaged, or what lies in
    the bundle's place is none.
    """
    path = before.path
    if path.exists():
        _contents(path)  # what is no bundle at all is never written over, whatever was overruled
    if before.item.state == "pass" and path.is_file() and sha256_file(path) == before.sha256:
        return before
    if decided(run) != decisions:
        note(f"Writing {run.decisions}, which goes into the bundle.")
        decide(run, decisions)
    note(f"Packaging {path}" + (", which replaces the one that is there." if before.sha256 else "."))
    package(run, path, folder)
    return _judged(run, path, model_sha256)[0]


def _judged(run: Run, path: Path, model_sha256: str) -> tuple[Bundle, dict[str, bytes]]:
    """A bundle that lies there, and its contents. Raises InputError for what is not safe to read as one."""
    command = _command(run, path)
    problems, contents, here = verify(path), _contents(path), sha256_file(path)
    if not problems and sha256(contents[MODEL]).hexdigest() != model_sha256:
        problems = [f"it holds another model than {run.model}"]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        item = Item(BUNDLE, "fail", f"{path}: {problems[0]}{more}", f"Run `{command}`.", command)
        return Bundle(path, item, here), contents
    item = Item(BUNDLE, "pass", f"{path} is whole and holds this model")
    return Bundle(path, item, here, _scores(contents)), contents


def _scores(files: Mapping[str, bytes]) -> dict[str, Any]:
    return summary(json.loads(files[SCORES]))


def _command(run: Run, path: Path) -> str:
    return f"lpcv package {shlex.quote(str(run.root))} -o {shlex.quote(str(path))}"


def _contents(path: Path) -> dict[str, bytes]:
    """Without the manifest. Raises InputError for what is not safe to read as a bundle."""
    with opened(path) as bundle:
        return {name: bundle.read(name) for name in bundle.entries if name != MANIFEST}
