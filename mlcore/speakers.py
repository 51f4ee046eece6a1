"""Samples -> who spoke when (Resemblyzer embeddings, split into voices by mlcore.voice_count).

How the constants were settled, and what they give on recordings kept apart, is in docs/models/voices.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mlcore.speech import Word
from mlcore.voice_activity import Interval, IntervalOptions, VoiceActivity, detect_voice
from mlcore.voice_count import MAX_VOICES, VoiceCount, Windows, count_voices, silhouettes, without_variation
from mlcore.voice_embedding import embed_windows
from mlcore.voice_pitch import median_log_pitch

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]

TIGHT = IntervalOptions(min_silence_s=0.2)
"""Windows do not reach over pauses: the next to speak may be somebody else."""
WINDOW_S = 1.2
"""Short enough for quick exchanges; the network was trained on 1.6 s, which separates no better here."""
MIN_WINDOW_S = 0.6
"""Assumption: shorter stretches of speech say too little about a voice."""
HOP_S = 0.4
MIN_COMPARED_S = 6.4
"""Assumption: with less speech the number of voices is little more than a guess."""
STEP_S = 0.1
VOTE_SPREAD_S = 0.4
BLOCK_STEPS = 600
MIN_TURN_S = 0.4
"""Assumption: shorter turns are taken for uncertainty at a border."""


@dataclass(frozen=True)
class Turn:
    """`speaker` counts from 0 in order of first appearance."""

    start_s: float
    end_s: float
    speaker: int


@dataclass(frozen=True)
class Voices:
    """Who spoke when. `turns_by_count` keeps the turns for 1 to 4 voices, so that a reviewer can correct the
    count without the media. `confidence` 0-100, None without speech; `silhouette_score` is -1 for one voice.

    `confidence` is the estimated probability, in percent, of the least certain of the decisions that led to the
    count found (each split into two voices, and the first one refused): 50 to 100, and 50 where there is too little
    speech to compare. `num_speakers` is None without speech."""

    num_speakers: int | None
    turns: tuple[Turn, ...]
    confidence: float | None
    silhouette_score: float
    turns_by_count: dict[int, tuple[Turn, ...]]


NO_VOICES = Voices(None, (), None, -1.0, {})


def find_voices(
    samples: Floats, voice: VoiceActivity | None = None, *, num_speakers: int | None = None
) -> Voices:
    """Who spoke when in 16 kHz mono samples in -1..1, shape (n,).

    `voice` saves the second look where voice activity is known already; `num_speakers` (1 to 4) sets the count,
    as a reviewer does. A count that the recording cannot bear falls back to the nearest lower one.
    """
    activity = voice or detect_voice(samples)
    if not activity.speech:
        return NO_VOICES
    windows = _windows(samples, activity.intervals(TIGHT))
    counted = count_voices(windows)
    turns = {
        count: _turns(windows, labels, activity.speech) for count, labels in counted.labels_by_count.items()
    }
    chosen = min(max(num_speakers, 1), MAX_VOICES) if num_speakers else counted.found
    return Voices(
        num_speakers=chosen,
        turns=turns[chosen],
        confidence=_confidence(windows, counted),
        silhouette_score=_silhouette(windows, counted.labels_by_count[chosen]),
        turns_by_count=turns,
    )


def assign_speakers(words: Sequence[Word], turns: Sequence[Turn]) -> list[int | None]:
    """The speaker of each word: whose turns overlap it most, else whose turn is nearest; None without turns."""
    return [_speaker_of(word, turns) for word in words]


def second_voice_intervals(turns: Sequence[Turn]) -> tuple[Interval, ...]:
    """When somebody else than the one who speaks most is heard."""
    spoken_s: dict[int, float] = {}
    for turn in turns:
        spoken_s[turn.speaker] = spoken_s.get(turn.speaker, 0.0) + turn.end_s - turn.start_s
    if len(spoken_s) < 2:
        return ()
    main = max(spoken_s, key=lambda speaker: spoken_s[speaker])
    return tuple(Interval(turn.start_s, turn.end_s) for turn in turns if turn.speaker != main)


def _speaker_of(word: Word, turns: Sequence[Turn]) -> int | None:
    if not turns:
        return None
    overlap_s: dict[int, float] = {}
    for turn in turns:
        shared_s = min(word.end_s, turn.end_s) - max(word.start_s, turn.start_s)
        if shared_s > 0.0:
            overlap_s[turn.speaker] = overlap_s.get(turn.speaker, 0.0) + shared_s
    if overlap_s:
        return max(overlap_s, key=lambda speaker: overlap_s[speaker])
    return min(turns, key=lambda turn: max(turn.start_s - word.end_s, word.start_s - turn.end_s)).speaker


def _windows(samples: Floats, speech: Sequence[Interval]) -> Windows:
    spans = tuple(window for interval in speech for window in spread(interval))
    embeddings = without_variation(embed_windows(samples, spans))
    return Windows(spans, embeddings, median_log_pitch(samples, spans))


def spread(interval: Interval) -> list[Interval]:
    """Windows of 1.2 s, at least two thirds overlapping, from edge to edge of an interval of speech; the interval
    itself where it is shorter, nothing where it is under 0.6 s."""
    if interval.duration_s < WINDOW_S:
        return [interval] if interval.duration_s >= MIN_WINDOW_S else []
    last_s = interval.end_s - WINDOW_S
    count = math.ceil((last_s - interval.start_s) / HOP_S - 1e-9) + 1
    return [Interval(start, start + WINDOW_S) for start in np.linspace(interval.start_s, last_s, count)]


def _turns(windows: Windows, labels: Labels, speech: Sequence[Interval]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for interval in speech:
        turns.extend(_turns_within(windows, labels, interval))
    relabelled: dict[int, int] = {}
    return tuple(
        Turn(turn.start_s, turn.end_s, relabelled.setdefault(turn.speaker, len(relabelled))) for turn in turns
    )


def _turns_within(windows: Windows, labels: Labels, interval: Interval) -> list[Turn]:
    """Every tenth of a second goes to the voice of the windows around it, the nearer the more they weigh."""
    near = _near(windows, interval)
    voices = np.unique(labels[near])
    if len(voices) < 2:
        speaker = int(voices[0]) if len(voices) else 0
        return [Turn(interval.start_s, interval.end_s, speaker)]
    steps = max(1, round(interval.duration_s / STEP_S))
    edges = np.linspace(interval.start_s, interval.end_s, steps + 1)
    middles_s = (edges[:-1] + edges[1:]) / 2
    blocks = (middles_s[at : at + BLOCK_STEPS] for at in range(0, steps, BLOCK_STEPS))
    speakers = voices[np.concatenate([_voted(block, windows, labels, near, voices) for block in blocks])]
    changes = [0, *(np.flatnonzero(np.diff(speakers)) + 1), steps]
    return _without_short(
        [Turn(float(edges[a]), float(edges[b]), int(speakers[a])) for a, b in pairwise(changes)]
    )


def _voted(
    times_s: npt.NDArray[np.float64], windows: Windows, labels: Labels, near: Labels, voices: Labels
) -> Labels:
    """The index in `voices` of the voice at each time; block by block, since an hour of speech without a pause
    would need gigabytes at once."""
    middles_s = windows.middles_s[near]
    reach_s = 8 * VOTE_SPREAD_S
    first, last = np.searchsorted(middles_s, [times_s[0] - reach_s, times_s[-1] + reach_s])
    distances_s = times_s[:, None] - middles_s[None, first:last]
    weights = np.exp(-0.5 * (distances_s / VOTE_SPREAD_S) ** 2)
    return np.argmax(weights @ (labels[near][first:last, None] == voices[None, :]), axis=1)


def _near(windows: Windows, interval: Interval) -> npt.NDArray[np.intp]:
    """The windows of an interval; for one too short to have any, the nearest window."""
    middles = windows.middles_s
    inside = np.flatnonzero((middles > interval.start_s) & (middles < interval.end_s))
    if len(inside) or not len(middles):
        return inside
    return np.array([np.argmin(np.abs(middles - (interval.start_s + interval.end_s) / 2))])


def _without_short(turns: list[Turn]) -> list[Turn]:
    kept: list[Turn] = []
    for turn in turns:
        if kept and (turn.end_s - turn.start_s < MIN_TURN_S or turn.speaker == kept[-1].speaker):
            kept[-1] = Turn(kept[-1].start_s, turn.end_s, kept[-1].speaker)
        else:
            kept.append(turn)
    return kept


def _confidence(windows: Windows, counted: VoiceCount) -> float:
    """The logistic of the log odds nearest to none, among the splits made and the first one refused; drawn
    towards 50 where there is little speech, since the regression has seen none so short."""
    heard_s = windows.covered_s(np.arange(len(windows.spans)))
    nearest = min((abs(odds) for odds in counted.log_odds[: counted.found]), default=math.inf)
    if not math.isfinite(nearest):
        return 100.0 if heard_s >= MIN_COMPARED_S else 50.0
    certainty = 1.0 / (1.0 + math.exp(-nearest))
    return 50.0 + 100.0 * (certainty - 0.5) * min(1.0, heard_s / MIN_COMPARED_S)


def _silhouette(windows: Windows, labels: Labels) -> float:
    """Mean silhouette of the windows; -1 for one voice."""
    if labels.max(initial=0) < 1:
        return -1.0
    return float(silhouettes(windows.embeddings, labels)[2].mean())
