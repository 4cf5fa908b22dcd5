"""A lease: an open request that says "somebody needs this server". It ends with its connection, however that ends."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .state import ServerState, state_of
from .wire import refuse


async def hold_lease(request: Request) -> Response:
    """Granted unless the server is about to go; then 503, and the asker starts a new one."""
    hub = state_of(request)
    if hub.closing.is_set():
        raise refuse(503, "The stand-in is closing.")
    return _Lease(hub)


class _Lease(Response):
    """One line at once, and then nothing until either side leaves."""

    def __init__(self, hub: ServerState) -> None:
        super().__init__()
        self._hub = hub
        hub.leases += 1  # from here on, in the same turn of the event loop as the check above

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"granted\n", "more_body": True})
            leaving = asyncio.ensure_future(_disconnected(receive))
            closing = asyncio.ensure_future(self._hub.closing.wait())
            await asyncio.wait({leaving, closing}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            closing.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._hub.leases -= 1


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
