"""`lpcv package`, `verify`."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=FILE)
@click.option("-o", "--out", type=FILE, help="The bundle; by default RUN/bundle.zip.")
@click.option("--emulated", type=FILE, help="What `lpcv emulate RUN --json FILE` wrote; kept as RUN/emulated.json.")
@click.option("--measured", type=FILE, multiple=True, help="What `lpcv score JOB --json FILE` wrote of a device's "
              "predictions; kept in RUN/measured. May be repeated.")  # fmt: skip
@click.option("--report", type=FILE, help="What `lpcv score RUN --report FOLDER` wrote; kept in RUN/report. It shows "
              "pictures of frames.")  # fmt: skip
def package(
    run: Path, out: Path | None, emulated: Path | None, measured: tuple[Path, ...], report: Path | None
) -> None:
    """Pack all that a third person needs to check RUN's claim into one zip, with the hash of each file.

    \b
    lpcv package runs/mine
    lpcv package runs/mine -o bundle.zip --report report/
    lpcv package runs/mine --emulated emulated.json --measured jgzr4x9o5.json
    Inside: model, contract, config, data hashes, scores (float, emulated and measured apart), AI Hub jobs of this very
    model, versions, licences, probe frames with the model's answers, a README with the commands to make it again. What
    is absent is said. Paths, tokens and this machine's names are left out. Twice the same run, twice the same bytes.
    """
    from ...console import next_step, note, result
    from ...files import demand_apart, demand_writable, sha256_file
    from ...hub_folder import HubFolder
    from ...runs import open_run
    from .intake import kept_places, take_in
    from .opening import opened as open_bundle
    from .pack import differing, replaceable
    from .pack import package as pack
    from .show import tell

    opened, folder, place = open_run(run), HubFolder(), out or run / "bundle.zip"
    demand_writable({"--out": place})
    given = [*measured, *([report] if report else []), *([emulated] if emulated else [])]
    kept = [opened.config, opened.model, opened.score, opened.decisions, *kept_places(opened)]
    demand_apart("--out", place, [*given, *kept])
    before = replaceable(place)
    take_in(opened, folder, emulated, measured, report)
    bundle = pack(opened, place, folder)
    if before is not None:
        with open_bundle(bundle) as archive:
            changed = differing(before, archive.entries)
        how = f"differed in {', '.join(changed)}" if changed else "was the same, byte for byte"
        note(f"Replaced the bundle that was there, which {how}.")
    tell(bundle)
    result(f"{bundle}: sha256 {sha256_file(bundle)}")
    note(f"Whether the output is depth, upright and RGB is not checked here: `lpcv check {run} --data DIR`.")
    next_step(f"lpcv verify {bundle}")


@click.command()
@click.argument("bundle", type=FILE)
@click.option("--json", "json_file", type=FILE, help="Write what was checked, and what was found, as JSON.")
@click.pass_context
def verify(ctx: click.Context, bundle: Path, json_file: Path | None) -> None:
    """Check that BUNDLE is whole and unchanged, and that its claims agree with one another and with its model.

    \b
    lpcv verify bundle.zip
    lpcv verify bundle.zip --json verified.json
    Every file is hashed; the model is held against the contract and run on the stored probe frames; means and intervals
    are counted again from the frames' values, licences and README derived again. Nothing is unpacked.
    Exit code 1 where something is wrong, 2 where it cannot be read or is not safe to read.
    """
    from ...console import next_step
    from ...files import demand_apart, demand_writable, sha256_file, write_json
    from .show import show
    from .verify import look_into

    demand_writable({"--json": json_file})
    demand_apart("--json", json_file, [bundle])
    checked = look_into(bundle)
    digest = sha256_file(bundle)
    show(bundle, digest, checked)
    wrong = any(one.state == "fail" for one in checked)
    if json_file:
        write_json(
            json_file,
            {"bundle": bundle.name, "sha256": digest, "verified": not wrong, "checked": [vars(one) for one in checked]},
        )
    if wrong:
        ctx.exit(1)
    next_step("lpcv submit RUN --dry-run")
