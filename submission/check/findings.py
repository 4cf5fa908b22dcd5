"""A finding of the pre-flight check: what was expected, what was found, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["pass", "fail", "undecided"]
FAILED_EXIT_CODE = 1
STATES: tuple[State, ...] = ("pass", "fail", "undecided")
COLUMNS = ("finding", "state", "expected", "found")
GROUPS: dict[str, tuple[str, ...]] = {
    "contract": (
        "valid ONNX", "one file", "one input", "one output", "input name", "output name", "input type", "output type",
        "input shape", "output shape", "runs",
    ),
    "behaviour": ("finite", "range", "deterministic", "answers the picture", "no stretching"),
    "meaning": (
        "depth direction", "colour order", "left-right", "up-down", "not on its side", "input range", "normalisation",
        "no saturation", "no offset", "linear in depth",
    ),
    "graph": ("IR version", "operator set", "file size", "resize antialias", "resize align_corners"),
    "NPU": ("fits the NPU", "NPU traps"),
    "budget": ("parameters", "MACs", "largest activation"),
    "latency": ("latency, estimated", "latency, measured"),
    "licences": ("teacher licence", "encoder weights licence", "data licence"),
}  # fmt: skip
"""Every finding by its group, in the order of the table."""
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    name: short and stable, e.g. "input name"; tests and other programs look for it
    state: "undecided" where the check could not be made or its evidence is too weak; `found` then says which
    why: what a failure costs; remedy: what to do about it
    worst: names of the frames that show a failure of meaning best, worst first; empty for every other finding
    """

    name: str
    state: State
    expected: str
    found: str
    why: str
    remedy: str
    worst: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.expected and self.found and self.why and self.remedy):
            raise ValueError(f"finding '{self.name}' must say what was expected and found, why, and what to do")

    @property
    def group(self) -> str:
        """Of `GROUPS`; empty for a name that stands in none of them."""
        return _GROUP_OF.get(self.name, "")

    def sentence(self) -> str:
        """One line for a person: what is wrong, why it matters, what to do."""
        return f"{self.name}: expected {self.expected}, found {self.found.rstrip('.')}. {self.why} {self.remedy}"


def state_of(passed: bool) -> State:
    return "pass" if passed else "fail"


def failures(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state == "fail"]


def exit_code(findings: Sequence[Finding]) -> int:
    """1 if any finding fails, else 0; an undecided finding does not fail the check."""
    return FAILED_EXIT_CODE if failures(findings) else 0


def findings_json(findings: Sequence[Finding], *, model: str, model_sha256: str, edition: str) -> dict[str, Any]:
    """What `--json` writes: the model's name and hash, the edition, whether all is well, and each finding in full."""
    counts = {state: sum(finding.state == state for finding in findings) for state in STATES}
    return {
        "model": model,
        "model_sha256": model_sha256,
        "edition": edition,
        "passed": exit_code(findings) == 0,
        "counts": counts,
        "findings": [{"group": finding.group, **asdict(finding), "worst": list(finding.worst)} for finding in findings],
    }
