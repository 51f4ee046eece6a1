"""Samples -> the times of syllable nuclei, so that the speed of speech is known without a transcript.

After de Jong & Wempe 2009, "Praat script to detect syllable nuclei and measure speech rate automatically" (Behavior
Research Methods 41): a nucleus is a peak of the intensity that rises above a threshold under the loudest part, is set
off by a dip from the peak before it, and is voiced.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from mlcore.media import SAMPLE_RATE

Floats = npt.NDArray[np.float32]

STEP_SAMPLES = 128
"""8 ms between two values of the intensity; Praat takes 16 ms with the script's setting."""
SMOOTH_STEPS = 8
"""A Hann window of 64 ms, Praat's effective window at the script's minimum pitch of 50 Hz."""
LOUD_PERCENTILE = 99
"""What counts as the loudest part: the script's guard against clicks."""
UNDER_LOUD_DB = 25.0
"""The script's threshold under the loudest part."""
MIN_DIP_DB = 2.0
"""The script's, for recordings that are not filtered."""
LEAST_LEVEL_DB = -60.0
"""dBFS; where the loudest part is below it nobody speaks into the microphone. *Assumption*: quiet speech of the shared
recordings and of RAVDESS is above -57 dB."""

VOICED = 0.45
"""Praat's voicing threshold (Boersma 1993): height of the autocorrelation's peak."""
FRAME_SAMPLES, FFT_SAMPLES = 640, 2048
SHORTEST_LAG, LONGEST_LAG = 36, 266
"""444 to 60 Hz; the script's ceiling is 450 Hz, its floor of 30 Hz needs longer windows than a fast syllable."""


def syllable_nuclei(samples: Floats) -> tuple[float, ...]:
    """Seconds of the nuclei in 16 kHz mono samples in -1..1, shape (n,), in order; none in silence or noise."""
    levels_db = intensity_db(samples)
    if len(levels_db) == 0:
        return ()
    loud_db = float(np.percentile(levels_db, LOUD_PERCENTILE))
    if loud_db < LEAST_LEVEL_DB:
        return ()
    steps = [step for step in _peaks(levels_db) if levels_db[step] >= loud_db - UNDER_LOUD_DB]
    places = np.array(steps, np.int64) * STEP_SAMPLES + STEP_SAMPLES // 2
    return tuple(float(place) / SAMPLE_RATE for place in places[_voiced(samples, places)])


def intensity_db(samples: Floats) -> Floats:
    """dBFS every 8 ms (a full-scale sine is at -3), smoothed over 64 ms; shape (n // 128,)."""
    steps = len(samples) // STEP_SAMPLES
    cut = samples[: steps * STEP_SAMPLES].reshape(steps, STEP_SAMPLES)
    power = np.einsum("ij,ij->i", cut, cut) / STEP_SAMPLES
    if steps < SMOOTH_STEPS:
        return np.empty(0, np.float32)
    window = np.hanning(SMOOTH_STEPS + 3)[1:-1]
    smooth = np.convolve(power, window / window.sum(), mode="same")
    levels: Floats = (10 * np.log10(np.maximum(smooth, 1e-12))).astype(np.float32)
    return levels


def _peaks(levels_db: Floats) -> list[int]:
    """The highest steps between dips of `MIN_DIP_DB`. What only falls at the beginning or rises at the end is none: it
    is a syllable that the window cuts."""
    found: list[int] = []
    top = 0
    bottom_db = float("-inf")
    rising = True
    for step, level_db in enumerate(levels_db.tolist()):
        if rising:
            if level_db > levels_db[top]:
                top = step
            elif level_db < levels_db[top] - MIN_DIP_DB:
                if top >= SMOOTH_STEPS // 2:
                    found.append(top)
                rising, bottom_db = False, level_db
        elif level_db < bottom_db:
            bottom_db = level_db
        elif level_db > bottom_db + MIN_DIP_DB:
            rising, top = True, step
    return found


def _voiced(samples: Floats, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether the 40 ms around each place have a pitch, by the autocorrelation over that of the window (Boersma
    1993)."""
    if len(places) == 0:
        return np.zeros(0, np.bool_)
    around = np.pad(samples.astype(np.float32, copy=False), FRAME_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(around, FRAME_SAMPLES)[places]
    taper = np.hanning(FRAME_SAMPLES).astype(np.float32)
    own = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * taper)
    shape = _autocorrelation(taper[None])
    height = own / (own[:, :1] + 1e-12) / (shape / shape[:, :1])
    voiced: npt.NDArray[np.bool_] = height[:, SHORTEST_LAG:LONGEST_LAG].max(axis=1) >= VOICED
    return voiced


def _autocorrelation(frames: Floats) -> Floats:
    spectrum = fft.rfft(frames, FFT_SAMPLES, axis=1)
    correlation: Floats = fft.irfft(np.abs(spectrum) ** 2, FFT_SAMPLES, axis=1)[:, :LONGEST_LAG]
    return correlation
