"""What a finished job gives, fetched once, kept with its hash, and fetched again where it is gone or changed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ..console import note
from ..contract import CURRENT as CONTRACT
from ..errors import InputError
from ..files import read_json, write_json
from ..prediction_folder import DESCRIPTION, describe
from .client import client_version
from .desk import Desk
from .faults import UnavailableError
from .frames import write_outputs
from .history import Record
from .stand_in.settings import EMULATOR, engine_said
from .verdict import Profile

MODEL, PROFILE, OUTPUTS = "model", "profile", "outputs"
ESTIMATE = "estimate_for_the_device"  # of a formula, apart from what ran


def computed_by(record: Record) -> str:
    """Who computed a job's numbers, in words that nobody takes for a device where it was none."""
    device = record.intended["device"]
    if record.intended["rehearsal"]:
        # The emulator computes outputs and no times: a profile's numbers are this CPU's, whatever computed beside it.
        emulated = record.type == "inference" and engine_said(record.hub_version) == EMULATOR
        engine = EMULATOR if emulated else "this CPU"
        return f"{engine} (stand-in for {device or 'AI Hub'}), not a device"
    return f"{device} (AI Hub)" if device else "AI Hub"


def collect(desk: Desk, record: Record) -> Path:
    """Fetch what a job that has succeeded gives, and the path to it.

    A compile or quantize job's model, a profile job's profile.json, an inference job's folder of predictions.
    """
    fetch = {
        "compile": target_model, "quantize": target_model, "profile": profile_file, "inference": predictions,
    }[record.type]  # fmt: skip
    record = desk.seen(record)
    with desk.alone(f"fetch {record.key}"):
        path = fetch(desk, record)
        if record.type != "profile" and (report := npu_report(desk, record)):  # a profile's estimate has a table
            note(report["sentence"])
        return path


def npu_report(desk: Desk, record: Record) -> dict[str, Any] | None:
    """What the NPU's compiler or emulator said of a rehearsal's job, `jobs/ID/npu.json`; fetched once.

    {"sentence", and of a compile job "fits", "compiled", of a profile job "estimated", of emulated frames "versions"};
    None where nothing was said: of a real job, a quantize job, or frames that this CPU computed.
    """
    computed_here = record.type == "inference" and engine_said(record.hub_version) is None
    if not record.intended["rehearsal"] or record.type == "quantize" or computed_here:
        return None
    path = desk.folder.job(record.job_id or "") / "npu.json"
    with contextlib.suppress(InputError):  # not there yet, or damaged
        return read_json(path)
    report = desk.hub.npu_report(record.job_id or "")
    if report is not None:
        write_json(path, report)
    return report


def target_model(desk: Desk, record: Record) -> Path:
    """The model that a job has made, `jobs/ID/NAME.tflite` or what it is."""
    path = desk.kept(record, MODEL)
    if path is None:
        path = desk.hub.download_model(record.job_id or "", desk.folder.job(record.job_id or ""))
        _demand_no_page(path, record)
        desk.keep(record, MODEL, path)
        note(f"kept {path}")
    return path


def profile_file(desk: Desk, record: Record) -> Path:
    """`jobs/ID/profile.json`: the raw profile as the client gives it, under what it is a profile of.

    Raises UnavailableError where there is none (yet): what says nothing is not kept, so it is asked for again.
    """
    path = desk.kept(record, PROFILE)
    if path is None or not _says_something(read_profile(path)):
        path = desk.folder.job(record.job_id or "") / "profile.json"
        raw = desk.hub.profile(record.job_id or "")
        if not _says_something(raw):
            raise UnavailableError(
                f"{desk.connection.called} has no profile of job {record.job_id} yet.",
                f"Type the command again; the job's page may say more: {record.url}",
            )
        told = {**facts(record), "client_version": client_version(), "profile": raw}
        if record.intended["rehearsal"]:
            told[ESTIMATE] = npu_report(desk, record)
        write_json(path, told)
        desk.keep(record, PROFILE, path)
        note(f"kept the raw profile: {path}")
    return path


def _says_something(raw: Any) -> bool:
    try:
        return not Profile.of(raw).is_empty
    except InputError:
        return False


def read_profile(path: Path) -> dict[str, Any]:
    """The raw profile out of `profile_file`."""
    return read_json(path)["profile"]


def read_estimate(path: Path) -> dict[str, Any] | None:
    """What `profile_file` of a rehearsal holds beside: {"estimated": {"ms", ...} or None, "sentence"}, or nothing."""
    return read_json(path).get(ESTIMATE)


def predictions(desk: Desk, record: Record) -> Path:
    """The folder of the set that the job belongs to, with this job's predictions in it.

    The raw output dataset stays in `jobs/ID`: AI Hub forgets its own after a while.
    """
    told, job_id = record.intended, record.job_id or ""
    folder = desk.folder.predictions(told["set"])
    raw = kept = desk.kept(record, OUTPUTS)
    if raw is None:
        raw = desk.hub.download_outputs(job_id, desk.folder.job(job_id))
        _demand_no_page(raw, record)
    if not (folder / DESCRIPTION).exists():
        describe(
            folder, CONTRACT.output_kind, frames=told["set_frames"], made_from=told["model_sha256"],
            computed_by=computed_by(record), compile_job=told["compile_job"], images_sha256=told["images_sha256"],
        )  # fmt: skip
    write_outputs(raw, told["frames"], folder)  # always: the raw outputs have a hash in the ledger, these have none
    if kept is None:  # only once it could be read
        desk.keep(record, OUTPUTS, raw)
    desk.folder.write_outputs(job_id, told["set"])
    return folder


def _demand_no_page(path: Path, record: Record) -> None:
    """Raises UnavailableError, the file removed, where a login page came in its place with "200 OK"."""
    with path.open("rb") as stream:
        head = stream.read(256).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        path.unlink()
        raise UnavailableError(
            f"In place of what job {record.job_id} gave, a web page came; perhaps a login page is in between.",
            "Mend that and type the command again; nothing is lost.",
        )


def facts(record: Record) -> dict[str, Any]:
    """What a file of results says of its origin."""
    told = record.intended
    return {
        "computed_by": computed_by(record),
        "rehearsal": told["rehearsal"],
        "hub": record.hub,
        "job_id": record.job_id,
        "url": record.url,
        "submitted_at": record.submitted_at,
        "device": told["device"],
        "options": told["options"],
        "compile_job": told.get("compile_job"),
        "model_sha256": told["model_sha256"],
    }
