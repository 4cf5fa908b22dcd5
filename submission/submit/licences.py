"""What licences went into a run, as far as its records say, and which of them a person has to accept by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ...errors import InputError, UnknownNameError
from ...files import read_json
from ...runs import Run

Use = Literal["commercial", "non-commercial", "unknown"]
NOT_RECORDED = "not recorded"
PRECEDENT = (
    "Non-commercial weights do not comply: the second place of LPCVC 2025 left Depth-Anything-V2-Base (CC-BY-NC-4.0) "
    "out for that, though it scored better. Whether a student inherits its teacher's licence is unsettled."
)
_FREE = ("apache", "mit", "bsd", "cc0", "cc-by-4", "cc-by-3", "cc-by-sa", "isc", "unlicense", "public domain")
_RESTRICTED = ("noncommercial", "non-commercial", "research only", "research-only", "academic")


@dataclass(frozen=True)
class Licence:
    """The licence of one thing that went into a run.

    part: "teacher", "encoder weights" or "data"; of: the model or data set, as far as it is known
    name: as recorded, e.g. "CC-BY-NC-4.0"; use: "unknown" where the name tells nothing
    """

    part: str
    of: str
    name: str
    use: Use


class LicencesOf(Protocol):
    """Where the licences of a run come from; `licences_of` is the one that reads the run's records."""

    def __call__(self, run: Run, /) -> list[Licence]: ...


def licences_of(run: Run) -> list[Licence]:
    """From the provenance in RUN/config.json. Raises InputError where that file is missing or damaged.

    A part that the records do not mention is there with the name "not recorded"; a run without a teacher has none.
    """
    config = read_json(run.config)
    recorded = config.get("provenance") if isinstance(config, dict) else None
    if recorded is not None and not isinstance(recorded, dict):
        raise InputError(f"{run.config} has a provenance that cannot be read.", "Restore it, or start a new run.")
    recorded = recorded or {}
    found = list[Licence]()
    if recorded.get("teacher", NOT_RECORDED) is not None:  # None is said: trained without one
        found += _of("teacher", recorded.get("teacher"), "teacher")
    found += _of("encoder weights", recorded.get("encoder_weights"), "name")
    return found + _of_data(recorded.get("data"))


def demand_known(accepted: Sequence[str], licences: Sequence[Licence]) -> None:
    """Raises UnknownNameError for an accepted name that no licence of the run has: a slip must not pass for consent."""
    known = {licence.name for licence in licences}
    for name in accepted:
        if name.casefold() not in {each.casefold() for each in known}:
            raise UnknownNameError("licence of this run called", name, known)


def to_accept(licences: Sequence[Licence], accepted: Sequence[str]) -> list[Licence]:
    """The non-commercial ones that nobody has accepted by name yet."""
    names = {name.casefold() for name in accepted}
    return [each for each in licences if each.use == "non-commercial" and each.name.casefold() not in names]


def use_of(name: str) -> Use:
    """What the name of a licence says of commercial use; no more than a look at the name."""
    low = name.casefold()
    if "nc" in low.replace("_", "-").split("-") or any(mark in low for mark in _RESTRICTED):
        return "non-commercial"
    return "commercial" if low.startswith(_FREE) else "unknown"


def _of(part: str, recorded: Any, key: str) -> list[Licence]:
    """key: under which the record names the thing itself"""
    if not isinstance(recorded, dict):
        return [Licence(part, str(recorded or NOT_RECORDED), NOT_RECORDED, "unknown")]
    name = str(recorded.get("licence") or NOT_RECORDED)
    return [Licence(part, str(recorded.get(key) or NOT_RECORDED), name, use_of(name))]


def _of_data(recorded: Any) -> list[Licence]:
    named = recorded.get("licences") if isinstance(recorded, dict) else None
    if not isinstance(named, dict) or not named:
        return [Licence("data", NOT_RECORDED, NOT_RECORDED, "unknown")]
    return [Licence("data", f"{count} frames", name, use_of(name)) for name, count in sorted(named.items())]
