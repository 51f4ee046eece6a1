"""Words + voice activity -> speaking time, pauses and rate (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlcore.speech import Word
from mlcore.voice_activity import Interval, VoiceActivity

MIN_PAUSE_S = 0.5
"""DESIGN section 5."""
MAX_WORD_S = 1.5
"""DESIGN section 5: the recogniser stretches a phrase's last word over the pause that follows."""
LONG_PAUSE_S = 3.0
"""Assumption: from here on a pause is worth a reviewer's look."""
MIN_SPEAKING_TIME_S = 1.0
"""Assumption: with less speech a rate for a minute says nothing."""


@dataclass(frozen=True)
class SpeechMeasures:
    """What is measured of the speech of one recording, seconds.

    Everything but `total_duration_s` is None (the intervals: empty) without an audio track or without speech:
    what could not be measured is never 0. `pauses` lie between words only; `long_pauses` are among them.
    """

    total_duration_s: float
    speaking_time_s: float | None
    silence_time_s: float | None
    speaking_ratio: float | None
    word_count: int | None
    speech_rate_wpm: float | None
    number_of_pauses: int | None
    pauses: tuple[Interval, ...]
    long_pauses: tuple[Interval, ...]


def measure_speech(
    words: Sequence[Word], voice: VoiceActivity | None, total_duration_s: float
) -> SpeechMeasures:
    """Measures of one recording of `total_duration_s` seconds.

    `voice` is None where there is no audio track. The ratio is voice activity over duration; the rate is
    transcribed words per minute of speaking time.
    """
    speaking_s = min(voice.speaking_time_s, total_duration_s) if voice else 0.0
    if not words or speaking_s <= 0.0:
        return SpeechMeasures(total_duration_s, None, None, None, None, None, None, (), ())
    pauses = pauses_between(words)
    return SpeechMeasures(
        total_duration_s=total_duration_s,
        speaking_time_s=speaking_s,
        silence_time_s=total_duration_s - speaking_s,
        speaking_ratio=speaking_s / total_duration_s,
        word_count=len(words),
        speech_rate_wpm=len(words) / speaking_s * 60.0 if speaking_s >= MIN_SPEAKING_TIME_S else None,
        number_of_pauses=len(pauses),
        pauses=pauses,
        long_pauses=tuple(pause for pause in pauses if pause.duration_s >= LONG_PAUSE_S),
    )


def pauses_between(words: Sequence[Word]) -> tuple[Interval, ...]:
    """Gaps of 0.5 s or more between words in order of time, word length capped at 1.5 s first."""
    ordered = sorted(words, key=lambda word: word.start_s)
    pauses: list[Interval] = []
    spoken_until_s = -1.0
    for word, following in pairwise(ordered):
        spoken_until_s = max(spoken_until_s, min(word.end_s, word.start_s + MAX_WORD_S))
        if following.start_s - spoken_until_s >= MIN_PAUSE_S:
            pauses.append(Interval(spoken_until_s, following.start_s))
    return tuple(pauses)
