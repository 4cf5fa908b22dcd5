"""The bundle: one zip that holds a run's model and all that is known of it, the same bytes each time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...contract import CURRENT
from ...errors import InputError
from ...files import read_json, write_bytes
from ...hub_folder import HubFolder
from ...onnx_session import open_session, session_metadata
from ...runs import Run
from .intake import kept_emulated, kept_measured, kept_report, report_of
from .jobs import job_row, jobs_of
from .layout import (
    CONFIG,
    CONTRACT_FACTS,
    DECISIONS,
    EMULATED,
    ENVIRONMENT,
    FLOAT,
    JOBS,
    LICENCES,
    MANIFEST,
    MEASURED,
    MODEL,
    PROVENANCE,
    README,
    REPORT,
    SCORES,
    STUDENT,
    json_bytes,
    most_bytes,
    none,
)
from .opening import opened
from .origin import decisions, environment, licences, provenance, read_config
from .portable import demand_portable
from .probes import probe_files
from .reproduce import readme
from .scores import emulated_scores, float_score, measured
from .scrub import scrub
from .zipping import Entry, zip_bytes


def package(run: Run, out: Path, folder: HubFolder | None = None) -> Path:
    """Write the bundle of a run; two packagings of one run on one machine are byte-identical. Returns `out`.

    folder: whose ledger knows the run's jobs; None reads none, and the bundle says so

    Raises MissingStepError where the run has no export, or its export or a score is stale; InputError where a file of
    the run cannot be read, or the model does not run, is not one file, or carries what gives the machine away; or where
    `out` is something else than a bundle.
    """
    replaceable(out)
    files = with_manifest(run_files(run, folder))
    for name, content in files.items():
        if len(content) > most_bytes(name):
            raise InputError(
                f"{name} has {len(content)} bytes, and a bundle's at most {most_bytes(name)}.",
                "Score fewer frames, or leave the report out.",
            )
    write_bytes(out, zip_bytes(files))
    return out


def run_files(run: Run, folder: HubFolder | None = None) -> dict[str, bytes]:
    """Name in the bundle -> content, without the manifest. Raises as `package` does."""
    model = run.exported()
    metadata = session_metadata(open_session(model, threads=1))
    run.demand_fresh(metadata)
    content = model.read_bytes()
    demand_portable(content, run)
    model_sha256 = sha256(content).hexdigest()
    config, decided = read_config(run), decisions(run)
    found = jobs_of(folder, model_sha256) if folder else []
    scores = {
        FLOAT: float_score(run, model_sha256),
        EMULATED: emulated_scores(kept_emulated(run), model_sha256),
        MEASURED: measured(kept_measured(run), found, folder),
    }
    jobs: Any = [job_row(record) for record in found] or none(
        "the ledger knows no job of this model" if folder else "no ledger was read"
    )
    scored = json_bytes(scores)
    files = {
        MODEL: content,
        CONTRACT_FACTS: json_bytes(CURRENT.as_json()),
        CONFIG: json_bytes(config),
        STUDENT: json_bytes(scrub(read_json(run.best / "config.json"))),
        PROVENANCE: json_bytes(provenance(config, metadata, model_sha256, sha256(scored).hexdigest())),
        ENVIRONMENT: json_bytes(environment(config, metadata)),
        LICENCES: json_bytes(licences(config, decided)),
        SCORES: scored,
        JOBS: json_bytes({"jobs": jobs}),
        **probe_files(content, str(model)),
    }
    if decided is not None:
        files[DECISIONS] = json_bytes(decided)
    if (page := report_of(kept_report(run), model_sha256)) is not None:
        files[REPORT] = page
    files[README] = readme(config, scores, jobs, tuple(files)).encode()
    return files


def replaceable(out: Path) -> dict[str, Entry] | None:
    """What the bundle in this place holds; None where there is nothing.

    Raises InputError for anything else that lies there, or that cannot be read: it is never written over.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder.", "Name the file to write, e.g. bundle.zip.")
    if not os.path.lexists(out):
        return None
    try:
        with opened(out) as archive:
            entries = archive.entries
    except InputError as error:
        raise _in_the_way(out, error.problem) from None
    if missing := [name for name in (MANIFEST, MODEL) if name not in entries]:
        raise _in_the_way(out, f"It holds no {missing[0]}.")
    return entries


def differing(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> list[str]:
    """Names of the files in which two bundles differ, sorted."""
    held = [{name: (entry.size, entry.crc) for name, entry in each.items()} for each in (one, other)]
    return sorted(name for name in {*one, *other} - {MANIFEST} if held[0].get(name) != held[1].get(name))


def _in_the_way(out: Path, why: str) -> InputError:
    return InputError(
        f"{out} exists and is no bundle, so nothing is written over it: {why}",
        "Move it aside, or give another name for the bundle.",
    )


def with_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files, and `MANIFEST.json` with size in bytes and SHA-256 of each."""
    rows = {name: {"bytes": len(content), "sha256": sha256(content).hexdigest()} for name, content in files.items()}
    return {**files, MANIFEST: json_bytes({"files": rows})}
