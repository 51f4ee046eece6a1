"""What was observed over time -> alerts, each kind at most once in `COOLDOWN_S`.

Time counts where two observations that follow one another both show the state; gaps, pauses and what was not measured
do not. Times are seconds of the room.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rooms.inference.wire import Heard, Looked
from rooms.live import constants as c
from rooms.live.speech_metrics import SpeechMetrics

FACE, VOICE = frozenset({"face"}), frozenset({"voice"})


@dataclass(frozen=True)
class Raised:
    """An alert that is due. `sources`: what it derives from, "face", "voice" or both. `value`: seconds, or for speech
    syllables/s and seconds of pause; for a second voice the cosine distance."""

    t_s: float
    kind: str
    value: float
    sources: frozenset[str]


@dataclass
class Held:
    """For how long a state has lasted, and what told of it."""

    seconds: float = 0.0
    sources: frozenset[str] = frozenset()
    _last_s: float | None = None
    _was: bool = False

    def observe(self, t_s: float, shown: bool | None, sources: frozenset[str]) -> float:
        """Seconds so far. None: could not be told this time, which neither ends the state nor prolongs it."""
        if self._last_s is not None and t_s - self._last_s > c.FORGOTTEN_AFTER_S:
            self._end()
        if shown is None:
            self._was = False
            return self.seconds
        if not shown:
            self._end()
        elif self._was and self._last_s is not None and t_s - self._last_s <= c.MAX_STEP_S:
            self.seconds += t_s - self._last_s
        self._last_s, self._was = t_s, shown
        self.sources |= sources if shown else frozenset()
        return self.seconds

    def _end(self) -> None:
        self.seconds, self.sources, self._was = 0.0, frozenset(), False


HELD_FOR_S = {
    "high_stress": c.HIGH_STRESS_S,
    "low_confidence": c.LOW_CONFIDENCE_S,
    "low_voice_confidence": c.LOW_VOICE_CONFIDENCE_S,
    "no_face": c.NO_FACE_S,
    "second_face": c.SECOND_FACE_S,
}


@dataclass
class Watch:
    """The memory of one room. `reset` it when a source is withdrawn; cooldowns stay."""

    _held: dict[str, Held] = field(default_factory=lambda: {kind: Held() for kind in HELD_FOR_S})
    _raised_s: dict[str, float] = field(default_factory=dict)
    _other_voice: int = 0
    _other_voice_s: float = float("-inf")

    def reset(self) -> None:
        self._held = {kind: Held() for kind in HELD_FOR_S}
        self._other_voice = 0

    def seconds(self, kind: str) -> float:
        """For how long a state of `HELD_FOR_S` has lasted."""
        return self._held[kind].seconds

    def looked(self, t_s: float, looked: Looked) -> list[Raised]:
        return [
            *self._hold(t_s, "no_face", not looked.detected, FACE),
            *self._hold(t_s, "second_face", looked.count >= 2, FACE),
        ]

    def heard(self, t_s: float, heard: Heard) -> list[Raised]:
        """Windows in which the voice could not be compared do not break a row, unless there are many of them."""
        if heard.other_voice is None:
            return []
        if t_s - self._other_voice_s > c.OTHER_VOICE_KEPT_S:
            self._other_voice = 0
        self._other_voice_s = t_s
        self._other_voice = self._other_voice + 1 if heard.other_voice > c.OTHER_VOICE else 0
        if self._other_voice < c.OTHER_VOICE_WINDOWS:
            return []
        return self._raise(t_s, "second_voice", heard.other_voice, VOICE)

    def judged(
        self,
        t_s: float,
        *,
        high: bool | None,
        confidence: float | None,
        voice_confidence: float | None,
        sources: frozenset[str],
    ) -> list[Raised]:
        """The second's reading. `high`: level high and not unsure. None: not measured, or not allowed. `sources`: what
        level and confidence were made from."""
        low = None if confidence is None else confidence < c.LOW_CONFIDENCE
        quiet = None if voice_confidence is None else voice_confidence < c.LOW_VOICE_CONFIDENCE
        return [
            *self._hold(t_s, "high_stress", high, sources),
            *self._hold(t_s, "low_confidence", low, sources),
            *self._hold(t_s, "low_voice_confidence", quiet, VOICE),
        ]

    def spoke(self, metrics: SpeechMetrics) -> list[Raised]:
        if metrics.rate is None or metrics.speech_s < c.ALERT_SPEECH_S:
            return []
        due: list[Raised] = []
        if metrics.rate > c.FASTEST:
            due += self._raise(metrics.t_s, "fast_speech", metrics.rate, VOICE)
        if metrics.rate < c.SLOWEST:
            due += self._raise(metrics.t_s, "slow_speech", metrics.rate, VOICE)
        long_ones = [pause_s for pause_s in metrics.pauses_s if pause_s >= c.LONG_PAUSE_S]
        if len(long_ones) >= c.LONG_PAUSES:
            due += self._raise(metrics.t_s, "long_pauses", max(long_ones), VOICE)
        return due

    def _hold(self, t_s: float, kind: str, shown: bool | None, sources: frozenset[str]) -> list[Raised]:
        held = self._held[kind]
        if held.observe(t_s, shown, sources) < HELD_FOR_S[kind] or not shown:
            return []
        return self._raise(t_s, kind, held.seconds, held.sources)

    def _raise(self, t_s: float, kind: str, value: float, sources: frozenset[str]) -> list[Raised]:
        if t_s - self._raised_s.get(kind, float("-inf")) < c.COOLDOWN_S:
            return []
        self._raised_s[kind] = t_s
        return [Raised(t_s, kind, value, sources)]
