"""`lpcv score`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Frames with truth and confidence.")
@click.option("--frames", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write mean and per-frame values as JSON.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write per-frame values as CSV.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet (PNG) of up to 12 frames.")
def score(
    source: Path, data: Path, frames: str | None, json_file: Path | None, csv_file: Path | None, sheet: Path | None
) -> None:
    """Score SOURCE (.onnx, a run, or a folder of NNNN.npy) with the organisers' own definition, on the CPU.

    \b
    lpcv score runs/mine --data datasets/val --json score.json
    lpcv score predictions/ --data datasets/val --sheet sheet.png
    A run's newest score is also kept in RUN/score.json.
    """
    from dataclasses import replace

    from ..console import note, table
    from ..data.folder import open_folder, select, spread
    from ..data.images import write_png
    from ..runs import Run, is_run
    from .contact import MOST_ROWS, contact_sheet
    from .official import METRICS, PROTOCOL
    from .predictions import open_source
    from .score import score_source, trained_on

    folder = select(open_folder(data, with_depth=True), frames)
    opened = open_source(source, folder)
    scored = score_source(opened, folder)
    if is_run(source):
        scored = replace(scored, trained_on=trained_on(Run(source), folder))
    if scored.trained_on:
        note(f"{source} was TRAINED on {scored.trained_on} of these {len(folder)} frames: this is no held-out score.")
    rows = [(key, *_cells(key, scored.mean.values[key])) for key in METRICS]
    table(
        f"{source} on {len(folder)} frames of {data}, protocol {PROTOCOL}", ("metric", "mean", "unit", "better"), rows
    )
    for key, reason in scored.mean.reasons.items():
        note(f"{key} is officially not finite: {reason}")
    if json_file:
        scored.write_json(json_file)
    if csv_file:
        scored.write_csv(csv_file)
    if is_run(source):
        scored.write_json(Run(source).score)
    if sheet:
        write_png(sheet, contact_sheet(folder, spread(folder.names, MOST_ROWS), {"prediction": opened}))
        note(f"wrote {sheet}")


def _cells(key: str, value: float | None) -> tuple[str, str, str]:
    """Value, unit and direction of one metric, as the table shows them."""
    from ..contract import CURRENT as CONTRACT
    from .official import HIGHER_IS_BETTER, UNITS

    better = "higher" if key in HIGHER_IS_BETTER else "lower"
    ranks = " (this one ranks)" if key == CONTRACT.ranking_metric else ""
    return "not finite" if value is None else f"{value:.4f}", UNITS[key], better + ranks
