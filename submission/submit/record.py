"""What was submitted, beside the ledger: files that are only added, each whole or absent.

runs/aihub/submissions/JOB-OWNER/0001-intended.json   what a person decided to send, before it is shared
runs/aihub/submissions/JOB-OWNER/0002-shared.json     with whom it was shared then, read back, and since when
runs/aihub/submissions/JOB-OWNER/bundle-1a2b3c4d.zip  the bundle of a decision, as it was: RUN's may change
A second decision about the same job (another run, another reason) is another pair. The sharing is the job's: what was
shared stays so, whatever is decided after.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ...errors import InputError
from ...files import read_json, replacing, sha256_file, write_json
from ...hub_folder import HubFolder

StepName = Literal["intended", "shared"]
FOLDER = "submissions"
STEP = re.compile(r"(\d{4})-(intended|shared)\.json")
RUN = ("run", "config_sha256")
# What makes it another decision; a sentence of the checklist that reads differently does not.
DECISION = (
    *RUN, "edition", "model_sha256", "compile_job", "addresses", "bundle_sha256", "licences_accepted", "despite",
    "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """One run's newest decision about a job, and what became of it.

    intended: the facts of the decision
    shared_at, shared_with: since when the job is shared without a break, None and empty until that was read back
    at_latest: it was found shared, so it may have been before `shared_at`
    read_back: it was after this very decision; else a newer decision was cut off, and an older one's sharing stands
    """

    intended: dict[str, Any]
    intended_at: str
    shared_at: str | None = None
    shared_with: tuple[str, ...] = ()
    at_latest: bool = False
    read_back: bool = False

    @property
    def compile_job(self) -> str:
        return self.intended["compile_job"]

    def decides(self, facts: Mapping[str, Any]) -> bool:
        """Is it the same decision?"""
        return all(self.intended.get(key) == facts.get(key) for key in DECISION)

    def as_json(self) -> dict[str, Any]:
        sent = {
            "intended_at": self.intended_at,
            "shared_at": self.shared_at,
            "shared_at_latest": self.at_latest,
            "shared_with": list(self.shared_with),
            "read_back": self.read_back,
        }
        return {**sent, **self.intended}


class Submissions:
    """The records in one hub folder. Adding wants the model's lock (`sharing.send`): numbers are given in turn."""

    def __init__(self, folder: HubFolder) -> None:
        self.root = folder.root / FOLDER
        self.hub = folder.root

    def add(self, owner: str, job_id: str, step: StepName, facts: Mapping[str, Any]) -> None:
        """Write the next step; it is on the disk when this returns."""
        place = self._place(owner, job_id)
        number = max((int(found[1]) for path in _files(place) if (found := STEP.fullmatch(path.name))), default=0) + 1
        write_json(place / f"{number:04d}-{step}.json", {"at": datetime.now(UTC).isoformat(), "step": step, **facts})

    def keep(self, owner: str, job_id: str, bundle: Path, bundle_sha256: str) -> str:
        """A copy of the bundle beside the record, written once; gives its path below the hub folder.

        Raises InputError where the bundle is not the one of that hash any more.
        """
        place = self._place(owner, job_id) / f"bundle-{bundle_sha256[:8]}.zip"
        if not place.is_file() or sha256_file(place) != bundle_sha256:
            with replacing(place) as temporary:
                shutil.copyfile(bundle, temporary)
                if sha256_file(temporary) != bundle_sha256:
                    raise InputError(f"{bundle} was changed meanwhile; nothing was shared.", "Type the same again.")
        return place.relative_to(self.hub).as_posix()

    def of(self, owner: str, job_id: str) -> list[Submission]:
        """One for each run, oldest decision first; none where nothing was decided about this job.

        Raises InputError where a record is damaged.
        """
        return _folded(self._place(owner, job_id))

    def all(self) -> list[Submission]:
        """Of every hub, oldest decision first; clocks move, so ties and jumps keep the order of the names."""
        places = sorted(self.root.iterdir()) if self.root.is_dir() else []
        found = [submission for place in places for submission in _folded(place)]
        return sorted(found, key=lambda each: each.intended_at)

    def _place(self, owner: str, job_id: str) -> Path:
        # two hubs may give the same id
        return self.root / f"{job_id}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"


def run_key(facts: Mapping[str, Any]) -> dict[str, str]:
    """Which run: several may hold the same model, and so share its job."""
    return {key: facts[key] for key in RUN}


def _files(place: Path) -> Sequence[Path]:
    """Steps in their order; what a killed writer left behind is none."""
    return sorted(path for path in place.iterdir() if STEP.fullmatch(path.name)) if place.is_dir() else []


def _folded(place: Path) -> list[Submission]:
    """The newest decision of each run, in the order of these; each with the job's last sharing."""
    found: dict[tuple[str, str], Submission] = {}
    shared: dict[str, Any] = {}
    newest: tuple[str, str] | None = None
    for path in _files(place):
        told = read_json(path)
        try:
            step, at = told["step"], told["at"]
            if step == "intended":
                facts = {key: told[key] for key in told if key not in ("step", "at")}
                missing = [key for key in DECISION if key not in facts]
                if missing:
                    raise KeyError(missing[0])
                newest = (facts["run"], facts["config_sha256"])
                found.pop(newest, None)
                found[newest] = Submission(facts, at, **shared)
            elif newest is not None:
                at_latest = bool(told.get("at_latest", False))
                shared = {
                    "shared_at": told.get("since", at),
                    "shared_with": tuple(told["with"]),
                    "at_latest": at_latest,
                }
                found = {run: replace(each, **shared) for run, each in found.items()}
                whose = (told["run"], told["config_sha256"]) if "run" in told else newest
                found[whose] = replace(found[whose], read_back=True)
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{path} is no record of a submission ({error}).",
                "Move it aside, and type `lpcv submit` again: it shares nothing twice.",
            ) from None
    return list(found.values())
