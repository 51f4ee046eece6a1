"""Live rooms under load: a real `serve`, real JPEG frames and speech, one candidate and one interviewer a room.

Run: python -m tests.bench.live [--rooms 40] [--seconds 60]             the budget of DESIGN §7
     python -m tests.bench.live --rooms 20 --seconds 1800 --soak        memory over half an hour
Prints JSON: latency from a frame's first byte sent to its result received (client's clock, both ends are this process),
drops, CPU and memory of each process of the site. The generator runs on the same machine and is counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from interviewsite.serving.valkey import free_port
from rooms.inference.client import InferenceClient
from rooms.inference.wire import InferenceError
from tests.bench.material import talking_head

ROOT = Path(__file__).resolve().parents[2]
FRAME_SIZE, CHUNK_S, SAMPLE_RATE = (480, 360), 0.25, 16_000
MATERIAL_S = 60.0
WARM_UP_S = 8.0
BUDGET_MS = 300.0
SAMPLE_EVERY_S = 5.0
READY_WITHIN_S = 120.0

MAKE_ROOMS = """
import json, sys
from django.contrib.auth.models import User
from assessment.models import ApiToken
from rooms import lifecycle
from rooms.models import Consent
owner = User.objects.create_user("bench")
token = ApiToken.issue(owner)[1]
made = []
for number in range({count}):
    wanted = lifecycle.NewRoom(title=f"Room {{number}}", candidate_name="Bench", country="ID", language="en")
    room = lifecycle.create_room(wanted, owner)
    place, key = lifecycle.enter(room, {{scope: True for scope in Consent.Scope}}, "en", None)
    lifecycle.knock(place)
    lifecycle.admit(room, place.peer)
    made.append((room.code, key))
print(json.dumps({{"token": token, "rooms": made}}))
"""


@dataclass
class Material:
    """JPEG frames, one a second, and s16le sound in pieces of `CHUNK_S`."""

    frames: list[bytes]
    sound: list[bytes]
    what: str


def material(folder: Path) -> Material:
    path, what = talking_head(folder / "head.mp4", MATERIAL_S)
    with av.open(str(path)) as container:
        pictures = [frame for number, frame in enumerate(container.decode(video=0)) if number % 30 == 0]
        frames = [_jpeg(frame.to_ndarray(format="bgr24")) for frame in pictures]
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        parts = [
            part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)
        ]
    samples = np.concatenate(parts)
    step = int(CHUNK_S * SAMPLE_RATE)
    sound = [samples[at : at + step].tobytes() for at in range(0, len(samples) - step, step)]
    return Material(frames, sound, what)


def _jpeg(bgr: Any) -> bytes:
    done, coded = cv2.imencode(".jpg", cv2.resize(bgr, FRAME_SIZE), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    return coded.tobytes()


@dataclass
class Room:
    """What one room sent and got."""

    code: str
    key: str
    sent: int = 0
    unanswered: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    closed: str = ""


@dataclass
class Load:
    base: str
    token: str
    material: Material
    measuring: bool = False

    async def candidate(self, room: Room, start_s: float, until_s: float) -> None:
        """One frame a second and continuous sound, at a moment of the room's own."""
        headers = {"Cookie": f"candidate-{room.code}={room.key}"}
        async with connect(
            f"{self.base}/ws/rooms/{room.code}/analysis/", additional_headers=headers
        ) as socket:
            opened = time.monotonic()
            reader = asyncio.create_task(_drain(socket))
            tick = 0
            await asyncio.sleep(max(0.0, start_s - time.monotonic()))
            began = time.monotonic()
            while (now := time.monotonic()) < until_s:
                await socket.send(
                    self._message(2, opened, self.material.sound[tick % len(self.material.sound)])
                )
                if tick % round(1 / CHUNK_S) == 0:
                    frame = self.material.frames[(tick // 4) % len(self.material.frames)]
                    room.sent += 1
                    room.unanswered.append(time.monotonic())
                    await socket.send(self._message(1, opened, frame))
                tick += 1
                await asyncio.sleep(max(0.0, began + tick * CHUNK_S - now))
            reader.cancel()

    def _message(self, kind: int, opened: float, payload: bytes) -> bytes:
        milliseconds = int(1000 * (time.monotonic() - opened))
        return bytes([kind]) + milliseconds.to_bytes(8, "big") + payload

    async def interviewer(self, room: Room) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with connect(f"{self.base}/ws/rooms/{room.code}/", additional_headers=headers) as socket:
                async for text in socket:
                    self._take(room, json.loads(text))
        except ConnectionClosed as error:
            room.closed = str(error)

    def _take(self, room: Room, message: dict[str, Any]) -> None:
        room.kinds[message["type"]] += 1
        if message["type"] != "stress_analysis" or not message.get("face", {}).get("detected"):
            return
        room.dropped = message.get("dropped", 0)
        if not room.unanswered:
            return
        now = time.monotonic()
        latest = room.unanswered[-1]
        room.unanswered.clear()
        if self.measuring:
            room.latencies_ms.append(1000 * (now - latest))
            room.told_ms.append(message.get("latency_ms") or 0.0)


async def _drain(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass


# -- The site ---------------------------------------------------------------------------------


@dataclass
class Watcher:
    """CPU and resident memory of the site's processes, by what they are."""

    pid: int
    samples: list[dict[str, Any]] = field(default_factory=list)

    def processes(self) -> dict[str, psutil.Process]:
        found: dict[str, psutil.Process] = {}
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):
                command = " ".join(process.cmdline())
                for name, part in (
                    ("web", "serving.web"),
                    ("inference", "manage.py infer"),
                    ("queue", "valkey"),
                ):
                    if part in command:
                        found[name] = process
        return found

    def sample(self, began: float) -> None:
        row: dict[str, Any] = {"t_s": round(time.monotonic() - began, 1)}
        for name, process in self.processes().items():
            with suppress(psutil.Error):
                times = process.cpu_times()
                row[name] = {
                    "rss_mb": round(process.memory_info().rss / 2**20, 1),
                    "cpu_s": round(times.user + times.system, 2),
                }
        self.samples.append(row)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "interviewsite.settings",
        "VAR_DIR": str(folder),
        "MODELS_DIR": os.environ.get("MODELS_DIR", str(ROOT / "var" / "models")),
        "SECRET_KEY": secrets.token_hex(20),
        "LOG_LEVEL": "WARNING",
    }


def _manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _wait_for_inference(folder: Path, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if "Wawancara on" in log.read_text() and (folder / "run" / "inference.sock").exists():
            return
        time.sleep(0.2)
    raise RuntimeError(f"the site did not start: {log.read_text()[-2000:]}")


async def until_ready(client: InferenceClient, frame: bytes) -> None:
    """Raises RuntimeError."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        try:
            await client.look("ready", 0.0, frame, emotion=True)
            return
        except InferenceError:
            await asyncio.sleep(0.5)
    raise RuntimeError("the inference process did not come up")


async def _until_models_are_there(folder: Path, frame: bytes) -> None:
    client = InferenceClient(folder / "run" / "inference.sock")
    await until_ready(client, frame)
    await client.close()


async def _run(load: Load, rooms: Sequence[Room], seconds: float, watcher: Watcher) -> float:
    listening = [asyncio.create_task(load.interviewer(room)) for room in rooms]
    await asyncio.sleep(2)
    began = time.monotonic()
    until_s = began + WARM_UP_S + seconds
    sending = [
        asyncio.create_task(load.candidate(room, began + number / len(rooms), until_s))
        for number, room in enumerate(rooms)
    ]
    await asyncio.sleep(WARM_UP_S)
    load.measuring = True
    own = psutil.Process().cpu_times()
    watcher.sample(began)
    while time.monotonic() < until_s - 0.5:
        await asyncio.sleep(min(SAMPLE_EVERY_S, max(0.1, until_s - 0.5 - time.monotonic())))
        watcher.sample(began)
    results = await asyncio.gather(*sending, return_exceptions=True)
    for room, result in zip(rooms, results, strict=True):
        if isinstance(result, BaseException):
            room.closed = room.closed or f"{type(result).__name__}: {result}"
    load.measuring = False
    for task in listening:
        task.cancel()
    now = psutil.Process().cpu_times()
    return now.user + now.system - own.user - own.system


def _percentiles(values: list[float]) -> dict[str, float]:
    cut = np.percentile(values, [50, 95, 99]) if values else [float("nan")] * 3
    return {
        name: round(float(value), 1) for name, value in zip(("p50_ms", "p95_ms", "p99_ms"), cut, strict=True)
    }


def _processes(samples: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    report = {}
    for name in ("web", "inference", "queue"):
        rows = [(row["t_s"], row[name]) for row in samples if name in row]
        if len(rows) < 2:
            continue
        (first_s, first), (last_s, last) = rows[0], rows[-1]
        later = [row for t_s, row in rows if t_s >= first_s + (last_s - first_s) / 4]
        report[name] = {
            "cpu_cores": round((last["cpu_s"] - first["cpu_s"]) / (last_s - first_s), 2),
            "rss_mb_first": first["rss_mb"],
            "rss_mb_last": last["rss_mb"],
            "rss_mb_highest": max(row["rss_mb"] for _, row in rows),
            "rss_mb_after_a_quarter": later[0]["rss_mb"],
        }
    return report


def measure(count: int, seconds: float, *, soak: bool = False) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        environment = _environment(folder / "var")
        (folder / "var").mkdir()
        _manage(environment, "migrate", "--verbosity", "0")
        made = json.loads(
            _manage(
                environment, "shell", "--no-imports", "--command", MAKE_ROOMS.format(count=count)
            ).splitlines()[-1]
        )
        stuff = material(folder)
        log = folder / "serve.log"
        with log.open("w") as output:
            command = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", "0"]
            site = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _wait_for_inference(folder / "var", log)
                asyncio.run(_until_models_are_there(folder / "var", stuff.frames[0]))
                rooms = [Room(code, key) for code, key in made["rooms"]]
                load = Load(f"ws://127.0.0.1:{port}", made["token"], stuff)
                watcher = Watcher(site.pid)
                own_cpu_s = asyncio.run(_run(load, rooms, seconds, watcher))
            finally:
                site.terminate()
                site.wait(timeout=20)
        return _report(count, seconds, rooms, watcher, own_cpu_s, stuff, log.read_text(), soak)


def _report(
    count: int,
    seconds: float,
    rooms: list[Room],
    watcher: Watcher,
    own_cpu_s: float,
    stuff: Material,
    log: str,
    soak: bool,
) -> dict[str, Any]:
    latencies = [value for room in rooms for value in room.latencies_ms]
    expected = count * seconds
    report = {
        "rooms": count,
        "seconds": seconds,
        "material": stuff.what,
        "frame_bytes": round(statistics.fmean(map(len, stuff.frames))),
        "results": len(latencies),
        "results_of_frames": round(len(latencies) / expected, 3),
        **_percentiles(latencies),
        "told_on_the_panel": _percentiles([value for room in rooms for value in room.told_ms]),
        "budget_ms": BUDGET_MS,
        "dropped": sum(room.dropped for room in rooms),
        "messages": dict(sum((room.kinds for room in rooms), Counter())),
        "closed": Counter(room.closed for room in rooms if room.closed),
        "generator_cores": round(own_cpu_s / seconds, 2),
        "processes": _processes(watcher.samples, seconds),
        "machine": platform.processor() or platform.machine(),
        "warnings": log.count("WARNING") + log.count("ERROR"),
    }
    if soak:
        report["memory"] = watcher.samples[:: max(1, len(watcher.samples) // 30)]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, nargs="+", default=[40])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--soak", action="store_true", help="report memory over time too")
    options = parser.parse_args()
    runs = [measure(count, options.seconds, soak=options.soak) for count in options.rooms]
    sys.stdout.write(json.dumps({"live": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
