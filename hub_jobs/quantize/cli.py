"""`lpcv quantize`: an integer model for the NPU, made on this machine or by AI Hub."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, cast

import click

from ..options import of_a_job
from ..precisions import INTEGERS, Precision

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("target", metavar="RUN|MODEL.onnx", type=FILE)
@click.option("--data", required=True, type=FILE, help="Frames to calibrate with; images are enough. Not the test set.")
@click.option(
    "--precision", required=True, type=click.Choice(INTEGERS), help="Bits of weights (w) and activations (a)."
)
@click.option(
    "--on", "where", type=click.Choice(("local", "hub")), default="local", show_default=True,
    help="Who quantizes: this machine, or AI Hub by a quantize job.",
)  # fmt: skip
@click.option("--out", type=FILE, help="Default: beside the model, as NAME.PRECISION.onnx.")
@click.option("--samples", type=click.IntRange(1), default=32, show_default=True, help="Calibrate with so many frames.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Chooses these frames.")
@click.option("--keep-16bit", "kept", multiple=True, metavar="LAYER", help="Let this layer of w8a8 give 16 bits.")
@of_a_job
def quantize(
    target: Path,
    data: Path,
    precision: str,
    where: str,
    out: Path | None,
    samples: int,
    seed: int,
    kept: tuple[str, ...],
    **how: Any,
) -> None:
    """Quantize a float model: integer weights and activations, float32 in and out.

    \b
    lpcv quantize runs/mine --data datasets/train --precision w8a8
    lpcv quantize model.onnx --data datasets/train --precision w8a16 --samples 64
    lpcv quantize runs/mine --data datasets/train --precision w8a8 --on hub
    lpcv quantize runs/mine --data datasets/train --precision w8a8 --on hub --hub local

    The ranges come from a few frames, chosen by --seed and recorded by hash. On this machine neither network nor
    account is needed; the options from --hub to --dry-run are for --on hub, which sends model and frames to AI Hub.
    What it costs in score, `lpcv score` says.
    """
    from ...errors import InputError
    from ...files import demand_writable
    from ..models import model_of

    source = model_of(target).files[0]
    out = out or source.with_name(f"{source.stem}.{precision}.onnx")
    if out.resolve() == source.resolve():
        raise InputError(f"--out {out} is the float model itself.", "Choose another name.")
    demand_writable({"--out": out})
    if where == "hub":
        if kept:
            raise InputError("AI Hub's quantize job takes no --keep-16bit.", "Leave it away, or quantize --on local.")
        _on_hub(target, data, precision, out, samples, seed, how)
        return
    given = [f"--{name.replace('_', '-')}" for name in ("hub", "again", "yes", "dry_run", "timeout_s") if how[name]]
    if given or not how["wait"]:
        option = (given or ["--no-wait"])[0].removesuffix("-s")
        raise InputError(f"{option} is for a job of AI Hub.", "Add --on hub, or leave it away.")
    _locally(source, data, precision, out, samples, seed, kept, how["json_file"])


def _on_hub(target: Path, data: Path, precision: str, out: Path, samples: int, seed: int, how: dict[str, Any]) -> None:
    from ...data.folder import open_folder
    from ..carry_out import carry_out
    from ..options import How
    from .on_hub import conclude, order_of

    order = order_of(target, open_folder(data), precision, samples=samples, seed=seed, out=out)
    carry_out(lambda desk: [order], How(**how), show=lambda record, path: conclude(record, path, out))


def _locally(
    source: Path, data: Path, precision: str, out: Path, samples: int, seed: int, kept: tuple[str, ...],
    json_file: Path | None,
) -> None:  # fmt: skip
    from ...console import next_step, result, table
    from ...data.folder import open_folder
    from ...files import demand_writable, write_json
    from .quantizer import quantize as make

    demand_writable({"--json": json_file})
    made = make(
        source, open_folder(data), cast(Precision, precision), out, seed=seed, samples=samples, keep_16bit=kept
    )  # fmt: skip
    if json_file:
        write_json(json_file, made.as_json())
    smaller = out.stat().st_size / source.stat().st_size
    frames = made.calibration
    table(
        f"{out}",
        ("what", "value"),
        [
            ("precision", f"{precision}: {made.settings['weights']}; {made.settings['activations']} activations"),
            ("size", f"{out.stat().st_size / 1e6:.2f} MB, {smaller:.0%} of the float model"),
            ("sha256", made.sha256),
            ("calibrated with", f"{len(frames.names)} frames, seed {frames.seed}, sha256 {frames.sha256}"),
            ("difference from float", f"mean {made.mean_difference:.2g}, largest {made.largest_difference:.2g}"),
        ],
    )
    result("The difference is ONNX Runtime's, on a few of the calibration frames: a first look, not a score.")
    next_step(f"lpcv score {shlex.quote(str(out))} --data DIR")  # what it was calibrated with is no test set
