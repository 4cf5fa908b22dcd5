"""The bundle: one zip that holds a run's model and all that is known of it, the same bytes each time.

Entries are stored uncompressed: weights hardly compress, and different builds of zlib give different bytes.
"""

from __future__ import annotations

import json
import re
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from ...contract import CURRENT
from ...errors import InputError, MissingStepError
from ...files import read_json, write_bytes
from ...onnx_session import external_files, open_session, session_metadata
from ...runs import CHECKPOINT_KEY, Run
from ..check.interface import parse_model
from .scrub import last_component, scrub

MODEL, CONTRACT_FACTS, CONFIG, SCORE = "model.onnx", "contract.json", "config.json", "score.json"
STUDENT, PROVENANCE, LICENCES = "student/config.json", "provenance.json", "licences.json"
README, MANIFEST = "README.txt", "MANIFEST.json"
REQUIRED = (MODEL, CONTRACT_FACTS, CONFIG, STUDENT, PROVENANCE, LICENCES, README)
NOT_RECORDED = "not recorded"
# What an exporter may write into the model's metadata; whatever else it writes is passed on as it is.
VERSION_KEYS = ("lpcv_version", "python_version", "torch_version", "onnx_version", "onnxruntime_version")
# The least date a zip can hold: the time of packaging would make two packagings differ.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
PERMISSIONS, REGULAR_FILE, MADE_ON_UNIX = 0o644, 0o100000, 3

_STACK_TRACE = re.compile(r'File "[^"]+", line \d+')

TEXT = """A submission to the Low-Power Computer Vision Challenge, packaged by lpcv.

model.onnx           the model: one file, raw RGB in, relative depth out
contract.json        the rules it was made for, each with unit and source
config.json          the resolved recipe and the provenance of its inputs; paths are cut to their last component
student/config.json  the network's own configuration
score.json           the official score, where the run has been scored (see "source" and "data_sha256" in it)
provenance.json      versions, hashes of checkpoint and data, git commit of the training
licences.json        of teacher, encoder weights and data, as recorded at training
MANIFEST.json        size and SHA-256 of every other file; it is not signed, so compare the hash of the whole zip too

Verify this bundle:              lpcv verify bundle.zip
Check the model on your frames:  lpcv check model.onnx --data DIR
Score it on your frames:         lpcv score model.onnx --data DIR
Make it again: install the lpcv version and git commit of provenance.json, get data whose hash is "data": "sha256",
then `lpcv train --recipe config.json --data DIR --out RUN`, export and package.
"""


def package(run: Run, out: Path) -> Path:
    """Write the bundle of a run; two packagings of one run are byte-identical. Returns `out`.

    Raises MissingStepError where the run has no export, or its export or score is stale; InputError where a file of
    the run cannot be read, or the model is not one file or carries paths of the machine it was exported on.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder.", "Name the file to write, e.g. bundle.zip.")
    write_bytes(out, zip_bytes(with_manifest(run_files(run))))
    return out


def run_files(run: Run) -> dict[str, bytes]:
    """Name in the bundle -> content, without the manifest. Raises as `package` does."""
    model = run.exported()
    metadata = session_metadata(open_session(model))
    run.demand_fresh(metadata)
    content = model.read_bytes()
    _demand_portable(content, run)
    model_sha256 = sha256(content).hexdigest()
    config = read_json(run.config)
    if not isinstance(config, dict):
        raise InputError(f"{run.config} is not the config of a run.", "Restore it, or start a new run.")
    config = scrub(config)
    files = {
        MODEL: content,
        CONTRACT_FACTS: json_bytes(CURRENT.as_json()),
        CONFIG: json_bytes(config),
        STUDENT: json_bytes(scrub(read_json(run.best / "config.json"))),
        PROVENANCE: json_bytes(_provenance(config, metadata, model_sha256)),
        LICENCES: json_bytes(_licences(config)),
        README: TEXT.encode(),
    }
    if run.score.exists():
        files[SCORE] = json_bytes(_score(run, model_sha256))
    return files


def with_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files, and `MANIFEST.json` with size in bytes and SHA-256 of each."""
    rows = {name: {"bytes": len(content), "sha256": sha256(content).hexdigest()} for name, content in files.items()}
    return {**files, MANIFEST: json_bytes({"files": rows})}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip whose bytes depend on names and contents alone."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.create_system = MADE_ON_UNIX
            entry.external_attr = (REGULAR_FILE | PERMISSIONS) << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def json_bytes(content: Any) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _demand_portable(content: bytes, run: Run) -> None:
    model = parse_model(content, str(run.model))
    if others := external_files(model):
        raise InputError(f"{run.model} keeps weights in {others[0]}.", f"Run `lpcv export {run.root}` again.")
    for node in model.graph.node:
        if any(
            _STACK_TRACE.search(text) for text in (node.doc_string, *(entry.value for entry in node.metadata_props))
        ):
            raise InputError(
                f"{run.model} carries stack traces with paths of the machine it was exported on (node {node.name}).",
                f"Run `lpcv export {run.root}` again, which leaves them out.",
            )


def _score(run: Run, model_sha256: str) -> Any:
    score = read_json(run.score)
    if not isinstance(score, dict) or score.get("source_sha256") != model_sha256:
        raise MissingStepError(
            f"{run.score} is the score of another model than {run.model}.",
            f"Run `lpcv score {run.root} --data DIR` again, or remove {run.score}.",
        )
    return scrub({**score, "source": last_component(str(score.get("source", run.root.name)))})


def _provenance(config: dict[str, Any], metadata: dict[str, str], model_sha256: str) -> dict[str, Any]:
    """Versions are those of the export, written into the model by it: packaging on another machine changes nothing."""
    recorded = _recorded(config)
    return {
        "export": scrub({**dict.fromkeys(VERSION_KEYS, NOT_RECORDED), **metadata}),
        CHECKPOINT_KEY: metadata[CHECKPOINT_KEY],
        "model_sha256": model_sha256,
        "training": {
            "git_sha": recorded.get("git_sha") or NOT_RECORDED,
            "lpcv_version": recorded.get("lpcv_version") or NOT_RECORDED,
            "python_version": recorded.get("python") or NOT_RECORDED,
            "torch_version": recorded.get("torch") or NOT_RECORDED,
        },
        "data": recorded.get("data") or NOT_RECORDED,
        "teacher": _teacher(recorded),
        "encoder_weights": recorded.get("encoder_weights") or NOT_RECORDED,
    }


def _licences(config: dict[str, Any]) -> dict[str, Any]:
    recorded = _recorded(config)
    return {
        "teacher": _licence_of(_teacher(recorded)),
        "encoder_weights": _licence_of(recorded.get("encoder_weights")),
        "data": _licence_of(recorded.get("data")),
        "note": "Whether a student inherits its teacher's licence is unsettled: a person decides.",
    }


def _recorded(config: dict[str, Any]) -> dict[str, Any]:
    found = config.get("provenance")
    return found if isinstance(found, dict) else {}


def _teacher(recorded: dict[str, Any]) -> Any:
    """None under the key says that there was no teacher; a missing key says nothing."""
    if "teacher" not in recorded:
        return NOT_RECORDED
    return recorded["teacher"] or "none: trained without a teacher"


def _licence_of(part: Any) -> Any:
    """The licence, or the licences, that a part of the provenance names; a text is passed on."""
    if isinstance(part, dict):
        return part.get("licence") or part.get("licences") or NOT_RECORDED
    return part or NOT_RECORDED
