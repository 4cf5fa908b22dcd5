"""From a submitted job to what its process is told to do."""

from __future__ import annotations

import time
from typing import Any

from qai_hub import public_api_pb2 as pb

from .options import runtime_of
from .settings import Settings
from .store import Row, Store
from .wire import DTYPE_NAMES

# What an upload can be, by the client's model type and whether it is a zipped folder.
SOURCES = {
    (pb.MODEL_TYPE_ONNX, False): "onnx",
    (pb.MODEL_TYPE_ONNX, True): "onnx_folder",
    (pb.MODEL_TYPE_TORCHSCRIPT, False): "torchscript",
    (pb.MODEL_TYPE_TORCH_EXPORTED_PROGRAM, False): "exported_program",
}
# What a quantize job can ask for; weights are INT8 in each.
ACTIVATIONS = {pb.QUANTIZE_DTYPE_INT8: "w8a8", pb.QUANTIZE_DTYPE_INT16: "w8a16"}
# `options.RUNTIMES` -> the type of the target model
TARGETS = {
    "tflite": pb.MODEL_TYPE_TFLITE,
    "onnx": pb.MODEL_TYPE_ONNX,
    "qnn_dlc": pb.MODEL_TYPE_QNN_DLC,
    "qnn_context_binary": pb.MODEL_TYPE_QNN_CONTEXT_BINARY,
    "precompiled_qnn_onnx": pb.MODEL_TYPE_ONNX,
}


def order_for(job: Row, store: Store, settings: Settings) -> tuple[dict[str, Any] | None, str]:
    """The child's order, or None and why the job cannot be done (any more)."""
    model = store.get("models", job["model"])
    if model is None or not model["complete"]:
        maker = model["producer"] if model else None
        return None, f"Model {job['model']} was never made, because job {maker} failed."
    request = pb.Job.FromString(job["request"])
    order: dict[str, Any] = {
        "kind": job["kind"],
        "name": job["name"],
        "device": job["device"],
        "model": str(store.blob(model["id"]).resolve()),
        "npu": _npu(store, settings),
        "source": "onnx" if model["producer"] else SOURCES[(model["type"], bool(model["is_directory"]))],
        "memory_bytes": settings.job_memory_bytes,
    }
    if job["kind"] == "compile":
        types = request.compile_job.tensor_type_list.types
        specs = [[one.name, list(one.tensor_type.shape), DTYPE_NAMES[one.tensor_type.dtype]] for one in types]
        devices = [device.name for device in request.compile_job.devices.devices] or [request.compile_job.device.name]
        order |= {"options": request.compile_job.options, "inputs": specs, "unpacked_bytes": settings.model_bytes}
        return order | {"devices": devices}, ""
    dataset, problem = _dataset(job, store)
    if problem:
        return None, problem
    order["dataset"] = dataset
    if job["kind"] == "quantize":
        order |= {"options": request.quantize_job.options, "unpacked_bytes": settings.model_bytes}
        return order | {"precision": ACTIVATIONS[request.quantize_job.activations_dtype]}, ""
    order |= {"npu_model": _npu_model(model, store), "runtime": _runtime(model, store)}
    order |= {"options": request.inference_job.options, "profiling": request.inference_job.is_profiling_on}
    order |= {"profile_seconds": settings.profile_seconds, "job_seconds": settings.job_seconds}
    return order, ""


def _dataset(job: Row, store: Store) -> tuple[str | None, str]:
    """Its path, None where the job has none; and what is wrong with it."""
    if not job["dataset"]:
        return None, ""
    dataset = store.get("datasets", job["dataset"])
    if dataset is None or is_expired(dataset):
        return None, f"Dataset {job['dataset']} has expired."
    return str(store.blob(dataset["id"]).resolve()), ""


def _npu(store: Store, settings: Settings) -> dict[str, Any] | None:
    """What the NPU's compiler may use; None where it is switched off."""
    if not settings.npu:
        return None
    cache = str((store.root / "npu").resolve())
    return {"cache": cache, "seconds": settings.npu_seconds, "memory_mb": settings.npu_memory_mb}


def _npu_model(model: Row, store: Store) -> str | None:
    """What the NPU's compiler was given, or gets: of an ONNX file that is run as it was uploaded, that file."""
    path = store.npu_model(model["id"]) if model["producer"] else store.blob(model["id"])
    return str(path.resolve()) if path.is_file() else None


def _runtime(model: Row, store: Store) -> str:
    """What the model was compiled to."""
    maker = store.get("jobs", model["producer"]) if model["producer"] else None
    if maker is None or maker["kind"] != "compile":
        return "onnx"
    return runtime_of(pb.Job.FromString(maker["request"]).compile_job.options)


def is_expired(dataset: Row) -> bool:
    return dataset["expires"] is not None and dataset["expires"] <= time.time()
