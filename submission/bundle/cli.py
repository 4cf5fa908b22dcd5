"""`lpcv package`, `verify`."""

from __future__ import annotations

from pathlib import Path

import click

from ...contract import CURRENT

EXISTING = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=EXISTING)
@click.option("-o", "--out", type=EXISTING, help="The bundle; by default RUN/bundle.zip.")
def package(run: Path, out: Path | None) -> None:
    """Pack RUN's model, contract, config, scores, provenance and licences into one zip, with the hash of each.

    \b
    lpcv package runs/mine -o bundle.zip
    """
    from ...console import next_step, note, result
    from ...files import read_json, sha256_file
    from ...runs import Run, open_run
    from .pack import package as pack

    bundle = pack(open_run(run), out or run / "bundle.zip")
    result(f"{bundle}: sha256 {sha256_file(bundle)}")
    if Run(run).score.exists():
        score = read_json(Run(run).score)
        scored, trained = score["frames_scored"], score["frames_trained_on"]
        note(f"It includes the score of {scored} frames, {trained} of which it was trained on.")
    else:
        note(f"It holds no score. `lpcv score {run} --data DIR` first, and package again, to include one.")
    note(f"Whether the output is depth, upright and RGB is not checked here: `lpcv check {run} --data DIR`.")
    next_step(f"lpcv verify {bundle}")


@click.command()
@click.argument("bundle", type=EXISTING)
@click.pass_context
def verify(ctx: click.Context, bundle: Path) -> None:
    """Check that BUNDLE is whole and unchanged, and that its model fits the contract; exit code 1 if not.

    \b
    lpcv verify bundle.zip
    """
    from ...console import result
    from .verify import verify as look_into

    problems = look_into(bundle)
    for problem in problems:
        result(f"WRONG {problem}")
    if not problems:
        result(f"{bundle}: every file is as its manifest says; names, types and shapes fit {CURRENT.name}")
    ctx.exit(1 if problems else 0)
