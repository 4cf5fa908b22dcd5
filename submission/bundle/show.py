"""What a person sees of a bundle: what is in it and what is missing, and what a verification says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...console import count, note, result, table
from ..check.findings import State
from .layout import DECISIONS, EMULATED, FLOAT, JOBS, MEASURED, REPORT, SCORES, is_none, why_none
from .opening import opened, parse_json
from .reproduce import FILES, NOT_SIGNED

LONGEST_SENTENCE = 400


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at. found: a sentence; state "undecided" where nothing can be said of it"""

    name: str
    state: State
    found: str


def plain(text: str) -> str:
    """One line that a terminal can be shown, whatever the bundle holds."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= LONGEST_SENTENCE else f"{shown[:LONGEST_SENTENCE]} ..."


def tell(bundle: Path) -> None:
    """What a bundle that was just packaged holds, and what it does not, each with the command that would add it."""
    with opened(bundle) as archive:
        scores = parse_json(archive.read(SCORES), SCORES)
        jobs = parse_json(archive.read(JOBS), JOBS)["jobs"]
        inside = [(name, f"{archive.entries[name].size:,}", what) for name, what in FILES.items()
                  if name in archive.entries]  # fmt: skip
    table(str(bundle), ("file", "bytes", "what"), inside)
    score = scores[FLOAT]
    if not is_none(score):
        trained = score.get("frames_trained_on")
        seen = f"{'it is not known how many' if trained is None else trained} of which it was trained on"
        note(f"Float score: of {score.get('frames_scored')} frames, {seen}.")
    parts = {"float score": score, "emulated": scores[EMULATED], "measured scores": scores[MEASURED]["scores"],
             "measured latencies": scores[MEASURED]["latencies"], "jobs": jobs}  # fmt: skip
    for name, part in parts.items():
        if is_none(part):
            note(f"Not inside, {name}: {why_none(part)}.")
    names = {name for name, _, _ in inside}
    if REPORT in names:
        note(f"{REPORT} shows pictures of frames: whoever gets the bundle sees them.")
    else:
        note("Not inside, report: `lpcv score RUN --data DIR --report FOLDER`, then --report FOLDER.")
    if DECISIONS not in names:
        note("Not inside, decisions: nothing was overridden or accepted for this model by `lpcv submit` so far.")


def show(bundle: Path, digest: str, checked: Sequence[Checked]) -> None:
    """A table of everything that was checked, then each problem on a line of its own."""
    table(
        f"{bundle}: sha256 {digest}", ("what", "state", "found"), [(one.name, one.state, one.found) for one in checked]
    )
    wrong = [one for one in checked if one.state == "fail"]
    for one in wrong:
        result(f"WRONG {one.found}")
    if wrong:
        result(f"{bundle}: {count(len(wrong), 'problem')}")
    else:
        result(f"{bundle}: every file is as its manifest says, and nothing that was checked contradicts another")
    note(NOT_SIGNED)
