"""A web server of the tests' own, on the loopback address, that misbehaves as told."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6

Answer = Callable[[BaseHTTPRequestHandler], None]


class _IPv6Server(ThreadingHTTPServer):
    address_family = AF_INET6


@contextmanager
def serving(
    answers: dict[str, Answer], host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Gives `host:port` and the list of (Host header, path) that were asked for. `tls`: certificate, key."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.headers["Host"], self.path))
            answers[self.path.partition("?")[0]](self)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = (_IPv6Server if ":" in host else ThreadingHTTPServer)((host, 0), Handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"{shown}:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def giving(
    body: bytes, kind: str = "video/mp4", status: int = 200, length: int | None = -1, **headers: str
) -> Answer:
    """Answers with `body`; `length` None leaves Content-Length out, another number lies."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if kind:
            handler.send_header("Content-Type", kind)
        if length is not None:
            handler.send_header("Content-Length", str(len(body) if length == -1 else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirecting(location: str, status: int = 302) -> Answer:
    return giving(b"", kind="", status=status, Location=location)
