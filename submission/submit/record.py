"""What was submitted, beside the ledger: files that are only added, each whole or absent.

runs/aihub/submissions/JOB-OWNER/0001-intended.json   what a person decided to send, before it is shared
runs/aihub/submissions/JOB-OWNER/0002-shared.json     with whom it was shared then, read back
A second decision about the same job (another address, another reason) is another pair.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ...errors import InputError
from ...files import read_json, write_json
from ...hub_folder import HubFolder

StepName = Literal["intended", "shared"]
FOLDER = "submissions"
STEP = re.compile(r"(\d{4})-(intended|shared)\.json")
# What makes it another decision; a sentence of the checklist that reads differently does not.
DECISION = (
    "edition", "model_sha256", "compile_job", "addresses", "bundle_sha256", "licences_accepted", "despite", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """One job's newest decision and what became of it.

    intended: the facts of the decision; shared_at, shared_with: None and empty until the sharing was read back
    """

    intended: dict[str, Any]
    intended_at: str
    shared_at: str | None = None
    shared_with: tuple[str, ...] = ()

    @property
    def compile_job(self) -> str:
        return self.intended["compile_job"]

    def decides(self, facts: Mapping[str, Any]) -> bool:
        """Is it the same decision?"""
        return all(self.intended.get(key) == facts.get(key) for key in DECISION)

    def as_json(self) -> dict[str, Any]:
        sent = {"intended_at": self.intended_at, "shared_at": self.shared_at, "shared_with": list(self.shared_with)}
        return {**sent, **self.intended}


class Submissions:
    """The records in one hub folder. Adding wants the model's lock (`sharing.send`): numbers are given in turn."""

    def __init__(self, folder: HubFolder) -> None:
        self.root = folder.root / FOLDER

    def add(self, owner: str, job_id: str, step: StepName, facts: Mapping[str, Any]) -> None:
        """Write the next step; it is on the disk when this returns."""
        place = self._place(owner, job_id)
        number = max((int(found[1]) for path in _files(place) if (found := STEP.fullmatch(path.name))), default=0) + 1
        write_json(place / f"{number:04d}-{step}.json", {"at": datetime.now(UTC).isoformat(), "step": step, **facts})

    def of(self, owner: str, job_id: str) -> Submission | None:
        """None where nothing was decided about this job. Raises InputError where a record is damaged."""
        return _folded(self._place(owner, job_id))

    def all(self) -> list[Submission]:
        """Of every hub, oldest decision first; clocks move, so ties and jumps keep the order of the names."""
        places = sorted(self.root.iterdir()) if self.root.is_dir() else []
        found = [submission for place in places if (submission := _folded(place)) is not None]
        return sorted(found, key=lambda each: each.intended_at)

    def _place(self, owner: str, job_id: str) -> Path:
        # two hubs may give the same id
        return self.root / f"{job_id}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"


def _files(place: Path) -> Sequence[Path]:
    """Steps in their order; what a killed writer left behind is none."""
    return sorted(path for path in place.iterdir() if STEP.fullmatch(path.name)) if place.is_dir() else []


def _folded(place: Path) -> Submission | None:
    found: Submission | None = None
    for path in _files(place):
        told = read_json(path)
        try:
            step, at = told["step"], told["at"]
            if step == "intended":
                found = Submission({key: told[key] for key in told if key not in ("step", "at")}, at)
                missing = [key for key in DECISION if key not in found.intended]
                if missing:
                    raise KeyError(missing[0])
            elif found is not None:
                found = Submission(found.intended, found.intended_at, at, tuple(told["with"]))
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{path} is no record of a submission ({error}).",
                "Move it aside, and type `lpcv submit` again: it shares nothing twice.",
            ) from None
    return found
