"""Reading a bundle that somebody else made: first whether it is safe to read, then whether it is what it says."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from ...contract import EDITIONS
from ...errors import InputError
from ...onnx_session import external_files, open_session, session_metadata
from ...runs import CHECKPOINT_KEY
from ..check.findings import failures
from ..check.interface import interface_findings, parse_model
from .pack import CONTRACT_FACTS, MANIFEST, MODEL, PROVENANCE, REQUIRED, SCORE

MOST_FILES = 64
MOST_MODEL_BYTES = 2**31
"""An ONNX file is one protobuf message, which cannot be larger."""
MOST_OTHER_BYTES = 2**26
"""A score of some thousand frames is a few megabytes of JSON."""
MOST_RATIO = 200
"""Unpacked to packed. Text packs up to about 1:50; what packs better is made to fill a disk."""
CHUNK_BYTES = 2**20
REMEDY = "Do not unpack it; ask its sender for a bundle made by `lpcv package`."
# What zipfile raises on damaged archives: it seeks to negative places (OSError, ValueError), meets unknown versions
# and flags (NotImplementedError, RuntimeError), and names that are no text (UnicodeDecodeError, a ValueError).
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, RuntimeError,
)  # fmt: skip
DAMAGED = "Copy or download the bundle again."


def verify(bundle: Path) -> list[str]:
    """What is wrong with a bundle, as sentences; empty where all is well.

    Checked: every file's size and hash, none missing, none extra; the contract's facts; the model's names, types and
    shapes, and that it loads; the checkpoint's and the model's hash in provenance and score.
    Raises InputError where the file is no zip, is cut off, or is not safe to read (names that leave the folder, links,
    names that occur twice, encryption, sizes out of proportion). Nothing is written to the disk.
    """
    with _opened(bundle) as archive:
        sizes = _demand_safe(archive, bundle)
        if MANIFEST not in sizes:
            return [f"{MANIFEST} is missing, so nothing can be verified."]
        try:
            promised = _promised(_read(archive, MANIFEST))
        except ValueError as error:
            return [f"{MANIFEST} is damaged ({error})."]
        problems = [*_missing_and_extra(promised, sizes), *_damaged(archive, promised, sizes)]
        if problems:
            return problems  # a file that is not what was packaged says nothing about the run
        contents = {name: _read(archive, name) for name in sizes}
    return [*_contract_problems(contents), *_model_problems(contents)]


@contextmanager
def _opened(bundle: Path) -> Iterator[zipfile.ZipFile]:
    if not bundle.is_file():
        raise InputError(f"{bundle} does not exist.", "`lpcv package RUN -o bundle.zip` writes one.")
    try:
        archive = zipfile.ZipFile(bundle)
    except UNREADABLE as error:
        raise _cut_off(bundle.name, error) from None
    with archive:
        yield archive


def _demand_safe(archive: zipfile.ZipFile, bundle: Path) -> dict[str, int]:
    """Name -> unpacked size in bytes. Raises InputError at the first entry that no bundle has."""
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise InputError(f"{bundle} holds {len(entries)} files, a bundle at most {MOST_FILES}.", REMEDY)
    counts = Counter(entry.filename.casefold() for entry in entries)
    for entry in entries:
        problem = _unsafe(entry)
        if counts[entry.filename.casefold()] > 1:
            problem = "occurs more than once"
        if problem:
            raise InputError(f"{bundle}: the entry {entry.orig_filename!r} {problem}.", REMEDY)
    return {entry.filename: entry.file_size for entry in entries}


def _unsafe(entry: zipfile.ZipInfo) -> str | None:
    # `filename` has been tidied up by zipfile; `orig_filename` is what stands in the archive.
    name = entry.orig_filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    limit = MOST_MODEL_BYTES if name == MODEL else MOST_OTHER_BYTES
    if not name or name.startswith("/") or any(mark in name for mark in "\\:\0") or name != str(PurePosixPath(name)):
        return "is no plain relative file name"
    if ".." in PurePosixPath(name).parts:
        return "leaves the folder it would be unpacked in"
    if kind not in (0, stat.S_IFREG):
        return "is a link or a special file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that no bundle uses"
    if entry.file_size > limit:
        return f"unpacks to {entry.file_size} bytes, at most {limit} are allowed"
    if entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
        return f"unpacks to more than {MOST_RATIO} times its size"
    return None


def _promised(manifest: bytes) -> dict[str, tuple[int, str]]:
    """Name -> (bytes, SHA-256). Raises ValueError where the manifest is not of this form."""
    try:
        rows = json.loads(manifest)["files"]
        return {str(name): (int(row["bytes"]), str(row["sha256"])) for name, row in rows.items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no list of files: {error!r}") from None


def _missing_and_extra(promised: dict[str, tuple[int, str]], sizes: dict[str, int]) -> list[str]:
    expected = {*promised, *REQUIRED, MANIFEST}
    missing = [f"{name} is missing." for name in sorted(expected - set(sizes))]
    unlisted = set(sizes) - set(promised) - {MANIFEST}
    return missing + [f"{name} is not listed in {MANIFEST}." for name in sorted(unlisted)]


def _damaged(archive: zipfile.ZipFile, promised: dict[str, tuple[int, str]], sizes: dict[str, int]) -> list[str]:
    problems = []
    for name, (size, digest) in sorted(promised.items()):
        if name not in sizes:
            continue
        if sizes[name] != size:
            problems.append(f"{name} has {sizes[name]} bytes, {MANIFEST} says {size}.")
        elif (found := _digest(archive, name)) != digest:
            problems.append(f"{name} is damaged or changed: its SHA-256 is {found}, {MANIFEST} says {digest}.")
    return problems


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    total = sha256()
    try:
        with archive.open(name) as stream:  # zipfile gives no more than the declared size
            while chunk := stream.read(CHUNK_BYTES):
                total.update(chunk)
    except UNREADABLE:
        return "unreadable"
    return total.hexdigest()


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except UNREADABLE as error:
        raise _cut_off(name, error) from None


def _cut_off(name: str, error: Exception) -> InputError:
    return InputError(f"{name} is not a readable zip, or is cut off ({error}).", DAMAGED)


def _contract_problems(contents: dict[str, bytes]) -> list[str]:
    facts = _json(contents[CONTRACT_FACTS])
    name = facts.get("name", {}).get("value") if isinstance(facts, dict) else None
    if name not in EDITIONS:
        return [f"{CONTRACT_FACTS} names no edition that this lpcv knows ({name!r})."]
    # Through JSON, since tuples come back as lists.
    if facts != json.loads(json.dumps(EDITIONS[name].as_json())):
        return [f"{CONTRACT_FACTS} differs from what this lpcv knows of {name}: compare the versions of lpcv."]
    return []


def _model_problems(contents: dict[str, bytes]) -> list[str]:
    provenance = _json(contents[PROVENANCE])
    score = _json(contents[SCORE]) if SCORE in contents else None
    try:
        model = parse_model(contents[MODEL], MODEL)
        # Before the model is loaded: ONNX Runtime would look for such files in the current folder.
        if others := external_files(model):
            return [f"{MODEL} keeps weights in {others[0]}, outside the bundle."]
        problems = [f"{MODEL}, {finding.sentence()}" for finding in failures(interface_findings(model))]
        checkpoint = session_metadata(open_session(contents[MODEL], threads=1)).get(CHECKPOINT_KEY)
    except InputError as error:
        return [str(error)]
    recorded = provenance if isinstance(provenance, dict) else {}
    model_sha256 = sha256(contents[MODEL]).hexdigest()
    if checkpoint is None or recorded.get(CHECKPOINT_KEY) != checkpoint:
        problems.append(f"{PROVENANCE} names the checkpoint {recorded.get(CHECKPOINT_KEY)}, {MODEL} says {checkpoint}.")
    if recorded.get("model_sha256") != model_sha256:
        problems.append(f"{PROVENANCE} is of another model: it names {recorded.get('model_sha256')}.")
    if SCORE in contents and (not isinstance(score, dict) or score.get("source_sha256") != model_sha256):
        problems.append(f"{SCORE} is the score of another model.")
    return problems


def _json(content: bytes) -> Any:
    """None where it is not JSON; the caller's comparison then fails with a sentence."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
