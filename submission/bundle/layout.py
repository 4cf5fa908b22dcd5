"""What lies where in a bundle, and how much of it there may be."""

from __future__ import annotations

import json
from typing import Any

MODEL, CONTRACT_FACTS, CONFIG, STUDENT = "model.onnx", "contract.json", "config.json", "student/config.json"
PROVENANCE, ENVIRONMENT, LICENCES = "provenance.json", "environment.json", "licences.json"
SCORES, JOBS, PROBES = "scores.json", "jobs.json", "probes/probes.json"
REPORT, DECISIONS = "report.html", "decisions.json"
README, MANIFEST = "README.txt", "MANIFEST.json"
REQUIRED = (
    MODEL, CONTRACT_FACTS, CONFIG, STUDENT, PROVENANCE, ENVIRONMENT, LICENCES, SCORES, JOBS, PROBES, README,
)  # fmt: skip
OPTIONAL = (REPORT, DECISIONS)
FLOAT, EMULATED, MEASURED = "float", "emulated", "measured"
"""The three kinds of a number in `SCORES`: none ever stands in another's place."""
NOT_RECORDED = "not recorded"

MOST_FILES = 64
MOST_MODEL_BYTES = 2**31
"""An ONNX file is one protobuf message, which cannot be larger."""
MOST_OTHER_BYTES = 2**26
"""A report with two dozen rows of pictures is some megabytes."""
MOST_SCORES_BYTES, MOST_JSON_BYTES = 2**24, 2**21
"""A score of some thousand frames is a few megabytes of JSON; read, it takes about thirty times as much memory."""


def most_bytes(name: str) -> int:
    """How large this file of a bundle may be."""
    if name == MODEL:
        return MOST_MODEL_BYTES
    if name == SCORES:
        return MOST_SCORES_BYTES
    return MOST_JSON_BYTES if name.endswith(".json") else MOST_OTHER_BYTES


def none(why: str) -> str:
    """How a part says that it is not there: absent is a word, never a gap."""
    return f"none: {why}"


def why_none(part: str) -> str:
    return part.removeprefix("none: ")


def is_none(part: object) -> bool:
    return isinstance(part, str) and part.startswith("none: ")


def json_bytes(content: Any) -> bytes:
    """The same bytes for the same content. Raises ValueError for NaN and infinity, which JSON has not."""
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
