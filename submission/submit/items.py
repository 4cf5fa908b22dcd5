"""How each line of the checklist is decided."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ...console import count
from ...contract import Edition
from ...hub_jobs.collect import PROFILE as PROFILE_FILE
from ...hub_jobs.collect import read_profile
from ...hub_jobs.desk import Desk
from ...hub_jobs.ending import at
from ...hub_jobs.verdict import Profile, Verdict, milliseconds, verdict
from ...runs import Run
from ..check.findings import Finding, failures
from ..check.latency import ESTIMATED, MEASURED, is_contracts
from ..check.licences import PARTS, PRECEDENT, UNSETTLED, accepting, licence_findings, to_accept
from .checklist import CHECK, EDITION, JOB, LICENCES, PROFILE, Item
from .jobs import Jobs

NAMED = 3  # of many things, how many are named
NOT_SCORED = "What is shared after the end may never be scored: ask the organisers first."
# Findings of the check that lines of their own judge: licences as they were accepted, the latency of the very job.
ELSEWHERE = (*PARTS, ESTIMATED, MEASURED)


def edition_item(edition: Edition, today: date) -> Item:
    """Whether it still takes submissions; where our sources do not say, that, and what they do say."""
    if edition.closing_date is None:
        reason = edition.facts["closing_date"].reason
        return Item(EDITION, "undecided", f"{edition.name}, closing date: {reason}", NOT_SCORED)
    closing = date.fromisoformat(edition.closing_date)
    if closing < today:
        return Item(EDITION, "fail", f"{edition.name} closed on {closing}", NOT_SCORED)
    return Item(EDITION, "pass", f"{edition.name} is open until {closing}")


def check_item(run: Path, findings: Sequence[Finding], *, frames: bool) -> Item:
    """The pre-flight check's findings as one line, without those of `ELSEWHERE`.

    frames: whether there were any. Meaning that could not be judged is undecided, never passed.
    """
    ours = [finding for finding in findings if finding.name not in ELSEWHERE]
    failed = [finding.name for finding in failures(ours)]
    undecided = [finding for finding in ours if finding.state == "undecided"]
    command = f"lpcv check {shlex.quote(str(run))} --data DIR"
    if failed:
        verb = "fails" if len(failed) == 1 else "fail"
        found = f"{count(len(failed), 'finding')} {verb}: {_some(failed)}"
        return Item(CHECK, "fail", found, f"`{command}` says what to do about each.", command)
    if undecided:
        verb = "is" if len(undecided) == 1 else "are"
        found = f"{count(len(ours) - len(undecided), 'finding')} pass, {len(undecided)} {verb} undecided: "
        remedy = f"`{command}` says what each needs." if frames else "Give real frames with truth: --data DIR."
        return Item(CHECK, "undecided", found + _some([each.name for each in undecided]), remedy, command)
    return Item(CHECK, "pass", f"all {len(ours)} findings pass")


def job_item(run: Path, jobs: Jobs, edition: Edition, way: str | None) -> Item:
    """The compile job that would be shared. way: what `--hub` said"""
    device = edition.devices[0]
    compiling = f"lpcv compile {shlex.quote(str(run))} --device {shlex.quote(device)}{at(way)}"
    if jobs.chosen is None:
        found = f"this model has no finished compile job for {device}"
        if jobs.running:
            waiting = f"lpcv jobs wait {jobs.running.job_id}{at(way)}"
            found += f", {jobs.running.job_id} has not ended"
            return Item(JOB, "fail", found, f"`{waiting}` follows it.", waiting)
        return Item(JOB, "fail", found, f"Run `{compiling}`.", compiling)
    told = jobs.chosen.intended
    found = f"{jobs.chosen.job_id}, for {told['device']}, {told['options']}"
    if jobs.running:
        found += f"; the newer {jobs.running.job_id} has not ended"
    if not is_contracts(told["device"], edition.devices):
        return Item(JOB, "fail", f"{found}: the contract's device is {device}", f"Run `{compiling}`.", compiling)
    if told["device"] not in edition.devices:
        found += f" (the chip of the contract's {device})"
    return Item(JOB, "pass", found)


def profile_item(desk: Desk, jobs: Jobs, edition: Edition) -> tuple[Item, Verdict | None, Profile | None]:
    """The budget, as a device measured it. A rehearsal's profile never counts as measured: it is undecided at best."""
    job = jobs.chosen
    if job is None:
        return Item(PROFILE, "fail", "no compile job, so no profile of one", "Compile first."), None, None
    command = f"lpcv profile {job.job_id}{at(desk.way)}"
    if jobs.profile is None:
        if desk.connection.rehearsal:
            found = "not profiled; a rehearsal's profile would not count as measured either"
            return Item(PROFILE, "undecided", found, f"`{command}` rehearses it.", command), None, None
        found = f"{job.job_id} was never profiled on {job.intended['device']}"
        return Item(PROFILE, "fail", found, f"Run `{command}`.", command), None, None
    path = desk.kept(jobs.profile, PROFILE_FILE)
    if path is None:
        found = f"what profile job {jobs.profile.job_id} gave is not kept here, or has been changed"
        return Item(PROFILE, "fail", found, f"`{command}` fetches it again.", command), None, None
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


def licences_item(run: Run, accepted: Sequence[str]) -> Item:
    """Non-commercial ones want a person's word by name; what is unknown or not recorded is undecided."""
    findings, open_ones = licence_findings(run, accepted), to_accept(run, accepted)
    if open_ones:
        named = "; ".join(f"{name}: {', '.join(parts)}" for name, parts in open_ones.items())
        remedy = f"{PRECEDENT} {UNSETTLED} To send it all the same: {accepting(open_ones)}"
        return Item(LICENCES, "fail", f"non-commercial: {named}", remedy)
    unclear = [finding for finding in findings if finding.state != "pass"]
    if unclear:
        found = "; ".join(f"{finding.name}: {finding.found}" for finding in unclear)
        return Item(LICENCES, "undecided", found, "Look them up before you send.")
    return Item(LICENCES, "pass", "; ".join(f"{finding.name}: {finding.found}" for finding in findings))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
