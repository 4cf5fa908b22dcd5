"""Protobuf in and out, and errors as the client reads them."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from qai_hub import public_api_pb2 as pb
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

PROTOBUF = "application/x-protobuf"  # the client compares the whole header, so no charset may follow
LARGEST = 2**53  # of a number in a query: everything beyond is a mistake
DRAIN_BYTES = 64 * 2**20  # read and thrown away before a refusal, since a client that still sends hears nothing

Body = TypeVar("Body", bound=Message)

# dtype names as the client writes them
DTYPES = {
    "float32": pb.TENSOR_DTYPE_FLOAT32, "float16": pb.TENSOR_DTYPE_FLOAT16, "bool": pb.TENSOR_DTYPE_BOOL,
    "int8": pb.TENSOR_DTYPE_INT8, "int16": pb.TENSOR_DTYPE_INT16, "int32": pb.TENSOR_DTYPE_INT32,
    "int64": pb.TENSOR_DTYPE_INT64, "uint8": pb.TENSOR_DTYPE_UINT8, "uint16": pb.TENSOR_DTYPE_UINT16,
}  # fmt: skip
DTYPE_NAMES = {number: name for name, number in DTYPES.items()}


def refuse(status: int, sentence: str) -> HTTPException:
    """To be raised: the client shows the sentence for 400, 403, 404, 409, 413 and 429."""
    return HTTPException(status, sentence)


def as_json(_request: Request, error: Exception) -> Response:
    """{"detail": sentence}, which the client unwraps. Never a 5xx for what a client sent."""
    if isinstance(error, HTTPException):
        return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
    raise error


def answer(message: Message) -> Response:
    return Response(message.SerializeToString(), media_type=PROTOBUF)


async def read_body(request: Request, most_bytes: int, what: str) -> bytes:
    """The whole body. Raises 413 where it is larger than `most_bytes`, 400 where it ends early."""
    sentence = f"The {what} is larger than this stand-in takes ({most_bytes} bytes)."
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max(most_bytes, DRAIN_BYTES):
        raise refuse(413, sentence)
    body = bytearray()
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received <= most_bytes:
                body += chunk
            elif received > DRAIN_BYTES:
                break
    except ClientDisconnect:
        raise refuse(400, f"The {what} ended early.") from None
    if received > most_bytes:
        raise refuse(413, sentence)
    return bytes(body)


async def read_message(request: Request, kind: type[Body], most_bytes: int) -> Body:
    """Raises 400 where the body is not such a message."""
    body = await read_body(request, most_bytes, "request")
    try:
        return kind.FromString(body)
    except (DecodeError, UnicodeDecodeError):
        raise refuse(400, f"The request's body is not a protobuf message of kind {kind.DESCRIPTOR.name}.") from None


def number(request: Request, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    """A whole number of the query. Raises 400."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise refuse(400, f"'{name}' must be a whole number from {least} to {most}.")
    return int(text)


def timestamp(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(seconds))


def updated(identifier: str, created: float | None = None, expires: float | None = None) -> Response:
    """What every POST and PATCH answers. `status` stays empty: otherwise the client skips the upload silently."""
    message = pb.CreateUpdateResponse(id=identifier)
    if created is not None:
        message.creation_time.CopyFrom(timestamp(created))
    if expires is not None:
        message.expiration_time.CopyFrom(timestamp(expires))
    return answer(message)


def tensor_types(specs: list[Any] | None) -> pb.NamedTensorTypeList:
    """[[name, shape, dtype], ...] -> the client's list."""
    return pb.NamedTensorTypeList(
        types=[
            pb.NamedTensorType(name=name, tensor_type=pb.TensorType(shape=shape, dtype=DTYPES[dtype]))
            for name, shape, dtype in specs or []
        ]
    )
