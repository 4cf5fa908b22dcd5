"""The organisers' web form: where it is, and the exact values that go into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...contract import Edition, Fact
from ...hub_jobs.history import Record

SAMPLE_README = "lpcvai/25LPCVC_Track3_Sample_Solution, README, section 4, 'Submit Models for Ranking'"


@dataclass(frozen=True)
class Form:
    """What is known of an edition's form. job_field: what its page calls the one value that we know it asks for."""

    link: Fact
    leaderboard: Fact
    job_field: Fact


FORMS = {
    "lpcvc-2025": Form(
        link=Fact("https://lpcv.ai/2025LPCVC/submission/track3", "address", f"{SAMPLE_README}, step 2"),
        leaderboard=Fact("https://lpcv.ai/2025LPCVC/leaderboard/track3", "address", SAMPLE_README),
        job_field=Fact("Compile Job Id", "", f"{SAMPLE_README}, last paragraph"),
    )
}
BESIDE = "in case it asks"
YOURS = "Team, names and e-mail address are yours to fill in: lpcv neither knows nor keeps them."
ONE_EACH = "One form for each model: a model without one is not scored, however well it is shared."


@dataclass(frozen=True)
class Value:
    """One value to paste. why: what is known of the field"""

    field: str
    value: str
    why: str


def values(edition: Edition, job: Record, shared_with: tuple[str, ...], latency: str) -> list[Value]:
    """What to paste, the compile job's id first; the rest is what such forms ask for, and marked so.

    latency: as the record tells it, with its unit; never a number of a rehearsal
    """
    form = FORMS.get(edition.name)
    asked, source = (form.job_field.value, form.job_field.source) if form else ("Compile Job Id", "rules")
    told = job.intended
    return [
        Value(asked, job.job_id or "", f"the form asks for it ({source})"),
        Value("device", told["device"], BESIDE),
        Value("compile options", told["options"], BESIDE),
        Value("shared with", ", ".join(shared_with), BESIDE),
        Value("latency, measured", latency, BESIDE),
    ]


def link(edition: Edition) -> str:
    """The form's address, or the sentence that we do not know it."""
    form = FORMS.get(edition.name)
    return form.link.value if form else f"not recorded for {edition.name}: see the rules page"


def as_json(edition: Edition, pasted: list[Value]) -> dict[str, Any]:
    """For a machine: the address and the values."""
    form = FORMS.get(edition.name)
    return {
        "link": form.link.value if form else None,
        "leaderboard": form.leaderboard.value if form else None,
        "values": [vars(each) for each in pasted],
    }
