"""The models that a worker keeps loaded, one of each, loaded on first use."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from assessment import policy
from assessment.services.embeddings import embed
from mlcore import assets
from mlcore.errors import AnalysisError
from mlcore.faces import FaceTracker
from mlcore.speakers import find_voices
from mlcore.speech import Recognizer
from mlcore.stress.face.model import FaceModel
from mlcore.stress.fusion.model import FusionModel
from mlcore.stress.voice.model import VoiceModel
from mlcore.voice_activity import FRAME_SAMPLES, VoiceActivity
from mlcore.voice_embedding import one_thread


def _require(path: Path) -> Path:
    if not path.exists():
        raise AnalysisError(
            "models_missing",
            f"The model file {path.name} is not there. Run: python manage.py fetch_models",
            permanent=False,
        )
    return path


@cache
def recognizer() -> Recognizer:
    folder = assets.whisper_folder(Path(settings.MODELS_DIR), settings.WHISPER_MODEL)
    return Recognizer(_require(folder), device=settings.DEVICE, cpu_threads=settings.SPEECH_THREADS)


def face_tracker() -> FaceTracker:
    """A new tracker: it follows one video and is closed after it."""
    return FaceTracker(_require(assets.face_landmarker_file(Path(settings.MODELS_DIR))))


@dataclass(frozen=True)
class StressModels:
    """`versions` names the three weight files by the beginning of their SHA-256."""

    face: FaceModel
    voice: VoiceModel
    fusion: FusionModel
    versions: str


def stress_models() -> StressModels:
    """The models of STRESS_WEIGHTS_DIR; the voice model hears through Whisper base, whatever recognises the words."""
    return _stress_models(Path(settings.STRESS_WEIGHTS_DIR), Path(settings.MODELS_DIR))


@cache
def _stress_models(weights: Path, models_dir: Path) -> StressModels:
    whisper = _require(assets.whisper_folder(models_dir, "base"))
    return StressModels(
        FaceModel.load(weights),
        VoiceModel.load(weights, whisper),
        FusionModel.load(weights),
        ", ".join(f"{name} {_fingerprint(weights, name)}" for name in ("face", "voice", "fusion")),
    )


def _fingerprint(folder: Path, name: str) -> str:
    return hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()[:12]


def _warm_up_stress() -> None:
    """One prediction of each model, unless the employer's country rules out that it is ever asked for."""
    if not policy.emotion_inference_possible():
        return
    models = stress_models()
    with one_thread():
        face = models.face.predict(np.random.default_rng(0).integers(0, 255, (16, 48, 48), np.uint8))
        voice = models.voice.predict(
            [np.random.default_rng(0).normal(0, 0.1, 3 * 16_000).astype(np.float32)] * 16
        )
        models.fusion.predict(face, voice)


def warm_up() -> None:
    """Load everything once, so that the first answer takes no longer than the second."""
    recognizer()
    second = np.random.default_rng(0).normal(0, 0.01, 3 * 16_000).astype(np.float32)
    find_voices(second, VoiceActivity(np.ones(len(second) // FRAME_SAMPLES, np.float32), len(second)))
    face_tracker().close()
    embed(["Loads the sentence encoder."])
    _warm_up_stress()


def package_versions(*names: str) -> dict[str, Any]:
    """Versions of the packages and of our own code, for a stage's provenance."""
    return {"wawancara": settings.VERSION} | {name: importlib.metadata.version(name) for name in names}
