"""A room without database and inference: the seam of `LiveAnalyzer` at which time, answers and consent are scripted.

Only the logic in between is tested with it. The real database, sockets and inference process have tests of their own
(`tests/rooms/test_analysis_consumer.py`, `test_store.py`, `test_gate.py`, `test_real.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from django.utils import timezone

from rooms.consent import MayAnalyse
from rooms.inference.wire import Heard, InferenceError, Looked, Stress
from rooms.live.analyzer import LiveAnalyzer
from rooms.live.outside import Message, Outside
from rooms.media_messages import Frame, Sound
from rooms.models import Alert, Reading, Room

ALL = MayAnalyse(True, True, True)
JPEG = b"\xff\xd8\xff scripted"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def stress(level: str = "low", value: float = 0.8, *, unsure: bool = False) -> Stress:
    rest = (1 - value) / 2
    probabilities = {name: value if name == level else rest for name in ("low", "medium", "high")}
    return Stress(level, probabilities, value, unsure)


def looked(**changes: Any) -> Looked:
    values: dict[str, Any] = {
        "stress": stress(),
        "sources": ("face",),
        "detected": True,
        "count": 1,
        "quality": "ok",
        "eye_contact": True,
        "yaw_deg": 0.0,
        "pitch_deg": 0.0,
        "emotions": None,
        "latency_ms": 20.0,
    }
    return Looked(**values | changes)


def heard(**changes: Any) -> Heard:
    """Three seconds of speech at four syllables a second."""
    values: dict[str, Any] = {
        "stress": stress(),
        "sources": ("face", "voice"),
        "speaking": True,
        "quality": "ok",
        "speech": ((0.0, 3.0),),
        "syllables_s": tuple(number / 4 + 0.1 for number in range(12)),
        "loudness_db": -25.0,
        "other_voice": None,
        "latency_ms": 30.0,
    }
    return Heard(**values | changes)


class Inference:
    """Answers as told. `hold()` makes the next calls wait until `release()`."""

    def __init__(self) -> None:
        self.look_answer: Callable[[], Looked] = looked
        self.listen_answer: Callable[[], Heard] = heard
        self.calls: list[tuple[str, str, bool]] = []
        self.frames: list[bytes] = []
        self.windows: list[bytes] = []
        self.forgotten: list[str] = []
        self.reset_: list[str] = []
        self._free = asyncio.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def fail(self, code: Any) -> None:
        def answer() -> Any:
            raise InferenceError(code, "Scripted.")

        self.look_answer = self.listen_answer = answer

    def recover(self) -> None:
        self.look_answer, self.listen_answer = looked, heard

    async def look(self, session: str, t_s: float, jpeg: bytes, *, emotion: bool) -> Looked:
        self.calls.append(("look", session, emotion))
        self.frames.append(jpeg)
        answer = self.look_answer
        await self._free.wait()
        return answer()

    async def listen(self, session: str, t_s: float, pcm_s16le: bytes, *, emotion: bool) -> Heard:
        self.calls.append(("listen", session, emotion))
        self.windows.append(pcm_s16le)
        answer = self.listen_answer
        await self._free.wait()
        return answer()

    async def reset(self, session: str) -> None:
        self.reset_.append(session)

    async def forget(self, session: str) -> None:
        self.forgotten.append(session)


def tone(seconds: float, amplitude: float = 0.1) -> Sound:
    times = np.arange(round(seconds * 16_000)) / 16_000
    return Sound(0, (32767 * amplitude * np.sin(2 * np.pi * 220 * times)).astype("<i2").tobytes())


def silence(seconds: float) -> Sound:
    return Sound(0, bytes(2 * round(seconds * 16_000)))


async def settle() -> None:
    """Let every task go on until it waits for something from outside."""
    for _ in range(30):
        await asyncio.sleep(0)


@dataclass
class Bench:
    """One analyzer with everything around it scripted."""

    may: MayAnalyse = ALL
    language: str = "en"
    clock: Clock = field(default_factory=Clock)
    inference: Inference = field(default_factory=Inference)
    panel: list[Message] = field(default_factory=list)
    candidate: list[Message] = field(default_factory=list)
    written: list[Reading | Alert] = field(default_factory=list)
    read_error: Exception | None = None
    write_error: Exception | None = None
    reads: int = 0

    async def __aenter__(self) -> Self:
        self.room = Room(pk=7, language=self.language, status="live", admitted_at=timezone.now())
        outside = Outside(self._to_panel, self.candidate.append, self._read, self._write)
        self.analyzer = LiveAnalyzer(self.room, self.inference, outside, self.clock)
        await self.analyzer.start(ticking=False)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.inference.release()
        await self.analyzer.close()

    async def _to_panel(self, message: Message) -> None:
        self.panel.append(message)

    async def _read(self) -> MayAnalyse:
        self.reads += 1
        if self.read_error is not None:
            raise self.read_error
        return self.may

    async def _write(self, records: list[Reading | Alert]) -> list[int | None]:
        if self.write_error is not None:
            raise self.write_error
        self.written += records
        return list(range(len(self.written) - len(records) + 1, len(self.written) + 1))

    async def pass_s(self, seconds: float, step_s: float = 0.25) -> None:
        for _ in range(round(seconds / step_s)):
            self.clock.now_s += step_s
            self.analyzer.tick()
            await settle()

    async def live(
        self, seconds: int, *, frames: bool = True, sound: Callable[[float], Sound] | None = None
    ) -> None:
        """So many seconds with a frame each, and sound in quarters of a second."""
        for _ in range(seconds):
            if frames:
                self.analyzer.offer(Frame(0, JPEG))
            for _quarter in range(4):
                if sound is not None:
                    self.analyzer.offer(sound(0.25))
                await self.pass_s(0.25)

    def said(self, kind: str) -> list[Message]:
        return [message for message in self.panel if message["type"] == kind]

    def alerts(self) -> list[str]:
        return [message["kind"] for message in self.said("real_time_alert")]

    @property
    def status(self) -> Message:
        return self.said("analysis-status")[-1]
