"""RUN/decisions.json: what a person decided when a model was sent, so that the bundle tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InputError
from ...files import read_json, write_json
from ...runs import Run


@dataclass(frozen=True)
class Decisions:
    """despite: failed lines that it was sent in spite of; licences_accepted: as the run's records spell them"""

    despite: tuple[str, ...] = ()
    reason: str = ""
    licences_accepted: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def decided(run: Run) -> Decisions:
    """What was decided when it was last sent; nothing where there is no such file. Raises InputError for a damaged one.

    A decision to nothing and no decision are one, so a run that needs none is packaged without a word of it.
    """
    path = run.decisions
    if not path.exists():
        return Decisions()
    told = read_json(path)
    try:
        return Decisions(tuple(told["despite"]), str(told["reason"]), tuple(told["licences_accepted"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} holds no decisions ({error}).", "Remove it: `lpcv submit` writes it again.") from None


def decide(run: Run, decisions: Decisions) -> None:
    """It is on the disk when this returns; nothing is written where it stands there."""
    if decided(run) != decisions:
        write_json(run.decisions, decisions.as_json())
