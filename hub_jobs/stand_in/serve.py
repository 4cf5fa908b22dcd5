"""The server process: one per folder, on 127.0.0.1 alone."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...console import note
from ...errors import InputError
from .identity import claimed, last_seen, write_access
from .needs import demand_stand_in
from .settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from .state import ServerState

LINGER_SECONDS = 1.0  # unused for so long, a server that nobody asked to stay goes
FIRST_USE_SECONDS = 15.0  # and this long it waits to be used at all
LOOK_SECONDS = 0.1
WAIT_FOR_LAST_SECONDS = 10.0  # for a server of the same folder that is just going


def serve(root: Path, port: int | None = None, *, until_unused: bool = False, settings: Settings | None = None) -> None:
    """Serve `root` until Ctrl-C, or until nobody uses it any more.

    port: None takes the last one again where it is free, else any
    Raises InputError where the port is taken, or another server has the folder, MissingStepError where a package is
    missing.
    """
    demand_stand_in()
    from .app import make_app

    with claimed(root, WAIT_FOR_LAST_SECONDS if until_unused else 2.0), listening(root, port) as listener:
        app = make_app(root, settings)
        hub: ServerState = app.state.hub
        ini = write_access(root, hub.identity, listener.getsockname()[1])
        server = make_server(app)
        if not until_unused:
            note(f"The stand-in for AI Hub serves {root}; this machine's CPU computes, no device is involved.")
            note(f"Any script uses it with QAIHUB_CLIENT_INI={ini.resolve()}")
            note(f"Its jobs: {(last_seen(root) or {})['url']}")
            note("Ctrl-C ends it; what it holds is kept.")
        with suppress(KeyboardInterrupt):  # uvicorn has ended in order, and then raises it again
            asyncio.run(run_server(server, hub, listener, until_unused))
        if not until_unused:
            note("The stand-in has ended; unfinished jobs go on at its next start.")


def listening(root: Path, port: int | None) -> socket.socket:
    """A listening socket. Raises InputError where `port` is given and taken."""
    wanted = port if port is not None else (last_seen(root) or {}).get("port", 0)
    for attempt in (wanted, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if sys.platform == "win32":  # SO_REUSEADDR would share the port there, with whoever wants to listen in
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", attempt))
            listener.listen(1024)
            return listener
        except (OSError, OverflowError) as error:
            listener.close()
            if port is not None:
                raise InputError(
                    f"Port {port} of 127.0.0.1 cannot be had ({error}).", "Choose another --port, or none."
                ) from error
    raise InputError("No port of 127.0.0.1 can be had.", "See what holds them all.")


def make_server(app: ASGIApp | Starlette) -> uvicorn.Server:
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, lifespan="on",
        loop="asyncio", http="h11", timeout_graceful_shutdown=5, timeout_keep_alive=5,
    )  # fmt: skip
    return uvicorn.Server(config)


async def run_server(
    server: uvicorn.Server, hub: ServerState, listener: socket.socket, until_unused: bool = False
) -> None:
    watch = asyncio.create_task(_watch(server, hub, until_unused))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.cancel()


async def _watch(server: uvicorn.Server, hub: ServerState, until_unused: bool) -> None:
    """Ends held requests when the server is told to stop, and tells it to where nobody is left."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        patience = LINGER_SECONDS if hub.ever_asked else FIRST_USE_SECONDS
        if until_unused and hub.idle_seconds() > patience:
            server.should_exit = True
        if server.should_exit:
            hub.release_waiting()
            return
