"""Windows of speech -> how many voices, and which window is whose.

The recording is split in two again and again; a split counts as two voices when a logistic regression on the
two halves says so. How it was fitted, and on what, is in docs/models/voices.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from mlcore.voice_activity import Interval

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.intp]

MIN_VOICE_S = 1.6
"""Assumption: with less speech a cluster is an oddity of a voice already known."""
MIN_SEED_S = 2.0
"""Speech of both clusters of average linkage that are taken for the seeds of a split."""
MIN_WINDOWS = 4
MAX_VOICES = 4
MAX_CLUSTERED = 2000
"""More windows are thinned out evenly before clustering, and given to the nearest voice afterwards."""
REPEAT_COSINE, REPEAT_APART_S = 0.955, 1.3
"""One person's windows that do not overlap reach 0.947 (99th percentile, six LibriSpeech readers of 66 to 90 s, the
pyannote sample and AMI dev00); those of a looped clip lie above 0.96."""
MAX_TREE_CUT = 24
KMEANS_STEPS = 15

COSINE, WITHIN, BETWEEN, SILHOUETTE = -7.297, -7.038, -18.678, 13.354
LOG_SMALLER_S, LOG_ALL_S, PITCH, BIAS = 2.248, 0.803, -4.709, 13.576
"""Coefficients of the log odds of two voices. A pitch that differs speaks for emotion, not for another person,
once the embeddings have had their say."""
SMALLER_CAP_S, ALL_CAP_S, PITCH_CAP = 12.0, 60.0, 0.8


@dataclass(frozen=True)
class Windows:
    """Windows of speech in order of time; `embeddings` has shape (windows, 256), rows of length 1, `log_pitch`
    shape (windows,), nan where unvoiced."""

    spans: tuple[Interval, ...]
    embeddings: Floats
    log_pitch: Floats

    @cached_property
    def middles_s(self) -> npt.NDArray[np.float64]:
        return np.array([(span.start_s + span.end_s) / 2 for span in self.spans])

    def covered_s(self, members: Indexes) -> float:
        covered_s, until_s = 0.0, -1.0
        for index in members:
            covered_s += max(0.0, self.spans[index].end_s - max(self.spans[index].start_s, until_s))
            until_s = max(until_s, self.spans[index].end_s)
        return covered_s


@dataclass(frozen=True)
class Split:
    """Two groups of windows and the log odds that they are two voices."""

    first: Indexes
    second: Indexes
    log_odds: float


@dataclass(frozen=True)
class VoiceCount:
    """`labels_by_count` has a voice for each window, for 1 to 4 voices (fewer where the recording cannot bear
    as many); `log_odds` are those of the splits that led to them, likeliest group first."""

    found: int
    labels_by_count: dict[int, Indexes]
    log_odds: tuple[float, ...]


def count_voices(windows: Windows) -> VoiceCount:
    """How many voices, 1 to 4: while the likeliest split of a group is likelier two voices than one."""
    used = _heard_first(
        windows,
        np.unique(np.linspace(0, len(windows.spans) - 1, min(len(windows.spans), MAX_CLUSTERED)).astype(int)),
    )
    splits = {0: best_split(windows, used)}
    groups: list[Indexes] = [used]
    log_odds: list[float] = []
    labels = {1: np.zeros(len(windows.spans), dtype=np.intp)}
    for count in range(2, MAX_VOICES + 1):
        likeliest = max(splits, key=lambda group: _odds(splits[group]))
        split = splits[likeliest]
        log_odds.append(_odds(split))
        if split is None:
            break
        groups[likeliest] = split.first
        groups.append(split.second)
        splits[likeliest] = best_split(windows, split.first)
        splits[len(groups) - 1] = best_split(windows, split.second)
        labels[count] = _labels(windows, groups)
    found = 1
    while found <= len(log_odds) and log_odds[found - 1] > 0.0 and found + 1 in labels:
        found += 1
    for count in range(2, MAX_VOICES + 1):
        labels.setdefault(count, labels[count - 1])
    return VoiceCount(found, labels, tuple(log_odds))


def _heard_first(windows: Windows, members: Indexes) -> Indexes:
    """Without the windows that sound like an earlier one that they do not overlap: what is played again (a looped
    clip, a jingle) tells nothing new, and its exact repetitions would pass for tight groups."""
    if not len(members):
        return members
    embeddings, middles_s = windows.embeddings[members], windows.middles_s[members]
    apart = middles_s[:, None] - middles_s[None, :] >= REPEAT_APART_S
    repeats = ((embeddings @ embeddings.T > REPEAT_COSINE) & apart).any(axis=1)
    return members[~repeats]


def best_split(windows: Windows, members: Indexes) -> Split | None:
    """The likeliest of a split by 2-means and one seeded by average linkage (which finds the small second voice
    that means overlook); None where no split leaves both sides enough speech."""
    if len(members) < MIN_WINDOWS:
        return None
    embeddings = windows.embeddings[members]
    splits = [
        _judged(windows, members[~second], members[second])
        for second in (_by_means(embeddings, _by_spread(embeddings)), _by_linkage(windows, members))
        if second is not None and second.any() and not second.all()
    ]
    return max((split for split in splits if split is not None), key=_odds, default=None)


def unit(vectors: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(
        vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32
    )


def without_variation(embeddings: Floats) -> Floats:
    """Embeddings without the five directions in which one acting voice varies most within a recording, words as well as
    emotions (nuisance attribute projection, Solomonoff et al. 2005), rows of length 1 again."""
    directions = _variation()
    return unit(embeddings - (embeddings @ directions.T) @ directions)


def silhouettes(embeddings: Floats, labels: Indexes) -> tuple[Floats, Floats, Floats]:
    """Mean cosine similarity of each window to its own voice and to the nearest other one, and its silhouette
    (Rousseeuw 1987, cosine distance); at least two voices, each with a window."""
    members = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    sizes, rows = members.sum(axis=0), np.arange(len(labels))
    sums = embeddings @ (members.T @ embeddings).T
    own = (sums[rows, labels] - 1.0) / np.maximum(sizes[labels] - 1, 1)
    means = sums / sizes
    means[rows, labels] = -np.inf
    other = means.max(axis=1)
    return own, other, (own - other) / np.maximum(np.maximum(1 - own, 1 - other), 1e-6)


@cache
def _variation() -> Floats:
    """Shape (5, 256), orthonormal rows."""
    return np.load(Path(__file__).with_name("voice_variation.npy"), allow_pickle=False)


def _odds(split: Split | None) -> float:
    return -math.inf if split is None else split.log_odds


def _judged(windows: Windows, first: Indexes, second: Indexes) -> Split | None:
    smaller_s = min(windows.covered_s(first), windows.covered_s(second))
    if smaller_s < MIN_VOICE_S:
        return None
    members = np.concatenate([first, second])
    labels = np.repeat([0, 1], [len(first), len(second)])
    embeddings = windows.embeddings[members]
    own, other, silhouette = silhouettes(embeddings, labels)
    centroids = unit(np.stack([windows.embeddings[group].mean(axis=0) for group in (first, second)]))
    all_s = windows.covered_s(np.sort(members))
    log_odds = (
        COSINE * float(centroids[0] @ centroids[1])
        + WITHIN * float(own.mean())
        + BETWEEN * float(other[labels == 0].mean())
        + SILHOUETTE * float(silhouette.mean())
        + LOG_SMALLER_S * math.log(min(smaller_s, SMALLER_CAP_S))
        + LOG_ALL_S * math.log(min(all_s, ALL_CAP_S))
        + PITCH * _pitch_difference(windows.log_pitch[first], windows.log_pitch[second])
        + BIAS
    )
    return Split(first, second, log_odds)


def _pitch_difference(first: Floats, second: Floats) -> float:
    """Between the medians, natural logarithm; 0 where either has fewer than two voiced windows."""
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    if min(len(first), len(second)) < 2:
        return 0.0
    return min(abs(float(np.median(first) - np.median(second))), PITCH_CAP)


def _by_spread(embeddings: Floats) -> npt.NDArray[np.bool_]:
    """By the sign on the first principal component."""
    centred = embeddings - embeddings.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ vectors[:, -1] > 0)


def _by_means(embeddings: Floats, second: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Spherical 2-means from a first guess."""
    for _ in range(KMEANS_STEPS):
        if second.all() or not second.any():
            break
        one, other = unit(np.stack([embeddings[~second].mean(axis=0), embeddings[second].mean(axis=0)]))
        before, second = second, np.asarray(embeddings @ other > embeddings @ one)
        if np.array_equal(before, second):
            break
    return second


def _by_linkage(windows: Windows, members: Indexes) -> npt.NDArray[np.bool_] | None:
    """By the nearer of the two largest clusters, at the coarsest cut with two that have enough speech."""
    embeddings = windows.embeddings[members]
    distances = np.clip(1.0 - embeddings @ embeddings.T, 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), "average")
    for count in range(2, min(len(members), MAX_TREE_CUT + 1)):
        clusters = fcluster(tree, count, "maxclust")
        groups = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
        voices = [group for group in groups if windows.covered_s(members[group]) >= MIN_SEED_S]
        if len(voices) >= 2:
            largest = sorted(voices, key=len, reverse=True)[:2]
            one, other = unit(np.stack([embeddings[group].mean(axis=0) for group in largest]))
            return _by_means(embeddings, np.asarray(embeddings @ other > embeddings @ one))
    return None


def _labels(windows: Windows, groups: Sequence[Indexes]) -> Indexes:
    """Labels in order of first appearance; windows left out of the clustering go to the nearest voice."""
    centroids = unit(np.stack([windows.embeddings[group].mean(axis=0) for group in groups]))
    labels = np.argmax(windows.embeddings @ centroids.T, axis=1)
    for label, group in enumerate(groups):
        labels[group] = label
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.intp)
