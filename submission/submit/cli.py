"""`lpcv submit` and `lpcv submissions`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ...hub_jobs.options import FILE, hub_option


@click.command()
@click.argument("run", type=FILE)
@click.option("--data", type=FILE, help="Frames with truth, for the check: without them meaning stays undecided.")
@click.option("--bundle", type=FILE, help="Its bundle, by default RUN/bundle.zip; packaged if need be.")
@click.option("--job", "job_id", metavar="JOB", help="This compile job, not the newest for the contract's device.")
@click.option("--accept-license", "--accept-licence", "accepted", multiple=True, metavar="NAME",
              help="Accept a non-commercial licence by its name; recorded in the bundle. May be repeated.")  # fmt: skip
@click.option("--despite", multiple=True, metavar="CHECK", help="Send although this line failed; may be repeated.")
@click.option("--reason", default="", help="Why, for --despite; recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show everything; send nothing, write nothing but --json.")
@click.option("--json", "json_file", type=FILE, help="Write checklist, sharing and form as JSON.")
@hub_option
@click.pass_context
def submit(
    ctx: click.Context,
    run: Path,
    data: Path | None,
    bundle: Path | None,
    job_id: str | None,
    accepted: tuple[str, ...],
    despite: tuple[str, ...],
    reason: str,
    yes: bool,
    dry_run: bool,
    json_file: Path | None,
    hub: str | None,
) -> None:
    """Submit RUN: checklist, sharing of its compile job with the organisers, and what to paste into their form.

    \b
    lpcv submit runs/mine --data datasets/val --dry-run
    lpcv submit runs/mine --data datasets/val
    lpcv submit runs/mine --despite profile --reason "measured by hand" --accept-license CC-BY-NC-4.0
    lpcv submit runs/mine --hub local
    Sharing a job shares EVERY asset of it. A failed line blocks (exit code 1). Typed again after an interruption it
    goes on and shares nothing twice. The last is a rehearsal: it stays on this machine.
    """
    import sys

    from ...console import next_step, note, result
    from ...contract import CURRENT
    from ...data.folder import open_folder
    from ...errors import InputError
    from ...files import demand_writable, write_json
    from ...hub_folder import HubFolder
    from ...hub_jobs.desk import desk
    from ...hub_jobs.plan import looking
    from ...runs import open_run
    from ..check.licences import accepting, to_accept
    from . import form
    from .checklist import Overrides
    from .plan import Wanted, demand_nothing_lost, plan_of
    from .record import Submissions
    from .sharing import send
    from .show import blocked, mending, show_plan, show_sent

    overrides = Overrides(despite, reason)
    opened_run, folder = open_run(run), HubFolder()
    frames = open_folder(data) if data else None
    wanted = Wanted(opened_run, bundle or run / "bundle.zip", frames, job_id, accepted, overrides)
    demand_writable({"--bundle": wanted.bundle, "--json": json_file})
    demand_nothing_lost(wanted, json_file, folder, hub)
    with looking(hub, folder) as here:
        plan = plan_of(here, wanted, edition=CURRENT)
        show_plan(here, plan)
    names = [item.name for item in plan.checklist.blocking]

    def write(outcome: str, **more: Any) -> None:
        if json_file:
            write_json(json_file, {"outcome": outcome, "dry_run": dry_run, "blocked": names, **plan.facts, **more})

    typed = " ".join(["lpcv submit", shlex.quote(str(run)), *_options(ctx)])
    if names:
        write("blocked")
        note(blocked(plan))
        if command := mending(plan, f"{typed} {accepting(to_accept(opened_run, accepted))}"):
            next_step(command)
        ctx.exit(1)
    job = plan.job
    if dry_run:
        write("dry run")
        note("Nothing was sent or written.")
        next_step(typed)
        return
    write("not sent")  # until it is
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("Submitting asks first, and there is nobody to ask.", "Add --yes.")
        if not click.confirm(f"Share {job.job_id} and every asset of it with {', '.join(plan.addresses)}?", err=True):
            note("Not submitted: nothing was sent.")
            ctx.exit(1)
    with desk(hub, folder) as opened:
        sent = send(opened, plan)
        pasted = show_sent(opened, sent)
    plan = sent.plan
    write(
        "sent",
        **sent.submission.as_json(),
        earlier=[each.compile_job for each in plan.earlier],
        form=form.as_json(plan.edition, pasted),
    )
    result(f"Recorded in {Submissions(folder).root}.")
    next_step("lpcv submissions")


def _options(ctx: click.Context) -> list[str]:
    """What was typed beside the run, to be typed again in earnest."""
    told = ctx.params
    single = {"--data": "data", "--bundle": "bundle", "--job": "job_id", "--reason": "reason", "--hub": "hub"}
    many = {"--accept-license": "accepted", "--despite": "despite"}
    words = [(option, told[name]) for option, name in single.items() if told[name]]
    words += [(option, value) for option, name in many.items() for value in told[name]]
    return [f"{option} {shlex.quote(str(value))}" for option, value in words]


@click.command()
@click.option("--json", "json_file", type=FILE, help="Write the list as JSON, with every checklist.")
def submissions(json_file: Path | None) -> None:
    """List what was submitted: job, run, since when and with whom it is shared, scores; nothing is asked of AI Hub.

    \b
    lpcv submissions
    lpcv submissions --json submissions.json
    They lie in runs/aihub of the current folder, or in what LPCV_HUB_FOLDER names.
    """
    from ...console import next_step
    from ...files import demand_apart, demand_writable, write_json
    from ...hub_folder import HubFolder
    from .record import Submissions
    from .show import show_submissions

    folder = HubFolder()
    demand_writable({"--json": json_file})
    demand_apart("--json", json_file, [folder.root])
    found = Submissions(folder).all()
    show_submissions(found)
    if json_file:
        write_json(json_file, [each.as_json() for each in found])
    next_step("lpcv jobs" if found else "lpcv submit RUN --dry-run")
