"""Samples -> transcript: words with times and probabilities (faster-whisper)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True)
class Segment:
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_probability: float


@dataclass(frozen=True)
class Transcript:
    """`language` is ``en`` or ``id``; confidences are 0-100 (DESIGN: duration-weighted exp of mean token
    log-probability) and None without speech. `text` is the segments' text joined by blanks."""

    language: str
    language_probability: float | None
    language_uncertain: bool
    segments: tuple[Segment, ...]
    confidence: float | None
    min_confidence: float | None
    max_confidence: float | None

    @property
    def text(self) -> str:
        return " ".join(segment.text.strip() for segment in self.segments).strip()

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)
