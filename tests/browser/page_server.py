"""A small site of the tests' own: the project's real scripts and styles under the real content policy, and real
sockets and addresses that follow a test's orders."""

from __future__ import annotations

import json
import mimetypes
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from interviewsite.security import POLICY

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = {
    "/static/vendor/chart.js/": ROOT / "node_modules" / "chart.js" / "dist",
    "/static/": ROOT / "static",
}
SMALL_BUFFER_BYTES = 16 * 1024
SIGNALS = """
class Signals extends EventTarget {
  sent = [];
  send(message) { this.sent.push(message); }
  on(type, handler) { this.addEventListener(`message:${type}`, (event) => handler(event.detail)); }
  say(message) { this.dispatchEvent(new CustomEvent(`message:${message.type}`, { detail: message })); }
}
"""
"""For scripts of pages: a signalling socket that keeps what is sent and says what it is told to."""


@dataclass(frozen=True)
class Posted:
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class PageServer:
    """`pages`: text by path. `statuses`: what the next POSTs get, with a code of ours or, where that is
    empty, a page; else 200. `socket_says`: greeting of a socket. `away`: no socket stays open."""

    pages: dict[str, str] = field(default_factory=dict)
    posted: list[Posted] = field(default_factory=list)
    statuses: list[int | tuple[int, str]] = field(default_factory=list)
    socket_says: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)
    received: list[bytes | str] = field(default_factory=list)
    reading: threading.Event = field(default_factory=threading.Event)
    away: bool = False
    port: int = 0
    socket_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.socket_port}/"

    def say(self, message: dict[str, Any]) -> None:
        self.sockets[-1].send(json.dumps(message))

    def of_kind(self, kind: int) -> list[tuple[int, bytes]]:
        """Binary messages of a kind so far: (milliseconds, payload)."""
        found = [one for one in list(self.received) if isinstance(one, bytes) and one[0] == kind]
        return [(int.from_bytes(one[1:9], "big"), one[9:]) for one in found]

    def serve_socket(self, connection: ServerConnection) -> None:
        if self.away:
            connection.close(1012)
            return
        self.sockets.append(connection)
        try:
            for message in self.socket_says:
                connection.send(json.dumps(message))
            while True:
                self.reading.wait()
                self.received.append(connection.recv())
        except ConnectionClosed:
            return


def _handler(site: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in site.pages:
                self._answer(200, site.pages[path].encode(), mimetypes.guess_type(path)[0] or "text/html")
                return
            for prefix, folder in FOLDERS.items():
                file = folder / path.removeprefix(prefix)
                if path.startswith(prefix) and file.is_file():
                    self._answer(200, file.read_bytes(), mimetypes.guess_type(path)[0] or "text/plain")
                    return
            self._answer(404, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            planned = site.statuses.pop(0) if site.statuses else 200
            status, code = planned if isinstance(planned, tuple) else (planned, "a_code")
            if status == 200:
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.posted.append(Posted(self.path, body, headers))
            told = {"success": True} if status == 200 else {"success": False, "error": {"code": code}}
            page = b"<!doctype html><title>Refused</title>"
            self._answer(
                status,
                json.dumps(told).encode() if code else page,
                "application/json" if code else "text/html",
            )

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            sockets = f" {site.socket_url.rstrip('/')}"
            self.send_header("Content-Security-Policy", POLICY.format(sockets=sockets))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def _socket_server(site: PageServer) -> Server:
    # A small window: what the test does not read soon waits in the browser.
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    site.socket_port = listening.getsockname()[1]
    # Without pings of its own: what a test lets wait is not a dead line.
    return serve(site.serve_socket, sock=listening, max_queue=1, compression=None, ping_interval=None)


class _Pages(ThreadingHTTPServer):
    request_queue_size = 64  # with the library's five a browser on a busy machine may wait for seconds


@contextmanager
def page_server() -> Iterator[PageServer]:
    site = PageServer()
    site.reading.set()
    sockets = _socket_server(site)
    pages = _Pages(("127.0.0.1", 0), _handler(site))
    site.port = pages.server_address[1]
    for server in (sockets, pages):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield site
    site.reading.set()
    for connection in site.sockets:
        connection.close()
    sockets.shutdown()
    pages.shutdown()
    pages.server_close()


def until(what: Callable[[], Any], within_s: float = 60.0) -> Any:
    """The first truthy value of `what()`; fails the test where there is none in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s")
