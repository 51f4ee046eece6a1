"""What an interviewer might do now: one suggestion, at most once a minute, and not the same one twice in a row while
another applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rooms.live import constants as c
from rooms.live.alerts import Held
from rooms.live.speech_metrics import SpeechMetrics

FACE_QUALITIES = {"too_dark": "more_light", "too_bright": "less_light", "blurred": "steady_camera"}


@dataclass(frozen=True)
class State:
    """What is known at one time. Seconds: for how long the state has lasted; None where not allowed or measured."""

    t_s: float
    high_s: float = 0.0
    low_confidence_s: float = 0.0
    no_face_s: float = 0.0
    second_face_s: float = 0.0
    face_quality: str | None = None
    voice_quality: str | None = None
    speech: SpeechMetrics | None = None


@dataclass
class Adviser:
    _poor: dict[str, Held] = field(default_factory=dict)
    _last_s: float = float("-inf")
    _last_code: str = ""

    def advise(self, state: State) -> str | None:
        """The code of a suggestion that is due now."""
        codes = list(self._codes(state))
        if not codes or state.t_s - self._last_s < c.RECOMMEND_EVERY_S:
            return None
        code = next((one for one in codes if one != self._last_code), codes[0])
        self._last_s, self._last_code = state.t_s, code
        return code

    def _codes(self, state: State) -> Iterator[str]:
        """The most urgent first: who is there, whether they can be seen and heard, how they fare, how to ask."""
        if state.second_face_s >= c.SECOND_FACE_S:
            yield "ask_who"
        if state.no_face_s >= c.NO_FACE_S:
            yield "check_camera"
        yield from self._quality(state)
        if state.high_s >= c.HIGH_STRESS_S:
            yield "offer_break"
        if state.low_confidence_s >= c.LOW_CONFIDENCE_S:
            yield "easier_question"
        if state.speech is not None:
            yield from _by_speech(state.t_s, state.speech)

    def _quality(self, state: State) -> Iterator[str]:
        seen = {code: state.face_quality == quality for quality, code in FACE_QUALITIES.items()}
        seen["softer_sound"] = state.voice_quality == "clipped"
        for code, shown in seen.items():
            held = self._poor.setdefault(code, Held())
            if held.observe(state.t_s, shown, frozenset()) >= c.POOR_PICTURE_S:
                yield code


def _by_speech(t_s: float, speech: SpeechMetrics) -> Iterator[str]:
    enough = speech.speech_s >= c.ALERT_SPEECH_S and speech.rate is not None
    if enough and speech.rate is not None and speech.rate > c.FASTEST:
        yield "slow_down"
    if enough and sum(pause_s >= c.LONG_PAUSE_S for pause_s in speech.pauses_s) >= c.LONG_PAUSES:
        yield "give_time"
    heard_all = speech.measured_s >= 0.9 * c.SPEECH_WINDOW_S
    share = speech.speech_share
    # Somebody who says nothing at all listens; somebody who says a little answers shortly.
    if (
        heard_all
        and t_s >= c.SHORT_ANSWERS_AFTER_S
        and share is not None
        and 0.05 < share < c.SHORT_ANSWERS_SHARE
    ):
        yield "open_question"
