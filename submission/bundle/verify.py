"""Whether a bundle that somebody else made is what it says: every file, then each claim that can be checked here.

What cannot: whether the manifest is its maker's (it is not signed), whether scores were counted on the frames whose
hash they name, and whether a device measured what is said to be measured. The job's ids and the data's hashes tell
where to look.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InputError
from .layout import CONTRACT_FACTS, JOBS, MANIFEST, MOST_FILES, OPTIONAL, README, REQUIRED, SCORES
from .model_claims import model_claims
from .opening import REMEDY, OpenBundle, opened, parse_json, parse_record
from .probes import ENTRIES
from .record_claims import Records, contract_claims, record_claims
from .score_claims import score_claims
from .show import Checked, plain

KNOWN = frozenset({*REQUIRED, *OPTIONAL, *ENTRIES})


def verify(bundle: Path) -> list[str]:
    """What is wrong with a bundle, as sentences; empty where nothing is. Raises as `look_into`."""
    return [one.found for one in look_into(bundle) if one.state == "fail"]


def look_into(bundle: Path) -> list[Checked]:
    """Everything that was checked, in order: files, contract, model, provenance, probe frames, records, scores.

    Where a file is not what was packaged, or no record can be read, only that is told: such a bundle says nothing about
    its run.
    Raises InputError where the file is no zip, is cut off, is not as `lpcv package` writes it (`opening`), or has no
    readable manifest. Nothing is unpacked. The model is run: in a child process, with files of its own in a temporary
    folder, where it may run for ever (`watched`).
    """
    with opened(bundle) as archive:
        promised = _promised(archive)
        wrong = [*_missing_and_extra(promised, archive), *_damaged(archive, promised)]
        if wrong:
            return [Checked("files", "fail", plain(problem)) for problem in wrong]
        contents = {name: archive.read(name) for name in archive.entries}
    records, unreadable = _records(contents)
    if unreadable:
        return [Checked("files", "fail", plain(problem)) for problem in unreadable]
    whole = f"{len(promised)} files are as {MANIFEST} says, none is missing, none is extra"
    found = [
        Checked("files", "pass", whole),
        *contract_claims(records[CONTRACT_FACTS]),
        *model_claims(records, contents),
        *record_claims(records, contents[README], contents),
        *score_claims(records[SCORES], records[JOBS].get("jobs")),
    ]
    return [Checked(one.name, one.state, plain(one.found)) for one in found]


def _records(contents: dict[str, bytes]) -> tuple[Records, list[str]]:
    """The JSON files, and a sentence for each that is none."""
    records, wrong = dict[str, dict[str, Any]](), list[str]()
    for name in sorted(contents):
        if name.endswith(".json"):
            try:
                records[name] = parse_record(contents[name], name)
            except InputError as error:
                wrong.append(str(error))
    return records, wrong


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
    unknown = (set(archive.entries) & set(promised)) - KNOWN
    return [
        *missing,
        *(f"{name} is not listed in {MANIFEST}." for name in sorted(unlisted)),
        *(f"{name} is no file of a bundle." for name in sorted(unknown)),
    ]


def _damaged(archive: OpenBundle, promised: dict[str, tuple[int, str]]) -> Iterator[str]:
    for name, (size, digest) in sorted(promised.items()):
        if name not in archive.entries:
            continue
        if archive.entries[name].size != size:
            yield f"{name} has {archive.entries[name].size} bytes, {MANIFEST} says {size}."
        elif (found := archive.digest(name)) != digest:
            yield f"{name} is damaged or changed: its SHA-256 is {found}, {MANIFEST} says {digest[:64]}."
