"""`lpcv zoo`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ..npu.runtimes import RUNTIMES

FILE = click.Path(path_type=Path)
json_option = click.option("--json", "json_file", type=FILE, help="Write everything as JSON.")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def zoo(ctx: click.Context, json_file: Path | None) -> None:
    """List the models that were submitted, with their published scores; build one; estimate what they take.

    \b
    lpcv zoo
    lpcv zoo build baseline --weights random --out baseline.onnx
    lpcv zoo build third --out third.onnx
    lpcv zoo estimate second second-stock-attention --device "Samsung Galaxy S24"
    """
    if ctx.invoked_subcommand is not None:
        if json_file:
            raise click.UsageError("--json of the list stands alone; `lpcv zoo estimate` has its own.", ctx)
        return
    from ...console import next_step
    from ...files import demand_writable, write_json
    from ...train.zoo.variants import ZOO
    from .show import show_zoo

    demand_writable({"--json": json_file})
    if json_file:
        write_json(json_file, [variant.as_json() for variant in ZOO.values()])
    show_zoo(list(ZOO.values()))
    next_step("lpcv zoo build third --out third.onnx")


@zoo.command()
@click.argument("name")
@click.option("--out", required=True, type=FILE, help="The ONNX file.")
@click.option("--weights", metavar="HUB_ID|DIR|random", help="Default: the published ones, from the hub.")
def build(name: str, out: Path, weights: str | None) -> None:
    """Build the model NAME as one ONNX file that fits the contract, compared with torch.

    \b
    lpcv zoo build third --out third.onnx
    lpcv zoo build third --weights teachers/Depth-Anything-V2-Metric-Indoor-Small-hf --out third.onnx
    lpcv zoo build baseline --weights random --out baseline.onnx

    DIR holds config.json and model.safetensors. With random weights only the file is judged: `lpcv check` leaves
    undecided what the output means.
    """
    from ...console import Steps, next_step, note, result
    from ...errors import InputError
    from ...files import demand_writable
    from ...train.zoo.variants import RANDOM, variant_of
    from .show import written

    variant = variant_of(name)
    demand_writable({"--out": out})
    if out.suffix != ".onnx":
        raise InputError(f"--out {out} does not end in .onnx.", f"Write it to {out.with_suffix('.onnx').name}.")
    if weights == RANDOM and Path(RANDOM).is_dir():
        raise InputError(
            f"--weights {RANDOM} means random weights, and there is a folder {RANDOM} here.",
            f"For the folder type ./{RANDOM}; for random weights work elsewhere, or rename it.",
        )
    from .build import STEPS
    from .build import build as build_model

    note(f"Building {name}: {variant.size}x{variant.size}, {variant.kind}, {variant.output}, {written(variant)}")
    built = build_model(variant, weights, out, Steps(STEPS).begin)
    origin = built.origin
    result(
        f"{out}: {origin.parameters / 1e6:.1f} M parameters from {origin.source} ({origin.licence}); differs from "
        f"torch by at most {built.parity.largest:.1e} on {built.parity.random_frames} random frames"
    )
    next_step(f"lpcv check {shlex.quote(str(out))} --data DIR")


@zoo.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--device", required=True, help="AI Hub's name of a device; see `lpcv devices`.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default=RUNTIMES[0], show_default=True,
              help="Of AI Hub's, for the estimate.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True,
              help="Stop a compilation that takes longer.")  # fmt: skip
@click.option("--memory-mb", type=click.FloatRange(0, min_open=True), default=8192.0, show_default=True,
              help="Stop a compilation that needs more.")  # fmt: skip
@json_option
@click.pass_context
def estimate(
    ctx: click.Context, names: tuple[str, ...], device: str, runtime: str, seconds: float, memory_mb: float,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Estimate the latency of models of the zoo, by Qualcomm's compiler, beside what their teams measured.

    \b
    lpcv zoo estimate second second-stock-attention --device "Samsung Galaxy S24"
    lpcv zoo estimate --device "Samsung Galaxy S24" --json zoo.json

    Without a NAME all of them, a minute each. Weights are random, which changes no latency. Nothing is measured here.
    Exit code 1 where one does not fit the NPU. Needs Linux on x86-64 and: pip install 'lpcv[emulator]'
    """
    from ...console import Steps
    from ...files import demand_writable, write_json
    from ...hub_jobs.htp.door import demand_available
    from ...hub_jobs.htp.door import versions as tools
    from ...hub_jobs.htp.outcome import Limits
    from ...hub_jobs.htp.target import target_of
    from ...train.zoo.variants import variants_of

    chosen = variants_of(names)
    demand_writable({"--json": json_file})
    demand_available()
    target = target_of(device)
    target.demand("fp16")
    from .latency import STEPS, estimate_variant
    from .show import show_estimates

    steps = Steps(STEPS * len(chosen))
    found = [estimate_variant(one, target, runtime, Limits(seconds, memory_mb), steps.begin) for one in chosen]
    show_estimates(found, device, runtime)
    if json_file:
        rows = [one.as_json() for one in found]
        write_json(json_file, {"device": device, "runtime": runtime, "versions": tools(), "models": rows})
    if not all(one.fits for one in found):
        ctx.exit(1)
