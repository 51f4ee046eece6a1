"""The non-verbal confidence of an answer, and words for its measures.

It says how close four measures lie to what is usual, nothing about a person's inner state. Norms and
weights are the earlier system's, all of them *assumptions*; its smile, brow and head norms are in other
units, so those measures are shown and carry no score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Literal

PerformanceStatus = Literal["EXCELLENT", "GOOD", "FAIR", "NEEDS REVIEW"]


@dataclass(frozen=True)
class Norm:
    """Mean and deviation in the measure's unit; reliability 0-1; weight as in the earlier system (of 1 in
    all)."""

    mean: float
    deviation: float
    reliability: float
    weight: float


NORMS: dict[str, Norm] = {
    "blink_rate_per_minute": Norm(17.0, 10.0, 0.88, 0.18),
    "eye_contact_percentage": Norm(65.0, 20.0, 0.84, 0.16),
    "speaking_ratio": Norm(0.58, 0.22, 0.90, 0.24),
    "speech_rate_wpm": Norm(145.0, 30.0, 0.92, 0.26),
}
"""DESIGN §5; weights of the earlier system's documentation."""

STATUS_BANDS: tuple[tuple[float, PerformanceStatus], ...] = (
    (80.0, "EXCELLENT"),
    (65.0, "GOOD"),
    (50.0, "FAIR"),
)
"""Lower ends. *Assumption*, such that the earlier documentation's 77.5 stays ``GOOD``; 89 is the greatest
score."""


@dataclass(frozen=True)
class MeasureScore:
    """`score` 0-100 of one measure; `weight` is its share of the total, 0-1."""

    name: str
    value: float
    z: float
    score: float
    weight: float


@dataclass(frozen=True)
class NonVerbalConfidence:
    """`score`, `low` and `high` 0-100, None when no measure is present."""

    score: float | None
    low: float | None
    high: float | None
    parts: tuple[MeasureScore, ...]


def non_verbal_confidence(
    *,
    blink_rate_per_minute: float | None,
    eye_contact_percentage: float | None,
    speaking_ratio: float | None,
    speech_rate_wpm: float | None,
) -> NonVerbalConfidence:
    """The weighted mean of 100 × exp(−z²/2) × reliability over the measures that are present.

    z is the distance from the norm's mean in deviations. The interval is the score ± 100 × (1 − the
    weighted mean reliability), cut at 0 and 100: at its best a score of 88.9 lies between 77.8 and 100."""
    values = {
        "blink_rate_per_minute": blink_rate_per_minute,
        "eye_contact_percentage": eye_contact_percentage,
        "speaking_ratio": speaking_ratio,
        "speech_rate_wpm": speech_rate_wpm,
    }
    present = {name: value for name, value in values.items() if value is not None}
    if not present:
        return NonVerbalConfidence(None, None, None, ())
    parts = _parts(present)
    score = sum(part.score * part.weight for part in parts)
    margin = 100 * (1 - sum(NORMS[part.name].reliability * part.weight for part in parts))
    return NonVerbalConfidence(score, max(0.0, score - margin), min(100.0, score + margin), parts)


def _parts(present: Mapping[str, float]) -> tuple[MeasureScore, ...]:
    total = sum(NORMS[name].weight for name in present)
    parts = []
    for name, value in present.items():
        norm = NORMS[name]
        z = (value - norm.mean) / norm.deviation
        score = 100 * exp(-(z**2) / 2) * norm.reliability
        parts.append(MeasureScore(name, value, z, score, norm.weight / total))
    return tuple(parts)


def performance_status(score: float | None) -> PerformanceStatus | None:
    """The band of a score 0-100, None for none."""
    if score is None:
        return None
    return next((status for low, status in STATUS_BANDS if score >= low), "NEEDS REVIEW")


Bands = tuple[tuple[float, str], ...]

_WORDS: dict[str, tuple[Bands, str]] = {
    # Upper ends (not included) and the word below them; then the word above all. One deviation of the norm to
    # each side is usual; smile and brows in blendshape units. Assumptions.
    "speaking_ratio": (((0.36, "reserved"), (0.80, "fairly active")), "very active"),
    "pauses_per_minute": (((20.0, "fluent"), (35.0, "some pauses")), "many pauses"),
    "speech_rate_wpm": (((115.0, "slow"), (175.0, "ideal")), "fast"),
    "average_smile_intensity": (((0.1, "neutral"), (0.4, "friendly")), "broad"),
    "eyebrow_movement_range": (((0.3, "controlled"), (0.7, "lively")), "very lively"),
    "eye_contact_percentage": (((45.0, "low"), (65.0, "fair"), (85.0, "good")), "very good"),
    "blink_rate_per_minute": (((7.0, "low"), (27.0, "usual")), "high"),
}


def interpret(measure: str, value: float) -> str:
    """A word for a measure's value; `measure` is one of the summary's, else KeyError."""
    bands, above = _WORDS[measure]
    return next((word for end, word in bands if value < end), above)


def summarise(
    *,
    speaking_ratio: float | None = None,
    number_of_pauses: float | None = None,
    duration_s: float | None = None,
    speech_rate_wpm: float | None = None,
    average_smile_intensity: float | None = None,
    eyebrow_movement_range: float | None = None,
    eye_contact_percentage: float | None = None,
    blink_rate_per_minute: float | None = None,
) -> str:
    """One line in the earlier document's style, of the measures that are present; empty without any.

    `number_of_pauses` needs `duration_s`, the length of the recording in which they were counted.
    """
    pauses_per_minute = (
        60 * number_of_pauses / duration_s if number_of_pauses is not None and duration_s else None
    )
    rows = (
        ("speaking_ratio", speaking_ratio, f"speaking ratio {speaking_ratio or 0:.2f}"),
        ("pauses_per_minute", pauses_per_minute, f"pauses {number_of_pauses or 0:.1f}"),
        ("speech_rate_wpm", speech_rate_wpm, f"speech rate {speech_rate_wpm or 0:.1f} wpm"),
        (
            "average_smile_intensity",
            average_smile_intensity,
            f"smile intensity = {average_smile_intensity or 0:.2f}",
        ),
        (
            "eyebrow_movement_range",
            eyebrow_movement_range,
            f"eyebrow movement = {eyebrow_movement_range or 0:.3f}",
        ),
        (
            "eye_contact_percentage",
            eye_contact_percentage,
            f"eye contact = {eye_contact_percentage or 0:.2f}%",
        ),
        ("blink_rate_per_minute", blink_rate_per_minute, f"blink rate = {blink_rate_per_minute or 0:.2f}"),
    )
    return ", ".join(f"{text} ({interpret(name, value)})" for name, value, text in rows if value is not None)
