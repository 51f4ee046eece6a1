"""Sounds for tests of hearing: espeak-ng speech, tones, noises, and the shared recordings."""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy.signal import resample_poly

from mlcore.media import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the shared recordings are not at {SHARED}"
)


def load(path: Path) -> Samples:
    """16 kHz mono."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    common = gcd(rate, SAMPLE_RATE)
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = resample_poly(mono, SAMPLE_RATE // common, rate // common)
    return mono.astype(np.float32)


@lru_cache(maxsize=64)
def say(text: str, voice: str = "en-us", words_per_minute: int = 145, pitch: int = 50) -> Samples:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "said.wav")
        command = [
            "espeak-ng",
            "-v",
            voice,
            "-s",
            str(words_per_minute),
            "-p",
            str(pitch),
            "-w",
            str(path),
            text,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        return load(path)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), dtype=np.float32)


def pink_noise(seconds: float, rms: float = 0.1, seed: int = 0) -> Samples:
    count = int(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    return (noise / np.std(noise) * rms).astype(np.float32)


def white_noise(seconds: float, rms: float = 0.1, seed: int = 0) -> Samples:
    return (np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE)) * rms).astype(np.float32)


def harmonics(seconds: float, base_hz: float, count: int, level: float = 0.2) -> Samples:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * sum(np.sin(2 * np.pi * base_hz * k * t) / k for k in range(1, count + 1))).astype(
        np.float32
    )


def vibrato(seconds: float, base_hz: float, rate_hz: float, depth: float, overtones: int) -> Samples:
    """A sung-like tone: the voice detector takes it for speech."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * base_hz * t + depth * np.sin(2 * np.pi * rate_hz * t)
    tone = sum(np.sin(k * phase) / k for k in range(1, overtones + 1))
    return (0.25 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 1.3 * t))).astype(np.float32)


def chords(seconds: float) -> Samples:
    """A plucked progression of major chords, half a second each."""
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    bars = []
    for index in range(int(seconds * 2)):
        root = (0, 5, 7, 0)[index % 4]
        notes = [220 * 2 ** ((root + step) / 12) for step in (0, 4, 7, 12)]
        bars.append(
            sum(np.sin(2 * np.pi * hz * k * t) / k for hz in notes for k in range(1, 6)) * np.exp(-4 * t)
        )
    music = np.concatenate(bars)
    return (0.5 * music / np.abs(music).max()).astype(np.float32)
