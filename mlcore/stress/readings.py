"""What comes in and out of a live analysis: readings of rooms, and the models that it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlcore.face_geometry import Face
from mlcore.stress.face.crop import Picture
from mlcore.stress.labels import Floats
from mlcore.stress.predictions import Predictions
from mlcore.stress.quality import FaceQuality, VoiceQuality
from mlcore.voice_activity import Interval

Source = Literal["face", "voice"]


@dataclass(frozen=True)
class FacePart:
    """What the last frame showed. `quality` is None where no frame came of late."""

    detected: bool
    count: int
    quality: FaceQuality | None


@dataclass(frozen=True)
class VoicePart:
    """What the last samples held. `quality` is None where none came of late."""

    speaking: bool
    quality: VoiceQuality | None


SPEAKING = VoicePart(True, VoiceQuality.OK)
NOT_SPEAKING = VoicePart(False, VoiceQuality.NOT_SPEAKING)


@dataclass(frozen=True)
class StressReading:
    """One room at one time. Where neither a face nor a voice could be read, `sources` is empty and what follows from
    them None.

    `probabilities`, `level` and `confidence` (0-1, that of the level) are smoothed; `unsure` says that the confidence
    is too low to go by. `emotions` are the last face's, or the last voice's where there is no face. `measured` is the
    largest face of the frame that this reading was asked with, `speech` when somebody speaks in its samples (seconds
    from their start), None and empty without them.
    """

    t_s: float
    level: str | None
    probabilities: dict[str, float] | None
    emotions: dict[str, float] | None
    confidence: float | None
    unsure: bool
    sources: tuple[Source, ...]
    face: FacePart
    voice: VoicePart
    latency_ms: float
    measured: Face | None = None
    speech: tuple[Interval, ...] = ()


class FaceFinder(Protocol):
    """An `mlcore.faces.ImageFaceDetector`."""

    def detect(self, rgb: Picture) -> tuple[Face, ...]: ...

    def close(self) -> None: ...


class FaceReader(Protocol):
    """A `FaceModel`."""

    def predict(self, crops: npt.NDArray[np.uint8]) -> Predictions: ...


class VoiceReader(Protocol):
    """A `VoiceModel`."""

    def predict(self, clips: Sequence[Floats]) -> Predictions: ...


class Fuser(Protocol):
    """A `FusionModel`."""

    def predict(
        self,
        face: Predictions | None,
        voice: Predictions | None,
        *,
        face_qualities: Floats | None = None,
        voice_qualities: Floats | None = None,
    ) -> Floats: ...
