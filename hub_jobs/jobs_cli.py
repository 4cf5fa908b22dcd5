"""`lpcv jobs`, `lpcv devices`, `lpcv doctor`, `lpcv hub`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .history import Record

FILE = click.Path(path_type=Path)
hub_option = click.option(
    "--hub",
    metavar="PROFILE|local",
    help="A profile of ~/.qai_hub, an .ini file, or `local` for a rehearsal. Default: your AI Hub configuration.",
)


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
    if ctx.invoked_subcommand is not None:
        return
    from ..console import next_step, note, table
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .history import records, spent_today
    from .ledger import Ledger

    folder = HubFolder()
    with Ledger(folder.ledger, read_only=True) as ledger:
        found = records(ledger)
    shown = found if everything else found[-20:]
    table(
        f"{len(found)} jobs in {folder.ledger}" + (f", the newest {len(shown)}" if len(shown) < len(found) else ""),
        ("job", "type", "state", "device", "title", "submitted"),
        [_row(record) for record in reversed(shown)],
    )
    for hub in sorted({record.hub for record in found}):
        note(f"Submitted today to {hub}: {spent_today(found, hub)}.")
    if json_file:
        write_json(json_file, [_as_json(record) for record in found])
    unfinished = [record for record in found if not record.finished]
    next_step("lpcv jobs wait" if unfinished else "lpcv jobs show JOB" if found else "lpcv compile RUN --device NAME")


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
    from .history import record_of
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
    next_step(_next_of(record))


@jobs.command()
@click.argument("job_type", metavar="TYPE", type=click.Choice(("compile", "profile", "inference")))
def last(job_type: str) -> None:
    """Print the id of the newest job of TYPE (compile, profile, inference), for use in other commands.

    \b
    lpcv jobs last compile
    lpcv score $(lpcv jobs last inference) --data datasets/val
    """
    from ..console import result
    from ..errors import MissingStepError
    from ..hub_folder import HubFolder
    from .history import records
    from .ledger import Ledger

    folder = HubFolder()
    with Ledger(folder.ledger, read_only=True) as ledger:
        found = [record.job_id for record in records(ledger) if record.type == job_type and record.job_id]
    if not found:
        verb = {"compile": "compile", "profile": "profile", "inference": "infer"}[job_type]
        raise MissingStepError(
            f"{folder.ledger} knows no {job_type} job.", f"`lpcv {verb} --help` shows how to make one."
        )
    result(found[-1])


@jobs.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Stop waiting after so many seconds, each.")
@hub_option
def wait(job_ids: tuple[str, ...], timeout_s: float | None, hub: str | None) -> None:
    """Follow jobs to their end and fetch what they give; without JOB, all of this hub that have not ended.

    \b
    lpcv jobs wait
    lpcv jobs wait jgzr4x9o5 --timeout 600
    Ctrl-C is safe: jobs go on, and what is fetched is kept.
    """
    from ..console import next_step, note
    from ..hub_folder import HubFolder
    from .collect import collect
    from .desk import desk
    from .ending import exit_code, tell
    from .history import records
    from .inference import in_set
    from .outcome import Succeeded
    from .waiting import follow

    outcomes = []
    with desk(hub, HubFolder()) as opened:
        known = [opened.record(job_id) for job_id in job_ids] or [
            each
            for each in records(opened.ledger)
            if each.hub == opened.connection.identity and each.job_id and not each.finished
        ]
        if not known:
            note("Every job of this hub has ended.")
        for record in known:
            outcome = follow(opened, record, timeout_s)
            tell(outcome)
            if isinstance(outcome, Succeeded):
                note(f"kept: {collect(opened, in_set(record, record.intended['nth']))}")
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
        table("Marked by lpcv, not in this ledger", ("job", "state", "name"), strangers)
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


@click.command()
@click.argument("query", default="")
@click.option("--json", "json_file", type=FILE, help="Write them as JSON.")
@hub_option
def devices(query: str, json_file: Path | None, hub: str | None) -> None:
    """List AI Hub's devices whose name holds QUERY, and what each can do.

    \b
    lpcv devices "Galaxy S24"
    lpcv devices --hub local --json devices.json
    """
    from ..console import next_step, table
    from ..errors import UnknownNameError
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .client import Hub
    from .connection import connected
    from .devices import nearest
    from .ending import at

    with connected(hub, HubFolder().stand_in) as connection, Hub(connection) as opened:
        opened.probe()
        every = opened.devices()
    found = [device for device in every if query.casefold() in device.name.casefold()]
    if not found:
        names = [device.name for device in every]
        raise UnknownNameError("device whose name holds", query, nearest(query, names) or names)
    rows = [
        (
            device.name,
            f"{_attribute(device, 'os') or ''} {device.os}".strip(),
            (_attribute(device, "chipset") or "").removeprefix("qualcomm-"),
            _attribute(device, "hexagon") or "",
            "yes" if _attribute(device, "htp-supports-fp16") == "true" else "not said",
        )
        for device in found
    ]
    table(f"Devices of {connection.called}", ("name", "system", "chipset", "NPU", "fp16 on the NPU"), rows)
    if json_file:
        write_json(json_file, [vars(device) for device in found])
    next_step(f'lpcv compile RUN --device "{found[0].name}"{at(hub)}')


@click.command()
@click.option("--device", help="A device to resolve; default: the contract's.")
@click.option("--json", "json_file", type=FILE, help="Write the findings as JSON.")
@hub_option
def doctor(device: str | None, json_file: Path | None, hub: str | None) -> None:
    """Is everything here for AI Hub? Exit code 1 if something is not.

    \b
    lpcv doctor
    lpcv doctor --hub local --device "Samsung Galaxy S24"
    Names Python, torch, the client, its configuration and whether it has a token (never the token), whether the server
    answers, the device, and the disk.
    """
    from ..console import next_step, table
    from ..files import write_json
    from ..hub_folder import HubFolder
    from .doctor import examine
    from .ending import at

    findings = examine(hub, HubFolder(), device)
    table("lpcv doctor", ("what", "state", "found", "remedy"), [finding.row for finding in findings])
    if json_file:
        write_json(json_file, [vars(finding) for finding in findings])
    if any(finding.state == "fail" for finding in findings):
        next_step(f"lpcv doctor{at(hub)}, when what failed is mended")
        raise click.exceptions.Exit(1)
    next_step(f"lpcv compile RUN --device NAME{at(hub)}")


@click.group()
def hub() -> None:
    """The stand-in for AI Hub: rehearse without an account, with the unmodified client.

    \b
    lpcv hub serve --root stand-in
    """


@hub.command()
@click.option("--root", type=FILE, required=True, help="Everything that it keeps lies in this folder.")
@click.option("--port", type=click.IntRange(0, 65535), help="On 127.0.0.1; default: the last one, or a free one.")
def serve(root: Path, port: int | None) -> None:
    """Serve a stand-in on this machine until Ctrl-C; typed again, it goes on with what it had.

    \b
    lpcv hub serve --root stand-in
    QAIHUB_CLIENT_INI=stand-in/client.ini python any_script_of_yours.py
    It writes ROOT/client.ini, which sends any script here. Jobs run on this CPU: their numbers say nothing of a device.
    """
    from .stand_in.serve import serve as run

    run(root, port)


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


def _attribute(device: Any, name: str) -> str | None:
    return next((each.partition(":")[2] for each in device.attributes if each.partition(":")[0] == name), None)


def _next_of(record: Record) -> str:
    from .ending import at

    local = at(record.reached_by)
    if not record.finished:
        return f"lpcv jobs wait {record.job_id}{local}"
    return {
        "compile": f"lpcv profile {record.job_id}{local}",
        "profile": f"lpcv jobs share {record.intended.get('compile_job')}{local}",
        "inference": f"lpcv score {record.job_id} --data DIR",
    }[record.type]
