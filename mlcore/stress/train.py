"""From the raw data sets to the weights, their logs and plots: face, voice, then the fusion of both.

What is finished is skipped, what was killed goes on at its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress import face_training, fusion, plots, weights
from mlcore.stress.calibration import fit, log_probabilities
from mlcore.stress.datasets import cache
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.fer2013_splits import FaceSplits, split
from mlcore.stress.face_training import Epoch, FaceRecipe
from mlcore.stress.figures import Outcome, as_json, figures
from mlcore.stress.labels import level_labels, stress_of

MODELS = ("face", "voice", "fusion")
Say = Callable[[str], None]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is to be trained from where, and where results go."""

    faces: Path | None
    """FER-2013: a csv, a folder or a zip."""
    voices: Path | None
    """RAVDESS: a folder of actors' folders."""
    out: Path
    """For the weights."""
    log: Path
    """For histories and plots."""
    work: Path
    """For caches and checkpoints."""
    whisper: Path
    """Folder of Whisper base."""
    seed: int = 1
    only: tuple[str, ...] = MODELS
    force_preprocessing: bool = False
    skip_preprocessing: bool = False
    force_training: bool = False
    face_recipe: FaceRecipe = FaceRecipe()


def preprocess(job: Job, say: Say) -> None:
    """Read and keep what the wanted models need; AnalysisError where a data set is missing."""
    if "face" in job.only or "fusion" in job.only:
        faces_of(job, say)


def faces_of(job: Job, say: Say) -> FaceImages:
    """FER-2013, from the cache where it is there; says how many were skipped and why."""
    if job.faces is None:
        raise AnalysisError(
            "dataset_missing", "Training the face model needs --fer2013_dir or --fer2013_csv."
        )
    folder = job.work / "data"
    found = cache.faces(job.faces, folder, force=job.force_preprocessing, only_kept=job.skip_preprocessing)
    say(f"FER-2013: {len(found)} images from {job.faces}")
    for line in found.skipped.lines():
        say(f"  {line}")
    return found


def train_face(job: Job, say: Say) -> None:
    """Train, calibrate, measure on the images kept for it, write weights, history and plot."""
    splits = split(faces_of(job, say))
    plan = _face_plan(job, splits)
    if _is_there(job, "face", plan):
        say("face: trained before with the same data, recipe and seed; --force_training trains anew")
        return
    checkpoints = job.work / "training"
    if job.force_training:
        shutil.rmtree(checkpoints, ignore_errors=True)
    say(
        f"face: {len(splits.train)} images to train on, {len(splits.choose)} choose, {len(splits.report)} report"
    )
    clock = _Clock(job.face_recipe)
    trained = face_training.train(
        splits,
        seed=job.seed,
        folder=checkpoints,
        recipe=job.face_recipe,
        on_progress=lambda epoch: say(f"face {clock.line(epoch)}"),
    )
    chosen = face_training.predict(trained.network, splits.choose.images)
    emotions = fit(log_probabilities(chosen.emotions), splits.choose.emotions)
    calm = stress_of(emotions.apply(log_probabilities(chosen.emotions)))
    levels = fit(log_probabilities(calm), level_labels(splits.choose.emotions))
    meta = plan | {
        "chosen": asdict(trained.chosen),
        "calibration": {"emotions": emotions.to_dict(), "levels": levels.to_dict()},
    }
    weights.save(job.out, "face", trained.network.state_dict(), meta)
    _log(job, "face", {"plan": plan, "epochs": [asdict(epoch) for epoch in trained.history]})
    say("face: weights written")


def _face_plan(job: Job, splits: FaceSplits) -> Figures:
    return {
        "seed": job.seed,
        "recipe": asdict(job.face_recipe),
        "split": {"train": len(splits.train), "choose": len(splits.choose), "report": len(splits.report)},
        "data_sha256": _fingerprint(splits.train),
    }


def _fingerprint(faces: FaceImages) -> str:
    digest = hashlib.sha256(faces.emotions.tobytes())
    digest.update(np.ascontiguousarray(faces.images).tobytes())
    return digest.hexdigest()


def _is_there(job: Job, name: str, plan: Mapping[str, Any]) -> bool:
    """Whether weights of the very same plan lie in `out`."""
    if job.force_training:
        return False
    try:
        meta = weights.load(job.out, name)[1]
    except AnalysisError:
        return False
    return all(meta.get(key) == value for key, value in json.loads(json.dumps(plan)).items())


def _log(job: Job, name: str, document: Figures) -> None:
    job.log.mkdir(parents=True, exist_ok=True)
    (job.log / f"{name}-stress-training.json").write_text(
        json.dumps(document, indent=1) + "\n", encoding="utf-8"
    )


class _Clock:
    """Lines with the time that is left, from the seconds of the last epochs."""

    def __init__(self, recipe: FaceRecipe) -> None:
        self._recipe = recipe
        self._seconds: list[float] = []
        self._last = time.perf_counter()

    def line(self, epoch: Epoch) -> str:
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now
        left = epoch.of - epoch.number - 1 + (self._recipe.epochs if epoch.generation == 0 else 0)
        minutes = left * float(np.median(self._seconds[-5:])) / 60
        return (
            f"{'first round,' if epoch.generation == 0 else 'second round,'} epoch {epoch.number + 1}/{epoch.of}: "
            f"loss {epoch.loss:.3f}, emotions {epoch.emotion_accuracy:.3f}, levels {epoch.accuracy:.3f}, "
            f"macro-F1 {epoch.macro_f1:.3f}; {epoch.seconds:.0f} s, about {minutes:.0f} min left"
        )
