"""A small server on this machine that answers as a test says; what several test files share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

Answer = tuple[int, dict[str, str], bytes]  # status, headers, body
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Seen(NamedTuple):
    """A request that came."""

    method: str
    path: str
    body: bytes
    authorization: str


@dataclass
class Listener:
    """A server that notes what reaches it.

    answers: the next for each request, the last one for ever; None is silence until the end of the test
    at: part of a path -> its own answer
    """

    url: str
    answers: list[Answer | None] = field(default_factory=lambda: [(201, {}, b"made")])
    at: dict[str, Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str) -> Answer | None:
        own = next((answer for part, answer in self.at.items() if part in path), None)
        return own or (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Listener]:
    """host: an IPv4 or IPv6 address of this machine. Raises OSError where the machine has no such address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            here.seen.append(Seen(self.command, self.path, body, self.headers.get("Authorization", "")))
            answer = here.answer(self.path)
            if answer is None:
                here.over.wait(20)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        here = Listener(f"http://{f'[{host}]' if ':' in host else host}:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield here
        finally:
            here.over.set()
            server.shutdown()
            thread.join()
