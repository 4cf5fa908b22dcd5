"""`lpcv emulate` and `lpcv sensitivity`."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ...hub_jobs.precisions import INTEGERS, PRECISIONS, Precision

FILE = click.Path(path_type=Path)
FRAMES, INPUTS = 8, 3  # emulated where nothing is said: with and without --data
frames_option = click.option("--frames", "chosen", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
calibration_option = click.option(
    "--calibration", type=FILE, help="Frames that fix the integers' ranges. Default: those of --data that are not "
    "scored, or all of them.",
)  # fmt: skip
samples_option = click.option(
    "--samples", type=click.IntRange(1), default=32, show_default=True, help="Calibrate with so many frames."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Chooses these frames.")
json_option = click.option("--json", "json_file", type=FILE, help="Write everything as JSON.")


@click.command()
@click.argument("model", metavar="RUN|MODEL.onnx", type=FILE)
@click.option("--device", required=True, help="AI Hub's name of a device; see `lpcv devices`.")
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS),
    help="May be repeated; default: all of them. float is always there to compare with.",
)  # fmt: skip
@click.option("--data", type=FILE, help="Frames; with truth and confidence they are scored.")
@frames_option
@click.option(
    "--limit", type=click.IntRange(1), help=f"Emulate so many, evenly spread. Default: {FRAMES} frames, or {INPUTS} "
    "made-up inputs.",
)  # fmt: skip
@calibration_option
@samples_option
@seed_option
@click.option("--out", type=FILE, help="Put quantized models and emulated predictions into this folder.")
@json_option
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True,
    help="Stop a compilation, or a frame, that takes longer.",
)  # fmt: skip
@click.option(
    "--memory-mb", type=click.FloatRange(0, min_open=True), default=8192.0, show_default=True,
    help="Stop a compilation or emulation that needs more.",
)  # fmt: skip
@click.pass_context
def emulate(
    ctx: click.Context,
    model: Path,
    device: str,
    precisions: tuple[str, ...],
    data: Path | None,
    chosen: str | None,
    limit: int | None,
    calibration: Path | None,
    samples: int,
    seed: int,
    out: Path | None,
    json_file: Path | None,
    seconds: float,
    memory_mb: float,
) -> None:
    """Rehearse a model on Qualcomm's NPU emulator: does it fit, what does it compute, what does each precision cost.

    \b
    lpcv emulate runs/mine --device "Samsung Galaxy S24" --data datasets/val
    lpcv emulate model.onnx --device "Samsung Galaxy S24" --precision fp16 --precision w8a8
    lpcv emulate runs/mine --device "Samsung Galaxy S25" --data datasets/val --calibration datasets/train --limit 4

    float is ONNX Runtime's, on all frames; fp16 is emulated, seconds a frame, on a few; w8a8 and w8a16 are quantized
    here, computed by ONNX Runtime on all frames and confirmed on the emulator on the few. Nothing runs on a phone, no
    account is needed. Whether it fits is shown before the frames, which take long. Exit code 1 where a node does not
    fit, a precision was not emulated, or an output is not finite. An interrupted command goes on when typed again.
    Needs Linux on x86-64 and: pip install 'lpcv[emulator]'
    """
    from ...console import next_step
    from ...files import demand_writable, write_json
    from ...hub_jobs.htp.door import demand_available
    from ...hub_jobs.htp.outcome import Limits
    from .rehearsal import Rehearsal
    from .rehearsal import emulate as rehearse
    from .request import request_of
    from .show import show_fit, show_numbers

    demand_available()
    demand_writable({"--json": json_file, "--out": out / f"{model.stem}.w8a8.onnx" if out else None})
    request = request_of(
        model, device, precisions, data=data, chosen=chosen, emulated=limit or (FRAMES if data else INPUTS),
        calibration=calibration, samples=samples, seed=seed, limits=Limits(seconds, memory_mb), out=out,
    )  # fmt: skip
    _say_if_trained_on(model, request.frames)

    def tell(known: Rehearsal) -> None:
        show_fit(known)
        if json_file:
            write_json(json_file, known.as_json())  # the frames may fail

    with _terminated_like_interrupted():
        rehearsal = rehearse(request, tell)
    show_numbers(rehearsal)
    if json_file:
        write_json(json_file, rehearsal.as_json())
    for journal in rehearsal.journals:
        journal.finish()
    if rehearsal.whole:
        next_step(f'lpcv compile {shlex.quote(str(model))} --device "{device}"')
    else:
        ctx.exit(1)


@click.command()
@click.argument("model", metavar="RUN|MODEL.onnx", type=FILE)
@click.option("--data", required=True, type=FILE, help="Frames with truth and confidence.")
@frames_option
@click.option(
    "--precision", type=click.Choice(INTEGERS), default="w8a8", show_default=True,
    help="w8a16 has no layers to keep in 16 bits.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=FRAMES, show_default=True, help="Score so many frames.")
@click.option(
    "--layers", "most", type=click.IntRange(1), default=24, show_default=True,
    help="Score only the layers that change the output most; all are compared.",
)  # fmt: skip
@calibration_option
@samples_option
@seed_option
@click.option("--picture", type=FILE, help="Draw the costs as bars (PNG).")
@json_option
def sensitivity(
    model: Path,
    data: Path,
    chosen: str | None,
    precision: str,
    limit: int,
    most: int,
    calibration: Path | None,
    samples: int,
    seed: int,
    picture: Path | None,
    json_file: Path | None,
) -> None:
    """Find the layers that quantizing hurts: each alone in integers, each alone kept in 16 bits.

    \b
    lpcv sensitivity runs/mine --data datasets/val --precision w8a8 --picture layers.png
    lpcv sensitivity model.onnx --data datasets/val --layers 100 --limit 32 --json layers.json

    The cost is in the official F-Score, by ONNX Runtime, on frames evenly spread. It is two scorings for each layer; an
    interrupted command goes on when it is typed again. What it names can be given to `lpcv quantize --keep-16bit`.
    """
    from typing import cast

    from ...console import next_step, note
    from ...data.folder import open_folder, select, spread
    from ...data.images import write_png
    from ...files import demand_writable, write_json
    from ...hub_jobs.models import model_of
    from .fit import Calibration
    from .request import calibration_frames
    from .sensitivity import analyse
    from .sensitivity_show import draw, show

    demand_writable({"--json": json_file, "--picture": picture}, pictures=["--picture"])
    model_of(model)
    frames = select(open_folder(data, with_depth=True), chosen)
    frames = frames.subset(tuple(spread(frames.names, limit)))
    held = Calibration(calibration_frames(calibration or data, frames), samples, seed)
    _say_if_trained_on(model, frames)
    found = analyse(model, frames, cast(Precision, precision), held, most)
    show(found)
    if json_file:
        write_json(json_file, found.as_json())
    if picture:
        write_png(picture, draw(found))
        note(f"wrote {picture}")
    if worth := found.worth_keeping:
        kept = " ".join(f"--keep-16bit {shlex.quote(name)}" for name in worth)
        given, frames_in = shlex.quote(str(model)), shlex.quote(str(calibration or data))
        next_step(f"lpcv quantize {given} --data {frames_in} --precision {precision} {kept}")


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM is Ctrl-C here: what is done is kept, and temporary files go."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_if_trained_on(model: Path, frames: object) -> None:
    from ...console import count, note
    from ...data.folder import FrameFolder
    from ...evaluate.kept import trained_on
    from ...runs import Run, is_run

    if isinstance(frames, FrameFolder) and is_run(model) and (seen := trained_on(Run(model), frames)):
        note(f"{model} was TRAINED on {seen} of these {count(len(frames), 'frame')}: this is no held-out score.")
