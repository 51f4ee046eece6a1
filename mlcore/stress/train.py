"""From the raw data sets to the weights, their logs and plots: face, voice, then the fusion of both.

What is finished is skipped, what was killed goes on at its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration, fit, log_probabilities
from mlcore.stress.datasets import cache, ravdess
from mlcore.stress.datasets.fer2013 import FaceImages, Pixels
from mlcore.stress.datasets.fer2013_splits import FaceSplits, split
from mlcore.stress.datasets.ravdess import VoiceClips
from mlcore.stress.face import training as face_training
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.training import FaceRecipe
from mlcore.stress.fusion import model as fusion
from mlcore.stress.fusion import training as fusion_training
from mlcore.stress.fusion.training import FusionRecipe, FusionTraining, Modality
from mlcore.stress.labels import LEVELS, Floats, level_labels, stress_of
from mlcore.stress.predictions import Predictions
from mlcore.stress.train_log import (
    Clock,
    Document,
    Say,
    face_line,
    plot_face,
    plot_voice,
    voice_line,
    write_log,
)
from mlcore.stress.voice import training as voice_training
from mlcore.stress.voice.cache import VoiceFrames, frames_of
from mlcore.stress.voice.features import VERSION as VOICE_FEATURES
from mlcore.stress.voice.member import VoiceRecipe, emotion_probabilities
from mlcore.stress.voice.training import OutOfFold

MODELS = ("face", "voice", "fusion")
COARSE_SIDES_PX = (24, 12)
"""Faces for the fusion as they come from far away, beside those of full size: it learns what quality means."""


@dataclass(frozen=True)
class Job:
    """What is to be trained from where, and where results go."""

    faces: Path
    """FER-2013: a csv, a folder or a zip."""
    voices: Path
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
    face_recipe: FaceRecipe = field(default_factory=FaceRecipe)
    voice_recipe: VoiceRecipe = field(default_factory=VoiceRecipe)
    fusion_recipe: FusionRecipe = field(default_factory=FusionRecipe)

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def checkpoints(self) -> Path:
        return self.work / "training"


@dataclass(frozen=True)
class Data:
    """What was read; None where no wanted model needs it."""

    faces: FaceSplits | None
    voices: tuple[VoiceClips, VoiceFrames] | None

    @property
    def splits(self) -> FaceSplits:
        assert self.faces is not None
        return self.faces

    @property
    def clips(self) -> VoiceClips:
        assert self.voices is not None
        return self.voices[0]

    @property
    def frames(self) -> VoiceFrames:
        assert self.voices is not None
        return self.voices[1]


def preprocess(job: Job, say: Say) -> Data:
    """Read and keep what the wanted models need; AnalysisError where a data set is missing or has one class."""
    wanted = set(job.only)
    faces = split(_read_faces(job, say)) if {"face", "fusion"} & wanted else None
    return Data(faces, _read_voices(job, say) if {"voice", "fusion"} & wanted else None)


def run(job: Job, data: Data, say: Say) -> None:
    """Train what is wanted and not there yet. The fusion takes the face weights in `out` and the voice checkpoints."""
    if job.force_training:
        _forget(job)
    if "face" in job.only:
        train_face(job, data, say)
    if "voice" in job.only:
        train_voice(job, data, say)
    if "fusion" in job.only:
        train_fusion(job, data, say)


def _forget(job: Job) -> None:
    for name in job.only:
        (job.out / f"{name}.safetensors").unlink(missing_ok=True)
        for checkpoint in job.checkpoints.glob(f"{name}-*"):
            checkpoint.unlink()


def _read_faces(job: Job, say: Say) -> FaceImages:
    """FER-2013, from the cache where it is there; says how many were skipped and why."""
    found = cache.faces(job.faces, job.data, force=job.force_preprocessing, only_kept=job.skip_preprocessing)
    say(f"FER-2013: {len(found)} images from {job.faces}")
    for line in found.skipped.lines():
        say(f"  {line}")
    return found


def _read_voices(job: Job, say: Say) -> tuple[VoiceClips, VoiceFrames]:
    """RAVDESS and its frames, from the cache where they are there; says how many clips were skipped and why."""
    clips = ravdess.load(job.voices)
    say(f"RAVDESS: {len(clips)} clips of {len(set(clips.actors.tolist()))} actors from {job.voices}")
    for line in clips.skipped.lines():
        say(f"  {line}")
    clock = Clock()
    frames = frames_of(
        clips,
        job.whisper,
        job.data,
        seed=job.seed,
        copies=job.voice_recipe.copies,
        force=job.force_preprocessing,
        only_kept=job.skip_preprocessing,
        on_progress=lambda done, total: clock.now_and_then(say, "voice frames", done, total),
    )
    return clips, frames


def train_face(job: Job, data: Data, say: Say) -> None:
    """Train, calibrate on the images that choose, write weights, history and plot."""
    splits = data.splits
    sizes = {part: len(getattr(splits, part)) for part in ("train", "choose", "report")}
    plan = {
        "seed": job.seed,
        "recipe": asdict(job.face_recipe),
        "split": sizes,
        "data_sha256": _fingerprint(splits.train),
    }
    if _is_there(job, "face", plan):
        say("face: trained before with the same data, recipe and seed; --force_training trains anew")
        return
    say(", ".join(f"{count} images {part}" for part, count in sizes.items()))
    clock = Clock()
    trained = face_training.train(
        splits,
        seed=job.seed,
        folder=job.checkpoints,
        recipe=job.face_recipe,
        on_progress=lambda epoch: say(face_line(epoch, clock, job.face_recipe)),
    )
    said = FaceModel(trained.network).predict(splits.choose.images)
    meta = plan | {
        "widths": list(job.face_recipe.widths),
        "depths": list(job.face_recipe.depths),
        "chosen": asdict(trained.chosen),
        "calibration": _calibrations(said.emotions, splits.choose.emotions, None),
    }
    weights.save(job.out, "face", trained.network.state_dict(), meta)
    write_log(job.log, "face", {"plan": plan, "epochs": [asdict(epoch) for epoch in trained.history]})
    plot_face(job.log, trained.history, trained.chosen)
    say("face: weights written")


def train_voice(job: Job, data: Data, say: Say) -> None:
    """Cross-validate, train, calibrate on what was said of actors not heard, write weights, history and plot."""
    clips, clock = data.clips, Clock()
    plan = {
        "seed": job.seed,
        "recipe": asdict(job.voice_recipe),
        "actors": sorted({int(actor) for actor in clips.actors}),
        "clips": len(clips),
        "features": VOICE_FEATURES,
    }
    if _is_there(job, "voice", plan):
        say("voice: trained before with the same clips, recipe and seed; --force_training trains anew")
        return
    trained = voice_training.train(
        clips,
        data.frames,
        seed=job.seed,
        checkpoint_dir=job.checkpoints,
        recipe=job.voice_recipe,
        on_progress=lambda epoch: say(voice_line(epoch, clock)),
    )
    meta = plan | {
        "members": len(trained.members),
        "calibration": voice_calibrations(trained.out_of_fold, clips, np.ones(len(clips), dtype=bool)),
    }
    weights.save(job.out, "voice", trained.network.state_dict(), meta)
    write_log(job.log, "voice", {"plan": meta, "epochs": [asdict(epoch) for epoch in trained.history]})
    plot_voice(job.log, trained.history)
    say("voice: weights written")


def voice_calibrations(heard: OutOfFold, clips: VoiceClips, rows: np.ndarray) -> Document:
    """Fitted on the clips `rows`, whole and their middle 3 s, with whole actors in the folds of the fit."""
    emotions = np.tile(clips.emotions[rows], 2)
    said = emotion_probabilities(np.concatenate([heard.logits[rows], heard.middle_logits[rows]]))
    return _calibrations(said, emotions, np.tile(clips.actors[rows], 2))


def _calibrations(said: Floats, emotions: np.ndarray, persons: np.ndarray | None) -> Document:
    """Of the emotions, and of the levels that these sum up to; `said` (n, 7)."""
    by_emotion = fit(log_probabilities(said), emotions, persons)
    levels = stress_of(by_emotion.apply(log_probabilities(said)))
    by_level = fit(log_probabilities(levels), level_labels(emotions), persons)
    return {"emotions": by_emotion.to_dict(), "levels": by_level.to_dict()}


def out_of_fold_predictions(heard: OutOfFold, clips: VoiceClips) -> Predictions:
    """What networks said of actors they had not heard, calibrated on the other folds' actors."""
    probabilities = np.zeros((len(clips), len(LEVELS)), dtype=np.float32)
    emotions = emotion_probabilities(heard.logits)
    for fold in np.unique(heard.folds):
        rows = heard.folds == fold
        fitted = voice_calibrations(heard, clips, ~rows)
        found = {name: Calibration.from_dict(values) for name, values in fitted.items()}
        emotions[rows] = found["emotions"].apply(log_probabilities(emotions[rows]))
        probabilities[rows] = found["levels"].apply(log_probabilities(stress_of(emotions[rows])))
    return Predictions(probabilities, emotions, heard.embeddings)


def train_fusion(job: Job, data: Data, say: Say) -> None:
    """On the faces that chose the face model's epoch and on voices as networks heard them that did not know them."""
    faces, clips = data.splits.choose, data.clips
    said = out_of_fold_predictions(heard_voices(job, data, say), clips)
    trained = fitted_fusion(job, FaceModel.load(job.out), faces, said, clips, say)
    meta = {
        "seed": job.seed,
        "method": trained.method,
        "faces": len(faces),
        "clips": len(clips),
        "calibration": {case: fitted.to_dict() for case, fitted in trained.calibrations.items()},
        "figures": trained.figures,
    }
    weights.save(job.out, fusion.NAME, trained.network.state_dict(), meta)
    write_log(job.log, "fusion", {"plan": meta, "folds": trained.history})
    say(f"fusion: weights written, method {trained.method}")


def fitted_fusion(
    job: Job, model: FaceModel, faces: FaceImages, said: Predictions, clips: VoiceClips, say: Say
) -> FusionTraining:
    """`faces` that the model was not trained on; `said` of the clips by networks that had not heard them."""
    return fusion_training.train(
        face_modality(model, faces),
        voice_modality(said, clips),
        seed=job.seed,
        recipe=job.fusion_recipe,
        on_progress=say,
    )


def heard_voices(job: Job, data: Data, say: Say) -> OutOfFold:
    """Of the cross-validation, which is trained now where its checkpoints are missing."""
    clock = Clock()
    return voice_training.cross_validate(
        data.clips,
        data.frames,
        seed=job.seed,
        checkpoint_dir=job.checkpoints,
        recipe=job.voice_recipe,
        on_progress=lambda epoch: say(voice_line(epoch, clock)),
    )


def face_modality(model: FaceModel, faces: FaceImages) -> Modality:
    """Every face in full size and as it would come from far away."""
    sides = (fusion.FULL_SIDE_PX, *COARSE_SIDES_PX)
    said = [model.predict(_seen_at(faces.images, side)) for side in sides]
    return Modality(
        np.tile(faces.emotions, len(sides)),
        np.concatenate([fusion.logs_of(one) for one in said]),
        np.concatenate([one.probabilities for one in said]),
        np.concatenate([one.embeddings for one in said]),
        np.repeat(fusion.face_quality(np.array(sides, np.float32)), len(faces)),
        np.tile(np.arange(len(faces)), len(sides)),
    )


def voice_modality(said: Predictions, clips: VoiceClips) -> Modality:
    """A clip holds as much speech as full quality wants."""
    quality = np.ones(len(clips), dtype=np.float32)
    return Modality(
        clips.emotions, fusion.logs_of(said), said.probabilities, said.embeddings, quality, clips.actors
    )


def _seen_at(images: Pixels, side_px: float) -> Pixels:
    """The images as their crops would be if the face had so many pixels in the picture."""
    size = images.shape[1]
    if side_px >= size:
        return images
    small = [cv2.resize(image, (int(side_px),) * 2, interpolation=cv2.INTER_AREA) for image in images]
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR) for image in small])


def _fingerprint(faces: FaceImages) -> str:
    digest = hashlib.sha256(faces.emotions.tobytes())
    digest.update(np.ascontiguousarray(faces.images).tobytes())
    return digest.hexdigest()


def _is_there(job: Job, name: str, plan: Mapping[str, Any]) -> bool:
    """Whether weights of the very same plan lie in `out`."""
    try:
        meta = weights.load(job.out, name)[1]
    except AnalysisError:
        return False
    return all(meta.get(key) == value for key, value in json.loads(json.dumps(plan)).items())
