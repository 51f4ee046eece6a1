"""Labelled faces and clips through the models: what `evaluate_models` measures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.fer2013 import SPLITS, FaceImages
from mlcore.stress.datasets.fer2013_splits import split
from mlcore.stress.datasets.ravdess import VoiceClips
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.evaluation.figures import as_json, figures
from mlcore.stress.evaluation.measures import DRAWS
from mlcore.stress.evaluation.pairs import Fuse, Labelled, fusion_figures
from mlcore.stress.labels import LEVELS, Floats, Labels, level_labels
from mlcore.stress.predictions import Predictions
from mlcore.stress.voice.features import check_samples

FACES_AT_ONCE = 128
CLIPS_AT_ONCE = 8
NAMED_FILES = 50
"""As many skipped files are named in full; all are counted."""

Document = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Model, inputs done, inputs in all."""


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


def faces_to_judge(faces: FaceImages, wanted: str | None = None) -> tuple[str, FaceImages]:
    """The split's name and images: `wanted`, or ``test``, else ``validation``, else those of no split (an empty name).

    `skipped` is cut down to that split. AnalysisError ``no_such_split``, ``one_class``.
    """
    there = set(faces.splits.tolist())
    candidates = (wanted,) if wanted else ("test", "validation", "")
    found = next((name for name in candidates if name in there), None)
    if found is None:
        names = ", ".join(sorted(there - {""})) or "none"
        raise AnalysisError(
            "no_such_split",
            f"There are no {wanted or 'test or validation'} images; splits found: {names}. Name a folder with a test "
            "or validation folder in it, or one of emotion folders; of a csv, another --usage.",
        )
    judged = faces.of_split(found)
    check_classes(judged.emotions, "images")
    return found, _with_skipped(judged, _skipped_of_split(faces.skipped, found))


def unseen_faces(faces: FaceImages, split_name: str, judged: FaceImages) -> FaceImages:
    """Of `judged`, what training on `faces` makes no use of: all of a test split, of the validation images the half
    that chooses neither epoch nor calibration (`fer2013_splits`).

    AnalysisError ``no_unseen`` for training images and where nothing tells which were used.
    """
    if split_name == "test":
        return judged
    if split_name != "validation":
        raise AnalysisError(
            "no_unseen", "--unseen needs test or validation images: training may have used all of these."
        )
    kept = split(faces).report
    check_classes(kept.emotions, "images that training has not seen")
    return _with_skipped(kept, judged.skipped)


def clips_to_judge(clips: VoiceClips, actors: list[int] | None = None) -> VoiceClips:
    """Those of `actors`, or all; `skipped` is cut down to them. AnalysisError ``no_such_actor``, ``one_class``."""
    if actors:
        kept = clips.of_actors(actors)
        clips = VoiceClips(kept.files, kept.codes, kept.actors, _skipped_of_actors(clips.skipped, actors))
    check_classes(clips.emotions, "clips")
    return clips


def judge_faces(model: Predictor, faces: FaceImages, progress: Progress = no_progress) -> Labelled:
    """What the model says of each; nobody knows who they are."""
    parts = []
    for start in range(0, len(faces), FACES_AT_ONCE):
        parts.append(model.predict(faces.images[start : start + FACES_AT_ONCE]))
        progress("face", min(start + FACES_AT_ONCE, len(faces)), len(faces))
    return Labelled(_joined(parts), faces.emotions)


def judge_voices(
    model: Predictor, clips: VoiceClips, progress: Progress = no_progress
) -> tuple[Labelled, SkippedFiles]:
    """What the model says of each clip that can be used; the others are named beside those skipped before."""
    skipped = SkippedFiles({reason: list(names) for reason, names in clips.skipped.names.items()})
    parts, rows = [], []
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        numbers = range(start, min(start + CLIPS_AT_ONCE, len(clips)))
        usable = {row: samples for row in numbers if (samples := _samples(clips, row, skipped)) is not None}
        if usable:
            parts.append(model.predict(list(usable.values())))
            rows += list(usable)
        progress("voice", numbers[-1] + 1, len(clips))
    kept = clips.take(np.array(rows, dtype=np.int64))
    check_classes(kept.emotions, "clips that can be used")
    return Labelled(_joined(parts), kept.emotions, kept.actors, kept.sexes), skipped


def check_classes(emotions: Labels, what: str) -> None:
    """AnalysisError ``one_class`` where all stand for one level: recall and calibration would say nothing."""
    found = np.unique(level_labels(emotions))
    if len(found) < 2:
        level = f"stand for one level ({LEVELS[int(found[0])]})" if len(found) else "were skipped"
        raise AnalysisError(
            "one_class",
            f"All {what} {level}: a figure needs two levels at least. Name a folder or actors with more emotions.",
        )


def skipped_document(skipped: SkippedFiles) -> Document:
    """Counts by reason and the first names."""
    names = {reason: found[:NAMED_FILES] for reason, found in skipped.names.items()}
    return {"n": len(skipped), "counts": skipped.counts(), "names": names}


@dataclass(frozen=True)
class Source:
    """Where a model's inputs came from, and by what command its figures come out again."""

    path: str
    description: str
    command: str
    notes: tuple[str, ...] = ()
    skipped: SkippedFiles = field(default_factory=SkippedFiles)


def with_sources(document: Document, sources: Mapping[str, Source]) -> Document:
    """The document of `document_of`, ``data`` added to each model's block."""
    return {model: block | {"data": _data(sources[model])} for model, block in document.items()}


def _data(source: Source) -> Document:
    return {
        "path": source.path,
        "description": source.description,
        "notes": list(source.notes),
        "command": source.command,
        "skipped": skipped_document(source.skipped),
    }


def _joined(parts: list[Predictions]) -> Predictions:
    return Predictions(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.emotions for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
    )


def _samples(clips: VoiceClips, row: int, skipped: SkippedFiles) -> Floats | None:
    try:
        return check_samples(clips.samples(row))
    except AnalysisError as error:
        skipped.add(error.code, clips.files[row].name)
    except OSError:
        skipped.add("corrupt", clips.files[row].name)
    return None


def _with_skipped(faces: FaceImages, skipped: SkippedFiles) -> FaceImages:
    return FaceImages(
        faces.images, faces.emotions, faces.splits, faces.names, faces.votes, faces.kept_back, skipped
    )


def _skipped_of_split(skipped: SkippedFiles, name: str) -> SkippedFiles:
    """Without the files that lie in another split's folder."""

    def elsewhere(path: str) -> bool:
        folders = [SPLITS.get(part.lower()) for part in PurePosixPath(path).parts[:-1]]
        return any(found not in (None, name) for found in folders)

    return _without(skipped, elsewhere)


def _skipped_of_actors(skipped: SkippedFiles, actors: list[int]) -> SkippedFiles:
    """Without the files that name or lie with another actor."""

    def elsewhere(path: str) -> bool:
        found = re.search(r"-(\d\d)$", Path(path).stem) or re.search(r"Actor_(\d\d)", path)
        return found is not None and int(found[1]) not in actors

    return _without(skipped, elsewhere)


def _without(skipped: SkippedFiles, elsewhere: Callable[[str], bool]) -> SkippedFiles:
    kept = {
        reason: [name for name in names if not elsewhere(name)] for reason, names in skipped.names.items()
    }
    return SkippedFiles({reason: names for reason, names in kept.items() if names})
