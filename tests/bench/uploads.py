"""Uploads against a server in a process of its own: how its memory grows, how long the answer takes.

Run: python -m tests.bench.uploads [--servers uvicorn daphne] [--megabytes 100 500] [--repeat 2]
Prints JSON. The budget (DESIGN §7): an answer within 1 s of the last byte up to 100 MB, 5 s at 500 MB, and less
than 64 MB more memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import psutil

from tests.media_factory import make_video, tone

ROOT = Path(__file__).resolve().parent.parent.parent
MEGABYTE = 1_000_000
PIECE_BYTES = 1 << 20
START_S = 60.0
SAMPLE_EVERY_S = 0.01


def padded_video(video: bytes, size: int) -> bytes:
    """An MP4 of `size` bytes: the video followed by a box of free space."""
    free = size - len(video)
    return video + free.to_bytes(4, "big") + b"free" + bytes(free - 8) if free >= 8 else video


def form(boundary: str, fields: dict[str, str], videos: list[bytes]) -> Iterator[bytes]:
    """The pieces of a multipart body."""
    for name, value in fields.items():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for video in videos:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="videos"; filename="v.mp4"\r\n\r\n'
        yield head.encode()
        for start in range(0, len(video), PIECE_BYTES):
            yield video[start : start + PIECE_BYTES]
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """The site in a process of its own, on a state folder of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.token = ""
        self._kind = kind
        self._log = (folder / "server.log").open("wb")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self._environment = kept | {
            "DJANGO_SETTINGS_MODULE": "interviewsite.settings",
            "VAR_DIR": str(folder),
            "SECRET_KEY": "only-for-tests",
        }

    def _manage(self, *arguments: str, text: str = "") -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, input=text, capture_output=True, text=True, check=True
        )
        return done.stdout

    def __enter__(self) -> Server:
        self._manage("migrate", "--verbosity", "0")
        code = (
            "from django.contrib.auth.models import User; from assessment.models import ApiToken; "
            "print(ApiToken.issue(User.objects.create_user('bench'))[1])"
        )
        self.token = self._manage("shell", "--no-imports", "--command", code).split()[-1]
        where = {
            "uvicorn": ["uvicorn", "--lifespan", "off", "--log-level", "warning", "--host", "127.0.0.1"],
            "daphne": ["daphne", "-b", "127.0.0.1", "-v", "0"],
        }[self._kind]
        port = ["--port", str(self.port), "interviewsite.asgi:application"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *where, *port],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
        )
        until = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > until or self.process.poll() is not None:
                self.__exit__(None, None, None)
                raise RuntimeError(f"the server did not start: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as caller:
            caller.sendall(b"GET /status/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return caller.recv(20).startswith(b"HTTP/1.1 401")
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self._log.close()


class _Memory(threading.Thread):
    """The highest resident memory of a process, looked at while it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self.before = self.highest = self._process.memory_info().rss

    def run(self) -> None:
        while not self._done.wait(SAMPLE_EVERY_S):
            self.highest = max(self.highest, self._process.memory_info().rss)

    def stop(self) -> float:
        self._done.set()
        self.join()
        return (self.highest - self.before) / MEGABYTE


@dataclass(frozen=True)
class Report:
    status: int
    megabytes: float
    send_s: float
    answer_s: float
    growth_mb: float


def upload(server: Server, video: bytes) -> Report:
    """One upload by a bare socket, so that the time of the last byte is known."""
    boundary = "bench-boundary"
    pieces = list(form(boundary, {"candidate_name": "Bench", "questions": "One?"}, [video]))
    head = (
        f"POST /upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
        f"Content-Length: {sum(map(len, pieces))}\r\nConnection: close\r\n\r\n"
    )
    memory = _Memory(server.process.pid)
    memory.start()
    with socket.create_connection(("127.0.0.1", server.port), 120) as caller:
        began = time.perf_counter()
        caller.sendall(head.encode())
        for piece in pieces:
            caller.sendall(piece)
        sent = time.perf_counter()
        answer = caller.recv(65536)
        answered = time.perf_counter()
    return Report(
        status=int(answer.split()[1]),
        megabytes=round(len(video) / MEGABYTE, 1),
        send_s=round(sent - began, 2),
        answer_s=round(answered - sent, 2),
        growth_mb=round(memory.stop(), 1),
    )


def measure(kind: str, megabytes: list[int], repeat: int, folder: Path) -> list[dict[str, object]]:
    """The worst memory growth and every time, for each size; the first upload warms the server up."""
    made = make_video(folder / "v.mp4", seconds=2.0, fps=10, size=(320, 240), face=False, samples=tone(2.0))
    video = made.read_bytes()
    rows: list[dict[str, object]] = []
    (folder / kind).mkdir()
    with Server(folder / kind, kind) as server:
        upload(server, video)
        for size in megabytes:
            padded = padded_video(video, size * MEGABYTE)
            rows += [{"server": kind, **asdict(upload(server, padded))} for _ in range(repeat)]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", default=["uvicorn", "daphne"])
    parser.add_argument("--megabytes", nargs="+", type=int, default=[100, 500])
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-uploads-") as folder:
        rows = [
            row
            for kind in options.servers
            for row in measure(kind, options.megabytes, options.repeat, Path(folder))
        ]
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    sys.stdout.write(json.dumps({"machine": machine, "uploads": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
