"""One clip in many rooms: other speeds, distances, noises, lines and windows. Each draw comes from the generator given.

All shares and ranges are *assumptions* about video calls; what each gains is in docs/models/voice-stress.md.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from mlcore.media import SAMPLE_RATE
from mlcore.stress.labels import Floats
from mlcore.stress.voice.features import speech_level

SHORTEST_S, LONGEST_S = 2.0, 4.0
"""Of random windows."""
SPEECH_KEPT = 0.6
"""Of the clip's energy, which a window is to keep."""
TRIES = 20
SPEED_SHARE, SLOWEST, FASTEST, SPEED_STEPS = 0.5, 0.9, 1.1, 40
ROOM_SHARE, DRYEST_S, WETTEST_S = 0.3, 0.1, 0.5
"""Reverberation times (60 dB)."""
FIRST_ECHO_S = 0.002
LEAST_ECHO, MOST_ECHO = 0.1, 0.7
"""Root of the echoes' energy over that of the direct sound."""
LINE_SHARE = 0.15
"""Sampled at 8 kHz on the way."""
NOISE_SHARE, LOUDEST_NOISE_DB, SOFTEST_NOISE_DB = 0.6, 5.0, 30.0
"""Signal over noise."""


def augmented(samples: Floats, random: np.random.Generator) -> Floats:
    """Another recording of the same speech, 16 kHz mono; the length changes with the speed."""
    if random.random() < SPEED_SHARE:
        samples = faster(samples, random.uniform(SLOWEST, FASTEST))
    if random.random() < ROOM_SHARE:
        samples = _in_a_room(samples, random)
    if random.random() < LINE_SHARE:
        samples = telephoned(samples)
    if random.random() < NOISE_SHARE:
        samples = noisy(samples, random.uniform(LOUDEST_NOISE_DB, SOFTEST_NOISE_DB), random)
    return np.asarray(samples, dtype=np.float32)


def window(samples: Floats, random: np.random.Generator) -> Floats:
    """A stretch of 2 to 4 s that holds most of the speech, or all where the clip is no longer."""
    length = int(random.uniform(SHORTEST_S, LONGEST_S) * SAMPLE_RATE)
    if len(samples) <= length:
        return samples
    energy = np.cumsum(np.square(samples, dtype=np.float64))
    for _ in range(TRIES):
        start = int(random.integers(0, len(samples) - length))
        if energy[start + length] - energy[start] >= SPEECH_KEPT * energy[-1]:
            break
    return samples[start : start + length]


def middle(samples: Floats, seconds: float) -> Floats:
    """The stretch of that length in the middle, or all."""
    length = int(seconds * SAMPLE_RATE)
    start = max(0, (len(samples) - length) // 2)
    return samples[start : start + length]


def faster(samples: Floats, speed: float) -> Floats:
    """Played at another speed, pitch and all."""
    return np.asarray(resample_poly(samples, SPEED_STEPS, round(SPEED_STEPS * speed)), dtype=np.float32)


def telephoned(samples: Floats) -> Floats:
    """Without what lies above 4 kHz."""
    return np.asarray(resample_poly(resample_poly(samples, 1, 2), 2, 1), dtype=np.float32)


def noisy(samples: Floats, signal_over_noise_db: float, random: np.random.Generator) -> Floats:
    """With white or pink noise so far below the speech."""
    noise = random.standard_normal(len(samples))
    if random.random() < 0.5:
        noise = _pink(noise)
    level = speech_level(samples) * 10.0 ** (-signal_over_noise_db / 20.0)
    return (samples + noise * level).astype(np.float32)


def _pink(noise: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(noise)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(noise))
    return np.asarray(pink / max(float(pink.std()), 1e-9))


def _in_a_room(samples: Floats, random: np.random.Generator) -> Floats:
    """Exponentially decaying noise for the echoes (Polack 1988)."""
    taps = int(random.uniform(DRYEST_S, WETTEST_S) * SAMPLE_RATE)
    echoes = random.standard_normal(taps) * 10.0 ** (-3.0 * np.arange(taps) / taps)
    echoes[: int(FIRST_ECHO_S * SAMPLE_RATE)] = 0.0
    echoes *= random.uniform(LEAST_ECHO, MOST_ECHO) / np.sqrt(np.square(echoes).sum())
    echoes[0] = 1.0
    return fftconvolve(samples, echoes)[: len(samples)].astype(np.float32)
