"""The models that a worker keeps loaded, one of each, loaded on first use."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from assessment.services.embeddings import embed
from mlcore import assets
from mlcore.errors import AnalysisError
from mlcore.faces import FaceTracker
from mlcore.speakers import find_voices
from mlcore.speech import Recognizer
from mlcore.voice_activity import FRAME_SAMPLES, VoiceActivity


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


def warm_up() -> None:
    """Load everything once, so that the first answer takes no longer than the second."""
    recognizer()
    second = np.random.default_rng(0).normal(0, 0.01, 3 * 16_000).astype(np.float32)
    find_voices(second, VoiceActivity(np.ones(len(second) // FRAME_SAMPLES, np.float32), len(second)))
    face_tracker().close()
    embed(["Loads the sentence encoder."])


def package_versions(*names: str) -> dict[str, Any]:
    """Versions of the packages and of our own code, for a stage's provenance."""
    return {"wawancara": settings.VERSION} | {name: importlib.metadata.version(name) for name in names}
