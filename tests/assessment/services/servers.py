"""Local servers that speak DeepL's and OpenAI's protocols over real sockets, well or badly.

Usage: `with deepl_server() as server: ... server.url ... server.requests`. What each request gets is a
script: a list of replies used one after the other, the last one for all that follow.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: Any
    size_bytes: int
    at_s: float

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass(frozen=True)
class Reply:
    """`body`: a dict for JSON, bytes as they are, or a function of the request. `delay_s` is waited first;
    with `drip_s` the body comes a byte at a time; `hang_up` closes without an answer."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    hang_up: bool = False


@dataclass
class Server:
    url: str
    script: list[Reply]
    stopping: Event = field(default_factory=Event)
    requests: list[Request] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def take(self, request: Request) -> Reply:
        with self.lock:
            self.requests.append(request)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_HttpServer"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, json.loads(raw or b"null"), len(raw), time.monotonic())
        reply = self.server.state.take(request)
        self.server.state.stopping.wait(reply.delay_s)
        if reply.hang_up:
            self.close_connection = True
            return
        body = reply.body(request) if callable(reply.body) else reply.body
        self._send(reply, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _send(self, reply: Reply, body: bytes) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        pieces = [body[i : i + 1] for i in range(len(body))] if reply.drip_s else [body]
        for piece in pieces:
            if self.server.state.stopping.wait(reply.drip_s):
                return
            self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:
        """The test's output is the log."""


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    state: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away at its deadline is what some tests are about."""


@contextmanager
def serve(script: Sequence[Reply]) -> Iterator[Server]:
    http = _HttpServer(("127.0.0.1", 0), _Handler)
    http.state = Server(f"http://127.0.0.1:{http.server_port}", list(script))
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield http.state
    finally:
        http.state.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()


# -- DeepL ------------------------------------------------------------------------------------


def translated(request: Request) -> dict[str, Any]:
    """What DeepL sends: each text with its target language before it, and the characters billed."""
    target = request.body["target_lang"]
    source = request.body["source_lang"]
    return {
        "translations": [
            {"detected_source_language": source, "text": f"[{target}] {text}", "billed_characters": len(text)}
            for text in request.body["text"]
        ]
    }


TRANSLATED = Reply(translated)


def deepl_error(status: int, message: str = "", **options: Any) -> Reply:
    return Reply({"message": message} if message else b"", status=status, **options)


@contextmanager
def deepl_server(*script: Reply) -> Iterator[Server]:
    """Translates, unless a script says otherwise."""
    with serve(script or (TRANSLATED,)) as server:
        yield server


# -- OpenAI-compatible chat completions -------------------------------------------------------

Pieces = Sequence[tuple[str, float, Sequence[tuple[str, float]]]]  # token, log-probability, alternatives


def chat(content: str | None, pieces: Pieces | None = None, **options: Any) -> Reply:
    """A chat completion; with `pieces` also its log-probabilities."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": content},
        "logprobs": None,
    }
    if pieces is not None:
        choice["logprobs"] = {"content": [_token(*piece) for piece in pieces]}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "served-model",
        "system_fingerprint": "fp",
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }
    return Reply(body, **options)


def _token(text: str, logprob: float, alternatives: Sequence[tuple[str, float]]) -> dict[str, Any]:
    others = [
        {"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in alternatives
    ]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": others}


def scores(
    quality: Any = 72, coherence: Any = 68, relevance: Any = 78, analysis: str = "Clear and specific."
) -> str:
    return json.dumps(
        {"quality": quality, "coherence": coherence, "relevance": relevance, "analysis": analysis}
    )


def llm_error(status: int, message: str = "no", **options: Any) -> Reply:
    return Reply({"error": {"message": message, "type": "error", "code": status}}, status=status, **options)


@contextmanager
def llm_server(*script: Reply) -> Iterator[Server]:
    """Grades everything 72, 68, 78, unless a script says otherwise."""
    with serve(script or (chat(scores()),)) as server:
        yield server
