"""Face and voice together: the product of what each says of the emotions, corrected by a small network.

The start is naive Bayes: faces and voices are taken for independent given the emotion, so their log probabilities add.
How far to trust each, and what the embeddings say beyond that, is learnt (`fusion_training`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration, identity, log_probabilities
from mlcore.stress.labels import EMOTION_LEVEL, EMOTIONS, LEVELS, Floats, stress_of
from mlcore.stress.predictions import Predictions

NAME = "fusion"
BOTH, FACE, VOICE = "both", "face", "voice"
"""Which modalities a moment has; each case has its own calibration."""
NETWORK, MEAN = "network", "mean"
"""Methods, as the weights' meta names the one that training found better."""
FACE_EMBEDDING, VOICE_EMBEDDING = 64, 32
HIDDEN = 32
LEAST_PROBABILITY = 1e-4
"""An emotion is never ruled out by one modality alone. *Assumption*."""
EVEN_TRUST = 0.5413
"""Its softplus is 1: log probabilities simply add."""
FULL_SIDE_PX = 48.0
"""Side of a face in the picture from which on it has every pixel that the network sees."""
FULL_SPEECH_S = 1.5
"""Speech in a window from which on more of it says little: about what a clip of RAVDESS holds. *Assumption*."""


@dataclass(frozen=True)
class Inputs:
    """n moments. A modality that is missing has quality 0, and rows of zeros."""

    face_logs: Floats
    """(n, 7): log probabilities of the emotions."""
    face_embeddings: Floats
    """(n, 64)."""
    face_quality: Floats
    """(n,): from 0, left out, to 1."""
    voice_logs: Floats
    voice_embeddings: Floats
    """(n, 32)."""
    voice_quality: Floats

    def __len__(self) -> int:
        return len(self.face_logs)

    def take(self, rows: np.ndarray) -> Inputs:
        return Inputs(
            self.face_logs[rows],
            self.face_embeddings[rows],
            self.face_quality[rows],
            self.voice_logs[rows],
            self.voice_embeddings[rows],
            self.voice_quality[rows],
        )

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(
            torch.as_tensor(values, dtype=torch.float32)
            for values in (
                self.face_logs,
                self.face_embeddings,
                self.face_quality,
                self.voice_logs,
                self.voice_embeddings,
                self.voice_quality,
            )
        )


def face_quality(sides_px: Floats) -> Floats:
    """0 to 1 of faces by the longer side of their crops in the picture, pixels; shape kept."""
    return np.clip(np.asarray(sides_px, dtype=np.float32) / FULL_SIDE_PX, 0, 1)


def voice_quality(speech_s: Floats) -> Floats:
    """0 to 1 of windows by the seconds of speech in them; shape kept."""
    return np.clip(np.asarray(speech_s, dtype=np.float32) / FULL_SPEECH_S, 0, 1)


def logs_of(said: Predictions) -> Floats:
    """Log probabilities of the emotions, (n, 7)."""
    return np.log(np.maximum(said.emotions, LEAST_PROBABILITY)).astype(np.float32)


def inputs_of(
    face: Predictions | None,
    voice: Predictions | None,
    face_qualities: Floats | None = None,
    voice_qualities: Floats | None = None,
) -> Inputs:
    """Inputs of n moments, both modalities with n rows where both are given. Qualities are 1 unless told.

    ValueError where neither is given or their lengths differ."""
    if face is None and voice is None:
        raise ValueError("fusion needs a face or a voice")
    count = len(face) if face is not None else len(voice) if voice is not None else 0
    if face is not None and voice is not None and len(face) != len(voice):
        raise ValueError(f"{len(face)} faces and {len(voice)} voices make no pairs")
    return Inputs(
        *_modality(face, face_qualities, FACE_EMBEDDING, count),
        *_modality(voice, voice_qualities, VOICE_EMBEDDING, count),
    )


def _modality(
    said: Predictions | None, qualities: Floats | None, size: int, count: int
) -> tuple[Floats, Floats, Floats]:
    if said is None:
        return (
            np.zeros((count, len(EMOTIONS)), np.float32),
            np.zeros((count, size), np.float32),
            np.zeros(count, np.float32),
        )
    quality = np.ones(count, np.float32) if qualities is None else np.asarray(qualities, np.float32)
    present = (quality > 0)[:, None]
    return (
        (logs_of(said) * present).astype(np.float32),
        (said.embeddings * present).astype(np.float32),
        quality,
    )


class FusionNetwork(nn.Module):
    """A trust in what each modality says of the emotions and of their levels, and a correction by both embeddings; the
    levels' trust and the correction start at nothing."""

    emotion_level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.face_trust = nn.Parameter(torch.tensor(EVEN_TRUST))
        self.voice_trust = nn.Parameter(torch.tensor(EVEN_TRUST))
        self.face_level_trust = nn.Parameter(torch.tensor(0.0))
        self.voice_level_trust = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("emotion_level", torch.from_numpy(EMOTION_LEVEL), persistent=False)
        self.face_norm = nn.LayerNorm(FACE_EMBEDDING)
        self.voice_norm = nn.LayerNorm(VOICE_EMBEDDING)
        self.hidden = nn.Linear(FACE_EMBEDDING + VOICE_EMBEDDING + 2 * len(EMOTIONS) + 2, HIDDEN)
        self.dropout = nn.Dropout(0.3)
        self.correction = nn.Linear(HIDDEN, len(EMOTIONS))
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(
        self,
        face_logs: Tensor,
        face_embeddings: Tensor,
        face_quality: Tensor,
        voice_logs: Tensor,
        voice_embeddings: Tensor,
        voice_quality: Tensor,
    ) -> Tensor:
        """Logits of the emotions, (n, 7)."""
        seen, heard = (face_quality > 0).float()[:, None], (voice_quality > 0).float()[:, None]
        evidence = face_logs * _trust(self.face_trust, face_quality)
        evidence = evidence + voice_logs * _trust(self.voice_trust, voice_quality)
        levels = self._levels(face_logs) * (self.face_level_trust * face_quality[:, None])
        levels = levels + self._levels(voice_logs) * (self.voice_level_trust * voice_quality[:, None])
        evidence = evidence + levels @ self.emotion_level.T
        known = [
            self.face_norm(face_embeddings) * seen,
            self.voice_norm(voice_embeddings) * heard,
            face_logs / 4,
            voice_logs / 4,
            face_quality[:, None],
            voice_quality[:, None],
        ]
        hidden = self.dropout(functional.relu(self.hidden(torch.cat(known, dim=1))))
        correction: Tensor = self.correction(hidden)
        return evidence + correction

    def _levels(self, logs: Tensor) -> Tensor:
        """Log probabilities of the levels, (n, 3): what both share where face and voice show different emotions of one
        level."""
        return (logs.exp() @ self.emotion_level).clamp_min(LEAST_PROBABILITY).log()


def _trust(trust: Tensor, quality: Tensor) -> Tensor:
    """In proportion to the quality, so that half a face tells half as much, and a missing one nothing. *Assumption*."""
    return functional.softplus(trust) * quality[:, None]


def emotion_probabilities(network: FusionNetwork, inputs: Inputs) -> Floats:
    """Uncalibrated, (n, 7)."""
    with torch.inference_mode():
        logits: Floats = network(*inputs.tensors()).softmax(dim=1).numpy()
    return logits


def mean_of_logits(face: Floats, voice: Floats) -> Floats:
    """The plain rule: softmax of the mean of both log probabilities of the levels, (n, 3)."""
    logs = (log_probabilities(face) + log_probabilities(voice)) / 2
    return identity(len(LEVELS)).apply(logs)


class FusionModel:
    """The trained fusion, or the mean of the logits where training found nothing better; thread-safe, since nothing
    in it changes."""

    def __init__(
        self, network: FusionNetwork, calibrations: Mapping[str, Calibration], meta: Mapping[str, Any]
    ) -> None:
        self._network = network.eval()
        self._calibrations = dict(calibrations)
        self.meta = dict(meta)

    @classmethod
    def load(cls, folder: Path = weights.WEIGHTS) -> FusionModel:
        """AnalysisError (``weights_unreadable``) where the file is absent or damaged."""
        tensors, meta = weights.load(folder, NAME)
        network = FusionNetwork()
        weights.fill(network, tensors, folder, NAME)
        found = meta.get("calibration", {})
        return cls(network, {case: Calibration.from_dict(value) for case, value in found.items()}, meta)

    def predict(
        self,
        face: Predictions | None,
        voice: Predictions | None,
        *,
        face_qualities: Floats | None = None,
        voice_qualities: Floats | None = None,
    ) -> Floats:
        """Calibrated probabilities of the levels, (n, 3). A quality of 0 leaves that modality out of its row;
        AnalysisError (``no_modality``) where a row has neither."""
        inputs = inputs_of(face, voice, face_qualities, voice_qualities)
        seen, heard = inputs.face_quality > 0, inputs.voice_quality > 0
        if not (seen | heard).all():
            raise AnalysisError("no_modality", "Neither a face nor a voice is there to tell from.")
        result = np.zeros((len(inputs), len(LEVELS)), dtype=np.float32)
        for case, rows in ((BOTH, seen & heard), (FACE, seen & ~heard), (VOICE, heard & ~seen)):
            if rows.any():
                result[rows] = self._calibrated(case, rows, inputs, face, voice)
        return result

    def _calibrated(
        self,
        case: str,
        rows: npt.NDArray[np.bool_],
        inputs: Inputs,
        face: Predictions | None,
        voice: Predictions | None,
    ) -> Floats:
        if self.meta.get("method") == MEAN:
            levels = _mean_rule(case, rows, face, voice)
        else:
            levels = stress_of(emotion_probabilities(self._network, inputs.take(rows)))
        calibration = self._calibrations.get(case, identity(len(LEVELS)))
        return calibration.apply(log_probabilities(levels))


def _mean_rule(
    case: str, rows: npt.NDArray[np.bool_], face: Predictions | None, voice: Predictions | None
) -> Floats:
    if case == BOTH and face is not None and voice is not None:
        return mean_of_logits(face.probabilities[rows], voice.probabilities[rows])
    alone = face if case == FACE else voice
    assert alone is not None
    return alone.probabilities[rows]
