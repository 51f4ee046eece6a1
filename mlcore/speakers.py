"""Samples -> who spoke when (Resemblyzer embeddings, agglomerative clustering).

How the constants were settled, and what they give on recordings kept apart, is in docs/models/voices.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from mlcore.speech import Word
from mlcore.voice_activity import Interval, VoiceActivity, detect_voice, total_s
from mlcore.voice_embedding import embed_windows

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]

WINDOW_S = 1.6
"""What Resemblyzer was trained on."""
MIN_WINDOW_S = 0.8
"""Assumption: shorter stretches of speech say too little about a voice."""
HOP_S = 0.8
CUT_DISTANCE = 0.40
"""Cosine distance at which average linkage stops; settled on dialogues of our own."""
CONFIDENCE_SCALE = 0.04
"""How fast doubt falls with the distance from the cut (logistic); settled on the same dialogues."""
MIN_VOICE_WINDOWS = 2
MIN_VOICE_S = 1.6
"""Assumption: clusters with less speech are taken for oddities of a voice already known."""
MAX_VOICES = 4
STEP_S = 0.1
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

    `confidence` is 50 where the clusters' distance lies on the cut, and where there is too little speech to
    compare; it nears 100 with its distance from the cut. `num_speakers` is None without speech."""

    num_speakers: int | None
    turns: tuple[Turn, ...]
    confidence: float | None
    silhouette_score: float
    turns_by_count: dict[int, tuple[Turn, ...]]


NO_VOICES = Voices(None, (), None, -1.0, {})


@dataclass(frozen=True)
class _Windows:
    """Windows of speech in order of time; `embeddings` has shape (windows, 256), rows of length 1."""

    spans: tuple[Interval, ...]
    embeddings: Floats
    tree: npt.NDArray[np.float64] | None

    @cached_property
    def middles_s(self) -> npt.NDArray[np.float64]:
        return np.array([(span.start_s + span.end_s) / 2 for span in self.spans])

    def is_voice(self, members: npt.NDArray[np.intp]) -> bool:
        return len(members) >= MIN_VOICE_WINDOWS and _covered_s(self.spans, members) >= MIN_VOICE_S


def find_voices(
    samples: Floats, voice: VoiceActivity | None = None, *, num_speakers: int | None = None
) -> Voices:
    """Who spoke when in 16 kHz mono samples in -1..1, shape (n,).

    `voice` saves the second look where voice activity is known already; `num_speakers` (1 to 4) sets the count,
    as a reviewer does. A count that the recording cannot bear falls back to the nearest lower one.
    """
    speech = (voice or detect_voice(samples)).speech
    if not speech:
        return NO_VOICES
    windows = _windows(samples, speech)
    counted = _labels_at(windows, CUT_DISTANCE)
    found = min(_count(counted), MAX_VOICES)
    by_count = {count: _split(windows, count) for count in range(1, MAX_VOICES + 1)}
    if _count(counted) == found:
        by_count[found] = counted
    turns = {count: _turns(windows, labels, speech) for count, labels in by_count.items()}
    chosen = min(max(num_speakers, 1), MAX_VOICES) if num_speakers else found
    return Voices(
        num_speakers=chosen,
        turns=turns[chosen],
        confidence=_confidence(windows),
        silhouette_score=_silhouette(windows, by_count[chosen]),
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


def _windows(samples: Floats, speech: Sequence[Interval]) -> _Windows:
    spans = tuple(window for interval in speech for window in spread(interval))
    embeddings = embed_windows(samples, spans)
    tree = linkage(_distances(embeddings), "average") if len(spans) > 1 else None
    return _Windows(spans, embeddings, tree)


def spread(interval: Interval) -> list[Interval]:
    """Windows of 1.6 s, at least half overlapping, from edge to edge of an interval of speech; the interval
    itself where it is shorter, nothing where it is under 0.8 s."""
    if interval.duration_s < WINDOW_S:
        return [interval] if interval.duration_s >= MIN_WINDOW_S else []
    last_s = interval.end_s - WINDOW_S
    count = math.ceil((last_s - interval.start_s) / HOP_S) + 1
    return [Interval(start, start + WINDOW_S) for start in np.linspace(interval.start_s, last_s, count)]


def _distances(embeddings: Floats) -> Floats:
    distances = 1.0 - embeddings @ embeddings.T
    np.fill_diagonal(distances, 0.0)
    return squareform(np.clip(distances, 0.0, 2.0), checks=False)


def _covered_s(spans: Sequence[Interval], members: npt.NDArray[np.intp]) -> float:
    covered_s, until_s = 0.0, -1.0
    for index in members:
        covered_s += max(0.0, spans[index].end_s - max(spans[index].start_s, until_s))
        until_s = max(until_s, spans[index].end_s)
    return covered_s


def _count(labels: Labels) -> int:
    return int(labels.max(initial=0)) + 1


def _labels_at(windows: _Windows, cut: float) -> Labels:
    """A voice for each window: clusters at the cut, the windows of too small ones given to the nearest voice."""
    if windows.tree is None:
        return np.zeros(len(windows.spans), dtype=np.intp)
    return _settled(windows, fcluster(windows.tree, cut, "distance"))


def _settled(windows: _Windows, clusters: npt.NDArray[np.int32]) -> Labels:
    groups = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    voices = [members for members in groups if windows.is_voice(members)]
    labels = np.zeros(len(windows.spans), dtype=np.intp)
    if len(voices) < 2:
        return labels
    centroids = _unit(np.stack([windows.embeddings[members].mean(axis=0) for members in voices]))
    labels = np.argmax(windows.embeddings @ centroids.T, axis=1)
    for label, members in enumerate(voices):
        labels[members] = label
    return _in_order(labels)


def _split(windows: _Windows, count: int) -> Labels:
    """The coarsest cut of the tree that gives `count` voices, or as many as it can give below that."""
    best = np.zeros(len(windows.spans), dtype=np.intp)
    if windows.tree is None or count == 1:
        return best
    for clusters in range(count, min(len(windows.spans), 12 * count) + 1):
        labels = _settled(windows, fcluster(windows.tree, clusters, "maxclust"))
        if _count(best) < _count(labels) <= count:
            best = labels
        if _count(best) == count:
            break
    return best


def _in_order(labels: Labels) -> Labels:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.intp)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _turns(windows: _Windows, labels: Labels, speech: Sequence[Interval]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for interval in speech:
        turns.extend(_turns_within(windows, labels, interval))
    relabelled: dict[int, int] = {}
    return tuple(
        Turn(turn.start_s, turn.end_s, relabelled.setdefault(turn.speaker, len(relabelled))) for turn in turns
    )


def _turns_within(windows: _Windows, labels: Labels, interval: Interval) -> list[Turn]:
    """Every tenth of a second goes to the voice of the windows around it, the nearer the more they weigh."""
    near = _near(windows, interval)
    voices = np.unique(labels[near])
    if len(voices) < 2:
        speaker = int(voices[0]) if len(voices) else 0
        return [Turn(interval.start_s, interval.end_s, speaker)]
    steps = max(1, round(interval.duration_s / STEP_S))
    edges = np.linspace(interval.start_s, interval.end_s, steps + 1)
    distances_s = ((edges[:-1] + edges[1:]) / 2)[:, None] - windows.middles_s[near][None, :]
    weights = np.exp(-0.5 * (distances_s / (HOP_S / 2)) ** 2)
    votes = weights @ (labels[near][:, None] == voices[None, :])
    speakers = voices[np.argmax(votes, axis=1)]
    changes = [0, *(np.flatnonzero(np.diff(speakers)) + 1), steps]
    return _without_short(
        [Turn(float(edges[a]), float(edges[b]), int(speakers[a])) for a, b in pairwise(changes)]
    )


def _near(windows: _Windows, interval: Interval) -> npt.NDArray[np.intp]:
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


def _confidence(windows: _Windows) -> float:
    """How far the nearest merge of two voices lies from the cut, through a logistic curve: 50-100."""
    heights = [height for height in _voice_merges(windows) if height > 0.0]
    if not heights:
        enough = total_s(windows.spans) >= 4 * MIN_VOICE_S
        return 100.0 if enough else 50.0
    margin = min(abs(height - CUT_DISTANCE) for height in heights)
    return 100.0 / (1.0 + math.exp(-margin / CONFIDENCE_SCALE))


def _voice_merges(windows: _Windows) -> list[float]:
    """Heights at which two clusters that are voices each were joined."""
    if windows.tree is None:
        return []
    members = [np.array([index]) for index in range(len(windows.spans))]
    heights = []
    for left, right, height, _ in windows.tree:
        one, other = members[int(left)], members[int(right)]
        if windows.is_voice(one) and windows.is_voice(other):
            heights.append(float(height))
        members.append(np.sort(np.concatenate([one, other])))
    return heights


def _silhouette(windows: _Windows, labels: Labels) -> float:
    """Mean silhouette (Rousseeuw 1987) of the windows by cosine distance; -1 for one voice."""
    if _count(labels) < 2:
        return -1.0
    distances = np.clip(1.0 - windows.embeddings @ windows.embeddings.T, 0.0, 2.0)
    members = np.eye(_count(labels), dtype=np.float32)[labels]
    sizes = members.sum(axis=0)
    sums = distances @ members
    rows = np.arange(len(labels))
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    means = sums / sizes
    means[rows, labels] = np.inf
    other = means.min(axis=1)
    scores = np.where(sizes[labels] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-9), 0.0)
    return float(scores.mean())
