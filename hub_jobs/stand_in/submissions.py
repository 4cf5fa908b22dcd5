"""POST jobs/: what a job must be before it is taken."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from ..devices import recorded
from .options import runtime_of
from .orders import ACTIVATIONS, SOURCES, TARGETS, is_expired
from .state import ServerState, state_of
from .store import Row
from .uploads import checked_name
from .wire import DTYPE_NAMES, read_message, refuse, updated

LONGEST_OPTIONS = 10_000
MOST_INPUTS = 256
NOT_OFFERED = {
    "link_job": "Link jobs are not offered by the stand-in (yet).",
    "profile_job": "Profile jobs of clients before 0.56 are not offered by the stand-in; install a newer qai-hub.",
}


async def submit(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.Job, hub.settings.message_bytes)
    kind = message.WhichOneof("job")
    if kind == "compile_job":
        values, target = _compile_job(hub, message.compile_job)
    elif kind == "quantize_job":
        values, target = _quantize_job(hub, message.quantize_job)
    elif kind == "inference_job":
        values, target = _inference_job(hub, message.inference_job), None
    else:
        raise refuse(400, NOT_OFFERED.get(kind or "", "The request holds no job."))
    values |= {"request": message.SerializeToString(), "state": pb.JOB_STATE_CREATED}
    if target is None:
        identifier = hub.store.add("jobs", values)
    else:
        # The target model exists from the beginning: the client reads its id right after this.
        target_id, target_insertion = hub.store.insertion("models", target)
        identifier, insertion = hub.store.insertion("jobs", {**values, "target_model": target_id})
        link = ("UPDATE models SET producer = ? WHERE id = ?", (identifier, target_id))
        hub.store.run_all([target_insertion, insertion, link])
    hub.worker.wake()
    return updated(identifier, time.time())


def _compile_job(hub: ServerState, job: pb.CompileJob) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the job's row and of its target model's. Raises 4xx."""
    model = _model(hub, job.model.model_id)
    if not _is_source(model):
        raise refuse(400, f"The stand-in compiles ONNX and TorchScript models; {_kind_of(model)} is neither.")
    if len(job.tensor_type_list.types) > MOST_INPUTS:
        raise refuse(400, f"At most {MOST_INPUTS} inputs can be specified.")
    for one in job.tensor_type_list.types:
        if one.tensor_type.dtype not in DTYPE_NAMES:
            raise refuse(400, f"Input '{one.name}' has no known data type.")
        if any(not 0 < extent < 2**31 for extent in one.tensor_type.shape):
            raise refuse(400, f"Input '{one.name}' has an extent that is not from 1 to 2147483647.")
    if job.calibration_dataset.dataset_id:
        _usable_dataset(hub, job.calibration_dataset.dataset_id)
    devices = job.devices.devices or ([job.device] if job.device.name else [])
    values = _common(job.name or model["name"], job.options, (device.name for device in devices))
    target = {
        "name": values["name"],
        "type": TARGETS[runtime_of(job.options)],
        "is_directory": int(runtime_of(job.options).endswith("onnx")),
    }
    return {**values, "kind": "compile", "model": model["id"]}, target


def _quantize_job(hub: ServerState, job: pb.QuantizeJob) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the job's row and of its target model's. Raises 4xx."""
    model = _model(hub, job.model.model_id)
    if model["type"] != pb.MODEL_TYPE_ONNX or not _is_source(model):
        raise refuse(400, f"The stand-in quantizes ONNX models; {_kind_of(model)} is none.")
    if job.weights_dtype != pb.QUANTIZE_DTYPE_INT8 or job.activations_dtype not in ACTIVATIONS:
        raise refuse(400, "The stand-in quantizes to INT8 weights with INT8 or INT16 activations.")
    if not job.calibration_dataset.dataset_id:
        raise refuse(400, "A quantize job needs a calibration dataset.")
    _usable_dataset(hub, job.calibration_dataset.dataset_id)
    values = _named(job.name or model["name"], job.options)
    target = {"name": values["name"], "type": pb.MODEL_TYPE_ONNX, "is_directory": 1}
    values |= {"device": "", "dataset": job.calibration_dataset.dataset_id}
    return {**values, "kind": "quantize", "model": model["id"]}, target


def _is_source(model: Row) -> bool:
    """An upload that can be read, or an ONNX file that an earlier job made."""
    if model["producer"] is not None:
        return model["type"] == pb.MODEL_TYPE_ONNX
    return (model["type"], bool(model["is_directory"])) in SOURCES


def _inference_job(hub: ServerState, job: pb.InferenceJob) -> dict[str, Any]:
    """The values of the job's row. Raises 4xx."""
    model = _model(hub, job.model.model_id)
    if model["producer"] is None and SOURCES.get((model["type"], bool(model["is_directory"]))) != "onnx":
        raise refuse(
            400, f"The stand-in runs ONNX files and what it has compiled itself; {_kind_of(model)} it cannot run."
        )
    values = _common(job.name or model["name"], job.options, [job.device.name])
    dataset = job.dataset.dataset_id or None
    if dataset is not None:
        _usable_dataset(hub, dataset)
    elif not job.is_profiling_on:
        raise refuse(400, "An inference job without profiling needs a dataset.")
    return {**values, "kind": "inference", "model": model["id"], "dataset": dataset}


def _common(name: str, options: str, devices: Iterable[str]) -> dict[str, Any]:
    names = list(devices)
    if not names:
        raise refuse(400, "The job names no device.")
    known = {device.name for device in recorded()}
    for device in names:
        if device not in known:
            raise refuse(400, f"There is no device '{device[:80]}' in the stand-in's record.")
    return {**_named(name, options), "device": ", ".join(dict.fromkeys(names))}


def _named(name: str, options: str) -> dict[str, Any]:
    if len(options) > LONGEST_OPTIONS:
        raise refuse(400, f"The options may have at most {LONGEST_OPTIONS} characters.")
    return {"name": checked_name(name, "job")}


def _model(hub: ServerState, identifier: str) -> Row:
    model = hub.store.get("models", identifier)
    if model is None:
        raise refuse(404, f"There is no model '{identifier[:40]}' here.")
    if not model["complete"] and model["producer"] is None:
        raise refuse(400, f"Model {identifier} has not been uploaded completely.")
    return model


def _usable_dataset(hub: ServerState, identifier: str) -> None:
    dataset = hub.store.get("datasets", identifier)
    if dataset is None:
        raise refuse(404, f"There is no dataset '{identifier[:40]}' here.")
    if not dataset["complete"]:
        raise refuse(400, f"Dataset {identifier} has not been uploaded completely.")
    if is_expired(dataset) or not hub.store.blob(identifier).is_file():
        raise refuse(400, f"Dataset {identifier} has expired.")


def _kind_of(model: Row) -> str:
    name = pb.ModelType.Name(model["type"]).removeprefix("MODEL_TYPE_")
    return f"model {model['id']}, {'a target model' if model['producer'] else f'a {name}'},"
