"""FER-2013 -> what is trained on, what chooses the epoch, and what the card's figures come from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.labels import EMOTIONS, Floats, level_labels

CARVED_SHARE = 0.1
"""Of the training images, where the copy of the data set names no validation images. *Assumption*."""


@dataclass(frozen=True)
class FaceSplits:
    """No image stands in two of the three, nor does an exact duplicate of it."""

    train: FaceImages
    targets: Floats
    """(len(train), 7): one for the label; the share of each label where duplicates disagree."""
    choose: FaceImages
    """Chooses the epoch and fits the calibration."""
    report: FaceImages
    """Seen by nothing but the evaluation."""


def split(faces: FaceImages) -> FaceSplits:
    """The validation images are halved by the hash of their pixels into `choose` and `report`; no test image is kept.

    Raises AnalysisError (``one_class``) before anything is trained on fewer than two emotions or levels.
    """
    digests = np.array(faces.digests())
    training = np.isin(faces.splits, ["train", ""])
    held_out = faces.splits == "validation"
    if not held_out.any():
        held_out = training & np.array([_share_of(digest) < CARVED_SHARE for digest in digests])
    test = (faces.splits == "test") | faces.kept_back
    training &= ~held_out & ~test & ~np.isin(digests, digests[held_out | test])
    held_out &= ~test & ~np.isin(digests, digests[test])
    first_half = np.array([_share_of(digest[8:]) < 0.5 for digest in digests])
    train, targets = _merged(faces.take(training), digests[training])
    _check(train, training)
    return FaceSplits(train, targets, faces.take(held_out & first_half), faces.take(held_out & ~first_half))


def _share_of(digest: str) -> float:
    return int(digest[:8], 16) / 16**8


def _merged(faces: FaceImages, digests: np.ndarray) -> tuple[FaceImages, Floats]:
    """Exact duplicates once, with the mean of their labels."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        rows[digest].append(row)
    one_hot = np.eye(len(EMOTIONS), dtype=np.float32)[faces.emotions]
    targets = [one_hot[same].mean(axis=0) for same in rows.values()]
    firsts = np.array([same[0] for same in rows.values()], dtype=np.int64)
    return faces.take(firsts), np.array(targets, dtype=np.float32).reshape(-1, len(EMOTIONS))


def _check(train: FaceImages, training: np.ndarray) -> None:
    levels = set(level_labels(train.emotions).tolist())
    if len(levels) < 2:
        found = ", ".join(EMOTIONS[emotion] for emotion in sorted(set(train.emotions.tolist()))) or "none"
        raise AnalysisError(
            "one_class",
            f"Training needs images of at least two emotions of different stress levels; in {int(training.sum())} "
            f"images there are: {found}. Folders are to be named after the emotions: "
            + ", ".join(EMOTIONS)
            + ".",
        )
