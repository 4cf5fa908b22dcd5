"""A stand-in in a thread of the test's process, with whatever faults a test puts in front of it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from lpcv.hub_jobs.stand_in.app import make_app
from lpcv.hub_jobs.stand_in.identity import claimed, write_access
from lpcv.hub_jobs.stand_in.serve import listening, make_server, run_server
from lpcv.hub_jobs.stand_in.settings import Settings
from lpcv.hub_jobs.stand_in.state import ServerState
from onnx import TensorProto, helper

if TYPE_CHECKING:
    import qai_hub

Faults = Callable[[Any], Any]  # ASGI application -> ASGI application around it
S24 = "Samsung Galaxy S24"


@contextmanager
def offline(home: Path) -> Iterator[None]:
    """No proxy, no ~/.netrc and no ~/.qai_hub of the machine reaches the client."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patched.delenv(name, raising=False)
            patched.delenv(name.upper(), raising=False)
        patched.delenv("NETRC", raising=False)
        patched.delenv("QAIHUB_CLIENT_INI", raising=False)
        patched.setenv("HOME", str(home))
        yield


class Served:
    """`with Served(tmp_path / "hub") as hub:` a stand-in on a free port, until the block ends.

    faults: ASGI middleware, app -> app, which sees every request before the stand-in does
    """

    def __init__(self, root: Path, faults: Faults | None = None, settings: Settings | None = None) -> None:
        self.root = root
        self._faults, self._settings = faults, settings

    def __enter__(self) -> Served:
        self._claim = claimed(self.root)
        self._claim.__enter__()
        self.app = make_app(self.root, self._settings)
        self.hub: ServerState = self.app.state.hub
        listener = listening(self.root, None)
        self.port: int = listener.getsockname()[1]
        self.ini = write_access(self.root, self.hub.identity, self.port)
        self.url = f"http://127.0.0.1:{self.port}/{self.hub.identity.instance}/"
        self._server = make_server(self._faults(self.app) if self._faults else self.app)
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._ready = threading.Event()
        self._thread.start()
        assert self._ready.wait(20), "the stand-in did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Its job goes on when the same root is served again."""
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the stand-in did not stop"
        self._claim.__exit__(None, None, None)

    @property
    def token(self) -> str:
        return self.hub.identity.token

    def config(self, **changes: Any) -> qai_hub.ClientConfig:
        """What `qai_hub.Client(config=...)` takes; quiet."""
        import qai_hub

        given = {"api_token": self.token, "api_url": self.url, "web_url": self.url, "verbose": False, **changes}
        return qai_hub.ClientConfig(**given)

    def client(self) -> Any:
        """The unmodified `qai_hub.Client`. (Any: most of what it gives may be None by its types.)"""
        import qai_hub

        return qai_hub.Client(config=self.config())

    def submissions(self) -> int:
        """How many jobs the server holds."""
        return self.hub.store.count_jobs()

    def _run(self, listener: Any) -> None:
        import asyncio

        async def run() -> None:
            serving = asyncio.create_task(run_server(self._server, self.hub, listener))
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving

        asyncio.run(run())


def call(
    hub: Served, method: str, path: str, body: Any = None, token: str | None = "", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """One plain request, without the client: status and body.

    path: below the instance, or absolute with a leading slash; token: "" for the right one, None for none
    """
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    sent = {"Content-Type": "application/x-protobuf", **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"token {token or hub.token}"
    try:
        connection.request(method, path if path.startswith("/") else f"/{hub.hub.identity.instance}/{path}", body, sent)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def small_model(
    path: Path, shape: tuple[Any, ...] = (1, 3, 4, 6), elem: int = TensorProto.FLOAT, *, opset: int = 17
) -> Path:
    """image -> Relu -> its mean over the channels, output_0; milliseconds to compile and run."""
    nodes = [
        helper.make_node("Relu", ["image"], ["positive"], name="relu"),
        helper.make_node("ReduceMean", ["positive"], ["output_0"], name="mean", axes=[1], keepdims=1),
    ]
    image = helper.make_tensor_value_info("image", elem, shape)
    output = helper.make_tensor_value_info("output_0", elem, (shape[0], 1, *shape[2:]))
    graph = helper.make_graph(nodes, "small", [image], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(model, {"checkpoint_sha256": "abc"})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def frames(count: int, shape: tuple[int, ...] = (1, 3, 4, 6)) -> list[np.ndarray]:
    random = np.random.default_rng(7)
    return [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(count)]
