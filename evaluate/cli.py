"""`lpcv score`, `lpcv compare`, `lpcv cloud`, `lpcv protocols`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .cloud import Colouring, Geometry, What

FILE = click.Path(path_type=Path)
data_option = click.option("--data", required=True, type=FILE, help="Frames with truth and confidence.")
frames_option = click.option("--frames", help="Only FIRST-LAST of them, both included, e.g. 0017-0022.")
protocol_option = click.option(
    "--protocol", "names", multiple=True, help="Another than the official one; may be repeated. See `lpcv protocols`."
)
kind_option = click.option(
    "--kind", help="What a source holds that does not say so: depth_m, relative_depth, affine_inverse_depth."
)
workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Frames at a time; default: one per core. The numbers are the same."
)


@click.command()
@click.argument("source")
@data_option
@frames_option
@protocol_option
@kind_option
@click.option("--group-by", help="Break means down by this key of manifest.json; default: place and light.")
@workers_option
@click.option(
    "--device", default="cpu", show_default=True, help="Nearest neighbours on cpu or cuda: the numbers are equal."
)
@click.option("--json", "json_file", type=FILE, help="Write everything as JSON.")
@click.option("--csv", "csv_file", type=FILE, help="Write per-frame values as CSV.")
@click.option("--sheet", type=FILE, help="Write a contact sheet (PNG) of up to 12 frames.")
@click.option("--report", type=FILE, help="Write a page (HTML) into this folder, worst frames first.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a frame has no score or a value is not finite.")
def score(
    source: str,
    data: Path,
    frames: str | None,
    names: tuple[str, ...],
    kind: str | None,
    group_by: str | None,
    workers: int | None,
    device: str,
    json_file: Path | None,
    csv_file: Path | None,
    sheet: Path | None,
    report: Path | None,
    strict: bool,
) -> None:
    """Score SOURCE with the organisers' own definition.

    SOURCE is an .onnx file, a run, a folder of NNNN.npy, the id of a job of `lpcv infer`, or the word `constant`. Each
    mean has its 95 % interval and is broken down by place and light, depth and confidence. --protocol scores by others,
    beside the official one or instead; --report shows the worst frames.

    \b
    lpcv score runs/mine --data datasets/val --json score.json
    lpcv score predictions/ --data datasets/val --report report/
    lpcv score jgzr4x9o5 --data datasets/val
    lpcv score model.onnx --data datasets/val --protocol lpcvc-2025-geometry
    lpcv score predictions/ --data datasets/nyu --protocol nyuv2-lsq-inverse --kind affine_inverse_depth
    A run's newest official score, of whichever frames, is also kept in RUN/score.json, which `lpcv package` packs. A
    command that writes something goes on where it was interrupted when it is typed again.
    """
    from ..console import count, next_step, note
    from ..data.folder import open_folder, select, spread
    from ..data.images import write_png
    from ..files import demand_writable
    from ..machine import usable_cores
    from .contact import MOST_ROWS, contact_sheet
    from .jobs import frames_given
    from .journal import Journal
    from .kept import keep_official, kept_in, with_training
    from .kinds import demand_kind
    from .official import OFFICIAL, on_device
    from .predictions import open_source
    from .protocols import chosen
    from .report.page import FILE_NAME, write_report
    from .score import demand_needs, score_source
    from .show import show

    protocols = tuple(on_device(protocol, device) for protocol in chosen(names))
    kept = kept_in(source, protocols)
    page = report / FILE_NAME if report else None
    if json_file and kept and len(protocols) == 1 and json_file.resolve() == kept.resolve():
        json_file = None  # the run keeps the very same there
    written = {"--json": json_file, "--csv": csv_file, "--sheet": sheet, "--report": page, "The run's own score": kept}
    demand_writable(written, pictures=["--sheet"])
    folder = select(open_folder(data, with_depth=any("depth" in each.needs for each in protocols)), frames)
    folder = frames_given([source], folder)
    opened = open_source(source, folder, kind, threads=1)
    if sheet:
        demand_needs(folder, OFFICIAL)
        demand_kind(opened.kind, OFFICIAL.weakest_kind, "--sheet")
    outs = [out for out in (json_file, csv_file, sheet, report, kept) if out]
    journal = Journal.beside(outs[0], opened, folder, protocols) if outs else None
    demand_writable({"The journal": journal.path if journal else None})
    scored = score_source(
        opened, folder, protocols, workers=workers or usable_cores(), journal=journal, group_by=group_by
    )
    scored = with_training(scored, source, folder)
    show(scored, f"{count(len(folder), 'frame')} of {data}", always_groups=group_by is not None)
    if json_file:
        scored.write_json(json_file)
    if csv_file:
        scored.write_csv(csv_file)
    if sheet:
        write_png(sheet, contact_sheet(folder, spread(folder.names, MOST_ROWS), {"prediction": opened}))
        note(f"wrote {sheet}")
    if report:
        note(f"wrote {write_report(report, scored, opened, folder)}")
    if kept:
        keep_official(scored, kept)
    if journal:
        journal.finish()
    if not report:
        how = [("--frames", frames), *(("--protocol", name) for name in names), ("--kind", kind)]
        how += [("--group-by", group_by), ("--device", None if device == "cpu" else device), ("--report", "report")]
        next_step(_typed("score", source, data, how))
    if strict and not scored.flawless:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("sources", nargs=-1, required=True)
@data_option
@frames_option
@protocol_option
@kind_option
@workers_option
@click.option("--json", "json_file", type=FILE, help="Write everything as JSON.")
@click.option("--scatter", type=FILE, help="Write a per-frame scatter (PNG) against the first.")
@click.option("--runs", default=100, show_default=True, type=click.IntRange(0), help="Timed runs; 0: none.")
def compare(
    sources: tuple[str, ...],
    data: Path,
    frames: str | None,
    names: tuple[str, ...],
    kind: str | None,
    workers: int | None,
    json_file: Path | None,
    scatter: Path | None,
    runs: int,
) -> None:
    """Compare SOURCES (.onnx, runs, folders of NNNN.npy, ids of jobs, or the word `constant`) with the first of them.

    \b
    lpcv compare runs/old runs/new --data datasets/val --scatter scatter.png
    lpcv compare constant teacher_predictions/ student.onnx --data datasets/val --json compare.json
    lpcv compare model.onnx jgzr4x9o5 --data datasets/val
    A difference is called real where the paired 95 % bootstrap interval over frames excludes 0. The interval holds
    for one metric of one pair and for independent frames; CPU times are this machine's and nothing of a device's.
    With --json or --scatter an interrupted command goes on where it stopped when it is typed again.
    """
    from ..console import count, next_step, note
    from ..data.folder import open_folder, select
    from ..data.images import write_png
    from ..files import demand_writable, write_json
    from ..machine import usable_cores
    from .baseline import CONSTANT
    from .compare import compared, open_sources
    from .compare_show import as_json, picture, show
    from .footprint import environment
    from .jobs import frames_given
    from .journal import Journal
    from .protocols import chosen

    demand_writable({"--json": json_file, "--scatter": scatter}, pictures=["--scatter"])
    picked = chosen(names)
    folder = select(open_folder(data, with_depth=any("depth" in each.needs for each in picked)), frames)
    folder = frames_given(sources, folder)
    opened = open_sources(sources, folder, picked, kind)
    out = json_file or scatter
    journals = [Journal.beside(out, source, folder, picked) for source in opened] if out else []
    models = compared(sources, opened, folder, picked, runs, workers or usable_cores(), journals)
    machine = environment()
    show(models, machine, f"{count(len(folder), 'frame')} of {data}")
    if json_file:
        write_json(json_file, {"data": str(data), "frames": len(folder), **as_json(models, machine)})
        note(f"wrote {json_file}")
    if scatter:
        write_png(scatter, picture(models))
        note(f"wrote {scatter}")
    for journal in journals:
        journal.finish()
    source, holds = next(
        ((name, each.kind) for name, each in reversed([*zip(sources, opened, strict=True)]) if name != CONSTANT),
        (CONSTANT, None),
    )
    how = [("--frames", frames), *(("--protocol", name) for name in names), ("--kind", kind if kind == holds else None)]
    next_step(_typed("score", source, data, [*how, ("--report", "report")]))


@click.command()
@click.argument("source")
@data_option
@click.option("--frame", "name", required=True, help="Which one, e.g. 0017.")
@click.option("--out", required=True, type=FILE, help="The .ply file to write.")
@kind_option
@click.option(
    "--what",
    type=click.Choice(("truth", "prediction", "both")),
    default="both",
    show_default=True,
    help="Which clouds go into the file.",
)
@click.option(
    "--geometry",
    type=click.Choice(("pixel", "official")),
    default="pixel",
    show_default=True,
    help="Rays: each pixel's own, or the organisers' scrambled ones, which the score compares.",
)
@click.option(
    "--colour",
    "colouring",
    type=click.Choice(("rgb", "tint")),
    default=None,
    help="By the picture, or truth bluish and prediction reddish; by default tint for both, else rgb.",
)
def cloud(
    source: str,
    data: Path,
    name: str,
    out: Path,
    kind: str | None,
    what: What,
    geometry: Geometry,
    colouring: Colouring | None,
) -> None:
    """Write one frame's point cloud as PLY: truth, SOURCE's prediction after the official alignment, or both.

    \b
    lpcv cloud runs/mine --data datasets/val --frame 0017 --out 0017.ply
    lpcv cloud predictions/ --data datasets/val --frame 0017 --out 0017.ply --what prediction
    SOURCE is an .onnx file, a run, a folder of NNNN.npy, the id of a job, or the word `constant`. Axes: x right, y
    down, z forward, in metres. The points are the pixels that the score's clouds hold (confidence 2, or 1 where there
    is no 2), less the holes, which the score keeps as points at the camera.
    """
    from ..console import count, next_step, note, table
    from ..data.folder import open_folder
    from ..errors import InputError
    from ..files import demand_writable
    from .cloud import frame_cloud
    from .jobs import job_of
    from .kinds import demand_kind
    from .ply import write_ply
    from .predictions import open_source

    if out.suffix.lower() != ".ply":
        raise InputError(f"{out} is no .ply file.", "Write --out NAME.ply.")
    demand_writable({"--out": out})
    whole = open_folder(data, with_depth=True)
    one = whole.subset((name,))
    # A folder may hold this frame's prediction alone; one that is paired by sorted order is paired as a whole.
    by_name = job_of(source) or (Path(source) / f"{name}.npy").exists()
    opened = open_source(source, one if by_name else whole, kind)
    demand_kind(opened.kind, "relative_depth", "a point cloud")
    frame = one.frame(name)
    made = frame_cloud(
        frame, opened.predict(name, frame.rgb), what, geometry, colouring or ("tint" if what == "both" else "rgb")
    )
    write_ply(out, made.points_m, made.colours, made.comments)
    table(
        f"{out}: frame {name}, {geometry} rays",
        ("cloud", "points", "x, m", "y, m", "z, m"),
        made.extents(),
        numbers=True,
    )
    if made.holes:
        holes = count(made.holes, "pixel")
        note(f"Left out: {holes} without a measurement, which the score counts as points at the camera.")
    if made.not_finite:
        note(f"Left out: {count(made.not_finite, 'pixel')} whose prediction is not finite.")
    note(f"Open {out} in MeshLab, CloudCompare or Blender.")
    next_step(_typed("score", source, data, [("--kind", kind), ("--report", "report")]))


@click.command()
@click.argument("name", required=False)
@click.option("--json", "json_file", type=FILE, help="Write them in full as JSON.")
def protocols(name: str | None, json_file: Path | None) -> None:
    """List the ways to score, or show the one called NAME in full.

    \b
    lpcv protocols
    lpcv protocols nyuv2-lsq-inverse
    lpcv protocols --json protocols.json
    """
    from ..console import next_step, table
    from ..files import write_json
    from .protocols import PROTOCOLS, named

    shown = [named(name)] if name else list(PROTOCOLS.values())
    if name:
        table(name, ("part", "what is done"), [(key, _text(value)) for key, value in shown[0].described().items()])
    else:
        rows = [(each.name, each.weakest_kind, each.ranks, each.purpose) for each in shown]
        table("Protocols", ("name", "takes at least", "ranks by", "what for"), rows)
    if json_file:
        write_json(json_file, [dict(each.described()) for each in shown])
    next_step(f"lpcv score runs/mine --data DIR --protocol {shown[0].name}" if name else "lpcv protocols NAME")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _typed(verb: str, source: str, data: Path, options: Sequence[tuple[str, str | None]]) -> str:
    """A command as one types it, without the options that have no value."""
    words = [word for option, value in options if value is not None for word in (option, value)]
    return shlex.join(["lpcv", verb, source, "--data", str(data), *words])
