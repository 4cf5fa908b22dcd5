"""How each line of the checklist is decided."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ...contract import Edition
from ...errors import InputError
from ...hub_jobs.collect import PROFILE as PROFILE_FILE
from ...hub_jobs.collect import read_profile
from ...hub_jobs.desk import Desk
from ...hub_jobs.ending import at
from ...hub_jobs.verdict import Profile, Verdict, milliseconds, verdict
from ..bundle.pack import MANIFEST, MODEL
from ..bundle.verify import verify
from ..check.findings import Finding, failures
from .checklist import BUNDLE, CHECK, EDITION, JOB, LICENCES, PROFILE, Item
from .jobs import Jobs
from .licences import PRECEDENT, Licence, to_accept

NAMED = 3  # of many things, how many are named


def edition_item(edition: Edition, today: date) -> Item:
    """Whether it still takes submissions; where our sources do not say, that, and what they do say."""
    if edition.closing_date is None:
        reason = edition.facts["closing_date"].reason
        return Item(EDITION, "undecided", f"{edition.name}, closing date: {reason}", "Ask the organisers.")
    closing = date.fromisoformat(edition.closing_date)
    if closing < today:
        return Item(
            EDITION, "fail", f"{edition.name} closed on {closing}", "What is shared now may never be scored: ask first."
        )
    return Item(EDITION, "pass", f"{edition.name} is open until {closing}")


def check_item(run: Path, findings: Sequence[Finding]) -> Item:
    """The pre-flight check's findings as one line. Meaning that could not be judged is undecided, never passed."""
    failed = failures(findings)
    undecided = [finding.name for finding in findings if finding.state == "undecided"]
    if failed:
        return Item(CHECK, "fail", f"{len(failed)} findings fail: {_some([each.name for each in failed])}",
                    f"`lpcv check {run} --data DIR` says what to do about each.")  # fmt: skip
    if undecided:
        found = f"{len(findings) - len(undecided)} findings pass, {len(undecided)} are undecided: {_some(undecided)}"
        return Item(CHECK, "undecided", found, "Give real frames with truth: --data DIR.")
    return Item(CHECK, "pass", f"all {len(findings)} findings pass")


def job_item(run: Path, jobs: Jobs, edition: Edition, way: str | None) -> Item:
    """The compile job that would be shared. way: what `--hub` said"""
    device = edition.devices[0]
    compiling = f'`lpcv compile {run} --device "{device}"{at(way)}`'
    if jobs.chosen is None:
        running = f", {jobs.running.job_id} has not ended" if jobs.running else ""
        return Item(
            JOB, "fail", f"this model has no finished compile job for {device}{running}",
            f"`lpcv jobs wait{at(way)}` follows it." if jobs.running else f"Run {compiling}.",
        )  # fmt: skip
    told = jobs.chosen.intended
    found = f"{jobs.chosen.job_id}, for {told['device']}, {told['options']}"
    if jobs.running:
        found += f"; the newer {jobs.running.job_id} has not ended"
    if told["device"] not in edition.devices:
        return Item(JOB, "fail", f"{found}: the contract's device is {device}", f"Run {compiling}.")
    return Item(JOB, "pass", found)


def profile_item(desk: Desk, jobs: Jobs, edition: Edition) -> tuple[Item, Verdict | None, Profile | None]:
    """The budget, as a device measured it. A rehearsal's profile never counts as measured: it is undecided at best."""
    job = jobs.chosen
    if job is None:
        return Item(PROFILE, "fail", "no compile job, so none of it", "Compile first."), None, None
    profiling = f"`lpcv profile {job.job_id}{at(desk.way)}`"
    if jobs.profile is None:
        if desk.connection.rehearsal:
            found = "not profiled; a rehearsal's profile would not count as measured either"
            return Item(PROFILE, "undecided", found, f"{profiling} rehearses it."), None, None
        found = f"{job.job_id} was never profiled on {job.intended['device']}"
        return Item(PROFILE, "fail", found, f"Run {profiling}."), None, None
    path = desk.kept(jobs.profile, PROFILE_FILE)
    if path is None:
        found = f"what profile job {jobs.profile.job_id} gave is not kept here, or has been changed"
        return Item(PROFILE, "fail", found, f"{profiling} fetches it again."), None, None
    profile = Profile.of(read_profile(path))
    judged = verdict(
        profile, edition.latency_budget_ms, edition.latency_field, rehearsal=jobs.profile.intended["rehearsal"]
    )
    found = f"{jobs.profile.job_id}: {judged.sentence}"
    if not judged.rehearsal and (options := jobs.profile.intended["options"]) != edition.profile_options:
        found += f" It ran with {options or 'no options'}, the contract says {edition.profile_options}."
    if judged.rehearsal:
        found = f"{jobs.profile.job_id} is a rehearsal and never counts as measured. {judged.sentence}"
        return Item(PROFILE, "undecided", found, "Profile on AI Hub, without `--hub local`."), judged, profile
    if judged.state == "pass":
        return Item(PROFILE, "pass", found), judged, profile
    return Item(PROFILE, "fail", found, "A model over the budget is not ranked; make it faster."), judged, profile


def measured(judged: Verdict | None, profile: Profile | None) -> str:
    """The latency for a form; never a number of a rehearsal."""
    if judged is None or profile is None or judged.rehearsal or profile.latency_ms is None:
        return "not measured"
    return f"{milliseconds(profile.latency_ms)} ms"


def licences_item(licences: Sequence[Licence], accepted: Sequence[str]) -> Item:
    """Non-commercial ones want a person's word by name; what is not recorded is undecided."""
    open_ones = to_accept(licences, accepted)
    if open_ones:
        flags = " ".join(f'--accept-license "{name}"' for name in sorted({each.name for each in open_ones}))
        named = ", ".join(f"{each.part} {each.of} is {each.name}" for each in open_ones)
        return Item(LICENCES, "fail", f"non-commercial: {named}", f"{PRECEDENT} To send it all the same: {flags}")
    unclear = [f"{each.part} ({each.name})" for each in licences if each.use == "unknown"]
    if unclear:
        return Item(LICENCES, "undecided", f"unclear: {', '.join(unclear)}", "Look them up before you send.")
    took = [each for each in licences if each.use == "non-commercial"]
    accepted_ones = f"; accepted by name: {', '.join(sorted({each.name for each in took}))}" if took else ""
    return Item(LICENCES, "pass", f"{', '.join(sorted({each.name for each in licences})) or 'none'}{accepted_ones}")


def bundle_item(run: Path, bundle: Path, model_sha256: str) -> Item:
    """Whether the bundle is whole, and of the very model that is submitted."""
    again = f"Run `lpcv package {run} -o {bundle}`."
    if not bundle.is_file():
        return Item(BUNDLE, "fail", f"there is no {bundle}", again)
    try:
        problems = verify(bundle)
        inside = None if problems else _model_in(bundle)
    except InputError as error:
        return Item(BUNDLE, "fail", error.problem, error.remedy or again)
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        return Item(BUNDLE, "fail", f"{bundle}: {problems[0]}{more}", again)
    if inside != model_sha256:
        return Item(BUNDLE, "fail", f"{bundle} holds another model than {run}/model.onnx", again)
    return Item(BUNDLE, "pass", f"{bundle} is whole and holds this model")


def _model_in(bundle: Path) -> str:
    """The model's SHA-256 in the manifest of a bundle that has been verified."""
    with zipfile.ZipFile(bundle) as archive:
        return json.loads(archive.read(MANIFEST))["files"][MODEL]["sha256"]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
