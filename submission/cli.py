"""`lpcv demo`, `contract`, `export`, `predict`."""

from __future__ import annotations

from pathlib import Path

import click

from ..contract import CURRENT, EDITIONS

EXISTING = click.Path(path_type=Path)


@click.command()
@click.option("--out", type=EXISTING, default=Path("demo"), show_default=True, help="Where everything goes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the scenes and the training.")
@click.option("--scenes", type=click.IntRange(8), default=300, show_default=True, help="Scenes to train on.")
@click.option("--held-out", type=click.IntRange(1), default=24, show_default=True, help="Scenes to score on.")
@click.option("--teacher-steps", type=click.IntRange(1), default=None, help="Training steps of the small teacher.")
@click.option("--student-steps", type=click.IntRange(1), default=None, help="Training steps of the student.")
@click.pass_context
def demo(
    ctx: click.Context,
    out: Path,
    seed: int,
    scenes: int,
    held_out: int,
    teacher_steps: int | None,
    student_steps: int | None,
) -> None:
    """Walk the whole path once, offline: scenes, teacher, distillation, export, check, score, picture, bundle.

    \b
    lpcv demo
    lpcv demo --out demo-7 --seed 7
    Run it again to go on after an interruption. Exit code 1 if a check fails or the student does not beat a constant.
    """
    from ..console import note
    from .demo import Size, passed, run_demo, show

    steps = {"teacher_steps": teacher_steps, "student_steps": student_steps}
    given = {name: count for name, count in steps.items() if count is not None}
    outcome = run_demo(out, Size(seed=seed, scenes=scenes, held_out=held_out, **given))
    show(outcome, held_out)
    note(f"Look at {outcome.sheet}; the bundle is {outcome.bundle}.")
    note("Which differences are real:")
    note(f"  lpcv compare constant {out / 'teacher_predictions'} {outcome.student.root} --data {out / 'held_out'}")
    if not passed(outcome):
        ctx.exit(1)
    note("AI Hub's part, rehearsed on this machine:")
    note(f'  lpcv compile {outcome.student.root} --device "{CURRENT.devices[0]}" --hub local')
    note("Next, with real frames (image/, depth_raw/, depth_conf/) and a network:")
    note("  lpcv data check datasets/mine --sheet sheet.png")
    note("  lpcv train --data datasets/mine --val datasets/val --out runs/mine")
    note("  lpcv export runs/mine && lpcv check runs/mine --data datasets/val")
    note("  lpcv score runs/mine --data datasets/val && lpcv package runs/mine -o bundle.zip")
    note(f'  lpcv doctor && lpcv compile runs/mine --device "{CURRENT.devices[0]}"')


@click.command()
@click.option("--edition", default=CURRENT.name, show_default=True, help="Which edition of the competition.")
@click.option("--json", "json_file", type=EXISTING, help="Write it as JSON.")
def contract(edition: str, json_file: Path | None) -> None:
    """Print the competition's rules: every number with its unit and source.

    \b
    lpcv contract
    lpcv contract --json contract.json
    """
    from ..console import table
    from ..errors import UnknownNameError
    from ..files import write_json

    if edition not in EDITIONS:
        raise UnknownNameError("edition", edition, EDITIONS)
    facts = EDITIONS[edition].facts
    rows = [
        (name, "none: " + fact.reason if fact.reason else str(fact.value), fact.unit, fact.source)
        for name, fact in facts.items()
    ]
    table(f"Contract {edition}", ("what", "value", "unit", "source"), rows)
    if json_file:
        write_json(json_file, EDITIONS[edition].as_json())


@click.command()
@click.argument("run", type=EXISTING)
def export(run: Path) -> None:
    """Write RUN/model.onnx from the best checkpoint: one file, static shapes, compared with torch.

    \b
    lpcv export runs/mine
    """
    from ..console import next_step, note, result
    from ..files import sha256_file
    from ..runs import open_run
    from .export import export_run

    opened = open_run(run)
    parity = export_run(opened)
    result(
        f"{run}/model.onnx: differs from torch by at most {parity.largest:.1e} on {parity.real_frames} real and "
        f"{parity.random_frames} random frames"
    )
    if opened.score.is_file() and _scored_model(opened.score) != sha256_file(opened.model):
        note(f"{opened.score} is of the model before: `lpcv score {run} --data DIR` again, else it cannot be packaged.")
    next_step(f"lpcv check {run} --data DIR")


@click.command()
@click.argument("model", metavar="MODEL|RUN|TEACHER")
@click.argument("source", type=EXISTING)
@click.option("--out", required=True, type=EXISTING, help="Where NAME.npy and NAME.png go.")
@click.option(
    "--range", "colour_range", type=(float, float), help="LOW HIGH of the colours; by default of the whole set."
)
def predict(model: str, source: Path, out: Path, colour_range: tuple[float, float] | None) -> None:
    """Predict with MODEL (.onnx, a run, or a teacher's id or folder) on an image, a folder or a video.

    \b
    lpcv predict runs/mine photo.jpg --out predictions
    lpcv predict runs/mine datasets/val --out predictions --range 0 0.5
    lpcv predict depth-anything/Depth-Anything-V2-Small-hf clip.mp4 --out predictions
    """
    from ..console import next_step, result
    from ..runs import is_run
    from .check.opening import model_file
    from .predict import OnnxPredictor, predict_all

    if is_run(Path(model)) or model.endswith(".onnx"):
        predictor = OnnxPredictor.open(model_file(Path(model)))
        made_from = predictor.model.sha256()
    else:
        from ..train.teacher import load_teacher

        predictor = load_teacher(model)
        made_from = predictor.source.weights_sha256
    written = predict_all(predictor, source, out, colour_range, made_from)
    result(f"{out}: {written.pictures} predictions of {written.kind}, colours {written.low:.3g} to {written.high:.3g}")
    if written.kind != "affine_inverse_depth" and source.is_dir():
        next_step(f"lpcv score {out} --data DIR")


def _scored_model(score: Path) -> str | None:
    """SHA-256 of the model that a run's score.json is of; None where it does not say."""
    from ..files import read_json

    told = read_json(score)
    return told.get("source_sha256") if isinstance(told, dict) else None
