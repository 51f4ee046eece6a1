"""Samples -> prosody of every 40 ms: pitch (pYIN), loudness, voicing, rate of syllables.

pYIN (Mauch & Dixon 2014, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions") in a
form for short windows: librosa's takes 240 ms of one core for 3 s of speech in steps of 20 ms, this one 3 ms in steps
of 40. The path is found among each frame's likeliest candidates rather than over a grid of pitches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, signal, stats

from mlcore.media import SAMPLE_RATE

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HOP_SAMPLES = 640
"""40 ms."""
FRAME_SAMPLES = 1024
WINDOW_SAMPLES = 512
"""Over which differences are summed; lags reach past it."""
FFT_SAMPLES = 768
"""The least that no lag reaches around: more than `WINDOW_SAMPLES` and `LONGEST_LAG` together."""
SHORTEST_LAG, LONGEST_LAG = 32, 246
"""500 to 65 Hz."""
CANDIDATES = 6
"""Assumption: troughs of a frame that are looked at, the deepest ones."""
THRESHOLDS = 50
BETA = (2.0, 18.0)
BOLTZMANN = 2.0
NO_TROUGH = 0.01
SWITCH = 0.01
GLIDE_SEMITONES = 17.0
UNVOICED_SHARE = 0.01
"""The six above are librosa's priors for pYIN (with half as many thresholds): the distribution of the threshold, the
preference for short lags, what is left where no trough lies below, a change of voicing from one frame to the next,
the fastest glide (35.92 octaves a second) over 40 ms, and how little the absence of a candidate speaks against voice
(there 1/350, one of its pitches, which takes noise for voice; ours is an assumption)."""
TINY = 1e-12
LOUD_PERCENTILE = 95
QUIETEST_DB = -50.0
SLOPE_FRAMES = 5
NUCLEUS_DIP_DB = 2.0
"""De Jong & Wempe 2009: a syllable's nucleus is a voiced peak of loudness with a dip of 2 dB before it."""
SMOOTHED_FRAMES = 3
RATE_FRAMES = 25
"""Syllables are counted over a second."""
USUAL_SYLLABLES_PER_S = 5.0

COLUMNS = ("voicing", "periodicity", "pitch", "pitch_slope", "loudness", "loudness_slope", "syllable_rate")


@dataclass(frozen=True)
class Pitch:
    """Of frames 40 ms apart, each array of shape (frames,): pitch in Hz (where `voiced` is False that of the
    likeliest candidate), whether the path through the candidates is voiced there, and how much of the threshold's
    distribution any candidate satisfies, 0..1."""

    f0_hz: Floats
    voiced: Flags
    voicing: Floats
    periodicity: Floats
    """1 less the depth of the deepest trough, 0..1: falls in a rough voice that is voiced all the same."""


def prosody(samples: Floats) -> Floats:
    """Shape (frames, 7), the columns of `COLUMNS`, a frame every 40 ms; `samples` 16 kHz mono, shape (n,), n > 0.

    Pitch in octaves from the clip's median (0 where unvoiced), loudness in tens of decibels from that of its speech,
    slopes per tenth of a second, syllables in fives a second. A higher voice or a nearer microphone changes nothing."""
    pitch, loudness_db = pitch_of(samples), _loudness_db(samples)
    octaves = _octaves(pitch)
    columns = [
        pitch.voicing,
        pitch.periodicity,
        octaves,
        _slope(octaves) * pitch.voiced,
        loudness_db / 10.0,
        _slope(loudness_db / 10.0),
        _syllable_rate(loudness_db, pitch.voiced),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def pitch_of(samples: Floats) -> Pitch:
    """The pitch of 16 kHz mono samples, shape (n,), n > 0, in ceil(n / 640) frames."""
    difference = _normalised_difference(samples)
    lags, weights = _candidates(difference)
    semitones = np.asarray(12.0 * np.log2(SAMPLE_RATE / lags), dtype=np.float32)
    state = _path(semitones, weights)
    voiced = state < CANDIDATES
    chosen = np.where(voiced, state, weights.argmax(axis=1))
    f0_hz = SAMPLE_RATE / lags[np.arange(len(lags)), chosen]
    periodicity = np.clip(1.0 - difference[:, 1:-1].min(axis=1), 0.0, 1.0)
    return Pitch(f0_hz.astype(np.float32), voiced, weights.sum(axis=1), periodicity)


def _frames(samples: Floats) -> Floats:
    padded = np.pad(samples, (FRAME_SAMPLES // 2, FRAME_SAMPLES // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[: len(samples) : HOP_SAMPLES]


def _normalised_difference(samples: Floats) -> Floats:
    """The cumulative mean normalised difference (de Cheveigné & Kawahara 2002, equation 8) at lags from
    `SHORTEST_LAG` - 1 to `LONGEST_LAG` + 1, shape (frames, 217)."""
    lags = LONGEST_LAG + 2
    frames = _frames(samples)
    head = fft.rfft(frames[:, :WINDOW_SAMPLES], FFT_SAMPLES, axis=1)
    whole = fft.rfft(frames[:, : WINDOW_SAMPLES + lags], FFT_SAMPLES, axis=1)
    correlation = fft.irfft(whole * np.conj(head), FFT_SAMPLES, axis=1)[:, :lags]
    shifted = _energies(samples, len(frames), lags)
    difference = np.maximum(shifted[:, :1] + shifted - 2.0 * correlation, 0.0)[:, 1:]
    mean = np.cumsum(difference, axis=1) / np.arange(1, lags)
    return np.asarray((difference + TINY) / (mean + TINY), dtype=np.float32)[:, SHORTEST_LAG - 2 :]


def _energies(samples: Floats, frames: int, lags: int) -> Doubles:
    """Of the window of each frame at each lag, shape (frames, lags)."""
    half = FRAME_SAMPLES // 2
    sums = np.pad(np.cumsum(np.square(samples, dtype=np.float64)), (half + 1, half), mode="edge")
    sums[: half + 1] = 0.0
    windows = sums[WINDOW_SAMPLES:] - sums[:-WINDOW_SAMPLES]
    return np.lib.stride_tricks.sliding_window_view(windows, lags)[::HOP_SAMPLES][:frames]


def _candidates(difference: Floats) -> tuple[Floats, Floats]:
    """Lags (in samples, parabolic interpolation) of each frame's deepest troughs from the shortest on, and the weight
    of each, both of shape (frames, CANDIDATES)."""
    before, depth, after = difference[:, :-2], difference[:, 1:-1], difference[:, 2:]
    depths = np.where((depth < before) & (depth <= after), depth, np.inf)
    found = np.sort(np.argpartition(depths, CANDIDATES, axis=1)[:, :CANDIDATES], axis=1)
    left, middle, right = (np.take_along_axis(part, found, axis=1) for part in (before, depth, after))
    curve = np.maximum(left + right - 2.0 * middle, TINY)
    shift = np.clip(0.5 * (left - right) / curve, -1.0, 1.0)
    lags = np.asarray(found + SHORTEST_LAG + shift, dtype=np.float32)
    return lags, _weights(np.take_along_axis(depths, found, axis=1))


def _weights(depths: Floats) -> Floats:
    """How much of the threshold's distribution each trough satisfies first, shape (frames, CANDIDATES)."""
    thresholds, share, prior = _priors()
    below = depths[:, :, None] < thresholds
    rank = np.cumsum(below, axis=1) - 1
    count = below.sum(axis=1, keepdims=True)
    weights = (np.where(below, prior[count, rank], 0.0) * share).sum(axis=2)
    missed = ((count[:, 0] == 0) * share).sum(axis=1) * np.isfinite(depths).any(axis=1)
    weights[np.arange(len(depths)), depths.argmin(axis=1)] += NO_TROUGH * missed
    return np.asarray(weights, dtype=np.float32)


@cache
def _priors() -> tuple[Floats, Floats, Floats]:
    """Thresholds and their shares, shape (THRESHOLDS,); the weight of a trough by how many lie below the threshold
    and how many of these are shorter (a truncated Boltzmann distribution), shape (CANDIDATES + 1, CANDIDATES)."""
    edges = np.linspace(0.0, 1.0, THRESHOLDS + 1)
    share = np.diff(stats.beta.cdf(edges, *BETA))
    prior = np.zeros((CANDIDATES + 1, CANDIDATES))
    for count in range(1, CANDIDATES + 1):
        prior[count, :count] = stats.boltzmann.pmf(np.arange(count), BOLTZMANN, count)
    return edges[1:].astype(np.float32), share.astype(np.float32), prior.astype(np.float32)


def _path(semitones: Floats, weights: Floats) -> npt.NDArray[np.intp]:
    """The likeliest candidate of each frame, or `CANDIDATES` for unvoiced (Viterbi), shape (frames,)."""
    unvoiced = np.maximum(1.0 - weights.sum(axis=1, keepdims=True), 0.0)
    seen = np.log(np.concatenate([weights, unvoiced * UNVOICED_SHARE], axis=1) + TINY)
    moves = np.full((len(seen) - 1, CANDIDATES + 1, CANDIDATES + 1), SWITCH)
    glide = np.abs(semitones[1:, None, :] - semitones[:-1, :, None])
    moves[:, :-1, :-1] = (1.0 - SWITCH) * np.maximum(1.0 - glide / GLIDE_SEMITONES, 0.0)
    moves[:, -1, -1] = 1.0 - SWITCH
    return _likeliest(seen, np.log(moves + TINY))


def _likeliest(seen: Floats, moves: Floats) -> npt.NDArray[np.intp]:
    score, origins = seen[0], np.empty(moves.shape[:2], dtype=np.intp)
    for index, move in enumerate(moves):
        reached = score[:, None] + move
        origins[index] = reached.argmax(axis=0)
        score = reached.max(axis=0) + seen[index + 1]
    states = [int(score.argmax())]
    for origin in origins[::-1]:
        states.append(int(origin[states[-1]]))
    return np.array(states[::-1], dtype=np.intp)


def _octaves(pitch: Pitch) -> Floats:
    if not pitch.voiced.any():
        return np.zeros_like(pitch.f0_hz)
    octaves = np.log2(pitch.f0_hz)
    return np.where(pitch.voiced, octaves - np.median(octaves[pitch.voiced]), 0.0).astype(np.float32)


def _loudness_db(samples: Floats) -> Floats:
    """Below that of the loudest twentieth of the frames, decibels, not lower than `QUIETEST_DB`."""
    energy = np.square(_frames(samples)).mean(axis=1)
    level_db = 10.0 * np.log10(energy + TINY)
    return np.maximum(level_db - np.percentile(level_db, LOUD_PERCENTILE), QUIETEST_DB).astype(np.float32)


def _slope(series: Floats) -> Floats:
    """Per tenth of a second: the slope of a line fitted to five frames."""
    reach = SLOPE_FRAMES // 2
    ramp = np.arange(-reach, reach + 1, dtype=np.float32)
    per_frame = ndimage.correlate1d(series, ramp / np.square(ramp).sum(), mode="nearest")
    return np.asarray(per_frame * 2.5, dtype=np.float32)


def _syllable_rate(loudness_db: Floats, voiced: Flags) -> Floats:
    """Nuclei within half a second before or after, in units of `USUAL_SYLLABLES_PER_S`."""
    smooth = ndimage.uniform_filter1d(loudness_db, SMOOTHED_FRAMES)
    peaks, _ = signal.find_peaks(smooth, prominence=NUCLEUS_DIP_DB)
    nuclei = np.zeros(len(voiced), dtype=np.float32)
    nuclei[peaks[voiced[peaks]]] = 1.0
    per_s = ndimage.uniform_filter1d(nuclei, RATE_FRAMES, mode="constant") * RATE_FRAMES
    return np.asarray(per_s / USUAL_SYLLABLES_PER_S, dtype=np.float32)
