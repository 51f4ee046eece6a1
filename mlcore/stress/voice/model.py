"""Speech -> calibrated probabilities of emotions and stress levels, by the shipped weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration, identity, log_probabilities
from mlcore.stress.labels import EMOTIONS, LEVELS, Floats, stress_of
from mlcore.stress.predictions import Predictions
from mlcore.stress.voice.features import VERSION, VoiceFeatures, check_samples
from mlcore.stress.voice.inference import for_inference
from mlcore.stress.voice.member import emotion_probabilities
from mlcore.stress.voice.network import EMBEDDING, VoiceEnsemble, VoiceNetwork, padded

NAME = "voice"

__all__ = ["VoiceModel", "check_samples"]


class VoiceModel:
    """The trained networks with their calibration and the encoder before them. Thread-safe, since nothing in it
    changes; about 40 MB. The networks run on as many threads as torch is set to, the encoder on one."""

    def __init__(
        self,
        network: VoiceEnsemble,
        features: VoiceFeatures,
        *,
        emotions: Calibration | None = None,
        levels: Calibration | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """`emotions` calibrates the network's seven emotions, `levels` the sums of these."""
        self._run, self._features = for_inference(network.eval()), features
        self._emotions = emotions or identity(len(EMOTIONS))
        self._levels = levels or identity(len(LEVELS))
        self.meta = dict(meta or {})

    @classmethod
    def load(cls, folder: Path, whisper_folder: Path) -> VoiceModel:
        """`folder` holds ``voice.safetensors``, `whisper_folder` Whisper base in CTranslate2 form.

        `AnalysisError` ``weights_unreadable`` where the weights are absent, damaged or of other features,
        ``model_unavailable`` without Whisper base.
        """
        tensors, meta = weights.load(folder, NAME)
        if meta.get("features") != VERSION:
            raise AnalysisError(
                "weights_unreadable",
                f"The weights {NAME}.safetensors were trained on other features (version {meta.get('features')}, this "
                f"program computes {VERSION}). Run: git checkout -- mlcore/weights, or python manage.py train_models",
            )
        network = VoiceEnsemble([VoiceNetwork() for _ in range(int(meta.get("members", 1)))])
        weights.fill(network, tensors, folder, NAME)
        found = {name: Calibration.from_dict(one) for name, one in meta.get("calibration", {}).items()}
        return cls(
            network,
            VoiceFeatures(whisper_folder),
            emotions=found.get("emotions"),
            levels=found.get("levels"),
            meta=meta,
        )

    def predict(self, clips: Sequence[Floats]) -> Predictions:
        """Of 16 kHz mono clips of speech, each of shape (samples,), 2 to 10 s at best; none gives an empty batch.

        `AnalysisError` as `check_samples`. Whether somebody speaks at all is for `mlcore.voice_activity` to say.
        """
        if not clips:
            return Predictions(
                *(np.empty((0, size), np.float32) for size in (len(LEVELS), len(EMOTIONS), EMBEDDING))
            )
        frames = [torch.from_numpy(self._features(check_samples(clip))) for clip in clips]
        with torch.inference_mode():
            output = self._run(*padded(frames))
        return self.calibrated(output.logits.numpy(), output.embeddings.numpy())

    def calibrated(self, logits: Floats, embeddings: Floats) -> Predictions:
        """What the networks' logits (n, 8) mean."""
        emotions = self._emotions.apply(log_probabilities(emotion_probabilities(logits)))
        levels = self._levels.apply(log_probabilities(stress_of(emotions)))
        return Predictions(levels, emotions, embeddings)
