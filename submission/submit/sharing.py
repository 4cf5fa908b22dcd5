"""The step that sends: decision written, job shared through the ledger, sharing read back, outcome written.

Each is on the disk before the next begins, and each is looked up before it is done: after a kill between any two the
same command goes on, and the job is shared once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...hub_jobs.desk import Desk
from ...hub_jobs.history import Record
from ...hub_jobs.sharing import share
from .record import Submission, Submissions

ASSETS = (
    ("source model", "model.onnx as it was uploaded: anybody with access can download graph and weights"),
    ("compiled model", "what the job made of it for the device"),
    ("job", "its name (which holds the run's name), options, device, log"),
)
EVERY_ASSET = "Sharing a job shares EVERY asset of it. It cannot be limited to the compiled model."


@dataclass(frozen=True)
class Sent:
    """What came of it. anew: whether anything had to be shared now, or all of it stood already"""

    submission: Submission
    anew: bool


def send(desk: Desk, job: Record, facts: Mapping[str, Any], addresses: Sequence[str]) -> Sent:
    """Share `job` with `addresses` once; gives the submission with everybody it is shared with, as read back.

    facts: of the decision, with all of `record.DECISION`
    Raises InputError where the sharing cannot be read back, and what a call to AI Hub can end with.
    """
    kept, job_id = Submissions(desk.folder), job.job_id or ""
    with desk.alone(f"submit {job_id}"):
        last = kept.of(desk.owner, job_id)
        if last is None or not last.decides(facts):
            kept.add(desk.owner, job_id, "intended", facts)
        before = desk.hub.sharing(job_id)
        now = share(desk, desk.record(job_id), addresses)  # shares what is missing, and reads back
        last = kept.of(desk.owner, job_id)
        if last is None or last.shared_at is None or last.shared_with != now or before != now:
            kept.add(desk.owner, job_id, "shared", {"with": list(now)})
        done = kept.of(desk.owner, job_id)
    assert done is not None  # it was intended above
    return Sent(done, before != now)
