"""The end of a profile job: verdict, numbers, and a picture of the slowest layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..console import note, table
from ..contract import CURRENT as CONTRACT
from ..data.images import write_png
from .collect import computed_by, facts, read_estimate, read_profile
from .history import Record
from .layers import picture as draw
from .verdict import Profile, as_json, milliseconds, show, verdict

PICTURE = "layers.png"


def conclude(record: Record, profile_json: Path, picture: Path | None = None) -> tuple[dict[str, Any], int]:
    """Show a fetched profile and judge it; facts for a machine, and the exit code (1: over the budget).

    The picture lies beside the profile; picture: a second place for it
    """
    measured = Profile.of(read_profile(profile_json))
    judged = verdict(
        measured, CONTRACT.latency_budget_ms, CONTRACT.latency_field, rehearsal=record.intended["rehearsal"]
    )
    where = computed_by(record)
    show(measured, judged, where)
    estimate = read_estimate(profile_json) if judged.rehearsal else None
    if estimate:
        show_estimate(record.intended["device"], estimate)
    written = [] if not measured.layers else [profile_json.with_name(PICTURE), *([picture] if picture else [])]
    for path in written:
        write_png(path, draw(measured, f"{record.intended['title']}: slowest layers, {where}"))
        note(f"wrote {path}")
    told = {**facts(record), **as_json(measured, judged, where), "raw": str(profile_json)}
    if estimate:
        told["estimated_for_the_device"] = estimate
    return {**told, "pictures": [str(path) for path in written]}, int(judged.state == "fail")


def show_estimate(device: str, report: dict[str, Any]) -> None:
    """A table of its own: what a formula says of the device, beside what this CPU took; a sentence where it says none.

    report: {"estimated": {"ms", "low_ms", "high_ms", "basis"} or None, "sentence"}
    """
    estimated = report["estimated"]
    if estimated is None:
        note(report["sentence"])
        return
    rows = [
        ("latency, ms, estimated", milliseconds(estimated["ms"])),
        ("nine of ten within, ms", f"{milliseconds(estimated['low_ms'])} to {milliseconds(estimated['high_ms'])}"),
        ("basis", estimated["basis"]),
    ]
    table(f"ESTIMATED for {device}, not measured", ("what", "value"), rows)
