"""The sessions of the inference process: frames and windows of sound in, what they showed and held out.

Everything here waits for the analyzer's threads, so it is called from threads of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlcore.closing import Closing
from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.stress.live import StressAnalyzer, StressSession
from mlcore.stress.readings import StressReading
from mlcore.syllables import syllable_nuclei
from mlcore.voice_activity import Interval
from rooms.inference import voices, wire
from rooms.inference.eyes import EyeContact
from rooms.inference.pictures import decoded
from rooms.inference.wire import Heard, InferenceError, Looked, Stress

Floats = npt.NDArray[np.float32]

IDLE_S = 60.0
"""A session that nobody asked for during this time is dropped; the brief's."""
MAX_SESSIONS = 500
"""A session keeps a few kilobytes. *Assumption*: ten times the rooms that one process can serve."""
LONGEST_CLIP_S = 10.5
"""The voice model works on at most 10 s (issue 3)."""


@dataclass
class Session:
    """What is remembered of one room, or of one caller of the API."""

    stress: StressSession
    used_s: float
    eyes: EyeContact = field(default_factory=EyeContact)
    voice: voices.OwnVoice = field(default_factory=voices.OwnVoice)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Engine(Closing):
    """Thread-safe. Raises InferenceError and nothing else for what was sent and for too much of it."""

    def __init__(
        self,
        analyzer: StressAnalyzer,
        *,
        idle_s: float = IDLE_S,
        max_sessions: int = MAX_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._analyzer = analyzer
        self._idle_s, self._max_sessions, self._clock = idle_s, max_sessions, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    @classmethod
    def load(cls, models_dir: Path, weights: Path) -> Engine:
        """With all models, each of them used once. AnalysisError, OSError where one is absent or damaged."""
        analyzer = StressAnalyzer.load(models_dir=models_dir, weights=weights)
        try:
            noise = np.random.default_rng(0).normal(0, 0.05, 2 * SAMPLE_RATE).astype(np.float32)
            analyzer.among_clips(lambda: voices.embedding(noise)).result()
            analyzer.listen(noise).result()
            analyzer.look(np.full((360, 480, 3), 128, np.uint8)).result()
        except BaseException:
            analyzer.close()
            raise
        return cls(analyzer)

    def close(self) -> None:
        self._analyzer.close()

    def look(self, name: str, t_s: float, encoded: bytes, *, emotion: bool, still: bool = False) -> Looked:
        """What the picture shows; see `wire.Looked`. `still`: it may be a PNG."""
        started = time.perf_counter()
        rgb = decoded(encoded, png=still)
        session = self._session(name)
        try:
            reading = session.stress.update(t_s=t_s, frame=rgb, emotions=emotion)
        except AnalysisError as error:
            raise _refusal(error) from error
        face = reading.measured
        with session.lock:
            eye_contact = session.eyes.look(t_s, face)
        return Looked(
            stress=_stress(reading),
            sources=reading.sources,
            detected=reading.face.detected,
            count=reading.face.count,
            quality=reading.face.quality,
            eye_contact=eye_contact,
            yaw_deg=face.yaw_deg if face else None,
            pitch_deg=face.pitch_deg if face else None,
            emotions=reading.emotions,
            latency_ms=_since_ms(started),
        )

    def listen(self, name: str, t_s: float, pcm: bytes, *, emotion: bool) -> Heard:
        """What the window holds, 16-bit samples at 16 kHz, mono; see `wire.Heard`."""
        started = time.perf_counter()
        samples = _samples(pcm)
        session = self._session(name)
        try:
            reading = session.stress.update(t_s=t_s, samples=samples, emotions=emotion)
        except AnalysisError as error:
            raise _refusal(error) from error
        spoken = voices.spoken_part(samples, reading.speech)
        return Heard(
            stress=_stress(reading),
            sources=reading.sources,
            speaking=reading.voice.speaking,
            quality=reading.voice.quality,
            speech=tuple((one.start_s, one.end_s) for one in reading.speech),
            syllables_s=_within(syllable_nuclei(samples), reading.speech) if reading.speech else (),
            loudness_db=_level_db(spoken),
            other_voice=self._other_voice(session, reading.speech, spoken),
            latency_ms=_since_ms(started),
        )

    def reset(self, name: str) -> None:
        """Clear the smoothing; the calibration of eyes and voice stays."""
        with self._lock:
            session = self._sessions.get(name)
        if session:
            session.stress.reset()

    def forget(self, name: str) -> None:
        with self._lock:
            self._sessions.pop(name, None)

    def forget_idle(self) -> None:
        """Drop the sessions that nobody asked for of late."""
        with self._lock:
            self._drop_idle(self._clock())

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    def _session(self, name: str) -> Session:
        now_s = self._clock()
        with self._lock:
            found = self._sessions.get(name)
            if found is not None and now_s - found.used_s <= self._idle_s:
                found.used_s = now_s
                return found
            self._drop_idle(now_s)
            if len(self._sessions) >= self._max_sessions:
                raise InferenceError("inference_busy", f"{len(self._sessions)} sessions are open already.")
            made = self._sessions[name] = Session(self._analyzer.session(), now_s)
            return made

    def _drop_idle(self, now_s: float) -> None:
        idle = [name for name, one in self._sessions.items() if now_s - one.used_s > self._idle_s]
        for name in idle:
            del self._sessions[name]

    def _other_voice(self, session: Session, speech: tuple[Interval, ...], spoken: Floats) -> float | None:
        """In the thread of clips, beside faces; left out where that has too much to do."""
        with session.lock:
            if not session.voice.wants(speech):
                return None
        try:
            row = self._analyzer.among_clips(lambda: voices.embedding(spoken)).result()
        except AnalysisError:
            return None
        with session.lock:
            return session.voice.distance(row)


def _samples(pcm: bytes) -> Floats:
    """-1..1 of signed 16-bit little-endian samples. Raises InferenceError('bad_audio')."""
    if len(pcm) % 2:
        raise InferenceError("bad_audio", "16-bit samples come in pairs of bytes; this has an odd number.")
    if len(pcm) > 2 * LONGEST_CLIP_S * SAMPLE_RATE:
        raise InferenceError("bad_audio", "The window of sound is longer than 10 s.")
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def _refusal(error: AnalysisError) -> InferenceError:
    if error.code == "analysis_busy":
        return InferenceError("inference_busy", error.message)
    if error.code == "analysis_closed":
        return wire.away("The analysis process is being stopped.")
    return InferenceError("bad_frame" if error.code == "frame_unreadable" else "bad_audio", error.message)


def _stress(reading: StressReading) -> Stress | None:
    if reading.level is None or reading.probabilities is None or reading.confidence is None:
        return None
    return Stress(reading.level, reading.probabilities, reading.confidence, reading.unsure)


def _within(times_s: tuple[float, ...], speech: tuple[Interval, ...]) -> tuple[float, ...]:
    return tuple(t_s for t_s in times_s if any(one.start_s <= t_s <= one.end_s for one in speech))


def _level_db(spoken: Floats) -> float | None:
    """dBFS of the root mean square; None for nothing."""
    if len(spoken) == 0:
        return None
    return round(10 * float(np.log10(max(float(np.mean(np.square(spoken))), 1e-12))), 2)


def _since_ms(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
