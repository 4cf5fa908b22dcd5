"""`lpcv check`."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=FILE)
@click.option("--data", type=FILE, help="Frames with truth: needed to tell depth from inverse depth.")
@click.option("--frames", "chosen", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
@click.option("--device", metavar="NAME",
              help="Also ask Qualcomm's compiler: does it fit this NPU, how fast may it be?")  # fmt: skip
@click.option("--json", "json_file", type=FILE, help="Write all findings as JSON.")
@click.option("--picture", type=FILE, default=Path("check.png"), show_default=True,
              help="Where the picture goes if a finding about the meaning fails.")  # fmt: skip
@click.pass_context
def check(
    ctx: click.Context,
    model: Path,
    data: Path | None,
    chosen: str | None,
    device: str | None,
    json_file: Path | None,
    picture: Path,
) -> None:
    """Check MODEL against the contract before a job is spent on it; exit code 1 if anything fails.

    \b
    lpcv check runs/mine --data datasets/val
    lpcv check runs/mine --data datasets/val --device "Samsung Galaxy S24"
    lpcv check model.onnx --json findings.json
    lpcv check model.tflite --data datasets/val

    MODEL is a run, an .onnx or .tflite file, a TorchScript file or an exported program. Nothing is asked of AI Hub:
    what a device has measured is looked up in this folder's ledger.
    """
    from ...console import note
    from ...contract import CURRENT
    from ...data.folder import open_folder, select
    from ...data.images import write_png
    from ...errors import InputError
    from ...files import demand_writable, sha256_file, write_json
    from ...runs import Run, is_run
    from .findings import exit_code, findings_json
    from .opening import model_file
    from .outputs import demand_known, demand_nothing_lost
    from .picture import draw_evidence, evidence_frames
    from .preflight import Circumstances, check_model
    from .show import show

    if chosen and data is None:
        raise InputError("--frames chooses from the frames of --data, which is not given.", "Add --data DIR.")
    if device is not None:
        demand_known(device)
    wanted = {"--json": json_file, "--picture": picture if data else None}
    demand_writable(wanted, ("--picture",))
    path = model_file(model)
    frames = select(open_folder(data), chosen) if data else None
    demand_nothing_lost(wanted, path, data)
    run = Run(model) if is_run(model) else None
    findings = check_model(path, frames, Circumstances(device, run))
    if json_file:
        write_json(
            json_file, findings_json(findings, model=path.name, model_sha256=sha256_file(path), edition=CURRENT.name)
        )
    show(findings, model, data, json_file)
    worst = evidence_frames(findings)
    if worst and frames:  # last, so that whatever happens to it the findings are told
        write_png(picture, draw_evidence(path, frames, worst))
        note(f"Look at {picture}.")
    ctx.exit(exit_code(findings))
