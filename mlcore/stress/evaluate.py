"""Labelled faces and clips through the models: what `evaluate_models` measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.fer2013 import SPLITS, FaceImages
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.figures import as_json, figures
from mlcore.stress.labels import LEVELS, Labels, level_labels
from mlcore.stress.measures import DRAWS
from mlcore.stress.pairs import Fuse, Labelled, fusion_figures
from mlcore.stress.predictions import Predictions

FACES_AT_ONCE = 128
CLIPS_AT_ONCE = 8
NAMED_FILES = 50
"""As many skipped files are named in full; all are counted."""

Document = dict[str, Any]
Progress = Callable[[str, int, int], None]
Input = TypeVar("Input", bound=Sequence[Any] | npt.NDArray[Any])


def no_progress(model: str, done: int, total: int) -> None:
    """For callers that show nothing."""


class Predictor(Protocol):
    """A FaceModel or a VoiceModel."""

    def predict(self, inputs: Any, /) -> Predictions: ...


def document_of(
    face: Labelled | None, voice: Labelled | None, fuse: Fuse | None, *, draws: int = DRAWS, seed: int = 0
) -> Document:
    """What JSON can hold: the figures of ``face``, ``voice`` and ``fusion``, as far as there are predictions."""
    document: Document = {}
    if face is not None:
        document["face"] = as_json(figures(face.outcome(), draws=draws, seed=seed))
    if voice is not None:
        document["voice"] = as_json(figures(voice.outcome(), draws=draws, seed=seed))
    if face is not None and voice is not None and fuse is not None:
        found = fusion_figures(face, voice, fuse, draws=draws, seed=seed)
        document["fusion"] = as_json(found.figures) | {
            "pairs": as_json(found.pairs),
            "pairs_by_level": as_json(found.pairs_by_level),
        }
    return document


def predictions_of(
    model: Predictor, inputs: Input, at_once: int, name: str, progress: Progress = no_progress
) -> Predictions:
    """`inputs` through the model in batches, `progress(name, done, total)` after each."""
    parts = []
    for start in range(0, len(inputs), at_once):
        parts.append(model.predict(inputs[start : start + at_once]))
        progress(name, min(start + at_once, len(inputs)), len(inputs))
    return Predictions(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.emotions for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
    )


def faces_to_judge(faces: FaceImages, split: str | None = None) -> FaceImages:
    """Those of `split`, or of ``test``, else ``validation``, else those of no split, with what was skipped among them.

    AnalysisError ``no_such_split``, ``one_class``.
    """
    there = set(faces.splits.tolist())
    wanted = (split,) if split else ("test", "validation", "")
    found = next((name for name in wanted if name in there), None)
    if found is None:
        names = ", ".join(sorted(there - {""})) or "none"
        raise AnalysisError(
            "no_such_split",
            f"There are no {split or 'test or validation'} images, splits found: {names}. Name a folder with a test or "
            "validation folder, or one of emotion folders; in a csv, another --usage.",
        )
    judged = faces.of_split(found)
    check_classes(judged.emotions, "images")
    return FaceImages(
        judged.images,
        judged.emotions,
        judged.splits,
        judged.names,
        judged.votes,
        judged.kept_back,
        _skipped_of(faces.skipped, found),
    )


def check_classes(emotions: Labels, what: str) -> None:
    """AnalysisError ``one_class`` where all stand for one level: recall and calibration would say nothing."""
    found = np.unique(level_labels(emotions))
    if len(found) < 2:
        raise AnalysisError(
            "one_class",
            f"All {len(emotions)} {what} stand for one level ({LEVELS[int(found[0])]}): a figure needs at least two. "
            "Name a folder with more emotions.",
        )


def skipped_document(skipped: SkippedFiles) -> dict[str, Any]:
    """Counts by reason and the first names."""
    names = {reason: found[:NAMED_FILES] for reason, found in skipped.names.items()}
    return {"n": len(skipped), "counts": skipped.counts(), "names": names}


def _skipped_of(skipped: SkippedFiles, split: str) -> SkippedFiles:
    """Without the files that lie in another split's folder."""
    kept = SkippedFiles()
    for reason, names in skipped.names.items():
        for name in names:
            folders = [SPLITS.get(part.lower()) for part in PurePosixPath(name).parts[:-1]]
            if all(found in (None, split) for found in folders):
                kept.add(reason, name)
    return kept
