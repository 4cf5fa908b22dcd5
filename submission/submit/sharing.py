"""The steps that send: bundle made and kept, decision written, job shared through the ledger, outcome written.

Each is on the disk before the next begins, and each is looked up before it is done: after a kill between any two the
same command goes on, and the job is shared once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...console import note
from ...errors import InputError
from ...hub_jobs.desk import Desk
from ...hub_jobs.sharing import share
from .bundling import made
from .checklist import BUNDLE
from .plan import Plan
from .record import Submission, Submissions, run_key

ASSETS = (
    ("source model", "model.onnx as it was uploaded: anybody with access can download graph and weights"),
    ("compiled model", "what the job made of it for the device"),
    ("job", "its name (which holds the run's name), options, device, log"),
)
EVERY_ASSET = (
    "Sharing a job shares EVERY asset of it. It cannot be limited to the compiled model. Nothing else leaves this "
    "machine: the bundle, the frames and the run stay here."
)


@dataclass(frozen=True)
class Sent:
    """What came of it.

    plan: with the bundle as it was made; anew: whether anything had to be shared now; kept: the copy of the bundle,
    relative to the hub folder
    """

    plan: Plan
    submission: Submission
    anew: bool
    kept: str | None


def send(desk: Desk, plan: Plan) -> Sent:
    """Make the bundle, and share the plan's job once; gives the submission with all it is shared with, as read back.

    Raises InputError where the bundle fails its verification and nobody overruled that, where the sharing cannot be
    read back, and what packaging and a call to AI Hub can end with.
    """
    kept, job_id = Submissions(desk.folder), plan.job.job_id or ""
    with desk.alone(f"submit {plan.told['model_sha256']}"):
        model_sha256 = plan.told["model_sha256"]
        plan = plan.with_bundle(made(plan.run, desk.folder, plan.bundle, model_sha256, plan.decisions))
        item = plan.bundle.item
        if item.state != "pass" and BUNDLE not in plan.checklist.overridden:
            raise InputError(f"Nothing was shared: {item.found}.", item.remedy)
        bundle, copy = plan.bundle, None
        if bundle.sha256:
            copy = kept.keep(desk.owner, job_id, bundle.path, bundle.sha256)
        facts = {**plan.facts, "bundle_copy": copy}
        last = _own(kept.of(desk.owner, job_id), facts)
        if last is None or not last.decides(facts):
            kept.add(desk.owner, job_id, "intended", facts)
        note(
            f"Looking with whom {job_id} is shared; sharing it with {', '.join(plan.addresses)} where that is missing."
        )
        before, since = desk.hub.sharing(job_id), _in_ledger(desk, job_id, plan.addresses)
        now = share(desk, desk.record(job_id), plan.addresses)  # shares what is missing, and reads back
        anew = not _holds(before, plan.addresses)
        last = _own(kept.of(desk.owner, job_id), facts)
        assert last is not None  # it was intended above
        if not last.read_back or last.shared_with != now or anew:
            when = _since(last, plan.addresses, since, anew=anew)
            kept.add(desk.owner, job_id, "shared", {**run_key(facts), "with": list(now), **when})
        done = _own(kept.of(desk.owner, job_id), facts)
    assert done is not None
    return Sent(plan, done, anew, copy)


def _own(found: Sequence[Submission], facts: Mapping[str, Any]) -> Submission | None:
    """The run's own newest decision."""
    return next((each for each in found if run_key(each.intended) == run_key(facts)), None)


def _holds(shared_with: Sequence[str], addresses: Sequence[str]) -> bool:
    """Upper case is no other address."""
    known = {each.casefold() for each in shared_with}
    return all(each.casefold() in known for each in addresses)


def _in_ledger(desk: Desk, job_id: str, addresses: Sequence[str]) -> str | None:
    """Since when the ledger knows the job to be shared with them; a list without one of them ends what was before."""
    since = None
    for event in desk.ledger.of_job(job_id):
        if event.event == "shared":
            since = (since or event.at) if _holds(event.facts["with"], addresses) else None
    return since


def _since(last: Submission, addresses: Sequence[str], ledgers: str | None, *, anew: bool) -> dict[str, Any]:
    """Since when the job is shared: a deadline is judged by that, so looking again never makes it later.

    ledgers: what the ledger said before this command shared anything: a kill may have come before the record, or
    `lpcv jobs share` was typed; anew: it was not shared a moment ago. Where nobody knows, it was before now.
    """
    now = datetime.now(UTC).isoformat()
    if anew:
        return {"since": now, "at_latest": False}
    if last.shared_at and _holds(last.shared_with, addresses):
        return {"since": last.shared_at, "at_latest": last.at_latest}
    return {"since": ledgers or now, "at_latest": ledgers is None}
