"""Findings on licences: of the teacher, the pre-trained weights and the data that went into a run, as it recorded them.

Whether a student inherits its teacher's or its data's licence is unsettled, so nothing here decides it: what is
non-commercial is named, and a person accepts it by name or not. Weights that lie in the model itself are another
matter: for those there is a precedent.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...data.licences import terms_of
from ...errors import InputError, UnknownNameError
from ...files import read_json
from ...runs import Run
from ...train.zoo.variants import LICENCE_KEY, RANDOM_WEIGHTS_KEY, WEIGHTS_KEY
from ..bundle.layout import NOT_RECORDED
from .findings import Finding, State

PRECEDENT = (
    "Non-commercial weights do not comply: in 2025 the second place gave up Depth-Anything-V2-Base (CC-BY-NC-4.0), "
    "which scored better, for Small (Apache-2.0)."
)
UNSETTLED = "Whether a student inherits it is unsettled: a person decides."
IN_FILE = "Build it again with weights that allow commercial use: Depth Anything's Small ones are Apache-2.0."
MOST_TEXT = 80
"""Characters of what a file says of itself."""
PARTS = ("teacher licence", "encoder weights licence", "data licence")


@dataclass(frozen=True)
class Part:
    """Something that went into a run. what: "depth-anything/..."; licences: as recorded, empty where nothing was

    none: a sentence where there is no such thing ("trained without a teacher"), else ""
    """

    name: str
    what: str
    licences: tuple[str, ...]
    none: str = ""

    @property
    def non_commercial(self) -> tuple[str, ...]:
        return tuple(one for one in self.licences if terms_of(one) == "non-commercial")


def licence_findings(run: Run | None, accepted: Collection[str] = ()) -> list[Finding]:
    """One finding for each of `PARTS`.

    run: whose records are read; None for a model without a run, as `licences_in_file` without a word in it
    accepted: names of licences that a person has accepted with --accept-license; upper and lower case are one
    Raises InputError where the run's config.json is damaged.
    """
    if run is None:
        return licences_in_file({})
    known = _folded(accepted)
    return [_judged(part, known) for part in parts_of(run)]


def licences_in_file(metadata: Mapping[str, str]) -> list[Finding]:
    """One finding for each of `PARTS`, of a model without a run, whose file may name its weights (`lpcv zoo build`).

    Nobody accepts a licence for a file: what is non-commercial fails.
    """
    found = f"{NOT_RECORDED}: a model's file does not say what it was trained with"
    remedy = "Check the run that it was exported from; else see to its licences yourself."
    findings = {name: _finding(name, "undecided", found, UNSETTLED, remedy) for name in PARTS}
    licence = _short(metadata.get(LICENCE_KEY, ""))
    random = "none: random weights" if RANDOM_WEIGHTS_KEY in metadata else ""
    if licence or random:
        part = Part(PARTS[1], _short(metadata.get(WEIGHTS_KEY, "")), (licence,) if licence else (), random)
        judged = _judged(part, set())
        mending = {"fail": IN_FILE, "undecided": remedy}
        findings[part.name] = replace(judged, remedy=mending.get(judged.state, judged.remedy))
    return list(findings.values())


def demand_known(run: Run, accepted: Collection[str]) -> None:
    """A slip must not pass for consent.

    Raises UnknownNameError for an accepted name that nothing of the run has, InputError as `parts_of`.
    """
    names = {licence for part in parts_of(run) for licence in part.licences}
    for name in accepted:
        if name.casefold() not in _folded(names):
            raise UnknownNameError("licence of this run called", name, names)


def consented(run: Run, accepted: Collection[str]) -> list[str]:
    """What of `accepted` decides anything, as the run's records spell it, sorted: what is not plainly commercial."""
    known = _folded(accepted)
    names = {licence for part in parts_of(run) for licence in part.licences if terms_of(licence) != "commercial"}
    return sorted(name for name in names if name.casefold() in known)


def accepting(licences: Iterable[str]) -> str:
    """The options with which these are accepted."""
    return " ".join(f"--accept-license {shlex.quote(name)}" for name in licences)


def to_accept(run: Run, accepted: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Licence -> what stands under it: what a submission still needs --accept-license for. Raises as above."""
    known, found = _folded(accepted), dict[str, tuple[str, ...]]()
    for part in parts_of(run):
        for licence in part.non_commercial:
            if licence.casefold() not in known:
                found[licence] = (*found.get(licence, ()), f"{part.name.removesuffix(' licence')} ({part.what})")
    return found


def parts_of(run: Run) -> list[Part]:
    """Teacher, encoder weights and data as `train.provenance` wrote them. Raises InputError for a damaged config."""
    config = read_json(run.config)
    recorded = config.get("provenance") if isinstance(config, dict) else None
    if not isinstance(recorded, dict):
        raise InputError(
            f"{run.config} has no 'provenance'.", "It may come from another version: start a new run, or restore it."
        )
    teacher, weights, data = (recorded.get(key) for key in ("teacher", "encoder_weights", "data"))
    # None under the key says that there was no teacher; a missing key says nothing.
    alone = "none: trained without a teacher" if "teacher" in recorded and teacher is None else ""
    random = _text(weights, "name") if _text(weights, "name").startswith("none") else ""
    sources = data.get("sources") if isinstance(data, dict) else None
    return [
        Part(PARTS[0], _text(teacher, "teacher"), _licences(teacher), alone),
        Part(PARTS[1], _text(weights, "name"), _licences(weights), random),
        Part(PARTS[2], ", ".join(map(str, sources)) if isinstance(sources, list) else "", _licences(data)),
    ]


def _judged(part: Part, accepted: set[str]) -> Finding:
    if part.none:
        return _finding(part.name, "pass", part.none, PRECEDENT, "Nothing to do.")
    what = part.what or "something without a recorded name"
    found = f"{', '.join(part.licences) or NOT_RECORDED}: {what}"
    open_ones = [one for one in part.non_commercial if one.casefold() not in accepted]
    if open_ones:
        in_model = part.name == PARTS[1]
        return _finding(
            part.name,
            "fail" if in_model else "undecided",
            f"{found}; non-commercial: {', '.join(open_ones)}",
            f"{PRECEDENT} {'These weights are in the model.' if in_model else UNSETTLED}",
            f"Train without it, or accept it by name when submitting: {accepting(open_ones)}; that is recorded.",
        )
    unknown = [one for one in part.licences if terms_of(one) == "unknown" and one.casefold() not in accepted]
    if unknown or not part.licences:
        remedy = "Find out under which licence it stands, and write it into the data's manifest.json or the model card."
        return _finding(part.name, "undecided", f"{found}; what it allows is not known here", UNSETTLED, remedy)
    if part.non_commercial:
        found += f"; accepted by a person: {', '.join(part.non_commercial)}"
    return _finding(part.name, "pass", found, PRECEDENT, "Nothing to do.")


def _folded(names: Iterable[str]) -> set[str]:
    """Upper and lower case are one."""
    return {name.casefold() for name in names}


def _licences(recorded: Any) -> tuple[str, ...]:
    """Of data a count for each licence, of anything else one name."""
    if not isinstance(recorded, dict):
        return ()
    many = recorded.get("licences")
    if isinstance(many, dict):
        return tuple(sorted(map(str, many)))
    one = recorded.get("licence")
    return (str(one),) if one else ()


def _short(text: str) -> str:
    """One line of at most `MOST_TEXT` characters, all of which a terminal shows."""
    return "".join(one if one.isprintable() else " " for one in text).strip()[:MOST_TEXT]


def _text(recorded: Any, key: str) -> str:
    return str(recorded.get(key) or "") if isinstance(recorded, dict) else ""


def _finding(name: str, state: State, found: str, why: str, remedy: str) -> Finding:
    return Finding(name, state, "a licence that allows commercial use, or one accepted by name", found, why, remedy)
