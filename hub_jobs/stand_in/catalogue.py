"""Devices, frameworks, the user, and sharing."""

from __future__ import annotations

from importlib.metadata import version

from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from ...errors import InputError
from ..devices import matching, recorded
from .job_views import USER
from .state import NOUNS, found, state_of
from .wire import answer, read_message, refuse, updated

MOST_EMAILS = 100


async def list_devices(request: Request) -> Response:
    """By exact name, system version or interval, and attributes; `select` gives the one to run on."""
    query = request.query_params
    select = query.get("select", "False")
    if select not in ("True", "False"):
        raise refuse(400, "'select' must be True or False.")
    attributes = query.getlist("attributes")
    try:
        devices = matching(recorded(), query.get("name", ""), query.get("os", ""), attributes, select == "True")
    except InputError as error:
        raise refuse(400, str(error)) from None
    return answer(
        pb.DeviceList(
            devices=[
                pb.Device(name=device.name, os=device.os_version, attributes=device.attributes) for device in devices
            ],
            total_query_count=len(devices),
        )
    )


async def list_frameworks(_request: Request) -> Response:
    """Whatever runtime is asked for, this one computes."""
    full = version("onnxruntime")
    framework = pb.Framework(
        name="ONNX Runtime on this machine's CPU (stand-in)",
        api_version=".".join(full.split(".")[:2]),
        api_tags=["default", "latest"],
        full_version=full,
    )
    return answer(pb.FrameworkList(frameworks=[framework], total_query_count=1))


async def get_user(_request: Request) -> Response:
    return answer(USER)


async def get_sharing(request: Request) -> Response:
    table, identifier = _shared(request)
    return answer(pb.SharedAccess(email=state_of(request).store.shared_with(table, identifier)))


async def change_sharing(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.SharedAccessChange, hub.settings.message_bytes)
    table, identifier = _shared(request)
    emails = [*message.add_email, *message.remove_email]
    if not emails or len(emails) > MOST_EMAILS:
        raise refuse(400, f"A change of sharing needs from 1 to {MOST_EMAILS} e-mail addresses.")
    for email in emails:
        before, _, after = email.partition("@")
        if not before or not after or len(email) > 254 or any(c.isspace() or not c.isprintable() for c in email):
            raise refuse(400, f"'{email[:80]}' is no e-mail address.")
    hub.store.share(table, identifier, message.add_email, message.remove_email)
    return updated(identifier)


async def end_sharing(request: Request) -> Response:
    table, identifier = _shared(request)
    state_of(request).store.unshare(table, identifier)
    return updated(identifier)


def _shared(request: Request) -> tuple[str, str]:
    table = request.path_params["table"]
    if table not in NOUNS:
        raise refuse(404, "Only jobs, models and datasets can be shared.")
    return table, found(request, table)["id"]
