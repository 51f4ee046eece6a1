"""What live rooms cost in the inference process, and how long a frame waits there; without a web server.

``python -m tests.bench.live_inference [--rooms 40] [--seconds 20] [--tree DIR]`` prints JSON: processor time of a frame
alone, of a window of speech alone, and with both as so many rooms send them the latency of frames and windows and the
cores that were used. Processor times can be compared on a machine that does other things as well; latencies cannot.
`--tree` runs the process of another checkout, to compare the two in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from rooms.inference.client import InferenceClient
from rooms.inference.wire import InferenceError
from tests.bench.live import ROOT, SAMPLE_RATE, Material, material, until_ready

WINDOW_S, EVERY_S = 3.0, 2.0
ALONE = 150
"""Frames, and windows, one after the other."""


@contextmanager
def inference(tree: Path, folder: Path) -> Iterator[psutil.Process]:
    """`manage.py infer` of a checkout, listening at ``inference.sock`` in `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment = kept | {
        "DJANGO_SETTINGS_MODULE": "interviewsite.settings",
        "VAR_DIR": str(folder),
        "MODELS_DIR": os.environ.get("MODELS_DIR", str(ROOT / "var" / "models")),
        "INFERENCE_SOCKET": str(folder / "inference.sock"),
        "SECRET_KEY": secrets.token_hex(20),
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "manage.py", "infer", "--dies-with-parent"]
    process = subprocess.Popen(command, cwd=tree, env=environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def windows_of(stuff: Material) -> list[bytes]:
    """3 s of sound every 2 s."""
    sound = b"".join(stuff.sound)
    length, step = (round(seconds * SAMPLE_RATE) * 2 for seconds in (WINDOW_S, EVERY_S))
    return [sound[at : at + length] for at in range(0, len(sound) - length, step)]


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def alone_ms(process: psutil.Process, ask: Callable[[int], Awaitable[object]]) -> float:
    """Processor time of one question, others than itself left out."""
    for number in range(10):
        await ask(number)
    before = cpu_s(process)
    for number in range(ALONE):
        await ask(number)
    return round(1000 * (cpu_s(process) - before) / ALONE, 2)


class Rooms:
    """So many rooms, each at a moment of its own."""

    def __init__(self, client: InferenceClient, stuff: Material) -> None:
        self._client, self._frames, self._windows = client, stuff.frames, windows_of(stuff)
        self.latencies_ms: dict[str, list[float]] = {"frame": [], "window": []}
        self.refused = 0

    async def look(self, room: int, number: int) -> None:
        frame = self._frames[(room + number) % len(self._frames)]
        await self._client.look(f"room-{room}", float(number), frame, emotion=True)

    async def listen(self, room: int, number: int) -> None:
        window = self._windows[(room + number) % len(self._windows)]
        await self._client.listen(f"room-{room}", float(number), window, emotion=True)

    async def run(self, count: int, seconds: float) -> None:
        asking = [
            self._ask_on(kind, ask, room, (room + 0.37) / count * every_s, every_s, seconds)
            for room in range(count)
            for kind, ask, every_s in (("frame", self.look, 1.0), ("window", self.listen, EVERY_S))
        ]
        await asyncio.gather(*asking)

    async def _ask_on(
        self,
        kind: str,
        ask: Callable[[int, int], Awaitable[None]],
        room: int,
        first_s: float,
        every_s: float,
        seconds: float,
    ) -> None:
        """One question at a time, as the analyzer asks; what comes meanwhile is left out."""
        began = time.monotonic()
        due_s, number = first_s, 0
        while due_s < seconds:
            await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
            started = time.monotonic()
            try:
                await ask(room, number)
                self.latencies_ms[kind].append(1000 * (time.monotonic() - started))
            except InferenceError:
                self.refused += 1
            number += 1
            missed = max(0, int((time.monotonic() - began - due_s) // every_s))
            due_s += every_s * (missed + 1)


async def measured(process: psutil.Process, path: Path, stuff: Material, options: Any) -> dict[str, Any]:
    client = InferenceClient(path)
    await until_ready(client, stuff.frames[0])
    rooms = Rooms(client, stuff)
    alone = {
        "frame_cpu_ms": await alone_ms(process, lambda number: rooms.look(0, number)),
        "window_cpu_ms": await alone_ms(process, lambda number: rooms.listen(0, number)),
    }
    began, before = time.monotonic(), cpu_s(process)
    await rooms.run(options.rooms, options.seconds)
    cores = (cpu_s(process) - before) / (time.monotonic() - began)
    await client.close()
    together = {f"{kind}_{name}": value for kind in rooms.latencies_ms for name, value in _cut(rooms, kind)}
    counts = {f"{kind}s": len(values) for kind, values in rooms.latencies_ms.items()}
    memory = {"rss_mb": round(process.memory_info().rss / 2**20)}
    return alone | together | counts | {"refused": rooms.refused, "cores": round(cores, 3)} | memory


def _cut(rooms: Rooms, kind: str) -> list[tuple[str, float]]:
    values = rooms.latencies_ms[kind]
    cut = np.percentile(values, [50, 95, 99]) if values else [float("nan")] * 3
    return list(zip(("p50_ms", "p95_ms", "p99_ms"), (round(float(one), 1) for one in cut), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tree", type=Path, nargs="+", default=[ROOT])
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        stuff = material(Path(name))
        for number, tree in enumerate(options.tree):
            folder = Path(name) / str(number)
            folder.mkdir()
            with inference(tree, folder) as process:
                figures = asyncio.run(measured(process, folder / "inference.sock", stuff, options))
            found.append({"tree": str(tree), "rooms": options.rooms} | figures)
    sys.stdout.write(json.dumps({"live_inference": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
