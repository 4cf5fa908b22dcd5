"""From a submitted job to what its process is told to do."""

from __future__ import annotations

import time
from typing import Any

from qai_hub import public_api_pb2 as pb

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
        "source": "onnx" if model["producer"] else SOURCES[(model["type"], bool(model["is_directory"]))],
        "memory_bytes": settings.job_memory_bytes,
    }
    if job["kind"] == "compile":
        types = request.compile_job.tensor_type_list.types
        specs = [[one.name, list(one.tensor_type.shape), DTYPE_NAMES[one.tensor_type.dtype]] for one in types]
        order |= {"options": request.compile_job.options, "inputs": specs, "unpacked_bytes": settings.model_bytes}
        return order, ""
    order |= {"options": request.inference_job.options, "profiling": request.inference_job.is_profiling_on}
    order |= {"profile_seconds": settings.profile_seconds, "dataset": None}
    if job["dataset"]:
        dataset = store.get("datasets", job["dataset"])
        if dataset is None or is_expired(dataset):
            return None, f"Dataset {job['dataset']} has expired."
        order["dataset"] = str(store.blob(dataset["id"]).resolve())
    return order, ""


def is_expired(dataset: Row) -> bool:
    return dataset["expires"] is not None and dataset["expires"] <= time.time()
