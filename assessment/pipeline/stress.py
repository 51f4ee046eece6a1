"""Stage: faces and speech -> how the candidate's expression resembles low, medium and high stress, second by second.

An expression proxy, and only where the assessment's policy allows it; else the stage does not exist: no face is cut
out, nothing is computed and nothing stored. The cut-out faces live in memory, for as long as the attempt does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings

from assessment.pipeline import stress_timeline as timeline
from assessment.pipeline import stress_windows
from assessment.pipeline.models import StressModels, face_tracker, package_versions, stress_models
from mlcore.faces import FaceFrame
from mlcore.media import Frame
from mlcore.speakers import Turn
from mlcore.stress import smoothing
from mlcore.stress.face.crop import FaceCrop, crop_face
from mlcore.stress.fusion.model import face_quality as trust_in_faces
from mlcore.stress.fusion.model import voice_quality as trust_in_voices
from mlcore.stress.labels import EMOTIONS, LEVELS, Floats
from mlcore.stress.predictions import Predictions
from mlcore.stress.quality import face_quality
from mlcore.voice_activity import Interval
from mlcore.voice_embedding import one_thread

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "stress"
BATCH = 16
PLACES = 6
Output = dict[str, Any]
Report = Callable[[float], None]


@dataclass
class FaceSamples:
    """Faces taken in passing, at most `per_s` a second; `quality` counts all that were looked at."""

    per_s: float
    times_s: list[float] = field(default_factory=list)
    crops: list[FaceCrop] = field(default_factory=list)
    quality: Counter[str] = field(default_factory=Counter)
    _slot: int = -1

    def pass_by(self, frame: Frame, seen: FaceFrame) -> None:
        """Look at the first frame of each slot of 1 / `per_s` seconds."""
        slot = int(frame.t_s * self.per_s)
        if slot != self._slot:
            self._slot = slot
            self.look(frame, seen)

    def look(self, frame: Frame, seen: FaceFrame) -> None:
        """Take the candidate's face out of the frame if it can be read."""
        face = seen.faces[0] if seen.faces else None
        quality = face_quality(frame.rgb, face)
        self.quality[quality.value] += 1
        if face is not None and quality.value == "ok":
            self.times_s.append(frame.t_s)
            self.crops.append(crop_face(frame.rgb, face))


def versions() -> Output:
    return package_versions("torch", "faster-whisper") | {"thresholds": _thresholds()}


def _thresholds() -> dict[str, float]:
    return {
        "faces_per_s": settings.STRESS_FACES_PER_S,
        "high_min_s": settings.STRESS_HIGH_MIN_S,
        "smoothing_window": smoothing.WINDOW,
        "level_margin": smoothing.MARGIN,
        "unsure_below": smoothing.UNSURE_BELOW,
    } | stress_windows.THRESHOLDS


def run(work: Attempt) -> Output:
    """The timeline with what follows from it, and face and voice apart (see `_summary`); an empty timeline with its
    warning where neither could be read."""
    models = stress_models()
    with one_thread():
        seen = _see(models, work)
        heard = _hear(models, work)
        steps = timeline.fused(
            seen.by_second if seen else None, heard.by_second if heard else None, _fusing(models)
        )
    smooth = timeline.smoothed(steps, smoothing.Smoother())
    assert work.stream is not None
    return _summary(smooth, seen, heard, work.stream.duration_s) | {"versions": {"model": models.versions}}


# -- One modality -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Modality:
    """`predictions` and `by_second` are None where nothing was good enough."""

    quality: Counter[str]
    predictions: Predictions | None
    by_second: timeline.BySecond | None


def _see(models: StressModels, work: Attempt) -> Modality | None:
    """None without a picture."""
    assert work.stream is not None
    if not work.stream.info.has_video:
        return None
    faces = work.face_samples or _look_again(work)
    if not faces.crops:
        return Modality(faces.quality, None, None)
    predictions = models.face.predict(np.stack([crop.pixels for crop in faces.crops]))
    trust = trust_in_faces(np.array([crop.side_px for crop in faces.crops], np.float32))
    return Modality(faces.quality, predictions, timeline.of_moments(faces.times_s, predictions, trust))


def _look_again(work: Attempt) -> FaceSamples:
    """The faces of a recording that an earlier attempt has watched: it is decoded again at the rate of the samples."""
    assert work.stream is not None
    faces = FaceSamples(settings.STRESS_FACES_PER_S)
    expected_s = work.stream.info.duration_s or 0.0
    with face_tracker() as tracker:
        for frame in work.stream.frames():
            faces.look(frame, tracker.detect(frame))
            work.progress.report(NAME, 0.5 * frame.t_s / expected_s if expected_s else 0.0)
    return faces


def _hear(models: StressModels, work: Attempt) -> Modality | None:
    """None where nobody speaks."""
    turns = [Turn(**turn) for turn in work.outputs["listen"]["voices"]["turns"]]
    if not turns:
        return None
    found = stress_windows.readable(work.samples, work.voice_activity, stress_windows.of_main_voice(turns))
    if not found.windows:
        return Modality(found.quality, None, None)
    predictions = _predict_clips(models, work.samples, found.windows, lambda share: _report(work, share))
    by_second = timeline.of_windows(found.windows, predictions, trust_in_voices(found.speech_s))
    return Modality(found.quality, predictions, by_second)


def _report(work: Attempt, share: float) -> None:
    work.progress.report(NAME, 0.5 + 0.5 * share)


def _predict_clips(
    models: StressModels, samples: Floats, windows: Sequence[Interval], report: Report
) -> Predictions:
    parts = []
    for at in range(0, len(windows), BATCH):
        parts.append(
            models.voice.predict([stress_windows.cut(samples, window) for window in windows[at : at + BATCH]])
        )
        report((at + BATCH) / len(windows))
    return Predictions(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.emotions for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
    )


def _fusing(models: StressModels) -> timeline.Fuse:
    def fuse(face: timeline.BySecond | None, voice: timeline.BySecond | None) -> Floats:
        return models.fusion.predict(
            face.predictions if face else None,
            voice.predictions if voice else None,
            face_qualities=face.qualities if face else None,
            voice_qualities=voice.qualities if voice else None,
        )

    return fuse


# -- What is stored ---------------------------------------------------------------------------


def _summary(
    steps: Sequence[timeline.Step], seen: Modality | None, heard: Modality | None, end_s: float
) -> Output:
    return {
        "timeline": [_point(step) for step in steps],
        "distribution": timeline.distribution(steps) if steps else None,
        "model_confidence": timeline.model_confidence(steps) if steps else None,
        "face": _block(seen),
        "voice": _block(heard),
        "high": [
            {"start_s": one.start_s, "end_s": one.end_s, "value": one.value, "sources": list(one.sources)}
            for one in timeline.high_intervals(steps, min_s=settings.STRESS_HIGH_MIN_S, end_s=end_s)
        ],
        "warnings": [] if steps else [_not_measured(seen, heard)],
    }


def _point(step: timeline.Step) -> Output:
    named = {level: round(value, PLACES) for level, value in zip(LEVELS, step.probabilities, strict=True)}
    return {"t_s": step.t_s, **named, "sources": list(step.sources), "level": step.level}


def _block(found: Modality | None) -> Output | None:
    """Counts, and means over what was used; the means None where nothing was."""
    if found is None:
        return None
    said = found.predictions
    return {
        "probabilities": dict(zip(LEVELS, _mean(said.probabilities), strict=True)) if said else None,
        "emotions": dict(zip(EMOTIONS, _mean(said.emotions), strict=True)) if said else None,
        "looked_at": found.quality.total(),
        "used": found.quality["ok"],
        "quality": dict(found.quality),
    }


def _mean(rows: Floats) -> list[float]:
    means: list[float] = rows.mean(axis=0, dtype=np.float64).tolist()
    return means


def _not_measured(seen: Modality | None, heard: Modality | None) -> dict[str, str]:
    message = (
        "Neither face nor voice could be read well enough for the expression indicator "
        f"(picture: {_causes(seen)}; sound: {_causes(heard)})."
    )
    return {"code": "stress_not_measured", "message": message}


def _causes(found: Modality | None) -> str:
    if found is None:
        return "none to read"
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found.quality.items()) or "none"
