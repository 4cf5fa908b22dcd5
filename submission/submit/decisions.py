"""Writing RUN/decisions.json, so that the bundle tells what a person decided; `bundle.origin` is what reads it."""

from __future__ import annotations

from ...files import write_json
from ...runs import Run
from ..bundle.origin import Decisions, decided


def settled(run: Run, decisions: Decisions) -> bool:
    """Does the file say just this? Where there is none, nothing was decided. Raises InputError for a damaged one."""
    found = decided(run)
    return decisions.nothing if found is None else found == decisions


def in_bundle(run: Run, decisions: Decisions) -> bool:
    """Would a bundle that is packaged now tell just these? Another model's decisions tell it nothing."""
    found = decided(run)
    if found is None or found.nothing or found.model_sha256 != decisions.model_sha256:
        return decisions.nothing
    return found == decisions


def decide(run: Run, decisions: Decisions) -> None:
    """It is on the disk when this returns; nothing is written where it stands there."""
    if not settled(run, decisions):
        write_json(run.decisions, decisions.as_json())
