"""The voice model from its weights: batches, calibration, bad sound, weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration
from mlcore.stress.voice.features import VERSION
from mlcore.stress.voice.model import VoiceModel
from mlcore.stress.voice.network import VoiceEnsemble, VoiceNetwork
from tests.mlcore import sounds
from tests.mlcore.stress.spoken import spoken

CLIPS = [spoken(1, 1), spoken(5, 2), spoken(7, 3)]


def save(folder: Path, **meta: object) -> Path:
    torch.manual_seed(0)
    network = VoiceEnsemble([VoiceNetwork(), VoiceNetwork()])
    weights.save(folder, "voice", network.state_dict(), {"features": VERSION, "members": 2} | meta)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, whisper_folder: Path) -> VoiceModel:
    return VoiceModel.load(save(tmp_path_factory.mktemp("weights")), whisper_folder)


@pytest.mark.slow
def test_clips_of_any_length_are_read_together_as_alone(model: VoiceModel):
    together = model.predict(CLIPS)
    assert together.probabilities.shape == (3, 3)
    assert together.emotions.shape == (3, 7)
    assert together.embeddings.shape == (3, 32)
    assert np.allclose(together.probabilities.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([model.predict([clip]).emotions for clip in CLIPS])
    assert np.allclose(alone, together.emotions, atol=1e-4)


def test_no_clip_gives_an_empty_batch(model: VoiceModel):
    assert len(model.predict([])) == 0


@pytest.mark.slow
def test_the_calibration_kept_with_the_weights_is_applied(
    tmp_path: Path, whisper_folder: Path, model: VoiceModel
):
    levels = Calibration(0.5, (1.0, 0.0, -1.0), "temperature and biases").to_dict()
    calibrated = VoiceModel.load(save(tmp_path, calibration={"levels": levels}), whisper_folder).predict(
        CLIPS
    )
    plain = model.predict(CLIPS).probabilities
    expected = plain**2 * np.exp([1.0, 0.0, -1.0])
    assert np.allclose(calibrated.probabilities, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_the_distance_of_the_microphone_hardly_matters(model: VoiceModel):
    near, far = (model.predict([CLIPS[0] * gain]).probabilities for gain in (1.0, 0.03))
    assert np.abs(near - far).max() < 0.05


@pytest.mark.parametrize(
    ("clip", "code"),
    [
        (sounds.silence(3), "audio_silent"),
        (np.zeros(0, np.float32), "audio_empty"),
        (np.full(32000, np.nan, np.float32), "audio_not_finite"),
    ],
)
def test_bad_sound_is_refused_by_name(model: VoiceModel, clip: np.ndarray, code: str):
    with pytest.raises(AnalysisError) as error:
        model.predict([CLIPS[0], clip])
    assert error.value.code == code


@pytest.mark.parametrize("meta", [{"features": VERSION + 1}, {"members": 3}])
def test_weights_of_other_features_or_another_size_are_refused(
    tmp_path: Path, whisper_folder: Path, meta: dict
):
    with pytest.raises(AnalysisError, match="train_models") as error:
        VoiceModel.load(save(tmp_path, **meta), whisper_folder)
    assert error.value.code == "weights_unreadable"
