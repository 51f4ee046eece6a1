from __future__ import annotations

import numpy as np
import pytest

from mlcore.voice_activity import Interval
from mlcore.voice_pitch import median_log_pitch
from tests.mlcore import sounds


@pytest.mark.parametrize("pitch_hz", [90, 160, 250, 350])
def test_the_pitch_of_harmonics_is_that_of_the_lowest(pitch_hz):
    found = median_log_pitch(sounds.harmonics(2, pitch_hz, 6), [Interval(0.2, 1.4)])
    assert np.exp(found[0]) == pytest.approx(pitch_hz, rel=0.03)


def test_windows_keep_their_own_pitch():
    samples = np.concatenate([sounds.harmonics(1, 110, 6), sounds.harmonics(1, 220, 6)])
    low, high = np.exp(median_log_pitch(samples, [Interval(0, 1), Interval(1.05, 2)]))
    assert high / low == pytest.approx(2, rel=0.05)


def test_noise_silence_and_almost_nothing_have_no_pitch():
    window = [Interval(0, 1)]
    for samples in (sounds.white_noise(1), sounds.silence(1), sounds.silence(0.02)):
        assert np.isnan(median_log_pitch(samples, window)).all()
