"""The steps that send: bundle made, decision written, job shared through the ledger, sharing and outcome written.

Each is on the disk before the next begins, and each is looked up before it is done: after a kill between any two the
same command goes on, and the job is shared once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...console import note
from ...errors import InputError
from ...hub_jobs.desk import Desk
from ...hub_jobs.sharing import share
from .bundling import made
from .checklist import BUNDLE
from .plan import Plan
from .record import Submission, Submissions

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
    """What came of it. plan: with the bundle as it was made; anew: whether anything had to be shared now"""

    plan: Plan
    submission: Submission
    anew: bool


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
        last = kept.of(desk.owner, job_id)
        if last is None or not last.decides(plan.facts):
            kept.add(desk.owner, job_id, "intended", plan.facts)
        note(
            f"Looking with whom {job_id} is shared; sharing it with {', '.join(plan.addresses)} where that is missing."
        )
        before = desk.hub.sharing(job_id)
        now = share(desk, desk.record(job_id), plan.addresses)  # shares what is missing, and reads back
        last = kept.of(desk.owner, job_id)
        if last is None or last.shared_at is None or last.shared_with != now or before != now:
            kept.add(desk.owner, job_id, "shared", {"with": list(now)})
        done = kept.of(desk.owner, job_id)
    assert done is not None  # it was intended above
    return Sent(plan, done, before != now)
