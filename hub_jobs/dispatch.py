"""From an order to a job on AI Hub: once, whatever happens in between.

The order of steps, each on the disk before the next begins: `intended` -> `uploaded` (each model and dataset once) ->
`attempted` -> the one POST -> `submitted`. After `attempted` without `submitted` nobody knows whether there is a job;
then AI Hub's list is searched for the order's mark before anything is sent again. It is also searched before the first
time, since another folder, machine or lost ledger may have ordered the same.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..console import note
from ..errors import InputError, LpcvError
from .answers import Created, SubmissionError, Summary, Uploaded, expires_soon
from .client import client_version
from .desk import Desk
from .faults import RefusedError
from .history import BY_MARK, Record, latest, record_of
from .order import MARK, SHORT_KEY, CompiledModel, DatasetFile, ModelFile, Order
from .waiting import glimpsed

# The client says that AI Hub cuts connections after 26 s (util/session.py:57), so what was sent before has become a
# job by then, or never will.
SETTLE_S, LOOK_EVERY_S = 30.0, 5.0
MOST_ATTEMPTS = 3
RATE_LIMIT_WAITS_S = (20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0)
LONGEST_WAIT_S = 600.0  # that a server may ask for


def dispatch(desk: Desk, order: Order, *, again: bool = False) -> Record:
    """The job for this order: the one that was submitted before, or a new one.

    again: if the last one has ended, order the same once more
    Raises InputError, RefusedError, UnavailableError, UnauthorisedError; the ledger then tells how far it came.
    """
    with desk.alone(order.base(desk.connection)):
        while True:
            turn = order.in_turn(_nth(desk, order, again))
            key = turn.key(desk.connection)
            record = _record(desk, key)
            if record is None:
                if turn.device:
                    _say_device(desk, turn.device)
                desk.add("intended", key, **turn.facts(desk.connection, client_version(), __version__))
                found = _chosen(desk, marked(desk.marked, key))
                if found:
                    adopted = _submitted(desk, key, found, BY_MARK)
                    if not again:
                        return adopted
                    continue  # there may be another turn of it, and so on
            elif record.job_id:
                note(f"{record.type} job {record.job_id} was submitted before; it is used again. ({record.url})")
                return record
            else:
                if record.in_doubt:
                    note("A submission was cut off before its answer came; looking whether it became a job.")
                # also after a look in vain, since a job may have appeared later than anybody waited for it
                found = look_for(desk, key, None if record.in_doubt else 0.0)
                if found:
                    return _submitted(desk, key, found, "name")
                if record.in_doubt:
                    desk.add("refused", key, reason="no job of that name appeared")
            return _submit(desk, turn, key)


def marked(jobs: list[Summary], key: str) -> list[Summary]:
    """Those that bear the key's mark."""
    return [job for job in jobs if MARK + key[:SHORT_KEY] in job.name]


def look_for(desk: Desk, key: str, settle_s: float | None = None) -> Created | None:
    """The job that bears the key's mark, looked for until it could no longer appear."""
    until = time.monotonic() + (SETTLE_S if settle_s is None else settle_s)
    while True:
        found = _chosen(desk, desk.hub.find(MARK + key[:SHORT_KEY]))
        if found:
            return found
        if time.monotonic() >= until:
            return None
        time.sleep(LOOK_EVERY_S)


def _chosen(desk: Desk, found: list[Summary]) -> Created | None:
    """The first of jobs that bear the same mark."""
    if len(found) > 1:
        note(f"{len(found)} jobs bear the same mark: {', '.join(job.job_id for job in found)}; the first counts.")
    return desk.hub.created(found[-1].job_id) if found else None


def _nth(desk: Desk, order: Order, again: bool) -> int:
    """Which turn of the order is meant."""
    last = latest(desk.records(), order.base(desk.connection))
    if last is None:
        return 0
    if again and last.job_id and not last.finished:
        last = glimpsed(desk, last)
    if again and not last.finished:
        note("The last one has not ended yet: it is followed, not ordered again.")
    return last.intended["nth"] + (1 if again and last.finished else 0)


def _say_device(desk: Desk, name: str) -> None:
    """What the device is, before a job is spent on it. Raises UnknownNameError with the nearest names."""
    said = {key: value for key, _, value in (each.partition(":") for each in desk.hub.device(name).attributes)}
    half = "with fp16" if said.get("htp-supports-fp16") == "true" else "fp16 not said"
    note(f"{name}: {said.get('chipset', 'chipset not said')}, NPU {said.get('hexagon', 'not said')}, {half}")


def _record(desk: Desk, key: str) -> Record | None:
    return record_of(desk.ledger.of_key(desk.owner, key))


def _submit(desk: Desk, order: Order, key: str) -> Record:
    rate_limited = expired = attempts = 0
    while True:
        post = _ready(desk, order, key)
        desk.add("attempted", key)
        try:
            created = post()
        except SubmissionError as error:
            tried, cause = error.post, error.cause
        except LpcvError as error:  # what the submission needs could not be had; nothing was sent
            desk.add("refused", key, reason=str(error))
            raise
        else:
            return _submitted(desk, key, created, "answer")
        if tried.refused or not tried.sent:
            desk.add("refused", key, status=tried.status, reason=str(cause))
        if isinstance(cause, RefusedError) and cause.status == 429 and rate_limited < len(RATE_LIMIT_WAITS_S):
            wait_s = min(cause.retry_after_s or RATE_LIMIT_WAITS_S[rate_limited], LONGEST_WAIT_S)
            note(f"{cause.problem} Trying again in {wait_s:.0f} s; Ctrl-C is safe.")
            time.sleep(wait_s)
            rate_limited += 1
        elif isinstance(cause, RefusedError) and order.dataset and "expired" in str(cause).lower() and not expired:
            note("AI Hub says that the dataset has expired; sending it again.")
            desk.add("expired", asset(order.dataset.sha256))
            expired += 1
        elif tried.refused or not tried.sent:
            raise cause
        else:  # a 5xx or silence: there may be a job all the same
            attempts += 1
            note(f"{cause} Looking whether it became a job all the same.")
            found = look_for(desk, key)
            if found:
                return _submitted(desk, key, found, "name")
            desk.add("refused", key, status=tried.status, reason="no job of that name appeared")
            if attempts == MOST_ATTEMPTS:
                raise cause


def _submitted(desk: Desk, key: str, created: Created, known_by: str) -> Record:
    desk.add("submitted", key, created.job_id, url=created.url, known_by=known_by)
    record = _record(desk, key)
    assert record is not None  # it was intended before
    job = f"{record.type} job {created.job_id}"
    if record.adopted:
        note(f"{job} was found by its mark: ordered from another folder or ledger; it is used again. ({created.url})")
    else:
        note(f"{job} submitted: {created.url}")
    return record


def _ready(desk: Desk, order: Order, key: str) -> Callable[[], Created]:
    """Everything uploaded, so that one POST is all that is left."""
    hub, name = desk.hub, order.name(desk.connection)
    dataset_id = dataset_on_hub(desk, order.dataset, order.title) if order.dataset else None
    if isinstance(order.model, CompiledModel):
        compile_job = order.model.compile_job
        return lambda: hub.submit_inference(
            compile_job, order.device, name, order.options, dataset_id, profile=order.type == "profile"
        )
    model_id = model_on_hub(desk, order.model)
    if order.type == "quantize":
        if dataset_id is None or order.precision is None:
            raise ValueError("a quantize order has a dataset and a precision")
        data, precision = dataset_id, order.precision
        return lambda: hub.submit_quantize(model_id, data, name, order.options, precision)
    return lambda: hub.submit_compile(model_id, order.device, name, order.options, order.input_spec)


def asset(sha256: str) -> str:
    """The ledger's key of something uploaded."""
    return f"asset:{sha256}"


def model_on_hub(desk: Desk, model: ModelFile) -> str:
    """The id of a model on AI Hub, sent now if it is not there yet."""
    size_mb = sum(file.stat().st_size for file in model.files) / 1e6
    name = model.files[0].name

    def send() -> Uploaded:
        return desk.hub.upload_model(model.files, name)

    return _on_hub(desk, "model", model.sha256, desk.hub.has_model, send, f"{name}, {size_mb:.1f} MB")


def dataset_on_hub(desk: Desk, dataset: DatasetFile, name: str) -> str:
    """The id of a dataset on AI Hub, written and sent now if it is not there, or will not be for long."""

    def send() -> Uploaded:
        with tempfile.TemporaryDirectory() as scratch:
            h5 = Path(scratch) / "inputs.h5"
            try:
                dataset.write(h5)
            except OSError as error:  # HDF5's own text is a page long
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise InputError(
                    f"{h5} cannot be written ({reason}).",
                    "Free some space there, or name another place with TMPDIR, and type the command again.",
                ) from error
            note(f"sending {h5.stat().st_size / 1e6:.1f} MB")
            return desk.hub.upload_dataset(h5, name)

    return _on_hub(desk, "dataset", dataset.sha256, desk.hub.has_dataset, send, name)


def _on_hub(
    desk: Desk, what: str, sha256: str, is_there: Callable[[str], bool], send: Callable[[], Uploaded], told: str
) -> str:
    key = asset(sha256)
    with desk.alone(key):
        events = desk.ledger.of_key(desk.owner, key)
        last = events[-1] if events else None
        if (
            last
            and last.event == "uploaded"
            and not expires_soon(last.facts["expires_at"])
            and is_there(last.facts["id"])
        ):
            note(f"The {what} is there already ({last.facts['id']}).")
            return last.facts["id"]
        note(f"uploading the {what}: {told}")
        sent = send()
        desk.add("uploaded", key, what=what, id=sent.id, expires_at=sent.expires_at)
        return sent.id
