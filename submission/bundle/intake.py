"""What a run keeps beside its model for the bundle, because other commands wrote it elsewhere.

RUN/emulated.json       what `lpcv emulate --json` wrote
RUN/measured/JOB.json   what `lpcv score JOB --json` wrote, of a device's predictions
RUN/report/index.html   what `lpcv score --report` wrote
So every later packaging, of `lpcv submit` too, holds them again; what is of another model is refused then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...console import note
from ...errors import InputError
from ...evaluate.report.page import FILE_NAME
from ...files import read_json, sha256_file, write_bytes
from ...hub_folder import HubFolder, is_job_id
from ...runs import Run
from .jobs import jobs_of
from .report import report_of
from .scores import emulated_scores, measured_score


def kept_emulated(run: Run) -> Path | None:
    path = run.root / "emulated.json"
    return path if path.exists() else None


def kept_measured(run: Run) -> list[Path]:
    """In the order of their jobs' ids."""
    return sorted((run.root / "measured").glob("*.json"))


def kept_report(run: Run) -> Path | None:
    path = run.root / "report" / FILE_NAME
    return path if path.exists() else None


def take_in(run: Run, folder: HubFolder, emulated: Path | None, measured: Sequence[Path], report: Path | None) -> None:
    """Copy files into the run, each once it has been found to be of its very model.

    report: a folder that `lpcv score --report` was given, or its page
    Raises InputError or MissingStepError where one of them is not; nothing has been copied then.
    """
    model_sha256 = sha256_file(run.exported())
    wanted: list[tuple[Path, Path]] = []
    if emulated is not None:
        emulated_scores(emulated, model_sha256)
        wanted.append((emulated, run.root / "emulated.json"))
    found = jobs_of(folder, model_sha256) if measured else []
    for file in measured:
        measured_score(file, found, folder)
        job_id = str(read_json(file)["source"]).split(",")[0]
        assert is_job_id(job_id)  # the ledger knows it
        wanted.append((file, run.root / "measured" / f"{job_id}.json"))
    if report is not None:
        page = report / FILE_NAME if report.is_dir() else report
        if not page.is_file():
            raise InputError(
                f"{report} holds no {FILE_NAME}.", "`lpcv score RUN --data DIR --report FOLDER` writes it."
            )
        report_of(page, model_sha256)
        wanted.append((page, run.root / "report" / FILE_NAME))
    for source, place in wanted:
        if source.resolve() != place.resolve():
            write_bytes(place, source.read_bytes())
            note(f"Kept {source} as {place}: every bundle of this run holds it from now on.")
