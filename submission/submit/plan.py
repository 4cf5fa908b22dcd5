"""Everything that is looked at before anything is sent; not a byte is changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...contract import CURRENT, Edition
from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import read_json, sha256_file
from ...hub_jobs.desk import Desk
from ...hub_jobs.history import Record
from ...hub_jobs.models import model_of, title_of
from ...runs import Run
from ..check.preflight import check_model
from . import items
from .checklist import JOB, Checklist, Overrides
from .jobs import Jobs, jobs_of
from .licences import Licence, LicencesOf, demand_known, licences_of


@dataclass(frozen=True)
class Wanted:
    """What the command line says. job: a compile job by its id; accepted: names of licences"""

    run: Run
    bundle: Path
    frames: FrameFolder | None = None
    job: str | None = None
    accepted: tuple[str, ...] = ()
    overrides: Overrides = field(default_factory=Overrides)


@dataclass(frozen=True)
class Plan:
    """What would be sent, and everything that speaks for or against it.

    facts: what is recorded of the decision; latency: as a device measured it, or "not measured"
    """

    edition: Edition
    checklist: Checklist
    jobs: Jobs
    latency: str
    facts: dict[str, Any]

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.edition.sharing_address,)

    @property
    def job(self) -> Record:
        """Raises InputError where there is no finished compile job: no reason helps against that."""
        if self.jobs.chosen is None:
            raise InputError(f"There is no job to share: {self.checklist[JOB].found}.", self.checklist[JOB].remedy)
        return self.jobs.chosen


def plan_of(desk: Desk, wanted: Wanted, *, edition: Edition = CURRENT, licences_from: LicencesOf = licences_of) -> Plan:
    """Look at everything.

    Raises InputError or MissingStepError where the run has no fresh export, or a job or licence is none of its.
    """
    run, root = wanted.run, wanted.run.root
    model_sha256 = model_of(root).sha256
    licences = licences_from(run)
    demand_known(wanted.accepted, licences)
    jobs = jobs_of(desk, model_sha256, edition.devices, wanted.job)
    budget, judged, profile = items.profile_item(desk, jobs, edition)
    checklist = Checklist(
        (
            items.check_item(root, check_model(run.model, wanted.frames)),
            items.job_item(root, jobs, edition, desk.way),
            budget,
            items.licences_item(licences, wanted.accepted),
            items.bundle_item(root, wanted.bundle, model_sha256),
            items.edition_item(edition, datetime.now(UTC).date()),
        ),
        wanted.overrides,
    )
    latency = items.measured(judged, profile)
    job = jobs.chosen
    told = job.intended if job else {}
    facts = {
        "edition": edition.name,
        "run": title_of(root),
        "model_sha256": model_sha256,
        "compile_job": job.job_id if job else None,
        "url": job.url if job else None,
        "device": told.get("device"),
        "options": told.get("options"),
        "hub": desk.owner,
        "rehearsal": desk.connection.rehearsal,
        "addresses": [edition.sharing_address],
        "bundle_sha256": sha256_file(wanted.bundle) if wanted.bundle.is_file() else None,
        "licences": [vars(licence) for licence in licences],
        "licences_accepted": _accepted(licences, wanted.accepted),
        **{"checklist": checklist.as_json()["items"]},
        **{key: checklist.as_json()[key] for key in ("despite", "reason")},
        "scores": {"float": float_score(run, model_sha256)},
        "latency_ms_measured": profile.latency_ms if profile and judged and not judged.rehearsal else None,
        "profile_job": jobs.profile.job_id if jobs.profile else None,
        "lpcv_version": __version__,
    }
    return Plan(edition, checklist, jobs, latency, facts)


def float_score(run: Run, model_sha256: str) -> dict[str, Any] | None:
    """The official score in RUN/score.json, of the exported float model; None where it is of another one or not there.

    A device's or the emulator's score is another number, and never stands in this place.
    """
    if not run.score.is_file():
        return None
    score = read_json(run.score)
    if not isinstance(score, dict) or score.get("source_sha256") != model_sha256:
        return None
    mean = score.get("mean")
    return {
        "protocol": score.get("protocol"),
        "f_score": mean.get("f_score") if isinstance(mean, dict) else None,
        "frames": score.get("frames_scored"),
        "frames_trained_on": score.get("frames_trained_on"),
        "data_sha256": score.get("data_sha256"),
    }


def _accepted(licences: Sequence[Licence], accepted: Sequence[str]) -> list[str]:
    """As the run's records spell them."""
    names = {name.casefold() for name in accepted}
    return sorted({licence.name for licence in licences if licence.name.casefold() in names})
