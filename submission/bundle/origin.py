"""Where a run's model comes from, out of its records: provenance, environment, licences, and what a person decided.

Each is a function of recorded facts alone: packaging on another machine changes nothing.
"""

from __future__ import annotations

from typing import Any

from ...errors import InputError
from ...files import read_json
from ...runs import CHECKPOINT_KEY, Run
from .layout import NOT_RECORDED, none
from .scrub import scrub

# What an exporter may write into the model's metadata; whatever else it writes is provenance.
VERSION_KEYS = ("lpcv_version", "python_version", "torch_version", "onnx_version", "onnxruntime_version")
DECIDED = ("despite", "reason", "licences_accepted")


def read_config(run: Run) -> dict[str, Any]:
    """RUN/config.json, scrubbed. Raises InputError where it is damaged."""
    config = read_json(run.config)
    if not isinstance(config, dict):
        raise InputError(f"{run.config} is not the config of a run.", "Restore it, or start a new run.")
    return scrub(config)


def provenance(
    config: dict[str, Any], metadata: dict[str, str], model_sha256: str, scores_sha256: str
) -> dict[str, Any]:
    """Hashes of model, checkpoint, data and scores, and what went in.

    metadata: of the model; scores_sha256: of `scores.json` as it is in the bundle, so that a changed score contradicts
    """
    recorded = _recorded(config)
    return {
        "model_sha256": model_sha256,
        CHECKPOINT_KEY: metadata[CHECKPOINT_KEY],
        "scores_sha256": scores_sha256,
        "git_sha": recorded.get("git_sha") or NOT_RECORDED,
        "data": recorded.get("data") or NOT_RECORDED,
        "validation": recorded.get("validation") or NOT_RECORDED,
        "teacher": _teacher(recorded),
        "encoder_weights": recorded.get("encoder_weights") or NOT_RECORDED,
        "export": scrub({key: value for key, value in metadata.items() if key not in VERSION_KEYS}),
    }


def environment(config: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """Versions at training and at export, as they were recorded then."""
    recorded = _recorded(config)
    return {
        "training": {
            "lpcv_version": recorded.get("lpcv_version") or NOT_RECORDED,
            "python_version": recorded.get("python") or NOT_RECORDED,
            "torch_version": recorded.get("torch") or NOT_RECORDED,
        },
        "export": scrub({key: metadata.get(key, NOT_RECORDED) for key in VERSION_KEYS}),
        "note": "Versions at packaging are left out: a bundle does not depend on the machine it was packed on.",
    }


def licences(config: dict[str, Any], decided: dict[str, Any] | None) -> dict[str, Any]:
    """Of teacher, encoder weights and data, and those that a person accepted by name when submitting."""
    recorded = _recorded(config)
    accepted = (decided or {}).get("licences_accepted") or none("nobody has accepted a licence by name yet")
    return {
        "teacher": _licence_of(_teacher(recorded)),
        "encoder_weights": _licence_of(recorded.get("encoder_weights")),
        "data": _licence_of(recorded.get("data")),
        "accepted": accepted,
        "note": "Whether a student inherits its teacher's licence is unsettled: a person decides.",
    }


def decisions(run: Run) -> dict[str, Any] | None:
    """What `lpcv submit` recorded: lines of the checklist that were overridden, why, and licences that were accepted.

    None where nothing was. Raises InputError where the record is damaged.
    """
    if not run.decisions.exists():
        return None
    found = read_json(run.decisions)
    named = [found.get("despite", []), found.get("licences_accepted", [])] if isinstance(found, dict) else [None]
    whole = all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in named)
    if not isinstance(found, dict) or not whole or not isinstance(found.get("reason", ""), str):
        raise InputError(f"{run.decisions} is no record of decisions.", "Remove it; `lpcv submit` writes it again.")
    return scrub({key: found[key] for key in DECIDED if key in found})


def _recorded(config: dict[str, Any]) -> dict[str, Any]:
    found = config.get("provenance")
    return found if isinstance(found, dict) else {}


def _teacher(recorded: dict[str, Any]) -> Any:
    """None under the key says that there was no teacher; a missing key says nothing."""
    if "teacher" not in recorded:
        return NOT_RECORDED
    return recorded["teacher"] or none("trained without a teacher")


def _licence_of(part: Any) -> Any:
    """The licence, or the licences, that a part of the provenance names; a text is passed on."""
    if isinstance(part, dict):
        return part.get("licence") or part.get("licences") or NOT_RECORDED
    return part or NOT_RECORDED
