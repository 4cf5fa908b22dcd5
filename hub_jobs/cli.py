"""`lpcv compile`, `lpcv profile`, `lpcv infer`: each typed again goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import FILE, FRAMES_PER_JOB, How, of_a_job
from .stand_in.options import RUNTIMES

if TYPE_CHECKING:
    from .desk import Desk
    from .history import Record
    from .order import Order


@click.command(name="compile")
@click.argument("target", metavar="RUN|MODEL.onnx", type=FILE)
@click.option("--device", required=True, help='As AI Hub names it, e.g. "Samsung Galaxy S24". See `lpcv devices`.')
@click.option("--runtime", type=click.Choice(RUNTIMES), help="Default: what `lpcv contract` names.")
@click.option("--options", "extra", default="", help="More of AI Hub's compile options, as one text.")
@of_a_job
def compile_(target: Path, device: str, runtime: str | None, extra: str, **how: Any) -> None:
    """Compile a model for a device on AI Hub, and keep the compiled model.

    \b
    lpcv compile runs/mine --device "Samsung Galaxy S24"
    lpcv compile model.onnx --device "Samsung Galaxy S24" --runtime onnx --dry-run
    lpcv compile runs/mine --device "Samsung Galaxy S24" --hub local
    The last is a rehearsal on this machine. Typed again it uses the same job again, running or finished: a job is never
    submitted twice by accident, from another folder or machine neither.
    """
    from ..contract import CURRENT as CONTRACT
    from ..errors import InputError
    from .carry_out import carry_out
    from .models import model_of, title_of
    from .order import Order

    if "--target_runtime" in extra:
        raise InputError("--options holds --target_runtime.", "Use --runtime.")
    options = f"--target_runtime {runtime or CONTRACT.target_runtime} {extra}".strip()
    order = Order("compile", title_of(target), model_of(target), device, options)
    carry_out(lambda desk: [order], How(**how))


@click.command()
@click.argument("target", metavar="RUN|JOB")
@click.option("--device", help="Default: what it was compiled for.")
@click.option("--options", help="AI Hub's profile options; default: the contract's.")
@click.option("--picture", type=FILE, help="Also write the picture of the slowest layers here (PNG).")
@of_a_job
def profile(target: str, device: str | None, options: str | None, picture: Path | None, **how: Any) -> None:
    """Measure a compiled model on the device and judge it against the contract's budget.

    \b
    lpcv profile runs/mine
    lpcv profile jgzr4x9o5 --json profile.json --picture layers.png
    RUN stands for its newest compile job, JOB is a compile job; it is waited for first, with --no-wait too. Exit code 1
    where the budget is exceeded. The numbers of `--hub local` are this CPU's: they say nothing of a device, and no
    verdict is drawn.
    """
    from ..contract import CURRENT as CONTRACT
    from .carry_out import carry_out
    from .order import Order
    from .profiling import conclude

    chosen, told = CONTRACT.profile_options if options is None else options, How(**how)

    def orders(desk: Desk) -> list[Order]:
        from .models import compile_record, compiled

        base = _finished_compile(desk, compile_record(desk, target, device), told)
        return [Order("profile", base.intended["title"], compiled(base), device or base.intended["device"], chosen)]

    carry_out(orders, told, show=lambda record, path: conclude(record, path, picture), picture=picture)


@click.command()
@click.argument("target", metavar="RUN|JOB")
@click.option("--data", required=True, type=FILE, help="Frames; images are enough.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many frames.")
@click.option("--frames", "chosen", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
@click.option("--device", help="Default: what it was compiled for.")
@click.option("--options", default="", help="AI Hub's inference options.")
@click.option(
    "--frames-per-job", type=click.IntRange(1), default=FRAMES_PER_JOB, show_default=True,
    help="More of them are sliced into several datasets and jobs.",
)  # fmt: skip
@of_a_job
def infer(
    target: str,
    data: Path,
    limit: int | None,
    chosen: str | None,
    device: str | None,
    options: str,
    frames_per_job: int,
    **how: Any,
) -> None:
    """Run frames through a compiled model on the device, and keep what it computed as a folder of predictions.

    \b
    lpcv infer runs/mine --data datasets/val --limit 4
    lpcv infer jgzr4x9o5 --data datasets/val
    lpcv score JOB --data datasets/val
    The score is then of what the DEVICE computed. The compile job is waited for first, with --no-wait too. Many frames
    become several datasets and jobs; a slice of the very same frames that is safe already is not sent or fetched again.
    """
    from ..data.folder import open_folder, select
    from .carry_out import carry_out
    from .inference import orders_of

    folder, told = select(open_folder(data), chosen), How(**how)
    folder = folder.subset(folder.names[:limit])

    def orders(desk: Desk) -> list[Order]:
        from .models import compile_record

        base = _finished_compile(desk, compile_record(desk, target, device), told)
        return orders_of(base, folder, frames_per_job, device, options)

    carry_out(orders, told, data=str(data))


def _finished_compile(desk: Desk, record: Record, how: How) -> Record:
    """The compile job, followed to its end: nothing can run before. Raises MissingStepError where it has no model.

    A dry run goes by what the ledger knows.
    """
    from ..console import note
    from ..errors import MissingStepError
    from .ending import goes_on, whose
    from .faults import UnauthorisedError
    from .outcome import Expired, Failed, TimedOut, Unauthorised
    from .waiting import follow, recorded

    outcome = recorded(record) if how.dry_run else follow(desk, record, how.timeout_s)
    match outcome:
        case None:
            note(f"Compile job {record.job_id} has not ended, as far as the ledger knows; it is waited for first.")
        case TimedOut():
            raise MissingStepError(
                f"Compile job {record.job_id} has not ended after {outcome.waited_s:.0f} s, and this needs its model.",
                goes_on(desk.way),
            )
        case Failed():
            raise MissingStepError(
                f"Compile job {record.job_id} FAILED: {outcome.reason or 'AI Hub gives no reason'}",
                f"See `lpcv jobs show {record.job_id}`; mend that, and compile again.",
            )
        case Expired():
            raise MissingStepError(
                f"Compile job {record.job_id} is not known there any more ({record.url}). {whose(record)}",
                "Compile again, with --again.",
            )
        case Unauthorised():
            raise UnauthorisedError(outcome.reason, outcome.remedy)
    return record
