"""Sound at other rates than 16 kHz."""

from __future__ import annotations

import numpy as np
import pytest

from rooms.live.resampling import Resampler
from rooms.media_messages import Sound


def tone(rate: int, seconds: float, hertz: float) -> np.ndarray:
    return (12_000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("<i2")


def through(rate: int, samples: np.ndarray, piece: int) -> np.ndarray:
    resampler = Resampler()
    pieces = [samples[at : at + piece].tobytes() for at in range(0, len(samples), piece)]
    return np.frombuffer(b"".join(resampler.take(Sound(0, one, rate)) for one in pieces), "<i2")


def test_sound_at_16_khz_is_left_as_it_is() -> None:
    samples = tone(16_000, 0.5, 440)
    assert np.array_equal(through(16_000, samples, 4000), samples)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_pitch_length_and_seams_are_right(rate: int) -> None:
    out = through(rate, tone(rate, 2.0, 440), rate // 10 + 7)
    assert 2.0 - len(out) / 16_000 < 0.15
    middle = out[4_000:20_000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    peak = int(spectrum.argmax())
    assert abs(peak * 16_000 / len(middle) - 440) < 2
    away = np.r_[spectrum[: peak - 8], spectrum[peak + 9 :]]
    assert 20 * np.log10(away.max() / spectrum.max()) < -60, "a click at a seam is heard everywhere"


def test_what_is_above_8_khz_does_not_fold_back() -> None:
    out = through(48_000, tone(48_000, 1.0, 11_000), 4_800)
    assert np.abs(out[2_000:14_000].astype(int)).max() < 100
