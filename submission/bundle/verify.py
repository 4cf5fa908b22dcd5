"""Whether a bundle that somebody else made is what it says: every file, then each claim that can be checked here.

What cannot: whether the manifest is its maker's (it is not signed), whether scores were counted on the frames whose
hash they name, and whether a device measured what is said to be measured. The job's ids and the data's hashes tell
where to look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...contract import EDITIONS
from ...errors import InputError
from ..check.findings import State
from .checked import Checked, json_in, plain
from .layout import CONTRACT_FACTS, JOBS, MANIFEST, MEASURED, MOST_FILES, REQUIRED, SCORES
from .model_claims import model_claims
from .opening import REMEDY, OpenBundle, opened, parse_json
from .recount import recounted


def verify(bundle: Path) -> list[str]:
    """What is wrong with a bundle, as sentences; empty where nothing is. Raises as `look_into`."""
    return [one.found for one in look_into(bundle) if one.state == "fail"]


def look_into(bundle: Path) -> list[Checked]:
    """Everything that was checked, in order: files, contract, model, provenance, scores, probe frames.

    Where a file is not what was packaged, only that is told: such a bundle says nothing about its run.
    Raises InputError where the file is no zip, is cut off, is not as `lpcv package` writes it (`opening`), or has no
    readable manifest. Nothing is written to the disk. The model is run, unless it could run for ever.
    """
    with opened(bundle) as archive:
        promised = _promised(archive)
        wrong = [*_missing_and_extra(promised, archive), *_damaged(archive, promised)]
        if wrong:
            return [Checked("files", "fail", plain(problem)) for problem in wrong]
        contents = {name: archive.read(name) for name in archive.entries}
    whole = f"{len(promised)} files are as {MANIFEST} says, none is missing, none is extra"
    found = [Checked("files", "pass", whole), *_contract(contents), *model_claims(contents), *_claims(contents)]
    return [Checked(one.name, one.state, plain(one.found)) for one in found]


def _promised(archive: OpenBundle) -> dict[str, tuple[int, str]]:
    """Name -> (bytes, SHA-256). Raises InputError where there is no manifest, or it is not of this form."""
    if MANIFEST not in archive.entries:
        raise InputError(f"{archive.path} has no {MANIFEST}, so nothing can be verified.", REMEDY)
    told = parse_json(archive.read(MANIFEST), f"{archive.path}: {MANIFEST}")
    rows = told.get("files") if isinstance(told, dict) else None
    whole = isinstance(rows, dict) and all(
        isinstance(row, dict) and type(row.get("bytes")) is int and isinstance(row.get("sha256"), str)
        for row in rows.values()
    )
    if not isinstance(rows, dict) or not whole:
        raise InputError(f"{archive.path}: {MANIFEST} is damaged: it is no list of files with size and hash.", REMEDY)
    if len(rows) > MOST_FILES:
        raise InputError(
            f"{archive.path}: {MANIFEST} lists {len(rows)} files, a bundle has at most {MOST_FILES}.", REMEDY
        )
    return {name: (row["bytes"], row["sha256"]) for name, row in rows.items()}


def _missing_and_extra(promised: dict[str, tuple[int, str]], archive: OpenBundle) -> list[str]:
    missing = [f"{name} is missing." for name in sorted({*promised, *REQUIRED} - set(archive.entries))]
    unlisted = set(archive.entries) - set(promised) - {MANIFEST}
    return missing + [f"{name} is not listed in {MANIFEST}." for name in sorted(unlisted)]


def _damaged(archive: OpenBundle, promised: dict[str, tuple[int, str]]) -> Iterator[str]:
    for name, (size, digest) in sorted(promised.items()):
        if name not in archive.entries:
            continue
        if archive.entries[name].size != size:
            yield f"{name} has {archive.entries[name].size} bytes, {MANIFEST} says {size}."
        elif (found := archive.digest(name)) != digest:
            yield f"{name} is damaged or changed: its SHA-256 is {found}, {MANIFEST} says {digest[:64]}."


def _contract(contents: dict[str, bytes]) -> Iterator[Checked]:
    facts = json_in(contents, CONTRACT_FACTS)
    named = facts.get("name") if isinstance(facts, dict) else None
    name = named.get("value") if isinstance(named, dict) else None
    if not isinstance(name, str) or name not in EDITIONS:
        yield Checked("contract", "fail", f"{CONTRACT_FACTS} names no edition that this lpcv knows ({str(name)[:40]}).")
    # Through JSON, since tuples come back as lists.
    elif facts != json.loads(json.dumps(EDITIONS[name].as_json())):
        found = f"{CONTRACT_FACTS} differs from what this lpcv knows of {name}: compare the versions of lpcv."
        yield Checked("contract", "fail", found)
    else:
        yield Checked("contract", "pass", f"{CONTRACT_FACTS} is that of {name}")


def _claims(contents: dict[str, bytes]) -> Iterator[Checked]:
    for which, state, found in recounted(json_in(contents, SCORES)):
        said = f"{SCORES}, {which}: {found}" if state == "fail" else found
        yield Checked(f"score, {which}", _state(state), said)
    jobs = json_in(contents, JOBS)
    held = jobs.get("jobs") if isinstance(jobs, dict) else None
    if not isinstance(held, list | str):
        yield Checked("jobs", "fail", f"{JOBS} lists no jobs, and does not say why.")
    else:
        yield from _measured(json_in(contents, SCORES), held if isinstance(held, list) else [])


def _measured(scores: Any, jobs: list[Any]) -> Iterator[Checked]:
    """What is called measured must be of a job in `JOBS` that is no rehearsal; whether it ran, AI Hub alone can say."""
    part = scores.get(MEASURED) if isinstance(scores, dict) else None
    part = part if isinstance(part, dict) else {}
    real = {str(job.get("job_id")) for job in jobs if isinstance(job, dict) and job.get("rehearsal") is False}
    for key, kind in (("latencies", "latency"), ("scores", "score")):
        rows = part.get(key)
        for row in rows if isinstance(rows, list) else []:
            job = row if kind == "latency" else row.get("job") if isinstance(row, dict) else None
            job_id = str(job.get("job_id")) if isinstance(job, dict) else "nothing"
            if job_id not in real:
                yield Checked(f"{kind}, measured", "fail", f"{job_id} is no job of a device in {JOBS}.")
            elif kind == "latency":
                found = f"{row.get('latency_ms')} ms on {row.get('device')}, job {job_id}: only AI Hub can confirm it"
                yield Checked(f"{kind}, measured", "undecided", found)


def _state(state: str) -> State:
    return "pass" if state == "pass" else "fail" if state == "fail" else "undecided"
