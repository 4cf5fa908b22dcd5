"""What can be looked up and fetched: models, datasets, logs; and the signed URLs that lead to their bytes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from .npu import REPORT
from .orders import SOURCES, is_expired
from .settings import SUFFIX, plain
from .state import ServerState, base_url, found, state_of
from .store import Row, read_json
from .wire import answer, number, refuse, tensor_types, timestamp

PAGE = 50
EXTENSIONS = {"onnx": ".onnx", "onnx_folder": ".onnx.zip", "torchscript": ".pt", "exported_program": ".pt2"}
LOG, TRACE = pb.JOB_ARTIFACT_TYPE_HUB_LOG, pb.JOB_ARTIFACT_TYPE_PROFILE_TRACE
# Our name -> type, file in the job's folder, how the client's file ends. The NPU's compiler has a log of its own.
ARTEFACTS = {
    "log": (LOG, "log.txt", ".log"),
    "npu": (LOG, REPORT, "_npu.json"),
    "trace": (TRACE, "trace.json", "_cpu_trace.json"),
}


def model_message(model: Row) -> pb.Model:
    message = pb.Model(
        model_id=model["id"],
        name=model["name"],
        creation_time=timestamp(model["created"]),
        model_type=model["type"],
        file_upload_complete=bool(model["complete"]),
        is_directory=bool(model["is_directory"]),
    )
    if model["producer"]:
        message.producer_id = model["producer"]
    if model["input_spec"]:
        message.input_spec.CopyFrom(tensor_types(read_json(model["input_spec"])))
        message.output_spec.CopyFrom(tensor_types(read_json(model["output_spec"])))
    return message


def dataset_message(dataset: Row) -> pb.Dataset:
    message = pb.Dataset(
        dataset_id=dataset["id"],
        name=dataset["name"],
        creation_time=timestamp(dataset["created"]),
        file_upload_complete=bool(dataset["complete"]),
        permanent=bool(dataset["permanent"]),
    )
    if dataset["expires"] is not None:
        message.expiration_time.CopyFrom(timestamp(dataset["expires"]))
    return message


async def get_model(request: Request) -> Response:
    return answer(model_message(found(request, "models")))


async def list_models(request: Request) -> Response:
    producer = request.query_params.get("producer")
    where, values = ("AND producer = ?", [producer]) if producer else ("", [])
    rows, total = page_of(request, "models", f"complete = 1 {where}", values)
    return answer(pb.ModelList(models=map(model_message, rows), total_query_count=total))


async def get_dataset(request: Request) -> Response:
    return answer(dataset_message(found(request, "datasets")))


async def list_datasets(request: Request) -> Response:
    rows, total = page_of(request, "datasets", "complete = 1", [])
    return answer(pb.DatasetList(datasets=map(dataset_message, rows), total_query_count=total))


async def download_model(request: Request) -> Response:
    model = found(request, "models")
    if not model["complete"]:
        raise refuse(404, f"Model {model['id']} has no file (yet).")
    if model["producer"]:
        ending = ".onnx.zip" if model["type"] == pb.MODEL_TYPE_ONNX else ".onnx"
        filename = f"{plain(model['name'], model['id'])}{SUFFIX}{ending}"
    else:
        source = SOURCES.get((model["type"], bool(model["is_directory"])))
        filename = f"{plain(model['name'], model['id'])}{EXTENSIONS.get(source or '', '.bin')}"
    return answer(pb.FileDownloadResponse(url=_file_url(request, "models", model["id"], filename)))


async def download_dataset(request: Request) -> Response:
    dataset = found(request, "datasets")
    if is_expired(dataset) or not dataset["complete"]:
        problem = "has expired" if is_expired(dataset) else "was never uploaded"
        raise refuse(404, f"Dataset {dataset['id']} {problem}.")
    url = _file_url(request, "datasets", dataset["id"], f"{plain(dataset['name'], dataset['id'])}.h5")
    # Asked without this, the client wants the bare URL (Dataset.download of data that it holds in memory).
    bare = "supports_s3_credentials" not in request.query_params
    return answer(url if bare else pb.FileDownloadResponse(url=url))


async def list_artefacts(request: Request) -> Response:
    job = found(request, "jobs")
    named = pb.NamedArtifactDownloadURLList()
    for name in _artefacts(state_of(request), job):
        kind, _, ending = ARTEFACTS[name]
        if request.path_params["kind"] == str(kind):
            url = _file_url(request, "jobs", f"{job['id']}.{name}", f"{job['id']}{ending}")
            named.artifacts.add(url=url.url, filename=url.filename)
    return answer(named)


def artefacts_of(hub: ServerState, job: Row) -> list[int]:
    """The types that can be fetched; none before the job has ended."""
    return sorted({ARTEFACTS[name][0] for name in _artefacts(hub, job)})


def _artefacts(hub: ServerState, job: Row) -> list[str]:
    if job["finished"] is None:
        return []
    return [name for name, (_, file, _) in ARTEFACTS.items() if (hub.store.jobs / job["id"] / file).is_file()]


async def send_file(request: Request) -> Response:
    """GET of a signed URL; it needs no token, so it is unguessable and ends."""
    hub = state_of(request)
    table, identifier, until, signature = (request.path_params[name] for name in ("table", "id", "until", "signature"))
    if not hub.identity.signed(signature, "get", table, identifier, until):
        raise refuse(403, "This download URL was not made here.")
    if int(until) < time.time():
        raise refuse(403, "This download URL is too old; ask for a new one.")
    path = _path_of(hub, table, identifier)
    if not path.is_file():
        raise refuse(404, "The file is not here any more.")
    return FileResponse(path, media_type="application/octet-stream")


def page_of(request: Request, table: str, where: str, values: Sequence[object]) -> tuple[list[Row], int]:
    """The rows of one page, newest first, and how many there are in all."""
    limit = number(request, "limit", PAGE, most=1000)
    offset = number(request, "offset", 0)
    store = state_of(request).store
    total = store.rows(f"SELECT COUNT(*) AS count FROM {table} WHERE {where}", *values)[0]["count"]
    query = f"SELECT * FROM {table} WHERE {where} ORDER BY created DESC, rowid DESC LIMIT ? OFFSET ?"
    return store.rows(query, *values, limit, offset), total


def _path_of(hub: ServerState, table: str, identifier: str) -> Path:
    """Of an id that this server has signed."""
    if table == "jobs":
        job, name = identifier.split(".")
        return hub.store.jobs / job / ARTEFACTS[name][1]
    packed = hub.store.packed(identifier)
    return packed if packed.is_file() else hub.store.blob(identifier)


def _file_url(request: Request, table: str, identifier: str, filename: str) -> pb.FileDownloadURL:
    hub = state_of(request)
    until = int(time.time() + hub.settings.url_seconds)
    signature = hub.identity.sign("get", table, identifier, until)
    url = f"{base_url(request)}blob/get/{table}/{identifier}/{until}/{signature}"
    return pb.FileDownloadURL(url=url, filename=filename)
