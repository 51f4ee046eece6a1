"""What frames and sound of one candidate came to, and the second's reading made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rooms.consent import MayAnalyse
from rooms.inference.wire import Heard, Looked, Stress
from rooms.live import constants as c
from rooms.live import words
from rooms.live.alerts import Raised, Watch
from rooms.live.confidence import (
    EyeContact,
    Index,
    Loudness,
    candidate_confidence,
    voice_confidence,
)
from rooms.live.hearing import Window
from rooms.live.recommendations import Adviser, State
from rooms.live.speech_metrics import Piece, SpeechLog, SpeechMetrics
from rooms.models import Reading, Room

NOT_SEEN: dict[str, Any] = {"detected": False, "count": 0, "quality": None, "eye_contact": None}
NOT_HEARD: dict[str, Any] = {"speaking": False, "quality": None}
SILENT = Heard(None, (), False, "silent", (), (), None, None, 0.0)
"""What a window comes to that is too quiet to be worth listening to."""
NO_INDEX = Index(None, {})


@dataclass(frozen=True)
class Result:
    """One second. `face` and `voice` are None where they were not looked at of late, or must not be."""

    t_s: float
    stress: Stress | None
    confidence: Index
    voice_confidence: float | None
    sources: tuple[str, ...]
    used: frozenset[str]
    """Everything that took part, in what is remembered too."""
    face: dict[str, Any] | None
    voice: dict[str, Any] | None
    recommendation: dict[str, str] | None

    def message(self, latency_ms: float | None, dropped: int) -> dict[str, Any]:
        """As docs/protocol.md has it."""
        parts = {name: _rounded(value, 2) for name, value in self.confidence.parts.items()}
        return {
            "type": "stress_analysis",
            "t": round(self.t_s, 1),
            "stress": _stress(self.stress),
            "confidence": _rounded(self.confidence.value, 1),
            "confidence_parts": parts or None,
            "voice_confidence": _rounded(self.voice_confidence, 1),
            "sources": list(self.sources),
            "face": self.face or NOT_SEEN,
            "voice": self.voice or NOT_HEARD,
            "latency_ms": None if latency_ms is None else round(latency_ms),
            "dropped": dropped,
            "recommendation": self.recommendation,
        }

    def reading(self, room: Room, message: dict[str, Any]) -> Reading:
        """To be stored; a source that was not looked at is left out of `parts`."""
        said = self.stress.probabilities if self.stress else {}
        looked_at = {name: part for name, part in (("face", self.face), ("voice", self.voice)) if part}
        rest = ("confidence_parts", "sources", "latency_ms", "dropped", "recommendation")
        return Reading(
            room=room,
            t_s=self.t_s,
            level=self.stress.level if self.stress else "",
            low=said.get("low"),
            medium=said.get("medium"),
            high=said.get("high"),
            model_confidence=self.stress.model_confidence if self.stress else None,
            confidence=self.confidence.value,
            voice_confidence=self.voice_confidence,
            from_face="face" in self.used,
            from_voice="voice" in self.used,
            parts={
                **{name: message[name] for name in rest},
                **looked_at,
                **({"unsure": self.stress.unsure} if self.stress else {}),
            },
        )


class Observed:
    """The memory of one candidate at one socket. Times are seconds of the room."""

    def __init__(self, language: str) -> None:
        self.watch = Watch()
        self._adviser = Adviser()
        self._log = SpeechLog(language)
        self._looked: Looked | None = None
        self._heard: Heard | None = None
        self._looked_s = self._heard_s = float("-inf")
        self._clear()

    def _clear(self) -> None:
        self._stress: Stress | None = None
        self._stress_s = float("-inf")
        self._sources: tuple[str, ...] = ()
        self._eyes = EyeContact()
        self._loudness = Loudness()

    def looked(self, t_s: float, looked: Looked) -> list[Raised]:
        self._looked, self._looked_s = looked, t_s
        self._indicated(t_s, looked)
        self._eyes.add(t_s, looked.eye_contact)
        return self.watch.looked(t_s, looked)

    def heard(self, window: Window, heard: Heard) -> list[Raised]:
        piece = window.piece(heard)
        self._listened(piece, heard)
        self._indicated(piece.end_s, heard)
        self._loudness.add(piece.end_s, _length_s(piece), heard.loudness_db)
        return self.watch.heard(piece.end_s, heard)

    def silence(self, window: Window) -> None:
        self._listened(window.silence(), SILENT)

    def _indicated(self, t_s: float, what: Looked | Heard) -> None:
        self._stress, self._stress_s, self._sources = what.stress, t_s, what.sources

    def _listened(self, piece: Piece, heard: Heard) -> None:
        self._log.add(piece)
        self._heard, self._heard_s = heard, piece.end_s

    def forget(self, *, face: bool, voice: bool) -> None:
        """A source was taken back: nothing that it took part in stays, so the indicator begins anew as well."""
        self._stress, self._sources = None, ()
        self.watch.reset()
        self._adviser = Adviser()
        if face:
            self._looked, self._looked_s, self._eyes = None, float("-inf"), EyeContact()
        if voice:
            self._heard, self._heard_s, self._loudness = None, float("-inf"), Loudness()
            self._log.clear()

    def clear_smoothing(self) -> None:
        """As the interviewer wished."""
        self._stress, self._sources, self._eyes = None, (), EyeContact()
        self.watch.reset()

    def speech(self, t_s: float) -> SpeechMetrics | None:
        """Up to the last sound that was listened to; None once that is old."""
        return self._log.metrics(self._heard_s) if t_s - self._heard_s <= c.VOICE_KEPT_S else None

    def result(self, t_s: float, may: MayAnalyse) -> tuple[Result, list[Raised]]:
        """The second's reading, of what is allowed, and the alerts that follow from it."""
        face = self._looked if may.face and t_s - self._looked_s <= c.FACE_KEPT_S else None
        voice = self._heard if may.voice and t_s - self._heard_s <= c.VOICE_KEPT_S else None
        speech = self.speech(t_s) if voice else None
        stress = self._indicator(t_s) if may.emotion and (face or voice) else None
        eyes = self._eyes.share(t_s) if may.face else None
        index, own_voice = NO_INDEX, None
        if may.emotion:
            index = candidate_confidence(eyes, speech, stress.probabilities["high"] if stress else None)
            own_voice = voice_confidence(speech, self._loudness.score(t_s)).value
        used = self._used(t_s, may)
        raised = self.watch.judged(
            t_s,
            high=stress.level == "high" and not stress.unsure if stress else None,
            confidence=index.value,
            voice_confidence=own_voice,
            sources=used,
        )
        sources = self._sources if stress and self._sources else _seen_in(face, voice)
        advice = self._adviser.advise(self._state(t_s, face, voice, speech))
        result = Result(
            t_s,
            stress,
            index,
            own_voice,
            sources,
            used,
            _face_part(face),
            _voice_part(voice),
            words.recommended(advice) if advice else None,
        )
        return result, raised

    def _indicator(self, t_s: float) -> Stress | None:
        """For as long as what it was made of counts; silence that goes on is no reason to keep it."""
        kept_s = c.VOICE_KEPT_S if "voice" in self._sources else c.FACE_KEPT_S
        return self._stress if t_s - self._stress_s <= kept_s else None

    def _used(self, t_s: float, may: MayAnalyse) -> frozenset[str]:
        """As far back as anything is remembered that goes into a reading."""
        used = set()
        if may.face and t_s - self._looked_s <= c.EYE_CONTACT_S:
            used.add("face")
        if may.voice and t_s - self._heard_s <= c.SPEECH_WINDOW_S:
            used.add("voice")
        return frozenset(used)

    def _state(
        self, t_s: float, face: Looked | None, voice: Heard | None, speech: SpeechMetrics | None
    ) -> State:
        seconds = self.watch.seconds
        return State(
            t_s,
            seconds("high_stress"),
            seconds("low_confidence"),
            seconds("no_face") if face else 0.0,
            seconds("second_face") if face else 0.0,
            face.quality if face else None,
            voice.quality if voice else None,
            speech,
        )


def _length_s(piece: Piece) -> float:
    return sum(end_s - start_s for start_s, end_s in piece.speech)


def _seen_in(face: Looked | None, voice: Heard | None) -> tuple[str, ...]:
    """What somebody can be seen or heard in, where no indicator is made of it."""
    seen = ("face",) if face and face.detected else ()
    return (*seen, "voice") if voice and voice.speaking else seen


def _face_part(face: Looked | None) -> dict[str, Any] | None:
    if face is None:
        return None
    return {
        "detected": face.detected,
        "count": face.count,
        "quality": face.quality,
        "eye_contact": face.eye_contact,
    }


def _voice_part(voice: Heard | None) -> dict[str, Any] | None:
    return {"speaking": voice.speaking, "quality": voice.quality} if voice else None


def _stress(stress: Stress | None) -> dict[str, Any] | None:
    if stress is None:
        return None
    return {
        "level": stress.level,
        "probabilities": {name: round(value, 3) for name, value in stress.probabilities.items()},
        "model_confidence": round(stress.model_confidence, 3),
        "unsure": stress.unsure,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
