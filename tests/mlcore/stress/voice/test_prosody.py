"""Pitch, voicing, loudness and syllables of sounds of which they are known."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.stress.voice.prosody import COLUMNS, pitch_of, prosody
from tests.mlcore import sounds


def column(samples: np.ndarray, name: str) -> np.ndarray:
    return prosody(samples)[:, COLUMNS.index(name)]


@pytest.mark.parametrize("pitch_hz", [80, 120, 220, 330, 450])
def test_the_pitch_of_harmonics_is_that_of_the_lowest(pitch_hz: int):
    found = pitch_of(sounds.harmonics(1.0, pitch_hz, 6))
    assert found.voiced[2:-2].all()
    assert found.f0_hz[2:-2] == pytest.approx(np.full(len(found.f0_hz) - 4, pitch_hz), rel=0.01)


def test_a_glide_is_followed():
    t = np.arange(32000) / 16000
    hz = 110 * 2 ** (t / 2)
    phase = 2 * np.pi * np.cumsum(hz) / 16000
    found = pitch_of(sum(np.sin(k * phase) / k for k in range(1, 6)).astype(np.float32) * 0.2)
    assert found.f0_hz[3:-3] == pytest.approx(hz[::640][3:-3], rel=0.03)


@pytest.mark.parametrize("noise", [sounds.white_noise(1.0), sounds.pink_noise(1.0), sounds.silence(1.0)])
def test_noise_and_silence_are_unvoiced(noise: np.ndarray):
    assert pitch_of(noise).voiced.mean() < 0.1


def test_pitch_counts_from_the_voice_s_own_median():
    low, high = sounds.harmonics(1.0, 110, 6), sounds.harmonics(1.0, 220, 6)
    assert np.abs(column(low, "pitch") - column(high, "pitch"))[2:-2].max() < 0.02
    jump = column(np.concatenate([low, high]), "pitch")
    assert jump[30:45].mean() - jump[5:20].mean() == pytest.approx(1.0, abs=0.05)


def test_loudness_counts_from_the_speech_and_ends_at_a_floor():
    voice = sounds.harmonics(1.0, 150, 6)
    loudness = column(np.concatenate([voice, voice * 0.1, sounds.silence(1.0)]), "loudness")
    assert loudness[5:20].mean() == pytest.approx(0.0, abs=0.1)
    assert loudness[30:45].mean() == pytest.approx(-2.0, abs=0.1)
    assert loudness[55:].mean() == pytest.approx(-5.0, abs=0.1)


def test_a_louder_recording_has_the_same_prosody():
    speech = sounds.say("the dogs are sitting by the door")
    assert np.allclose(prosody(speech), prosody(speech * 0.1), atol=0.05)


def test_faster_speech_has_more_syllables_a_second():
    text = "many people were walking along the river in the evening"
    slow, fast = (
        column(sounds.say(text, words_per_minute=wpm), "syllable_rate").mean() for wpm in (100, 250)
    )
    assert fast > 1.3 * slow


def test_even_a_single_sample_has_a_frame():
    assert prosody(np.full(1, 0.1, np.float32)).shape == (1, len(COLUMNS))
    assert np.isfinite(prosody(sounds.silence(0.5))).all()
