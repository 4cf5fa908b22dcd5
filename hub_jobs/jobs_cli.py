"""`lpcv jobs`: what the ledger knows of them, and what can be done with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import FILE, hub_option, timeout_option

if TYPE_CHECKING:
    from .history import Record


@click.group(invoke_without_command=True)
@click.option("--json", "json_file", type=FILE, help="Write the list as JSON.")
@click.option("--all", "everything", is_flag=True, help="All jobs, not only the newest 20.")
@click.pass_context
def jobs(ctx: click.Context, json_file: Path | None, everything: bool) -> None:
    """List the jobs of the ledger, with those spent today; nothing is asked of AI Hub.

    \b
    lpcv jobs
    lpcv jobs show JOB
    lpcv jobs wait
    The ledger is runs/aihub of the current folder, or what LPCV_HUB_FOLDER names.
    """
    from ..errors import InputError

    if ctx.invoked_subcommand is not None:
        if json_file or everything:
            raise InputError(
                f"--json and --all before `{ctx.invoked_subcommand}` are options of the list.",
                f"See `lpcv jobs {ctx.invoked_subcommand} --help` for its own.",
            )
        return
    from ..console import next_step, note, table
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .ending import at
    from .history import records, spent_today, unfinished
    from .ledger import Ledger

    folder = HubFolder()
    with Ledger(folder.ledger, read_only=True) as ledger:
        found = records(ledger)
    shown = found if everything else found[-20:]
    table(
        f"{len(found)} jobs in {folder.ledger}" + (f", the newest {len(shown)}" if len(shown) < len(found) else ""),
        ("job", "type", "state", "device", "title", "submitted (UTC)"),
        [_row(record) for record in reversed(shown)],
    )
    for hub in sorted({record.hub for record in found}):
        note(f"Submitted today to {hub}: {spent_today(found, hub)}.")
    if json_file:
        write_json(json_file, [_as_json(record) for record in found])
    if running := unfinished(found):
        next_step(f"lpcv jobs wait{at(running[-1].reached_by)}")
    else:
        next_step("lpcv jobs show JOB" if found else "lpcv compile RUN --device NAME")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--json", "json_file", type=FILE, help="Write it as JSON, with every event.")
def show(job_id: str, json_file: Path | None) -> None:
    """Show what the ledger knows of JOB: what it is, each event, and what was fetched.

    \b
    lpcv jobs show jgzr4x9o5
    """
    from ..console import next_step, table
    from ..errors import InputError
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .ending import at, next_of
    from .history import SUCCESS, record_of
    from .ledger import Ledger

    folder = HubFolder()
    with Ledger(folder.ledger, read_only=True) as ledger:
        events = ledger.of_job(job_id)
    record = record_of(events)
    if record is None:
        raise InputError(f"{folder.ledger} does not know job {job_id}.", "`lpcv jobs` lists what it knows.")
    told = _as_json(record)
    table(
        f"{record.type} job {job_id}",
        ("what", "value"),
        [(key, _text(value)) for key, value in told.items() if value not in (None, "", [], {})],
    )
    lines = [
        (event.at[:19], event.event, _text({**event.facts} if event.event != "intended" else "")) for event in events
    ]
    table("Events (UTC)", ("at", "event", "facts"), lines)
    if json_file:
        write_json(json_file, {**told, "events": [vars(event) for event in events]})
    told_next = next_of(record)
    if record.type == "profile" and record.state == SUCCESS:  # measured and looked at: the organisers want to see it
        told_next = f"lpcv jobs share {record.intended['compile_job']}{at(record.reached_by)}"
    next_step(told_next)


@jobs.command()
@click.argument("job_type", metavar="TYPE", type=click.Choice(("compile", "profile", "inference", "quantize")))
@hub_option
def last(job_type: str, hub: str | None) -> None:
    """Print the id of the newest job of TYPE (compile, profile, inference, quantize), for use in other commands.

    \b
    lpcv jobs last compile
    lpcv jobs last compile --hub local
    lpcv score $(lpcv jobs last inference) --data datasets/val
    One that has failed or is gone does not count. Without --hub it is the newest of all hubs.
    """
    from ..console import result
    from ..errors import MissingStepError
    from ..hub_folder import HubFolder
    from .ending import VERBS
    from .history import FAILED, GONE, newest, records
    from .ledger import Ledger
    from .plan import looking

    folder = HubFolder()
    if hub is None:
        with Ledger(folder.ledger, read_only=True) as ledger:
            known = records(ledger)
    else:
        with looking(hub, folder) as here:
            known = here.records()
    found = newest(each for each in known if each.type == job_type and each.state not in (FAILED, GONE))
    if found is None:
        raise MissingStepError(
            f"{folder.ledger} knows no {job_type} job{f' of --hub {hub}' if hub else ''} that runs or has succeeded.",
            f"`lpcv {VERBS[job_type]} --help` shows how to make one.",
        )
    result(found.job_id or "")


@jobs.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@timeout_option
@hub_option
def wait(job_ids: tuple[str, ...], timeout_s: float | None, hub: str | None) -> None:
    """Follow jobs to their end and fetch what they give; without JOB, all of this hub that have not ended.

    \b
    lpcv jobs wait
    lpcv jobs wait jgzr4x9o5 --timeout 600
    Ctrl-C is safe: no job is stopped by it, and what is fetched is kept. (A stand-in that `--hub local` started ends
    with the command; its jobs go on with the next one.)
    """
    from ..console import next_step, note
    from ..hub_folder import HubFolder
    from .collect import collect
    from .desk import desk
    from .ending import exit_code, tell
    from .faults import UnauthorisedError
    from .history import unfinished
    from .outcome import Succeeded, Unauthorised
    from .waiting import follow

    outcomes = []
    with desk(hub, HubFolder()) as opened:
        known = [opened.record(job_id) for job_id in job_ids] or unfinished(opened.records())
        if not known:
            note("Every job of this hub has ended.")
        for record in known:
            outcome = follow(opened, record, timeout_s)
            if isinstance(outcome, Unauthorised):
                raise UnauthorisedError(outcome.reason, outcome.remedy)
            tell(outcome, record)
            if isinstance(outcome, Succeeded):
                note(f"kept: {collect(opened, record)}")
            outcomes.append(outcome)
    next_step("lpcv jobs")
    raise click.exceptions.Exit(exit_code(outcomes))


@jobs.command()
@hub_option
def reconcile(hub: str | None) -> None:
    """Find again the jobs whose submission was cut off, by the mark in their names; submits nothing.

    \b
    lpcv jobs reconcile
    Also lists jobs with lpcv's mark that this ledger does not know: another machine's, or a lost ledger's.
    """
    from ..console import next_step, result, table
    from ..hub_folder import HubFolder
    from .desk import desk
    from .order import SHORT_KEY
    from .reconcile import reconcile as look

    with desk(hub, HubFolder()) as opened:
        found = look(opened)
    adopted = [(job.job_id, job.name, job.url) for job in found.adopted]
    absent = [(each.key[:SHORT_KEY], each.intended["title"]) for each in found.absent]
    strangers = [(job.job_id, job.state, job.name) for job in found.strangers]
    if adopted:
        table("Cut off, and found again", ("job", "title", "url"), adopted)
    if absent:
        table("Meant, and not there: type its command again", ("key", "title"), absent)
    if strangers:
        table(
            "Marked by lpcv, not in this ledger: type its command again, which takes it over",
            ("job", "state", "name"),
            strangers,
        )
    if not (adopted or absent or strangers):
        result("Ledger and list agree.")
    next_step("lpcv jobs")


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--with", "addresses", multiple=True, metavar="ADDRESS", help="Default: the organisers' address.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be shared with whom, and do nothing.")
@hub_option
def share(job_id: str, addresses: tuple[str, ...], yes: bool, dry_run: bool, hub: str | None) -> None:
    """Share JOB with the organisers (or others), read the sharing back, and write it down.

    \b
    lpcv jobs share jgzr4x9o5
    lpcv jobs share jgzr4x9o5 --with someone@example.org --yes
    Sharing a job shares EVERY asset of it: model, compiled model, datasets, logs, and the compile job of a profile.
    """
    import sys

    from ..console import next_step, note, result
    from ..contract import CURRENT as CONTRACT
    from ..errors import InputError
    from ..hub_folder import HubFolder
    from .desk import desk
    from .plan import looking
    from .sharing import share as share_job

    wanted = addresses or (CONTRACT.sharing_address,)
    folder = HubFolder()
    with looking(hub, folder) as here:
        record = here.record(job_id)
        place = here.connection.called
    note(
        f"Shares {record.type} job {job_id} ({record.intended['title']}) at {place} with {', '.join(wanted)}, "
        "and with it every asset: model, compiled model, datasets, logs."
    )
    if dry_run:
        note("Nothing was sent or written.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("Sharing asks first, and there is nobody to ask.", "Add --yes.")
        click.confirm("Share?", abort=True, err=True)
    with desk(hub, folder) as opened:
        now = share_job(opened, opened.record(job_id), wanted)
    result(f"{job_id} is shared with {', '.join(now)} (read back from {place}).")
    next_step(f"lpcv jobs show {job_id}")


def _row(record: Record) -> tuple[str, ...]:
    state = record.state or ("in doubt" if record.in_doubt else "intended")
    mark = "stand-in, " if record.intended["rehearsal"] else ""
    return (
        record.job_id or "", record.type, mark + state.lower(), record.intended["device"], record.intended["title"],
        (record.submitted_at or record.intended_at)[:19],
    )  # fmt: skip


def _as_json(record: Record) -> dict[str, Any]:
    told = {
        key: value for key, value in record.intended.items() if key not in ("frames", "set_frames", "images_sha256")
    }
    return {
        "job_id": record.job_id, "state": record.state, "reason": record.reason, "url": record.url, "hub": record.hub,
        "in_doubt": record.in_doubt, "submitted_at": record.submitted_at, **told,
        "fetched": {what: facts["path"] for what, facts in record.fetched.items()}, "shared": list(record.shared),
    }  # fmt: skip


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
