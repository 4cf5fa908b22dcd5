"""How each line of the checklist is decided."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ...console import count, some
from ...contract import Edition
from ...hub_jobs.collect import PROFILE as PROFILE_FILE
from ...hub_jobs.collect import read_profile
from ...hub_jobs.desk import Desk
from ...hub_jobs.devices import same_chip
from ...hub_jobs.ending import at
from ...hub_jobs.verdict import Profile, Verdict, milliseconds, verdict
from ...runs import Run
from ..check.findings import Finding, failures
from ..check.latency import ESTIMATED, MEASURED
from ..check.licences import PARTS, PRECEDENT, UNSETTLED, accepting, licence_findings, to_accept
from .checklist import CHECK, EDITION, JOB, LICENCES, PROFILE, Item
from .jobs import Jobs, runtime_of

NOT_SCORED = "What is shared after the end may never be scored: ask the organisers first."
# Findings of the check that lines of their own judge: licences as they were accepted, the latency of the very job.
ELSEWHERE = (*PARTS, ESTIMATED, MEASURED)


def edition_item(edition: Edition, today: date, *, rehearsal: bool) -> Item:
    """Whether it still takes submissions; one that is known to be over blocks what is meant in earnest."""
    closing = date.fromisoformat(edition.closing_date) if edition.closing_date else None
    if edition.over or (closing and closing < today):
        found = f"{edition.name} is over" + (f": it closed on {closing}" if closing else "")
        if rehearsal:
            return Item(EDITION, "undecided", f"{found}; it would block what is not a rehearsal", NOT_SCORED)
        return Item(EDITION, "fail", found, NOT_SCORED)
    if closing is None:
        reason = edition.facts["closing_date"].reason
        return Item(EDITION, "undecided", f"{edition.name}, closing date: {reason}", NOT_SCORED)
    return Item(EDITION, "pass", f"{edition.name} is open until {closing}")


def check_item(run: Path, findings: Sequence[Finding], *, data: Path | None, device: str | None) -> Item:
    """The pre-flight check's findings as one line, without those of `ELSEWHERE`.

    data, device: what the findings come from, so that the command shows the same. Meaning that could not be judged is
    undecided, never passed.
    """
    ours = [finding for finding in findings if finding.name not in ELSEWHERE]
    failed = [finding.name for finding in failures(ours)]
    undecided = [finding for finding in ours if finding.state == "undecided"]
    command = f"lpcv check {shlex.quote(str(run))}"
    command += f" --data {shlex.quote(str(data))}" if data else ""
    command += f" --device {shlex.quote(device)}" if device else ""
    if failed:
        verb = "fails" if len(failed) == 1 else "fail"
        found = f"{count(len(failed), 'finding')} {verb}: {some(failed)}"
        return Item(CHECK, "fail", found, f"`{command}` says what to do about each.", command)
    if undecided:
        verb = "is" if len(undecided) == 1 else "are"
        found = f"{count(len(ours) - len(undecided), 'finding')} pass, {len(undecided)} {verb} undecided: "
        remedy = f"`{command}` tells about each." if data else "Give real frames with truth: --data DIR."
        return Item(CHECK, "undecided", found + some([each.name for each in undecided]), remedy, command)
    return Item(CHECK, "pass", f"all {len(ours)} findings pass")


def job_item(run: Path, jobs: Jobs, edition: Edition, way: str | None) -> Item:
    """The compile job that would be shared. way: what `--hub` said"""
    device = edition.devices[0]
    compiling = compiling_of(run, edition, way)
    if jobs.chosen is None:
        found = f"this model has no finished compile job for {device} and {edition.target_runtime}"
        if jobs.running:
            waiting = f"lpcv jobs wait {jobs.running.job_id}{at(way)}"
            found += f", {jobs.running.job_id} has not ended"
            return Item(JOB, "fail", found, f"`{waiting}` follows it.", waiting, firm=True)
        return Item(JOB, "fail", found, f"Run `{compiling}`.", compiling, firm=True)
    told = jobs.chosen.intended
    found = f"{jobs.chosen.job_id}, for {told['device']}, {told['options']}"
    if jobs.running:
        found += f"; the newer {jobs.running.job_id} has not ended"
    if jobs.finished:
        found += f"; the newer {jobs.finished.job_id} has finished"
    if not same_chip(told["device"], edition.devices):
        return Item(JOB, "fail", f"{found}: the contract's device is {device}", f"Run `{compiling}`.", compiling)
    if runtime_of(jobs.chosen) != edition.target_runtime:
        found += f": the contract's runtime is {edition.target_runtime}"
        return Item(JOB, "fail", found, f"Run `{compiling}`.", compiling)
    if told["device"] not in edition.devices:
        found += f" (the chip of the contract's {device})"
    return Item(JOB, "pass", found)


def compiling_of(run: Path, edition: Edition, way: str | None) -> str:
    """The command that orders the contract's compile job: its runtime is what `lpcv compile` takes by itself."""
    return f"lpcv compile {shlex.quote(str(run))} --device {shlex.quote(edition.devices[0])}{at(way)}"


def profile_item(run: Path, desk: Desk, jobs: Jobs, edition: Edition) -> tuple[Item, Verdict | None, Profile | None]:
    """The budget, as a device measured it. A rehearsal's profile never counts as measured: it is undecided at best."""
    job = jobs.chosen
    if job is None:
        compiling = compiling_of(run, edition, desk.way)
        found = "no compile job, so no profile of one"
        return Item(PROFILE, "fail", found, f"First `{compiling}`.", compiling), None, None
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
    if judged.state == "none":
        command += " --again"
        remedy = f"Run `{command}`: one that does not tell its latency proves no budget."
        return Item(PROFILE, "fail", found, remedy, command), judged, profile
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
