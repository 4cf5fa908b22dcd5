"""`lpcv train`, `lpcv label`, `lpcv recipes`."""

from __future__ import annotations

import json
from pathlib import Path

import click

DEFAULT_TEACHER = "depth-anything/Depth-Anything-V2-Large-hf"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Frames to train on: image/, depth_raw/, depth_conf/.")
@click.option("--frames", help="Only FIRST-LAST of them, both included, e.g. 0000-0016.")
@click.option("--val", type=click.Path(path_type=Path), help="Held-out frames; the best official score is kept.")
@click.option("--val-frames", help="Only FIRST-LAST of those, e.g. 0017-0022.")
@click.option("--teacher", default=DEFAULT_TEACHER, show_default=True, metavar="ID|DIR|none",
              help="Hub id or local folder of a transformers depth model; none: truth alone.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), help="Where teacher labels lie; by default beside the data.")
@click.option("--encoder-weights", metavar="imagenet|none|PATH",
              help="What the student's encoder starts from; by default imagenet.")  # fmt: skip
@click.option("--recipe", default="default", show_default=True, help="A name of `lpcv recipes`, or a JSON file.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder; by default runs/<name of the data>.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out; needs no other option.")
def train(
    data: Path | None, frames: str | None, val: Path | None, val_frames: str | None, teacher: str, labels: Path | None,
    encoder_weights: str | None, recipe: str, changes: tuple[str, ...], out: Path | None, resume: bool,
) -> None:  # fmt: skip
    """Distil a student from a teacher on your frames. Ctrl-C saves, and --resume goes on.

    The default teacher, Depth Anything V2 Large, is CC-BY-NC-4.0 (non-commercial);
    depth-anything/Depth-Anything-V2-Small-hf is Apache-2.0.

    \b
    lpcv train --data datasets/mine --val datasets/val --out runs/mine
    lpcv train --data datasets/mine --recipe laptop --teacher none --set optim.steps=1000
    lpcv train --out runs/mine --resume
    Several GPUs: torchrun --no-python lpcv train ...
    """
    from ..console import next_step
    from ..errors import InputError
    from ..runs import Run, open_run

    if resume:
        _refuse_with_resume()
        if out is None:
            raise InputError("--resume does not say which run.", "Add --out RUN.")
        from .start import resume as go_on

        go_on(open_run(out))
    else:
        if data is None:
            raise InputError("There is nothing to train on.", "Add --data DIR; `lpcv data make DIR` writes scenes.")
        from .recipe import resolve

        resolved = resolve(recipe, changes)
        from .start import Choices, start

        out = out or Path("runs") / data.resolve().name
        chosen_teacher = None if teacher == "none" else teacher
        start(Run(out), resolved, Choices(data, frames, val, val_frames, chosen_teacher, labels, encoder_weights))
    next_step(f"lpcv export {out}")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--teacher", default=DEFAULT_TEACHER, show_default=True, metavar="ID|DIR", help="As in `lpcv train`.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the labels go; by default DATA/teacher_labels/.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Images at once.")
def label(data: Path, teacher: str, out: Path | None, batch: int) -> None:
    """Run the teacher over DATA once and keep what it says; training does this by itself where it is missing.

    \b
    lpcv label datasets/mine --teacher depth-anything/Depth-Anything-V2-Small-hf --batch 8
    Run it again to go on after an interruption.
    """
    from ..console import next_step, result
    from ..data.folder import open_folder

    folder = open_folder(data)
    from .labelling import label_frames
    from .teacher import load_teacher

    store = label_frames(folder, load_teacher(teacher), out, batch)
    result(f"{store.root}: {len(folder)} labels, {store.source.kind}, licence {store.source.licence}")
    next_step(f"lpcv train --data {data} --teacher {teacher}" + (f" --labels {out}" if out else ""))


@click.command()
@click.argument("name", required=False)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Show it with this change; repeatable.")
def recipes(name: str | None, changes: tuple[str, ...]) -> None:
    """List the training recipes, or print one (NAME) as JSON that `lpcv train --recipe FILE.json` reads.

    \b
    lpcv recipes
    lpcv recipes laptop --set optim.steps=1000
    """
    from dataclasses import asdict

    from ..console import result, table
    from .recipe import RECIPES, resolve

    if name is None:
        table("Recipes", ("name", "what for"), [(key, (made.__doc__ or "").strip()) for key, made in RECIPES.items()])
    else:
        result(json.dumps(asdict(resolve(name, changes)), indent=2))


def _refuse_with_resume() -> None:
    """A resumed run is what it was: an option that would change it is refused, not ignored."""
    from click.core import ParameterSource

    from ..errors import InputError

    context = click.get_current_context()
    for name in context.params:
        if name not in ("out", "resume") and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            flag = {"changes": "set"}.get(name, name).replace("_", "-")
            raise InputError(
                f"--{flag} cannot change a run that is resumed.", "Leave it out, or start a new run with another --out."
            )
