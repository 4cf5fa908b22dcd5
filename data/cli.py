"""`lpcv data`: make scenes, check a folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def data() -> None:
    """Make synthetic frames, or check a folder of real ones."""


@data.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--scenes", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="How many frames.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; by default one per usable core.")
def make(out: Path, scenes: int, seed: int, workers: int | None) -> None:
    """Write synthetic scenes with exact depth into OUT, in the competition's layout.

    \b
    lpcv data make datasets/scenes --scenes 200 --seed 1
    Run it again to go on after an interruption, or with more --scenes to extend.
    """
    from .synthetic.make import make_scenes

    make_scenes(out, scenes, seed, workers)
    from ..console import next_step, result

    result(f"{out}: {scenes} frames of seed {seed}")
    next_step(f"lpcv data check {out} --sheet {out}/sheet.png")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a picture: RGB | depth | confidence of 8 frames.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the summary as JSON.")
def check(folder: Path, sheet: Path | None, json_file: Path | None) -> None:
    """Read every file of FOLDER and say what it holds; the first file that cannot be used is named.

    \b
    lpcv data check datasets/mine --sheet sheet.png
    """
    from ..console import note, table
    from ..files import write_json
    from .images import write_png
    from .inspect import draw_sheet, summarise

    rows = summarise(folder)
    table(f"{folder}", ("what", "value"), [(key, str(value)) for key, value in rows.items()])
    if json_file:
        write_json(json_file, rows)
    if sheet:
        write_png(sheet, draw_sheet(folder))
        note(f"wrote {sheet}")
