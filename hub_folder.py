"""Where what belongs to AI Hub lies: the ledger, and what jobs have brought. `hub_jobs` writes it, `lpcv score` reads.

runs/aihub/ledger.sqlite            every intention and every fact of a job
runs/aihub/locks/                   one file for each thing that only one process may do at a time
runs/aihub/stand-in/                everything of the stand-in service for rehearsals
runs/aihub/jobs/ID/npu.json         what the NPU's compiler or emulator said of a rehearsal's job
runs/aihub/jobs/ID/outputs.json     where the job's predictions are
runs/aihub/submissions/JOB-OWNER/   what was submitted: the decision, then with whom the job was shared
runs/aihub/predictions/KEY/         predictions; jobs with the same content share them
runs/aihub/htp/                     what `lpcv emulate` compiled, emulated and scored: it grows, and may be removed at
                                    any time
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InputError, MissingStepError
from .files import read_json, write_json

VARIABLE = "LPCV_HUB_FOLDER"
DEFAULT = Path("runs/aihub")
OUTPUTS = "outputs.json"
JOB_ID = re.compile(r"j[a-z0-9]{4,}")
SAME_HUB = "Add the --hub that it was ordered with, if any."
KEY = re.compile(r"[A-Za-z0-9_-]+")


def default_root() -> Path:
    """`runs/aihub` of the current directory, or what the environment variable LPCV_HUB_FOLDER names."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def is_job_id(text: str) -> bool:
    """Whether it looks like the id of an AI Hub job, e.g. "jgzr4x9o5"."""
    return JOB_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class HubFolder:
    """Paths below `root`; nothing need exist yet."""

    root: Path = field(default_factory=default_root)

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def stand_in(self) -> Path:
        return self.root / "stand-in"

    @property
    def htp(self) -> Path:
        """Kept by content so that nothing is computed twice: compiled models, emulated frames, their scores."""
        return self.root / "htp"

    def job(self, job_id: str) -> Path:
        """The folder of one job. Raises InputError for what is no job's id, so it never leads outside `root`."""
        if not is_job_id(job_id):
            raise InputError(f"'{job_id}' is not the id of an AI Hub job.", "`lpcv jobs` lists them.")
        return self.root / "jobs" / job_id

    def predictions(self, key: str) -> Path:
        """The folder of predictions with this content key (letters, digits, _ and -)."""
        if KEY.fullmatch(key) is None:
            raise ValueError(f"'{key}' cannot be the name of a folder of predictions")
        return self.root / "predictions" / key

    def write_outputs(self, job_id: str, key: str) -> None:
        """Note that the job's predictions are those with this key."""
        folder = self.job(job_id)
        place = os.path.relpath(self.predictions(key), folder)
        write_json(folder / OUTPUTS, {"predictions": Path(place).as_posix()})

    def predictions_of(self, job_id: str) -> Path:
        """The folder with the predictions that this job computed.

        Raises InputError where the job is not known here or its outputs.json is damaged, MissingStepError where its
        outputs have not been fetched.
        """
        folder = self.job(job_id)
        if not folder.is_dir():
            raise InputError(
                f"'{job_id}' is no file or folder, and {self.root} knows no job of that id.",
                f"`lpcv jobs` lists those that it knows; {VARIABLE}=DIR reads those of another folder.",
            )
        outputs = folder / OUTPUTS
        if not outputs.is_file():
            raise MissingStepError(
                f"Job {job_id} has no predictions here yet.",
                f"Run `lpcv jobs wait {job_id}`, which fetches them. {SAME_HUB}",
            )
        content = read_json(outputs)
        named = content.get("predictions") if isinstance(content, dict) else None
        if not isinstance(named, str):
            raise InputError(f"{outputs} names no folder of predictions.", _again(job_id))
        root = self.root.resolve()
        place = (folder / named).resolve()
        if Path(named).is_absolute() or root / "predictions" not in place.parents:
            raise InputError(f"{outputs} leads outside {self.root / 'predictions'}: '{named}'.", _again(job_id))
        if not place.is_dir():
            raise InputError(f"The predictions of job {job_id} are gone: {place} is no folder.", _again(job_id))
        return self.root / place.relative_to(root)


def _again(job_id: str) -> str:
    return f"Remove it, and `lpcv jobs wait {job_id}` fetches them again. {SAME_HUB}"
