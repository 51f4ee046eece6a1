"""Fusion on made-up modalities of which it is known how much they tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.fusion import model as fusion
from mlcore.stress.fusion import training as fusion_training
from mlcore.stress.fusion.model import FusionModel, FusionNetwork
from mlcore.stress.fusion.training import FusionRecipe, Modality
from mlcore.stress.labels import Floats, stress_of
from mlcore.stress.predictions import Predictions

pytestmark = pytest.mark.slow

RECIPE = FusionRecipe(epochs=2, pairs=2048, batch=128)


def modality(count: int, size: int, noise: float, seed: int) -> Modality:
    """Log probabilities that lean to the true emotion, and embeddings that hold them."""
    random = np.random.default_rng(seed)
    emotions = random.integers(0, 7, count)
    logits = 2.0 * np.eye(7)[emotions] + random.normal(0, noise, (count, 7))
    logs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    embeddings = (logs @ random.normal(0, 1, (7, size))).astype(np.float32)
    persons = random.integers(0, 20, count) if size == 32 else np.arange(count)
    levels = stress_of(np.exp(logs))
    return Modality(emotions, logs, levels, embeddings, np.ones(count, np.float32), persons)


@pytest.fixture(scope="module")
def trained() -> fusion_training.FusionTraining:
    return fusion_training.train(modality(700, 64, 1.5, 1), modality(500, 32, 1.5, 2), seed=3, recipe=RECIPE)


@pytest.fixture(scope="module")
def model(trained: fusion_training.FusionTraining) -> FusionModel:
    return FusionModel(trained.network, trained.calibrations, {"method": trained.method})


def predictions(emotions: list[list[float]], size: int) -> Predictions:
    rows: Floats = np.array(emotions, dtype=np.float32)
    return Predictions(stress_of(rows), rows, np.zeros((len(rows), size), np.float32))


UNKNOWN = [1 / 7] * 7
HAPPY = [0.02, 0.01, 0.02, 0.88, 0.02, 0.02, 0.03]
SAD = [0.03, 0.02, 0.04, 0.02, 0.83, 0.02, 0.04]


def test_both_tell_more_than_the_better_one(trained: fusion_training.FusionTraining) -> None:
    figures = trained.figures
    better = max(figures["face"]["uar"], figures["voice"]["uar"])
    assert figures["network"]["uar"] > better + 0.03
    assert figures["network"]["uar"] > figures["mean_of_logits"]["uar"]
    assert trained.method == fusion.NETWORK


def test_one_modality_alone_loses_nothing(trained: fusion_training.FusionTraining) -> None:
    assert trained.figures["network_face_only"]["uar"] > trained.figures["face"]["uar"] - 0.02
    assert trained.figures["network_voice_only"]["uar"] > trained.figures["voice"]["uar"] - 0.02


def test_folds_hold_whole_persons() -> None:
    voices = modality(300, 32, 1.0, 4)
    folds = voices.folds(5, seed=1)
    for person in set(voices.persons.tolist()):
        assert len(set(folds[voices.persons == person].tolist())) == 1
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}


def test_either_may_be_missing_wholly_or_in_some_rows(model: FusionModel) -> None:
    face, voice = predictions([HAPPY, SAD, HAPPY], 64), predictions([HAPPY, SAD, SAD], 32)
    both = model.predict(face, voice)
    assert both.shape == (3, 3)
    assert np.allclose(both.sum(axis=1), 1, atol=1e-5)
    assert both[0].argmax() == 0 and both[1].argmax() == 2
    assert model.predict(face, None).argmax(axis=1).tolist() == [0, 2, 0]
    assert model.predict(None, voice).argmax(axis=1).tolist() == [0, 2, 2]
    left_out = model.predict(face, voice, voice_qualities=np.array([0, 1, 0], np.float32))
    assert left_out[2] == pytest.approx(model.predict(face, None)[2], abs=1e-6)
    assert left_out[1] == pytest.approx(both[1], abs=1e-6)


def test_what_says_nothing_changes_little(model: FusionModel) -> None:
    with_silent = model.predict(predictions([HAPPY], 64), predictions([UNKNOWN], 32))
    assert with_silent[0].argmax() == 0


def test_a_row_without_either_is_refused_by_name(model: FusionModel) -> None:
    nothing = np.zeros(1, np.float32)
    with pytest.raises(AnalysisError) as refused:
        model.predict(
            predictions([HAPPY], 64),
            predictions([HAPPY], 32),
            face_qualities=nothing,
            voice_qualities=nothing,
        )
    assert refused.value.code == "no_modality"
    with pytest.raises(ValueError, match="needs a face or a voice"):
        model.predict(None, None)
    with pytest.raises(ValueError, match="make no pairs"):
        model.predict(predictions([HAPPY], 64), predictions([HAPPY, SAD], 32))


def test_the_mean_of_the_logits_is_what_ships_where_it_was_not_beaten() -> None:
    mean = FusionModel(FusionNetwork(), {}, {"method": fusion.MEAN})
    face, voice = predictions([HAPPY], 64), predictions([SAD], 32)
    expected = fusion.mean_of_logits(face.probabilities, voice.probabilities)
    assert mean.predict(face, voice) == pytest.approx(expected, abs=1e-5)
    assert mean.predict(face, None) == pytest.approx(face.probabilities, abs=1e-5)


def test_weights_come_back_as_they_were_saved(
    model: FusionModel, trained: fusion_training.FusionTraining, tmp_path: Path
) -> None:
    found = {case: fitted.to_dict() for case, fitted in trained.calibrations.items()}
    weights.save(
        tmp_path, fusion.NAME, trained.network.state_dict(), {"method": trained.method, "calibration": found}
    )
    loaded = FusionModel.load(tmp_path)
    face, voice = predictions([HAPPY, SAD], 64), predictions([SAD, SAD], 32)
    assert loaded.predict(face, voice) == pytest.approx(model.predict(face, voice), abs=1e-3)


def test_one_emotion_in_common_is_refused_before_training() -> None:
    faces, voices = modality(100, 64, 1.0, 5), modality(100, 32, 1.0, 6)
    from dataclasses import replace

    only_happy = replace(faces, emotions=np.full(100, 3))
    with pytest.raises(AnalysisError, match="two emotions in common"):
        fusion_training.train(only_happy, voices, seed=1, recipe=RECIPE)


def test_quality_grows_with_pixels_and_speech_up_to_a_full_face_and_window() -> None:
    assert fusion.face_quality(np.array([0, 24, 48, 300])).tolist() == [0, 0.5, 1, 1]
    assert fusion.voice_quality(np.array([0, 0.75, 1.5, 9])).tolist() == [0, 0.5, 1, 1]
