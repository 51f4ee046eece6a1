"""Samples -> the pitch of windows of speech (autocorrelation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from mlcore.media import SAMPLE_RATE
from mlcore.voice_activity import Interval

Floats = npt.NDArray[np.float32]

FRAME_SAMPLES = 640
HOP_SAMPLES = 320
FFT_SAMPLES = 2048
SHORTEST_LAG, LONGEST_LAG = 40, 250
"""400 to 64 Hz."""
VOICED = 0.5
"""Assumption: normalised autocorrelation from which a frame counts as voiced."""
NEAR_BEST = 0.9
"""Assumption: the shortest lag this near to the best one is taken, against octave errors."""
CLIMB_STEPS = 6
MIN_FRAMES = 5
FRAMES_AT_ONCE = 3000


def median_log_pitch(samples: Floats, windows: Sequence[Interval]) -> Floats:
    """Median natural logarithm of the pitch in Hz of each window of 16 kHz samples, shape (windows,); nan where
    fewer than five of its frames (40 ms, every 20 ms) are voiced.

    Autocorrelation divided by that of the analysis window (Boersma 1993), without interpolation."""
    if len(samples) < FRAME_SAMPLES:
        return np.full(len(windows), np.nan, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    parts = range(0, len(frames), FRAMES_AT_ONCE)
    pitch = np.concatenate([_log_pitch(frames[at : at + FRAMES_AT_ONCE]) for at in parts])
    middles_s = (np.arange(len(frames)) * HOP_SAMPLES + FRAME_SAMPLES / 2) / SAMPLE_RATE
    bounds = np.searchsorted(middles_s, [(window.start_s, window.end_s) for window in windows])
    return np.array([_median(pitch[start:end]) for start, end in bounds], dtype=np.float32)


def _median(pitch: Floats) -> float:
    voiced = pitch[~np.isnan(pitch)]
    return float(np.median(voiced)) if len(voiced) >= MIN_FRAMES else float("nan")


def _log_pitch(frames: Floats) -> Floats:
    taper = np.hanning(FRAME_SAMPLES).astype(np.float32)
    shape = _autocorrelation(taper[None])
    levelled = frames - frames.mean(axis=1, keepdims=True)
    correlation = _autocorrelation(levelled * taper)
    correlation = correlation / (correlation[:, :1] + 1e-9) / (shape / shape[:, :1])
    lags, rows = correlation[:, SHORTEST_LAG:LONGEST_LAG], np.arange(len(frames))
    best = lags.max(axis=1)
    lag = SHORTEST_LAG + np.argmax(lags > NEAR_BEST * best[:, None], axis=1)
    for _ in range(CLIMB_STEPS):
        after = np.minimum(lag + 1, LONGEST_LAG)
        lag = np.where(correlation[rows, after] > correlation[rows, lag], after, lag)
    return np.where(best > VOICED, np.log(SAMPLE_RATE / lag), np.nan).astype(np.float32)


def _autocorrelation(frames: Floats) -> Floats:
    """Shape (frames, LONGEST_LAG + 1), lags from 0."""
    spectrum = fft.rfft(frames, FFT_SAMPLES, axis=1)
    return fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : LONGEST_LAG + 1].astype(np.float32)
