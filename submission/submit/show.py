"""What a person sees before and after a submission."""

from __future__ import annotations

from collections.abc import Sequence

from ...console import count, note, result, table
from ...contract import Edition
from ...hub_jobs.desk import Desk
from . import form
from .checklist import BUNDLE, LICENCES, names_of
from .plan import Plan
from .record import Submission
from .scores import KINDS, cell
from .sharing import ASSETS, EVERY_ASSET, Sent

REHEARSAL = "REHEARSAL: this stays on this machine. Nobody is told, and the ids mean nothing to the organisers."
NOT_KNOWN = "Whether the form was sent is not known here."


def show_plan(desk: Desk, plan: Plan) -> None:
    """The checklist, then what is shared with whom; each line's remedy."""
    listed = plan.checklist
    rows = [(item.name, listed.said(item), item.found) for item in listed.items]
    table(f"{plan.facts['run']} for {plan.edition.name}", ("check", "state", "found"), rows)
    for item in listed.blocking:
        note(f"FAILED {item.name}: {item.remedy}")
    for item in listed.items:
        if item.state == "undecided":
            note(f"undecided, {item.name}: {item.remedy}")
    if plan.estimate:
        note(f"Latency, which no line counts: {plan.estimate}.")
    if listed.overridden:
        note(f"Sent in spite of {', '.join(listed.overridden)}, which is recorded: {listed.overrides.reason}")
    for name in listed.in_vain:
        if name != BUNDLE or not plan.bundle.pending:  # it may fail yet
            note(f"--despite {name}: {name} did not fail; nothing was overridden.")
    if desk.connection.rehearsal:
        note(REHEARSAL)
    if job := plan.jobs.chosen:
        table(
            f"Would be shared at {desk.connection.called} with {', '.join(plan.addresses)}: compile job {job.job_id} "
            f"({job.intended['title']})",
            ("asset", "what it gives away"),
            ASSETS,
        )
        note(EVERY_ASSET)
        for each in plan.earlier:
            one, other = each.compile_job, job.job_id
            note(
                f"{one}, of this very model, was submitted before: shared with {', '.join(each.shared_with)} since "
                f"{_time(each)}, and that stays. Going on shares {other}, too, and then {other} belongs in the form; "
                f"where {one} is the one that was declared, do not go on."
            )


def blocked(plan: Plan) -> str:
    """The sentence for a plan that is not carried out."""
    open_ones = plan.checklist.blocking
    ways = [item.name for item in open_ones if item.name != LICENCES and not item.firm]
    way = ""
    if ways and not any(item.firm for item in open_ones):
        flags = " ".join(f"--despite {name}" for name in ways)
        where = "with the submission" if ways == [BUNDLE] else "with the submission and in the bundle"
        way = f' Mend that, or add {flags} --reason "...", which is recorded {where}.'
    return f"Not submitted: {names_of(open_ones)} failed. Nothing was sent or written.{way}"


def mending(plan: Plan, accepted: str) -> str | None:
    """The next command for a plan that is blocked: what mends its first such line, None where no command does.

    accepted: what was typed, with the licences accepted that are open; it helps where nothing else failed
    """
    blocking = plan.checklist.blocking
    if [item.name for item in blocking] == [LICENCES]:
        return accepted
    return next((item.command for item in blocking if item.command), None)


def show_sent(desk: Desk, done: Sent) -> list[form.Value]:
    """What was done, and the form with the exact values to paste; gives those."""
    plan, sent = done.plan, done.submission
    if not done.anew:
        note(f"It was shared before ({_time(sent)}); that still stands, and nothing was shared again.")
    result(
        f"{sent.compile_job} is shared with {', '.join(sent.shared_with)} (read back from {desk.connection.called})."
    )
    result(f"{plan.bundle.path} belongs to it: sha256 {plan.bundle.sha256}")
    if done.kept:
        result(f"A copy of it is kept: {desk.folder.root / done.kept}")
    pasted = form.values(plan.edition, plan.job, sent.shared_with, plan.latency)
    show_form(plan.edition, pasted, rehearsal=desk.connection.rehearsal)
    return pasted


def show_form(edition: Edition, pasted: Sequence[form.Value], *, rehearsal: bool) -> None:
    """The link, and each value on a line of its own, so that it can be copied whole."""
    if rehearsal:
        note(f"{REHEARSAL} A real submission would now go to the form:")
    result(f"The form: {form.link(edition)}")
    for each in pasted:
        result(f"  {each.field}: {each.value}" if not rehearsal else f"  {each.field} (rehearsal): {each.value}")
        note(f"    {each.why}")
    note(form.YOURS)
    note(form.ONE_EACH)


def show_submissions(found: Sequence[Submission]) -> None:
    """What was sent, when, and with which scores; float, emulated and measured ones in columns of their own."""
    scores = [f"F-Score, {kind}" for kind in KINDS]
    columns = ("compile job", "run, edition", "shared since (UTC)", "with", *scores, "ms, measured", "despite")
    table(count(len(found), "submission"), columns, [_row(each) for each in reversed(found)])
    if found:
        note(NOT_KNOWN)


def _time(each: Submission) -> str:
    """Since when it is shared, to the second, UTC."""
    return (each.shared_at or "")[:19].replace("T", " ") + (" or before" if each.at_latest else "")


def _row(each: Submission) -> tuple[str, ...]:
    told = each.intended
    sent = _time(each) if each.shared_at else "NOT SHARED: cut off before"
    sent += " (a newer decision was cut off)" if each.shared_at and not each.read_back else ""
    mark = " (rehearsal)" if told.get("rehearsal") else ""
    latency = told.get("latency_ms_measured")
    return (
        each.compile_job, f"{told.get('run', '')}, {told['edition']}", sent + mark, ", ".join(each.shared_with),
        *(cell(told.get("scores"), kind) for kind in KINDS), "not measured" if latency is None else f"{latency:.3f}",
        ", ".join(told["despite"]),
    )  # fmt: skip
