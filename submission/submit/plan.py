"""Everything that is looked at before anything is sent; not a byte is changed here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...console import note
from ...contract import CURRENT, Edition
from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import demand_apart, read_json, sha256_file
from ...hub_folder import HubFolder
from ...hub_jobs.desk import Desk
from ...hub_jobs.history import Record
from ...hub_jobs.htp.door import is_available
from ...hub_jobs.models import model_of, title_of
from ...runs import Run
from ..bundle.origin import Decisions
from ..check.findings import Finding
from ..check.latency import ESTIMATED
from ..check.licences import consented, demand_known, parts_of
from ..check.preflight import Circumstances, check_model
from . import items
from .bundling import Bundle, look
from .checklist import JOB, Checklist, Overrides
from .jobs import Jobs, chosen_jobs
from .record import Submission, Submissions

MOST_BYTES_TO_COMPILE = 64 * 2**20
"""The NPU's compiler takes seconds for a student, and minutes for a transformer (`lpcv check --device` asks it)."""


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

    latency: as a device measured it, or "not measured"; estimate: what the compiler's estimate says, never a number
    that counts; told: of the facts, those that neither checklist nor bundle tells; earlier: other jobs of the same
    model that were submitted
    """

    run: Run
    edition: Edition
    checklist: Checklist
    jobs: Jobs
    latency: str
    estimate: str
    decisions: Decisions
    bundle: Bundle
    told: dict[str, Any]
    earlier: tuple[Submission, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of the decision."""
        listed = self.checklist.as_json()
        return {
            **self.told,
            "bundle_sha256": None if self.bundle.pending else self.bundle.sha256,
            "licences_accepted": list(self.decisions.licences_accepted),
            "checklist": listed["items"],
            "despite": listed["despite"],
            "reason": listed["reason"],
            "scores": self.bundle.scores,
        }

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.edition.sharing_address,)

    @property
    def job(self) -> Record:
        """Raises InputError where there is no finished compile job: no reason helps against that."""
        if self.jobs.chosen is None:
            raise InputError(f"There is no job to share: {self.checklist[JOB].found}.", self.checklist[JOB].remedy)
        return self.jobs.chosen

    def with_bundle(self, bundle: Bundle) -> Plan:
        """The same with the bundle as it has been made."""
        return replace(self, bundle=bundle, checklist=self.checklist.with_item(bundle.item))


def demand_nothing_lost(wanted: Wanted, json_file: Path | None, folder: HubFolder, hub: str | None) -> None:
    """Neither result may take the place of an input. Raises InputError for one that would.

    Our own --json of before may be written over wherever it lies, and a bundle where a bundle belongs.
    """
    run = wanted.run
    parts = (run.config, run.metrics, run.model, run.score, run.decisions, run.root / "emulated.json")
    folders = (run.root / "checkpoints", run.root / "measured", run.root / "report", folder.root)
    inputs = [
        *parts,
        *folders,
        *([wanted.frames.root] if wanted.frames else []),
        *([Path(hub)] if hub and Path(hub).is_file() else []),
    ]
    demand_apart("--bundle", wanted.bundle, inputs)
    if json_file is None or _former(json_file):
        return
    if json_file.exists() and run.root.resolve() in json_file.resolve().parents:
        inputs.append(json_file)
    demand_apart("--json", json_file, inputs)


def _former(path: Path) -> bool:
    """Whether it is what `lpcv submit --json` wrote before."""
    try:
        told = read_json(path)
    except InputError:
        return False
    return isinstance(told, dict) and {"outcome", "dry_run", "blocked", "checklist"} <= set(told)


def plan_of(desk: Desk, wanted: Wanted, *, edition: Edition = CURRENT) -> Plan:
    """Look at everything.

    Raises InputError or MissingStepError where the run has no fresh export, its records are damaged, or a job or
    licence is none of its.
    """
    run, root = wanted.run, wanted.run.root
    model_sha256 = model_of(root).sha256
    demand_known(run, wanted.accepted)
    jobs = chosen_jobs(desk, model_sha256, edition, wanted.job)
    profile_line, judged, profile = items.profile_item(root, desk, jobs, edition)
    device, rehearsal = asked_about(wanted, edition), desk.connection.rehearsal
    findings = findings_of(desk.folder, wanted, device)
    lines = [
        items.check_item(root, findings, data=wanted.frames.root if wanted.frames else None, device=device),
        items.job_item(root, jobs, edition, desk.way),
        profile_line,
        items.licences_item(run, wanted.accepted),
        items.edition_item(edition, datetime.now(UTC).date(), rehearsal=rehearsal),
    ]
    # Without the bundle's own line, which only the record beside the ledger tells: a bundle that fails its
    # verification tells that to everybody who verifies it.
    overridden = tuple(Checklist(tuple(lines), wanted.overrides).overridden)
    reason = wanted.overrides.reason if overridden else ""
    decisions = Decisions(model_sha256, rehearsal, overridden, reason, tuple(consented(run, wanted.accepted)))
    note(f"Looking at the bundle, {wanted.bundle}.")
    bundle = look(run, desk.folder, wanted.bundle, model_sha256, decisions)
    job = jobs.chosen
    intended = job.intended if job else {}
    told = {
        "edition": edition.name,
        "run": title_of(root),
        "config_sha256": sha256_file(run.config),
        "model_sha256": model_sha256,
        "compile_job": job.job_id if job else None,
        "url": job.url if job else None,
        "device": intended.get("device"),
        "options": intended.get("options"),
        "hub": desk.owner,
        "rehearsal": rehearsal,
        "addresses": [edition.sharing_address],
        "licences": [{"part": each.name, "what": each.what, "licences": each.licences} for each in parts_of(run)],
        "latency_ms_measured": profile.latency_ms if profile and judged and not judged.rehearsal else None,
        "profile_job": jobs.profile.job_id if jobs.profile else None,
        "lpcv_version": __version__,
    }
    estimate = next((finding.found for finding in findings if finding.name == ESTIMATED), "")
    listed = Checklist((*lines[:-1], bundle.item, lines[-1]), wanted.overrides)
    earlier = tuple(
        each
        for each in Submissions(desk.folder).all()
        if each.shared_at
        and (each.intended["model_sha256"], each.intended.get("hub")) == (model_sha256, desk.owner)
        and each.compile_job != told["compile_job"]
    )
    latency = items.measured(judged, profile)
    return Plan(run, edition, listed, jobs, latency, estimate, decisions, bundle, told, earlier)


def asked_about(wanted: Wanted, edition: Edition) -> str | None:
    """The device that Qualcomm's compiler is asked about, where it is installed and takes seconds."""
    asked = is_available() and wanted.run.model.stat().st_size <= MOST_BYTES_TO_COMPILE
    return edition.devices[0] if asked else None


def findings_of(folder: HubFolder, wanted: Wanted, device: str | None) -> list[Finding]:
    """The pre-flight check; device: that Qualcomm's compiler is asked about."""
    run = wanted.run
    note(f"Checking {run.model}" + (f", asking Qualcomm's compiler about {device}." if device else "."))
    with _aside(folder) as changed_nothing:
        return check_model(run.model, wanted.frames, Circumstances(device, run, changed_nothing))


@dataclass(frozen=True)
class _Aside(HubFolder):
    """The folder with its ledger, to be read; what the compiler makes lies elsewhere."""

    compiled: Path = Path()

    @property
    def htp(self) -> Path:
        return self.compiled


@contextmanager
def _aside(folder: HubFolder) -> Iterator[HubFolder]:
    with tempfile.TemporaryDirectory(prefix="lpcv-") as temporary:
        yield _Aside(folder.root, Path(temporary))
