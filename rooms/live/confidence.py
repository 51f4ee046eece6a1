"""Two indexes of how somebody comes across, 0-100, from what was observed. No data set labels confidence: weights and
norms are assumptions, and the parts are shown with the number."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from rooms.live import constants as c
from rooms.live.speech_metrics import SpeechMetrics


@dataclass(frozen=True)
class Index:
    """`value` 0-100 (None: no part could be measured); `parts` 0-1 each, None where not measured."""

    value: float | None
    parts: dict[str, float | None]


def weighted(parts: Mapping[str, float | None], weights: Mapping[str, float]) -> Index:
    """The mean of the parts that are there, by their weights."""
    there = {name: value for name, value in parts.items() if value is not None}
    total = sum(weights[name] for name in there)
    value = 100 * sum(weights[name] * part for name, part in there.items()) / total if total else None
    return Index(value, dict(parts))


def candidate_confidence(
    eye_contact: float | None, speech: SpeechMetrics | None, high: float | None
) -> Index:
    """`eye_contact` 0-1, `high` the probability of level high, each None where not measured."""
    parts = {
        "eye_contact": eye_contact,
        "fluency": fluency(speech),
        "calm": None if high is None else min(1.0, max(0.0, 1 - high)),
    }
    return weighted(parts, c.WEIGHTS)


def voice_confidence(speech: SpeechMetrics | None, loudness: float | None) -> Index:
    """Of the voice alone; `loudness` 0-1 as `Loudness.score` gives it. No value without enough speech."""
    if not _enough(speech):
        return Index(None, dict.fromkeys(c.VOICE_WEIGHTS))
    parts = {"fluency": rate_score(speech), "loudness": loudness, "pauses": pause_score(speech)}
    return weighted(parts, c.VOICE_WEIGHTS)


def fluency(speech: SpeechMetrics | None) -> float | None:
    """Mean of rate and pauses; None with too little speech."""
    rate, pauses = rate_score(speech), pause_score(speech)
    return None if rate is None or pauses is None else (rate + pauses) / 2


def rate_score(speech: SpeechMetrics | None) -> float | None:
    """1 at a usual rate, falling to 0 on both sides."""
    if speech is None or not _enough(speech) or speech.rate is None:
        return None
    rising = (speech.rate - c.RATE_NONE) / (c.RATE_FULL_FROM - c.RATE_NONE)
    falling = (c.RATE_OVER - speech.rate) / (c.RATE_OVER - c.RATE_FULL_TO)
    return max(0.0, min(1.0, rising, falling))


def pause_score(speech: SpeechMetrics | None) -> float | None:
    """1 without pauses, 0 where they take `PAUSE_SHARE_NONE` of speech and pauses."""
    if speech is None or not _enough(speech):
        return None
    paused_s = sum(speech.pauses_s)
    return max(0.0, 1 - paused_s / (paused_s + speech.speech_s) / c.PAUSE_SHARE_NONE)


def _enough(speech: SpeechMetrics | None) -> bool:
    return speech is not None and speech.speech_s >= c.FLUENT_SPEECH_S


@dataclass
class EyeContact:
    """Share of looks into the camera in the last `EYE_CONTACT_S`."""

    _looks: deque[tuple[float, bool]] = field(default_factory=deque)

    def add(self, t_s: float, into_camera: bool | None) -> None:
        """None: no face, or not calibrated; says nothing."""
        if into_camera is not None:
            self._looks.append((t_s, into_camera))

    def share(self, t_s: float) -> float | None:
        while self._looks and self._looks[0][0] < t_s - c.EYE_CONTACT_S:
            self._looks.popleft()
        if len(self._looks) < c.LEAST_LOOKS:
            return None
        return sum(look for _, look in self._looks) / len(self._looks)


@dataclass
class Loudness:
    """How loud somebody speaks, compared to their own first `BASELINE_SPEECH_S` of speech."""

    _first_db: list[float] = field(default_factory=list)
    _first_s: float = 0.0
    _recent: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, t_s: float, speech_s: float, loudness_db: float | None) -> None:
        """A piece with `speech_s` of new speech at this level."""
        if loudness_db is None or speech_s <= 0:
            return
        if self._first_s < c.BASELINE_SPEECH_S:
            self._first_db.append(loudness_db)
            self._first_s += speech_s
        else:
            self._recent.append((t_s, loudness_db))

    def score(self, t_s: float) -> float | None:
        """0-1 over the last `SPEECH_WINDOW_S`; None until there is a level of their own to compare it to."""
        while self._recent and self._recent[0][0] < t_s - c.SPEECH_WINDOW_S:
            self._recent.popleft()
        if not self._recent:
            return None
        louder_db = median(db for _, db in self._recent) - median(self._first_db)
        return max(
            0.0, min(1.0, (louder_db - c.LOUDNESS_NONE_DB) / (c.LOUDNESS_FULL_DB - c.LOUDNESS_NONE_DB))
        )
