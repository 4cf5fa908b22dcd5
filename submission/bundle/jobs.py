"""The jobs of one model, as the ledger of this folder knows them; it is only read, and nothing is asked of AI Hub.

Left out: titles and names (they hold the run's), addresses, accounts, and where anything lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...contract import CURRENT as CONTRACT
from ...hub_folder import HubFolder
from ...hub_jobs.collect import read_profile
from ...hub_jobs.history import Record, is_measured, kept_file, of_model, records
from ...hub_jobs.ledger import Ledger
from ...hub_jobs.verdict import Profile
from .layout import NOT_RECORDED
from .scrub import scrub

PROFILE, INFERENCE = "profile", "inference"  # types of a job; the first is also what the ledger calls its result


def jobs_of(folder: HubFolder, model_sha256: str) -> list[Record]:
    """Jobs that were made from this very model, in the order of their submission. Raises InputError where the ledger
    cannot be read; one that is not there knows of none."""
    with Ledger(folder.ledger, read_only=True) as ledger:
        known = records(ledger)
    return of_model(known, model_sha256)


def job_row(record: Record) -> dict[str, Any]:
    """What a third person needs to find the job at AI Hub, or to order it again."""
    told = record.intended
    row = {
        "job_id": record.job_id,
        "type": record.type,
        "rehearsal": bool(told.get("rehearsal", True)),  # what does not say so is not taken for a device's
        "device": told.get("device") or None,
        "options": told.get("options", ""),
        "precision": told.get("precision"),
        "compile_job": told.get("compile_job"),
        "state": record.state,
        "submitted_at": record.submitted_at,
        "versions": {
            "ai_hub": record.hub_version or NOT_RECORDED,
            "client": told.get("client_version") or NOT_RECORDED,
            "lpcv": told.get("lpcv_version") or NOT_RECORDED,
        },
    }
    return scrub({key: value for key, value in row.items() if value is not None})


def latencies(found: Sequence[Record], folder: HubFolder) -> list[dict[str, Any]]:
    """Of each profile job that a device ran and whose profile is kept here unchanged: milliseconds, with its versions.

    A profile that is gone or changed is said, in the place of its numbers.
    """
    return [_latency(record, folder) for record in found if is_measured(record, PROFILE)]


def _latency(record: Record, folder: HubFolder) -> dict[str, Any]:
    row = job_row(record)
    file = kept_file(record, PROFILE, folder.root)
    if file is None:
        return {**row, "latency_ms": None, "why": "what the job gave is not kept where it was packaged"}
    profile = Profile.of(read_profile(file))
    return {
        **row,
        "latency_ms": profile.latency_ms,
        "latency_field": CONTRACT.latency_field,
        "iterations_ms": asdict(profile.iterations) if profile.iterations else None,
        "first_load_ms": profile.first_load_ms,
        "warm_load_ms": profile.warm_load_ms,
        "peak_memory_mb": list(profile.peak_memory_mb) if profile.peak_memory_mb else None,
        "layers_by_compute_unit": {name: unit.layers for name, unit in profile.units.items()},
        "profile_sha256": record.fetched[PROFILE]["sha256"],
    }
