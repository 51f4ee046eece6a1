"""What is trained on, what chooses, what is reported: nothing stands in two of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.fer2013_splits import split
from mlcore.stress.labels import EMOTIONS
from tests.mlcore.stress.drawn_faces import draw_many


def faces(per_split: dict[str, int], emotions: tuple[str, ...] = ("happy", "sad", "surprise")) -> FaceImages:
    random = np.random.default_rng(0)
    splits = [name for name, count in per_split.items() for _ in range(count)]
    images, labels = draw_many([emotions[n % len(emotions)] for n in range(len(splits))], random)
    names = np.array([f"{n}.png" for n in range(len(splits))])
    votes = np.zeros((len(splits), 8), np.float32)
    return FaceImages(images, labels, np.array(splits), names, votes, np.zeros(len(splits), bool))


def test_validation_is_halved_and_test_is_left_out() -> None:
    found = split(faces({"train": 60, "validation": 60, "test": 30}))
    assert len(found.train) == 60
    assert len(found.choose) + len(found.report) == 60
    assert min(len(found.choose), len(found.report)) > 15
    assert not set(found.choose.digests()) & set(found.report.digests())


def test_without_validation_a_tenth_of_the_training_images_is_carved_off() -> None:
    found = split(faces({"train": 400, "test": 10}))
    held_out = len(found.choose) + len(found.report)
    assert 15 < held_out < 75
    assert len(found.train) == 400 - held_out


def test_the_halves_do_not_depend_on_the_order() -> None:
    some = faces({"train": 30, "validation": 40})
    turned = some.take(np.arange(len(some))[::-1])
    assert set(split(some).report.names) == set(split(turned).report.names)


def test_duplicates_of_held_out_or_kept_back_images_are_not_trained_on() -> None:
    some = faces({"train": 30, "validation": 10, "test": 5})
    images = some.images.copy()
    images[0], images[1] = images[32], images[42]  # of validation, of test
    kept_back = some.kept_back.copy()
    kept_back[2] = True
    found = split(replace(some, images=images, kept_back=kept_back))
    assert not {"0.png", "1.png", "2.png"} & set(found.train.names)
    assert len(found.train) == 27


def test_duplicates_within_training_count_once_with_both_labels() -> None:
    some = faces({"train": 30, "validation": 10})
    images = some.images.copy()
    images[1] = images[0]
    found = split(replace(some, images=images))
    row = found.train.names.tolist().index("0.png")
    assert len(found.train) == 29
    assert found.targets[row][[EMOTIONS.index("happy"), EMOTIONS.index("sad")]].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("emotions", [("happy",), ("sad",), ("happy", "neutral")])
def test_one_class_is_refused_before_training(emotions: tuple[str, ...]) -> None:
    with pytest.raises(AnalysisError, match="at least two emotions"):
        split(faces({"train": 10, "validation": 4}, emotions))
