"""What every request passes first: is it for this machine, for this instance, from someone who has the token?"""

from __future__ import annotations

import errno
import hmac
import sqlite3
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .state import ServerState

HOSTS = ("127.0.0.1", "localhost")
NEED_TOKEN = ("api/", "private/")


class Guard:
    """ASGI middleware in front of the routes; it also counts who is here."""

    def __init__(self, app: ASGIApp, hub: ServerState) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        hub = self._hub
        leasing = scope["path"].endswith("/private/lease/")  # counted as a lease, not as a request
        hub.in_flight += not leasing
        hub.ever_asked = True
        try:
            await self._app(scope, receive, send)
        finally:
            hub.in_flight -= not leasing
            hub.last_request = time.monotonic()

    def _refusal(self, request: Request) -> Response | None:
        # A page of the internet whose name was made to mean 127.0.0.1 says that name here.
        host = request.headers.get("host", "").rsplit(":", 1)[0]
        if host not in HOSTS:
            return JSONResponse({"detail": "This stand-in answers on 127.0.0.1 only."}, 403)
        instance, _, below = request.scope["path"].removeprefix("/").partition("/")
        known = hmac.compare_digest(instance.encode("utf-8", "surrogateescape"), self._hub.identity.instance.encode())
        if not known:
            return JSONResponse({"detail": "There is nothing here."}, 404)
        if below.startswith(NEED_TOKEN):
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "token" or not self._hub.identity.token_is(token):
                return JSONResponse({"detail": "The token is missing or is not this stand-in's."}, 401)
        return None


def disconnected(_request: Request, _error: Exception) -> Response:
    """Nobody reads it."""
    return JSONResponse({"detail": "The request ended early."}, 400)


def broke(_request: Request, error: Exception) -> Response:
    """A full disk is said to be one; anything else is our mistake, and its traceback goes to the server's log."""
    full = isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in ("ENOSPC", "EDQUOT")
    if full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return JSONResponse({"detail": "The stand-in's disk is full."}, 507)
    return JSONResponse({"detail": "The stand-in made a mistake; its log says which."}, 500)


HANDLERS = {ClientDisconnect: disconnected, Exception: broke}
