"""Models and datasets on their way in: announced, sent in parts or as a form, confirmed."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from functools import partial
from pathlib import Path

from anyio import to_thread
from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from .forms import FormError, receive_file
from .settings import MIB
from .state import base_url, found, state_of
from .store import Row
from .wire import answer, number, read_message, refuse, updated

LONGEST_NAME = 512
FILE_FIELD = "file"


async def create_model(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.Model, hub.settings.message_bytes)
    if message.model_type not in pb.ModelType.values() or message.model_type == pb.MODEL_TYPE_UNSPECIFIED:
        raise refuse(400, f"There is no model type {message.model_type}.")
    values = {"name": checked_name(message.name, "model"), "type": message.model_type}
    identifier = hub.store.add("models", {**values, "is_directory": int(message.is_directory)})
    return updated(identifier, time.time())


async def announce_model_file(request: Request) -> Response:
    """The URLs of the parts. Asked again for the same size it gives the same ones: the client repeats GETs."""
    hub = state_of(request)
    model = _awaiting_upload(request)
    size = number(request, "file_size", 0)
    if size == 0:
        raise refuse(400, "'file_size' must say how large the model is, and it must not be empty.")
    _demand_room(size, hub.settings.model_bytes, "model")
    if model["upload"] is None or model["size"] != size:
        model |= {"upload": secrets.token_hex(12), "size": size}
        hub.store.run("DELETE FROM parts WHERE model = ?", model["id"])
        hub.store.change("models", model["id"], upload=model["upload"], size=size)
        hub.store.blob(model["id"]).write_bytes(b"")
    count = -(-size // hub.settings.part_bytes)
    base = base_url(request)
    urls = []
    for part in range(count):
        signature = hub.identity.sign("part", model["id"], model["upload"], part)
        urls.append(f"{base}blob/part/{model['id']}/{model['upload']}/{part}/{signature}")
    multipart = pb.FileMultipartUploadURL(urls=urls, upload_id=model["upload"], max_part_size=hub.settings.part_bytes)
    return answer(pb.FileUploadResponse(multipart_url=multipart))


async def receive_part(request: Request) -> Response:
    """PUT of one part, written where it belongs; known only once it is whole."""
    hub = state_of(request)
    upload, text, signature = (request.path_params[name] for name in ("upload", "part", "signature"))
    if not hub.identity.signed(signature, "part", request.path_params["id"], upload, text):
        raise refuse(403, "This upload URL was not made here.")
    model = _awaiting_upload(request)
    part = int(text)  # it was signed, so it is a number of ours
    if model["upload"] != upload:
        raise refuse(409, "This upload was begun anew; its older URLs are no longer good.")
    start = part * hub.settings.part_bytes
    expected = min(hub.settings.part_bytes, model["size"] - start)
    hub.store.run("DELETE FROM parts WHERE model = ? AND number = ?", model["id"], part)
    digest = hashlib.sha256()
    received = 0
    with hub.store.blob(model["id"]).open("rb+") as stream:
        stream.seek(start)
        async for chunk in request.stream():
            received += len(chunk)
            if received > expected:
                continue  # read to its end, so that the sender hears the refusal
            digest.update(chunk)
            stream.write(chunk)
    if received > expected:
        raise refuse(413, f"Part {part} has {received} bytes; {expected} were announced.")
    if received < expected:
        raise refuse(400, f"Part {part} has only {received} of the {expected} bytes that were announced.")
    etag = f'"{digest.hexdigest()}"'
    hub.store.run("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", model["id"], part, etag)
    return Response(headers={"ETag": etag})


async def complete_model(request: Request) -> Response:
    """All parts are here and are what the client thinks they are. May be repeated."""
    hub = state_of(request)
    message = await read_message(request, pb.FileMultipartUploadComplete, hub.settings.message_bytes)
    model = found(request, "models")
    if model["upload"] is None or message.upload_id != model["upload"]:
        raise refuse(400, f"Model {model['id']} has no such upload.")
    if not model["complete"]:
        parts = hub.store.rows("SELECT * FROM parts WHERE model = ? ORDER BY number", model["id"])
        if [part["etag"] for part in parts] != list(message.etags):
            raise refuse(400, "The ETags are not those of the parts that arrived.")
        if len(parts) != -(-model["size"] // hub.settings.part_bytes):
            raise refuse(400, f"Only {len(parts)} parts have arrived.")
        await to_thread.run_sync(partial(_to_disk, hub.store.blob(model["id"])))
        hub.store.change("models", model["id"], complete=1)
    return updated(model["id"], model["created"])


async def create_dataset(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.Dataset, hub.settings.message_bytes)
    now = time.time()
    expires = None if message.permanent else now + hub.settings.dataset_days * 86400
    values = {"name": checked_name(message.name, "dataset"), "expires": expires}
    identifier = hub.store.add("datasets", {**values, "permanent": int(message.permanent)})
    return updated(identifier, now, expires)


async def announce_dataset_file(request: Request) -> Response:
    hub = state_of(request)
    dataset = found(request, "datasets")
    if dataset["complete"]:
        raise refuse(409, f"Dataset {dataset['id']} has been uploaded already.")
    _demand_room(number(request, "file_size", 0), hub.settings.dataset_bytes, "dataset")
    signature = hub.identity.sign("form", dataset["id"])
    url = f"{base_url(request)}blob/form/{dataset['id']}/{signature}"
    return answer(pb.FileUploadResponse(url=pb.FileUploadURL(url=url, file_field_name=FILE_FIELD)))


async def receive_form(request: Request) -> Response:
    """POST of a form with one file. A repeated one replaces what came before, until the upload is confirmed."""
    hub = state_of(request)
    if not hub.identity.signed(request.path_params["signature"], "form", request.path_params["id"]):
        raise refuse(403, "This upload URL was not made here.")
    dataset = found(request, "datasets")
    if dataset["complete"]:
        raise refuse(409, f"Dataset {dataset['id']} has been uploaded already.")
    place = hub.store.blob(dataset["id"])
    arriving = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
    try:
        with arriving.open("wb") as stream:
            await receive_file(request, FILE_FIELD, hub.settings.dataset_bytes, stream)
        await to_thread.run_sync(partial(_to_disk, arriving))
        arriving.replace(place)
    except FormError as error:
        raise refuse(error.status, str(error)) from None
    finally:
        arriving.unlink(missing_ok=True)
    hub.store.change("datasets", dataset["id"], received=1)
    return Response(status_code=204)


async def complete_dataset(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.Dataset, hub.settings.message_bytes)
    dataset = found(request, "datasets")
    if not message.file_upload_complete:
        raise refuse(400, "Of a dataset only 'file_upload_complete' can be changed.")
    if not dataset["received"]:
        raise refuse(409, f"No file has arrived for dataset {dataset['id']}.")
    hub.store.change("datasets", dataset["id"], complete=1)
    return updated(dataset["id"], dataset["created"], dataset["expires"])


def checked_name(name: str, otherwise: str) -> str:
    if len(name) > LONGEST_NAME:
        raise refuse(400, f"A name may have at most {LONGEST_NAME} characters.")
    return name or otherwise


def _awaiting_upload(request: Request) -> Row:
    model = found(request, "models")
    if model["producer"] is not None:
        raise refuse(409, f"Model {model['id']} is made by job {model['producer']}; nothing can be uploaded to it.")
    if model["complete"]:
        raise refuse(409, f"Model {model['id']} has been uploaded already.")
    return model


def _demand_room(size: int, most: int, what: str) -> None:
    if size > most:
        raise refuse(413, f"This {what} has {size / MIB:.0f} MiB; the stand-in takes {most / MIB:.0f} MiB.")


def _to_disk(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
