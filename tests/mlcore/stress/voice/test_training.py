"""A voice model learns synthetic speech, end to end, by people that it is not tested on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcore.errors import AnalysisError
from mlcore.stress.datasets import ravdess
from mlcore.stress.datasets.ravdess import VoiceClips
from mlcore.stress.labels import stress_of
from mlcore.stress.voice import cache as voice_cache
from mlcore.stress.voice import training as voice_training
from mlcore.stress.voice.cache import VoiceFrames
from mlcore.stress.voice.folds import folds_of, parts
from mlcore.stress.voice.member import VoiceEpoch, VoiceRecipe, emotion_probabilities
from mlcore.stress.voice.training import VoiceTraining
from tests.mlcore.stress.spoken import write_corpus

pytestmark = pytest.mark.slow

RECIPE = VoiceRecipe(
    epochs=10, members=1, fold_members=1, copies=3, batch=8, learning_rate=3e-3, average_decay=0.8
)
ACTORS = (1, 2, 3, 4, 10)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> VoiceClips:
    return ravdess.load(write_corpus(tmp_path_factory.mktemp("ravdess"), ACTORS))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def frames(clips: VoiceClips, whisper_folder: Path, kept: Path) -> VoiceFrames:
    return voice_cache.frames_of(clips, whisper_folder, kept, seed=1, copies=3)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def training(clips: VoiceClips, frames: VoiceFrames, checkpoints: Path) -> VoiceTraining:
    return voice_training.train(clips, frames, seed=1, checkpoint_dir=checkpoints, recipe=RECIPE)


def test_it_learns_emotions_of_people_whom_it_has_not_heard(training: VoiceTraining, clips: VoiceClips):
    said = stress_of(emotion_probabilities(training.out_of_fold.logits)).argmax(axis=1)
    recalls = [(said[clips.levels == level] == level).mean() for level in range(3)]
    assert np.mean(recalls) > 0.6
    assert training.history[-1].loss < training.history[-RECIPE.epochs].loss


def test_every_clip_is_tested_once_and_the_history_tells_of_every_network(
    training: VoiceTraining, clips: VoiceClips
):
    folds = folds_of(clips.actors.tolist())
    for number, fold in enumerate(folds):
        assert set(clips.actors[training.out_of_fold.folds == number].tolist()) == set(fold)
    assert (np.abs(training.out_of_fold.logits).sum(axis=1) > 0).all()
    assert len(training.history) == RECIPE.epochs * (len(folds) + 1)
    assert {epoch.run for epoch in training.history} == set(range(len(folds) + 1))


def test_a_run_that_was_killed_trains_only_what_is_missing(
    training: VoiceTraining, clips: VoiceClips, frames: VoiceFrames, checkpoints: Path
):
    (checkpoints / "voice-1-0.pt").unlink()
    seen: list[VoiceEpoch] = []
    again = voice_training.train(
        clips, frames, seed=1, checkpoint_dir=checkpoints, recipe=RECIPE, on_progress=seen.append
    )
    assert {epoch.fold for epoch in seen} == {1}
    assert np.array_equal(again.out_of_fold.logits, training.out_of_fold.logits)
    for name, tensor in training.members[0].state_dict().items():
        assert torch.equal(tensor, again.members[0].state_dict()[name])


def test_another_seed_or_recipe_trains_anew(
    training: VoiceTraining, clips: VoiceClips, frames: VoiceFrames, checkpoints: Path
):
    seen: list[VoiceEpoch] = []
    recipe = replace(RECIPE, epochs=1)
    voice_training.train(
        clips, frames, seed=1, checkpoint_dir=checkpoints, recipe=recipe, on_progress=seen.append
    )
    assert len(seen) == len(folds_of(ACTORS)) + 1


def test_kept_frames_are_read_again(clips: VoiceClips, frames: VoiceFrames, kept: Path, tmp_path: Path):
    again = voice_cache.frames_of(clips, tmp_path, kept, seed=1, copies=3, only_kept=True)
    assert all(
        np.array_equal(one, other) for one, other in zip(frames.copies[2], again.copies[2], strict=True)
    )


def test_frames_that_are_not_kept_are_missed_by_name(clips: VoiceClips, tmp_path: Path):
    with pytest.raises(AnalysisError, match="--skip_preprocessing"):
        voice_cache.frames_of(clips, tmp_path, tmp_path, seed=1, only_kept=True)


def test_one_level_alone_is_refused_before_the_first_epoch(
    clips: VoiceClips, frames: VoiceFrames, tmp_path: Path
):
    happy = clips.take(clips.levels == 0)
    with pytest.raises(AnalysisError, match="all three levels; found: low") as error:
        voice_training.train(happy, frames, seed=1, checkpoint_dir=tmp_path, recipe=RECIPE)
    assert error.value.code == "one_class"


def test_too_few_people_are_refused_before_the_first_epoch(
    clips: VoiceClips, frames: VoiceFrames, tmp_path: Path
):
    with pytest.raises(AnalysisError, match="found: 1, 2") as error:
        voice_training.train(clips.of_actors([1, 2]), frames, seed=1, checkpoint_dir=tmp_path, recipe=RECIPE)
    assert error.value.code == "too_few_people"


@pytest.mark.parametrize("actors", [range(1, 25), range(1, 21), (1, 2, 3), (2, 4, 6, 8), (1, 3, 5, 21)])
def test_nobody_learns_chooses_and_tests_at_once(actors: tuple[int, ...]):
    for fold in (*folds_of(actors), ()):
        for member in range(6):
            found = parts(actors, fold, member, seed=3)
            everyone = [*found.learn, *found.choose, *found.test]
            assert sorted(everyone) == sorted(actors)
            assert found.learn
            assert found.choose


def test_members_of_one_fold_are_stopped_by_other_people():
    found = [parts(range(1, 25), (1, 4, 9, 22), member, seed=3).choose for member in range(5)]
    assert len({actor for choose in found for actor in choose}) == 10
    assert all(sorted(actor % 2 for actor in choose) == [0, 1] for choose in found)
