from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.network import normalise
from mlcore.stress.labels import stress_of
from tests.mlcore.stress.networks import save_face_weights, small_face_network


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (20, 48, 48), dtype=np.uint8)


@pytest.fixture
def model() -> FaceModel:
    return FaceModel(small_face_network())


def test_it_gives_probabilities_and_embeddings_of_every_face(model: FaceModel, crops: np.ndarray):
    said = model.predict(crops)
    assert said.probabilities.shape == (20, 3)
    assert said.emotions.shape == (20, 7)
    assert said.embeddings.shape == (20, 64)
    assert said.probabilities.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert said.emotions.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert said.probabilities == pytest.approx(stress_of(said.emotions), abs=1e-5)


def test_it_says_what_the_trained_network_says(model: FaceModel, crops: np.ndarray):
    network = small_face_network()
    with torch.inference_mode():
        straight, mirrored = network(normalise(crops)), network(normalise(crops).flip(3))
    logits = (straight.emotion_logits + mirrored.emotion_logits) / 2
    assert model.predict(crops).emotions == pytest.approx(logits.softmax(1).numpy(), abs=0.03)


def test_a_face_and_its_mirror_image_are_alike(model: FaceModel, crops: np.ndarray):
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    assert model.predict(mirrored).emotions == pytest.approx(model.predict(crops).emotions, abs=1e-3)


@pytest.mark.slow
def test_who_else_is_in_the_batch_changes_nothing(model: FaceModel, crops: np.ndarray):
    alone = np.concatenate([model.predict(crops[i : i + 1]).probabilities for i in range(len(crops))])
    assert model.predict(crops).probabilities == pytest.approx(alone, abs=0.01)


def test_no_faces_give_no_rows(model: FaceModel):
    said = model.predict(np.empty((0, 48, 48), np.uint8))
    assert (said.probabilities.shape, said.emotions.shape, said.embeddings.shape) == ((0, 3), (0, 7), (0, 64))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_grey_gives_finite_numbers(model: FaceModel, level: int):
    said = model.predict(np.full((1, 48, 48), level, np.uint8))
    assert np.isfinite(said.probabilities).all()
    assert np.isfinite(said.embeddings).all()


@pytest.mark.parametrize("crops", [np.zeros((2, 48, 48), np.float32), np.zeros((48, 48), np.uint8)])
def test_what_are_no_faces_is_refused_by_name(model: FaceModel, crops: np.ndarray):
    with pytest.raises(AnalysisError, match="48") as caught:
        model.predict(crops)
    assert caught.value.code == "faces_unreadable"


def test_loaded_weights_are_calibrated_as_they_say(tmp_path: Path, crops: np.ndarray):
    save_face_weights(tmp_path, small_face_network(), Calibration(2.0, (0.5, 0.0, -0.5)))
    plain, loaded = FaceModel(small_face_network()).predict(crops), FaceModel.load(tmp_path).predict(crops)
    expected = np.sqrt(plain.probabilities) * np.exp([0.5, 0.0, -0.5])
    assert loaded.emotions == pytest.approx(plain.emotions, abs=0.02)
    assert loaded.probabilities == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=0.02)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    meta = {"widths": (8, 24), "depths": (1, 1)}
    weights.save(tmp_path, "face", small_face_network().state_dict(), meta)
    with pytest.raises(AnalysisError) as caught:
        FaceModel.load(tmp_path)
    assert caught.value.code == "weights_unreadable"
