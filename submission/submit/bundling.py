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
from ...errors import InputError, LpcvError
from ...files import sha256_file
from ...hub_folder import HubFolder
from ...runs import Run
from ..bundle.layout import DECISIONS, MANIFEST, MODEL, SCORES
from ..bundle.opening import opened
from ..bundle.origin import Decisions
from ..bundle.pack import package, run_files
from ..bundle.verify import verify
from .checklist import BUNDLE, Item
from .decisions import decide, in_bundle, settled
from .scores import summary

BUNDLE_NAME = "bundle.zip"  # in the run, where nobody names another


@dataclass(frozen=True)
class Bundle:
    """What is known of the bundle.

    path: where it is or will be; item: its line of the checklist; pending: it passes, once it has been packaged
    sha256: of the file as it lies there, None where there is none; scores: those that it will hold (`scores.summary`)
    """

    path: Path
    item: Item
    sha256: str | None = None
    scores: dict[str, Any] = field(default_factory=dict)
    pending: bool = False


def look(run: Run, folder: HubFolder, path: Path, model_sha256: str, decisions: Decisions) -> Bundle:
    """Whether the bundle is whole, of the very model, and all that packaging knows now; nothing is written.

    What is damaged or of another model is for a person to replace: it may be the only one of its kind.
    """
    try:
        files = run_files(run, folder)
        if not path.exists():
            item = Item(BUNDLE, "pass", f"there is no {path} yet: it will be packaged and verified")
            return Bundle(path, item, None, _scores(files), pending=True)
    except LpcvError as error:  # no command: packaging ends with the same
        return Bundle(path, _hopeless(error, error.remedy or "Mend that first."), _sha256_of(path))
    try:
        bundle, old = _judged(run, path, model_sha256)
    except LpcvError as error:
        remedy = "Give --bundle another name, or move it aside: it is never written over."
        return Bundle(path, _hopeless(error, remedy), _sha256_of(path))
    changed = {name for name in {*old, *files} if old.get(name) != files.get(name)}
    if not in_bundle(run, decisions):
        changed.add(DECISIONS)
    if bundle.item.state != "pass" or not changed:
        return bundle
    found = f"{path} holds this model, and will be replaced by one with {', '.join(sorted(changed))} as it is now"
    return Bundle(path, Item(BUNDLE, "pass", found), bundle.sha256, _scores(files), pending=True)


def made(run: Run, folder: HubFolder, before: Bundle, model_sha256: str, decisions: Decisions) -> Bundle:
    """Decisions written, bundle packaged, verified; where all of it stands nothing is written.

    before: as `look` found it. Raises InputError or MissingStepError where the run cannot be packaged, or what lies in
    the bundle's place is none, or of another model: neither is ever written over.
    """
    path = before.path
    found = before.item
    if path.exists() and _sha256_of(path) != before.sha256:
        found = _judged(run, path, model_sha256)[0].item  # another than a moment ago
    if found.firm:
        raise InputError(f"Nothing was shared: {found.found}.", found.remedy)
    if not before.pending and before.item.state == "pass" and path.is_file() and sha256_file(path) == before.sha256:
        return before
    if not settled(run, decisions):
        note(f"Writing {run.decisions}, which goes into the bundle.")
        decide(run, decisions)
    note(f"Packaging {path}" + (", which replaces the one that is there." if before.sha256 else "."))
    package(run, path, folder)
    return _judged(run, path, model_sha256)[0]


def _judged(run: Run, path: Path, model_sha256: str) -> tuple[Bundle, dict[str, bytes]]:
    """A bundle that lies there, and its contents. Raises InputError for what is not safe to read as one."""
    problems, contents, here = verify(path), _contents(path), sha256_file(path)
    if sha256(contents.get(MODEL, b"")).hexdigest() != model_sha256:
        return Bundle(path, _of_another(run, path), here), contents
    if problems:
        command = _command(run, path)
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        found = f"{path}: {problems[0].rstrip('.')}{more}"
        return Bundle(path, Item(BUNDLE, "fail", found, f"Run `{command}`.", command), here), contents
    item = Item(BUNDLE, "pass", f"{path} is whole and holds this model")
    return Bundle(path, item, here, _scores(contents)), contents


def _hopeless(error: LpcvError, remedy: str) -> Item:
    return Item(BUNDLE, "fail", error.problem.rstrip("."), remedy, firm=True)


def _sha256_of(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def _of_another(run: Run, path: Path) -> Item:
    """It may be the only one of its model, unless it is the run's own of before."""
    found = f"{path}: it holds another model than {run.model}"
    if path.resolve() == (run.root / BUNDLE_NAME).resolve():
        command = _command(run, path)
        return Item(BUNDLE, "fail", found, f"`{command}` replaces it by one of this model.", command, firm=True)
    return Item(BUNDLE, "fail", found, "Give --bundle another name: it is never written over.", firm=True)


def _scores(files: Mapping[str, bytes]) -> dict[str, Any]:
    return summary(json.loads(files[SCORES]))


def _command(run: Run, path: Path) -> str:
    return f"lpcv package {shlex.quote(str(run.root))} -o {shlex.quote(str(path))}"


def _contents(path: Path) -> dict[str, bytes]:
    """Without the manifest. Raises InputError for what is not safe to read as a bundle."""
    with opened(path) as bundle:
        return {name: bundle.read(name) for name in bundle.entries if name != MANIFEST}
