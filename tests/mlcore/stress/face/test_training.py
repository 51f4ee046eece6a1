"""Training the face network on drawn faces: it learns, goes on after a kill, and repeats by seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.fer2013_splits import FaceSplits, split
from mlcore.stress.face import training as face_training
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.network import FaceNetwork, fused, normalise
from mlcore.stress.face.training import FaceRecipe
from tests.mlcore.stress.drawn_faces import draw_many

pytestmark = pytest.mark.slow

RECIPE = FaceRecipe(
    widths=(16, 32, 48),
    depths=(1, 1, 1),
    rounds=((2, 0.05), (4, 0.03)),
    batch=16,
    average_decay=0.8,
)
EMOTIONS = ("happy", "sad", "surprise")


@pytest.fixture(scope="module")
def splits() -> FaceSplits:
    emotions = [EMOTIONS[n % len(EMOTIONS)] for n in range(300)]
    images, labels = draw_many(emotions, np.random.default_rng(3))
    names = np.array([f"{n:03d}" for n in range(len(emotions))])
    where = np.array(["train" if n < 200 else "validation" for n in range(len(emotions))])
    votes = np.zeros((len(emotions), 8), np.float32)
    votes[:, 0] = np.arange(len(emotions)) % 2  # votes for some images only
    return split(FaceImages(images, labels, where, names, votes, np.zeros(len(emotions), bool)))


@pytest.fixture(scope="module")
def trained(splits: FaceSplits, tmp_path_factory) -> face_training.FaceTraining:
    return face_training.train(splits, seed=1, folder=tmp_path_factory.mktemp("training"), recipe=RECIPE)


def test_it_learns_faces_that_it_has_not_seen(
    splits: FaceSplits, trained: face_training.FaceTraining
) -> None:
    said = FaceModel(trained.network).predict(splits.report.images)
    assert (said.emotions.argmax(axis=1) == splits.report.emotions).mean() > 0.6, "chance is a third"
    assert np.allclose(said.probabilities.sum(axis=1), 1, atol=1e-5)
    assert said.embeddings.shape == (len(splits.report), 64)


def test_the_history_has_every_epoch_of_both_and_the_best_student_is_chosen(
    trained: face_training.FaceTraining,
) -> None:
    numbers = [(epoch.generation, epoch.number) for epoch in trained.history]
    assert numbers == [(0, 0), (0, 1), *((1, number) for number in range(4))]
    assert trained.chosen.score == max(epoch.score for epoch in trained.history)


def test_a_killed_training_goes_on_where_it_was_and_ends_the_same(
    splits: FaceSplits, trained: face_training.FaceTraining, tmp_path: Path
) -> None:
    def kill(epoch: face_training.Epoch) -> None:
        if (epoch.generation, epoch.number) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        face_training.train(splits, seed=1, folder=tmp_path, recipe=RECIPE, on_progress=kill)
    again: list[face_training.Epoch] = []
    resumed = face_training.train(splits, seed=1, folder=tmp_path, recipe=RECIPE, on_progress=again.append)
    assert [(epoch.generation, epoch.number) for epoch in again] == [(1, n) for n in range(2, 4)]
    for key, value in trained.network.state_dict().items():
        assert torch.allclose(value.float(), resumed.network.state_dict()[key].float(), atol=1e-3), key


def test_checkpoints_of_another_plan_are_not_taken(splits: FaceSplits, tmp_path: Path) -> None:
    short = replace(RECIPE, rounds=((1, 0.05), (1, 0.03)))
    face_training.train(splits, seed=1, folder=tmp_path, recipe=short)
    again: list[face_training.Epoch] = []
    face_training.train(splits, seed=2, folder=tmp_path, recipe=short, on_progress=again.append)
    assert len(again) == 2


def test_the_fused_network_says_the_same(splits: FaceSplits, trained: face_training.FaceTraining) -> None:
    faces = normalise(splits.report.images[:8])
    with torch.inference_mode():
        plain, folded = trained.network(faces), fused(trained.network)(faces)
    assert torch.allclose(plain.emotion_logits, folded.emotion_logits, atol=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused(FaceNetwork()).modules())


def test_normalising_takes_out_light_and_contrast_but_does_not_blow_up_noise() -> None:
    face = draw_many(["happy"], np.random.default_rng(0))[0].astype(np.float32)
    bright = torch.as_tensor(face * 0.8 + 40)
    assert torch.allclose(normalise(torch.as_tensor(face)), normalise(bright), atol=0.12)
    black = np.random.default_rng(0).integers(0, 2, (1, 48, 48)).astype(np.uint8)
    assert normalise(black).abs().max() < 0.2
