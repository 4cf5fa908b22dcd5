"""`lpcv compile`, `lpcv profile`, `lpcv infer`: each typed again goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from .desk import Desk
    from .history import Record
    from .order import Order
    from .outcome import Outcome

FILE = click.Path(path_type=Path)
RUNTIMES = ("tflite", "onnx", "qnn_dlc", "qnn_context_binary", "precompiled_qnn_onnx")
Command = TypeVar("Command", bound=Callable[..., Any])

COMMON = (
    click.option(
        "--hub",
        metavar="PROFILE|local",
        help="A profile of ~/.qai_hub, an .ini file, or `local` for a rehearsal. Default: your AI Hub configuration.",
    ),
    click.option("--wait/--no-wait", "wait", default=True, show_default=True, help="Follow the job; Ctrl-C is safe."),
    click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Stop waiting after so many seconds."),
    click.option("--again", is_flag=True, help="Order the same once more, if the last one has ended."),
    click.option("--yes", is_flag=True, help="Do not ask before a job is spent."),
    click.option("--dry-run", is_flag=True, help="Show what would be done; send and write nothing."),
    click.option("--json", "json_file", type=FILE, help="Write what came of it as JSON."),
)


def common(command: Command) -> Command:
    """The options that every job has."""
    for option in reversed(COMMON):
        command = option(command)
    return command


@click.command(name="compile")
@click.argument("target", metavar="RUN|MODEL.onnx", type=FILE)
@click.option("--device", required=True, help='As AI Hub names it, e.g. "Samsung Galaxy S24". See `lpcv devices`.')
@click.option("--runtime", type=click.Choice(RUNTIMES), help="Default: the contract's, tflite.")
@click.option("--options", "extra", default="", help="More of AI Hub's compile options, as one text.")
@common
def compile_(target: Path, device: str, runtime: str | None, extra: str, **how: Any) -> None:
    """Compile a model for a device on AI Hub, and keep the compiled model.

    \b
    lpcv compile runs/mine --device "Samsung Galaxy S24"
    lpcv compile model.onnx --device "Samsung Galaxy S24" --runtime onnx --dry-run
    lpcv compile runs/mine --device "Samsung Galaxy S24" --hub local
    The last is a rehearsal on this machine. Typed again it uses the same job again, running or finished: a job is never
    submitted twice by accident.
    """
    from ..contract import CURRENT as CONTRACT
    from ..errors import InputError
    from .models import model_of, title_of
    from .order import Order

    if "--target_runtime" in extra:
        raise InputError("--options holds --target_runtime.", "Use --runtime.")
    options = f"--target_runtime {runtime or CONTRACT.target_runtime} {extra}".strip()
    order = Order("compile", title_of(target), model_of(target), device, options)
    _carry_out(lambda desk: [order], how, show=None, after=lambda record, path: f"lpcv profile {record.job_id}")


@click.command()
@click.argument("target", metavar="RUN|JOB")
@click.option("--device", help="Default: what it was compiled for.")
@click.option("--options", help="AI Hub's profile options; default: the contract's.")
@click.option("--picture", type=FILE, help="Also write the picture of the slowest layers here (PNG).")
@common
def profile(target: str, device: str | None, options: str | None, picture: Path | None, **how: Any) -> None:
    """Measure a compiled model on the device and judge it against the contract's budget.

    \b
    lpcv profile runs/mine
    lpcv profile jgzr4x9o5 --json profile.json --picture layers.png
    RUN stands for its newest compile job, JOB is a compile job. Exit code 1 where the budget is exceeded. The numbers
    of `--hub local` are this CPU's: they say nothing of a device, and no verdict is drawn.
    """
    from ..contract import CURRENT as CONTRACT
    from .order import Order
    from .profiling import conclude

    chosen = CONTRACT.profile_options if options is None else options

    def orders(desk: Desk) -> list[Order]:
        from .models import compile_record, compiled

        base = _finished_compile(desk, compile_record(desk, target, device), how)
        return [Order("profile", base.intended["title"], compiled(base), device or base.intended["device"], chosen)]

    def show(record: Record, path: Path) -> tuple[dict[str, Any], int]:
        return conclude(record, path, picture)

    _carry_out(
        orders, how, show, lambda record, path: f"lpcv infer {record.intended['compile_job']} --data DIR", picture
    )


@click.command()
@click.argument("target", metavar="RUN|JOB")
@click.option("--data", required=True, type=FILE, help="Frames; images are enough.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many frames.")
@click.option("--frames", "chosen", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
@click.option("--device", help="Default: what it was compiled for.")
@click.option("--options", default="", help="AI Hub's inference options.")
@click.option("--frames-per-job", type=click.IntRange(1), help="Default: 250, which is 0.9 GB before compression.")
@common
def infer(
    target: str,
    data: Path,
    limit: int | None,
    chosen: str | None,
    device: str | None,
    options: str,
    frames_per_job: int | None,
    **how: Any,
) -> None:
    """Run frames through a compiled model on the device, and keep what it computed as a folder of predictions.

    \b
    lpcv infer runs/mine --data datasets/val --limit 4
    lpcv infer jgzr4x9o5 --data datasets/val
    lpcv score JOB --data datasets/val
    The score is then of what the DEVICE computed. Many frames become several datasets and jobs; what is already safe is
    never sent or fetched again.
    """
    from ..data.folder import open_folder, select
    from .frames import FRAMES_PER_JOB
    from .inference import orders_of

    folder = select(open_folder(data), chosen)
    folder = folder.subset(folder.names[:limit])

    def orders(desk: Desk) -> list[Order]:
        from .models import compile_record

        base = _finished_compile(desk, compile_record(desk, target, device), how)
        return orders_of(base, folder, frames_per_job or FRAMES_PER_JOB, device, options)

    _carry_out(orders, how, None, lambda record, path: f"lpcv score {record.job_id} --data {data}")


def _finished_compile(desk: Desk, record: Record, how: dict[str, Any]) -> Record:
    """The compile job, followed to its end: nothing can run before. Raises MissingStepError where it has no model."""
    from ..errors import MissingStepError
    from .outcome import Failed, Succeeded, TimedOut
    from .waiting import follow

    if how["dry_run"]:
        return record
    outcome, job = follow(desk, record, how["timeout_s"]), f"Compile job {record.job_id}"
    match outcome:
        case Succeeded():
            return record
        case TimedOut():
            raise MissingStepError(
                f"{job} still runs after {outcome.waited_s:.0f} s, and this needs the model that it makes.",
                "Type the same command again: it follows the same job.",
            )
        case Failed():
            raise MissingStepError(
                f"{job} FAILED: {outcome.reason or 'AI Hub gives no reason'}",
                f"See `lpcv jobs show {record.job_id}`; mend that, and compile again.",
            )
    raise MissingStepError(f"{job} is not known there any more ({record.url}).", "Compile again, with --again.")


def _carry_out(
    orders_of: Callable[[Desk], Sequence[Order]],
    how: dict[str, Any],
    show: Callable[[Record, Path], tuple[dict[str, Any], int]] | None,
    after: Callable[[Record, Path], str],
    *pictures: Path | None,
) -> None:
    """Submit what was not submitted, follow, fetch, say what came of it; exits with the code that stands for it.

    show: what to print of a fetched result, giving its facts and exit code; after: the next likely command
    """
    from ..console import next_step, note, result
    from ..files import demand_writable, write_json
    from ..hub_folder import HubFolder
    from . import plan
    from .collect import collect
    from .collect import facts as origin
    from .desk import desk
    from .dispatch import dispatch
    from .ending import as_json, at, exit_code, tell
    from .inference import in_set
    from .outcome import Succeeded, TimedOut
    from .waiting import follow

    demand_writable({"--json": how["json_file"], "--picture": next(iter(pictures), None)}, pictures=["--picture"])
    folder = HubFolder()
    if how["dry_run"]:
        with plan.looking(how["hub"], folder) as here:
            plan.show(here, orders_of(here), how["again"])
        return
    outcomes: list[Outcome] = []
    told: list[dict[str, Any]] = []
    code, last = 0, None
    with desk(how["hub"], folder) as opened:
        if opened.connection.rehearsal:
            note("A rehearsal: the stand-in computes on this CPU. Nothing of it says anything about a device.")
        orders = orders_of(opened)
        plan.agree(opened, orders, how["again"], how["yes"])
        sent = [dispatch(opened, order, again=how["again"]) for order in orders]  # all on their way, then wait
        turn = max(record.intended["nth"] for record in sent)
        for record in (in_set(record, turn, order.kept) for record, order in zip(sent, orders, strict=True)):
            outcome = follow(opened, record, how["timeout_s"]) if how["wait"] else _running(record)
            outcomes.append(outcome)
            tell(outcome)
            facts = {**as_json(outcome), "type": record.type, **origin(record)}
            if isinstance(outcome, Succeeded):
                path = collect(opened, record)
                last = (record, path)
                facts |= {"fetched": str(path)}
                if show:
                    shown, worst = show(record, path)
                    facts, code = facts | shown, max(code, worst)
                else:
                    result(f"{path}")
            told.append(facts)
    if how["json_file"]:
        write_json(how["json_file"], told[0] if len(told) == 1 else told)
    if last:
        command = after(*last)
        next_step(command + ("" if command.startswith("lpcv score") else at(how["hub"])))
    elif any(isinstance(outcome, TimedOut) for outcome in outcomes):
        next_step(f"lpcv jobs wait{at(how['hub'])}")
    raise click.exceptions.Exit(max(code, exit_code(outcomes)))


def _running(record: Record) -> Outcome:
    from .outcome import TimedOut

    return TimedOut(record.job_id or "", record.url or "", 0.0)
