"""What a run keeps beside its model for the bundle, because other commands wrote it elsewhere.

RUN/emulated.json       what `lpcv emulate --json` wrote
RUN/measured/JOB.json   what `lpcv score JOB --json` wrote, of a device's predictions
RUN/report/index.html   what `lpcv score --report` wrote
So every later packaging, of `lpcv submit` too, holds them again; what is of another model is refused then. The report
shows pictures of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...console import note
from ...errors import InputError, MissingStepError
from ...evaluate.report.page import FILE_NAME
from ...files import read_json, sha256_file, write_bytes
from ...hub_folder import HubFolder, is_job_id
from ...runs import Run
from .jobs import jobs_of
from .layout import MOST_OTHER_BYTES
from .scores import emulated_scores, measured_score
from .scrub import scrub_html

MARK = "predictions, SHA-256</dt><dd>{}</dd>"


def kept_emulated(run: Run) -> Path | None:
    path = run.root / "emulated.json"
    return path if path.exists() else None


def kept_measured(run: Run) -> list[Path]:
    """In the order of their jobs' ids."""
    return sorted((run.root / "measured").glob("*.json"))


def kept_report(run: Run) -> Path | None:
    path = run.root / "report" / FILE_NAME
    return path if path.exists() else None


def kept_places(run: Run) -> list[Path]:
    """Where all of that lies or would lie; what is measured only where it is there."""
    return [run.root / "emulated.json", run.root / "report" / FILE_NAME, *kept_measured(run)]


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


def report_of(page: Path | None, model_sha256: str) -> bytes | None:
    """The page that `lpcv score --report` wrote, with paths cut; None where there is none.

    Raises InputError where it is too large or no page, MissingStepError where it is of another model.
    """
    if page is None:
        return None
    if page.stat().st_size > MOST_OTHER_BYTES:
        raise InputError(f"{page} has more than {MOST_OTHER_BYTES} bytes.", "Move it aside.")
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{page} is no report.", "`lpcv score RUN --data DIR --report FOLDER` writes one.") from None
    if not is_of(text, model_sha256):
        raise MissingStepError(
            f"{page} is the report of another model.",
            f"Run `lpcv score RUN --data DIR --report {page.parent}` again, or move it aside.",
        )
    return scrub_html(text).encode()


def is_of(page: str, model_sha256: str) -> bool:
    """Whether the page says that it shows the predictions of this model."""
    return MARK.format(model_sha256) in page
