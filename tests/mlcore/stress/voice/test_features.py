"""What sound is taken, brought to one form, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.stress.voice.features import WIDTH, VoiceFeatures, check_samples, levelled, speech_level
from tests.mlcore import sounds

VOICE = sounds.vibrato(2, 140, 5, 3, 8)


def refused(samples: object, sample_rate: int = SAMPLE_RATE) -> str:
    with pytest.raises(AnalysisError) as error:
        check_samples(samples, sample_rate)
    return error.value.code


@pytest.fixture(scope="module")
def features(whisper_folder: Path) -> VoiceFeatures:
    return VoiceFeatures(whisper_folder)


def test_mono_16_khz_stays_as_it_is():
    checked = check_samples(VOICE)
    assert checked.dtype == np.float32
    assert np.array_equal(checked, VOICE)


def test_16_bit_whole_numbers_become_floats():
    checked = check_samples((VOICE * 32767).astype(np.int16))
    assert np.allclose(checked, VOICE, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_channels_of_stereo_are_averaged(axis: int):
    checked = check_samples(np.stack([VOICE, 0.5 * VOICE], axis=axis))
    assert np.allclose(checked, 0.75 * VOICE, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_brought_to_16_khz(rate: int):
    tone = sounds.harmonics(2 * rate / SAMPLE_RATE, 200 * SAMPLE_RATE / rate, 4)
    checked = check_samples(tone, rate)
    assert len(checked) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    assert (
        np.corrcoef(checked[2000:-2000], sounds.harmonics(2, 200, 4)[: len(checked)][2000:-2000])[0, 1] > 0.99
    )


def test_a_tenth_of_clipped_samples_is_borne_and_more_is_refused():
    noise = sounds.white_noise(2, rms=1.0)
    assert np.abs(check_samples(np.clip(noise, -1.8, 1.8) / 1.8)).max() == 1.0
    assert refused(np.clip(noise, -0.5, 0.5) * 2) == "audio_clipped"


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(hole: float):
    assert refused(np.where(np.arange(len(VOICE)) == 7, hole, VOICE)) == "audio_not_finite"


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(0, np.float32), "audio_empty"),
        (np.zeros((0, 2), np.float32), "audio_empty"),
        (sounds.silence(2), "audio_silent"),
        (sounds.white_noise(2, rms=1e-5), "audio_silent"),
        (VOICE[:4000], "audio_too_short"),
        (np.tile(VOICE, 16), "audio_too_long"),
        (VOICE * 20000, "audio_out_of_range"),
        (np.zeros((16000, 6), np.float32), "audio_shape"),
        (np.zeros(16000, np.int32), "audio_shape"),
        (np.array(["a", "b"]), "audio_shape"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(samples: object, code: str):
    assert refused(samples) == code


@pytest.mark.parametrize("rate", [0, -16000, 4000])
def test_rates_too_low_for_speech_are_refused(rate: int):
    assert refused(VOICE, rate) == "audio_rate"


def test_every_clip_is_brought_to_one_loudness():
    quiet, loud = levelled(VOICE * 0.003), levelled(VOICE)
    assert speech_level(quiet) == pytest.approx(speech_level(loud), rel=0.01)
    assert np.allclose(quiet, loud, atol=1e-3)


def test_a_frame_lasts_80_ms(features: VoiceFeatures):
    assert features(VOICE).shape == (25, WIDTH)
    assert np.isfinite(features(VOICE)).all()


def test_the_distance_of_the_microphone_does_not_matter(features: VoiceFeatures):
    near, far = features(VOICE), features(VOICE * 0.02)
    assert np.abs(near - far).mean() < 0.05 * np.abs(near).mean()
