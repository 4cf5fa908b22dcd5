"""Where a run's model comes from, out of its records: provenance, environment, licences, and what a person decided.

Each is a function of recorded facts alone: packaging on another machine changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...console import note
from ...errors import InputError
from ...files import read_json, sha256_file
from ...runs import CHECKPOINT_KEY, Run
from .layout import NOT_RECORDED, none
from .scrub import scrub

# What an exporter may write into the model's metadata; whatever else it writes is provenance.
VERSION_KEYS = ("lpcv_version", "python_version", "torch_version", "onnx_version", "onnxruntime_version")


@dataclass(frozen=True)
class Decisions:
    """RUN/decisions.json: what a person decided when this very model was sent.

    model_sha256: empty where the record does not say of which model it is; rehearsal: nobody was told
    despite: failed lines that it was sent in spite of; licences_accepted: as the run's records spell them
    """

    model_sha256: str
    rehearsal: bool
    despite: tuple[str, ...] = ()
    reason: str = ""
    licences_accepted: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """A decision to nothing and no decision are one: the bundle of such a run holds no word of it."""
        return not (self.despite or self.reason or self.licences_accepted)

    def as_json(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


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
    if isinstance(accepted, list) and decided and decided["rehearsal"]:
        accepted = none(f"only in a rehearsal, which accepts nothing: {', '.join(accepted)}")
    return {
        "teacher": _licence_of(_teacher(recorded)),
        "encoder_weights": _licence_of(recorded.get("encoder_weights")),
        "data": _licence_of(recorded.get("data")),
        "accepted": accepted,
        "note": "Whether a student inherits its teacher's licence is unsettled: a person decides.",
    }


def decisions(run: Run) -> dict[str, Any] | None:
    """What `lpcv submit` recorded of the model as it is now, scrubbed; None where that is nothing.

    Raises InputError where the record is damaged.
    """
    found = decided(run)
    if found is None:
        return None
    if found.model_sha256 != sha256_file(run.exported()):
        note(f"{run.decisions} was decided for another model than {run.model}: left out.")
        return None
    return None if found.nothing else scrub(found.as_json())


def decided(run: Run) -> Decisions | None:
    """RUN/decisions.json, of whatever model; None where there is none. Raises InputError where it is damaged."""
    if not run.decisions.exists():
        return None
    found = read_json(run.decisions)
    told: dict[str, Any] = found if isinstance(found, dict) else {"reason": None}
    despite, accepted = _names(told.get("despite", [])), _names(told.get("licences_accepted", []))
    model_sha256, reason = told.get("model_sha256", ""), told.get("reason", "")
    rehearsal = told.get("rehearsal", True)  # what does not say that it was meant in earnest was not
    texts = isinstance(model_sha256, str) and isinstance(reason, str) and isinstance(rehearsal, bool)
    if not texts or despite is None or accepted is None:
        raise InputError(f"{run.decisions} is no record of decisions.", "Remove it; `lpcv submit` writes it again.")
    return Decisions(model_sha256, rehearsal, despite, reason, accepted)


def _names(part: Any) -> tuple[str, ...] | None:
    """None for what is no list of names."""
    return tuple(part) if isinstance(part, list) and all(isinstance(name, str) for name in part) else None


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
