"""Which stretches of a recording the voice model hears: the main voice alone, in windows like those it learned from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.media import SAMPLE_RATE
from mlcore.speakers import Turn
from mlcore.stress import quality
from mlcore.stress.labels import Floats
from mlcore.voice_activity import Interval, VoiceActivity

WINDOW_S, HOP_S = 3.0, 2.0
"""DESIGN section 7: windows of 3 s every 2 s while somebody speaks."""
JOIN_WITHIN_S = 1.0
"""Pauses up to this long belong to one stretch of speech. *Assumption*: a third of a window."""
THRESHOLDS = {
    "voice_window_s": WINDOW_S,
    "voice_hop_s": HOP_S,
    "voice_min_window_s": quality.MIN_CLIP_S,
    "voice_min_speech_s": quality.MIN_SPEECH_S,
    "voice_join_within_s": JOIN_WITHIN_S,
}


@dataclass(frozen=True)
class Readable:
    """`windows` that are good enough, the seconds of speech in each, and what was found of all."""

    windows: tuple[Interval, ...]
    speech_s: Floats
    quality: Counter[str]


def of_main_voice(turns: Sequence[Turn]) -> list[Interval]:
    """Windows over the turns of the voice that speaks longest, taken to be the candidate's; a stretch that is too short
    for a window is one of its own length."""
    return [window for stretch in _stretches(turns) for window in _spread(stretch)]


def _stretches(turns: Sequence[Turn]) -> list[Interval]:
    """The main voice's turns, joined over short pauses in which nobody else speaks."""
    spoken_s: dict[int, float] = {}
    for turn in turns:
        spoken_s[turn.speaker] = spoken_s.get(turn.speaker, 0.0) + turn.end_s - turn.start_s
    main = max(spoken_s, key=lambda speaker: spoken_s[speaker], default=None)
    stretches: list[Interval] = []
    before: int | None = None
    for turn in sorted(turns, key=lambda turn: turn.start_s):
        if turn.speaker == main:
            joined = before == main and turn.start_s - stretches[-1].end_s <= JOIN_WITHIN_S
            start_s = stretches.pop().start_s if joined else turn.start_s
            stretches.append(Interval(start_s, turn.end_s))
        before = turn.speaker
    return stretches


def _spread(stretch: Interval) -> list[Interval]:
    if stretch.duration_s <= WINDOW_S:
        return [stretch]
    last_s = stretch.end_s - WINDOW_S
    count = math.ceil((last_s - stretch.start_s) / HOP_S - 1e-9) + 1
    return [
        Interval(float(start_s), float(start_s) + WINDOW_S)
        for start_s in np.linspace(stretch.start_s, last_s, count)
    ]


def readable(samples: Floats, voice: VoiceActivity, windows: Sequence[Interval]) -> Readable:
    """Sort out what is too short, silent, overdriven or hardly speech. `samples` are 16 kHz mono, shape (n,)."""
    counts: Counter[str] = Counter()
    kept: list[Interval] = []
    seconds: list[float] = []
    for window in windows:
        speech_s = _speech_s(voice, window)
        found = quality.speech_quality(cut(samples, window), speech_s)
        counts[found.value] += 1
        if found is quality.VoiceQuality.OK:
            kept.append(window)
            seconds.append(speech_s)
    return Readable(tuple(kept), np.array(seconds, np.float32), counts)


def cut(samples: Floats, window: Interval) -> Floats:
    return samples[round(window.start_s * SAMPLE_RATE) : round(window.end_s * SAMPLE_RATE)]


def _speech_s(voice: VoiceActivity, window: Interval) -> float:
    return sum(
        max(0.0, min(one.end_s, window.end_s) - max(one.start_s, window.start_s))
        for one in voice.speech_between(window.start_s, window.end_s)
    )
