"""Pieces of sound as they come -> windows to be listened to, each second of which is counted once."""

from __future__ import annotations

from dataclasses import dataclass

from rooms.inference.wire import Heard
from rooms.live import constants as c
from rooms.live.resampling import Resampler
from rooms.live.ring import Ring, Samples, level_dbfs
from rooms.live.speech_metrics import Piece
from rooms.media_messages import SAMPLE_RATE, Sound


@dataclass(frozen=True)
class Window:
    """The last seconds of sound up to `end_s` (of the room); its last `new_s` were in no window before."""

    samples: Samples
    end_s: float
    new_s: float
    arrived_s: float
    """By the analyzer's clock."""

    @property
    def start_s(self) -> float:
        return self.end_s - len(self.samples) / SAMPLE_RATE

    @property
    def silent(self) -> bool:
        return level_dbfs(self.samples) < c.SILENT_DBFS

    def pcm(self) -> bytes:
        return self.samples.tobytes()

    def silence(self) -> Piece:
        """What a silent window comes to."""
        return Piece(self.end_s - self.new_s, self.end_s, (), ())

    def piece(self, heard: Heard) -> Piece:
        """The part of `heard` that is new, in seconds of the room."""
        start_s = self.end_s - self.new_s
        spoken = (
            (max(start_s, self.start_s + a), min(self.end_s, self.start_s + b)) for a, b in heard.speech
        )
        syllables = (self.start_s + at for at in heard.syllables_s)
        return Piece(
            start_s,
            self.end_s,
            tuple((a, b) for a, b in spoken if b > a),
            tuple(at for at in syllables if start_s <= at <= self.end_s),
        )


class Ears:
    """The ring of one candidate's sound. Its time is counted in samples, so that the network's jitter makes neither
    gaps nor overlaps."""

    def __init__(self) -> None:
        self._ring = Ring(c.RING_S)
        self._resampler = Resampler()
        self._new_s = 0.0
        self._last_s = float("-inf")
        self._end_s: float | None = None

    @property
    def held_s(self) -> float:
        return self._ring.seconds

    def take(self, sound: Sound, now_s: float, t_s: float, step_s: float = c.STEP_S) -> Window | None:
        """`now_s` by the clock, `t_s` of the room: when it came. A window for every `step_s` of new sound."""
        if now_s - self._last_s > c.SOUND_GAP_S:
            self.clear()
        self._last_s = now_s
        self._ring.append(self._resampler.take(sound))
        self._new_s += sound.seconds
        end_s = self._set_end(sound.seconds, t_s)
        if self._new_s < step_s or self._ring.seconds < c.LEAST_WINDOW_S:
            return None
        new_s, self._new_s = min(self._new_s, c.WINDOW_S), 0.0
        return Window(self._ring.last(c.WINDOW_S), end_s, new_s, now_s)

    def clear(self) -> None:
        self._ring.clear()
        self._resampler.clear()
        self._new_s = 0.0
        self._end_s = None

    def _set_end(self, seconds: float, t_s: float) -> float:
        end_s = t_s if self._end_s is None else self._end_s + seconds
        self._end_s = t_s if abs(end_s - t_s) > c.SOUND_DRIFT_S else end_s
        return self._end_s
