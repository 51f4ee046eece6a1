"""48×48 faces -> calibrated probabilities of emotions and stress levels, by the shipped weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.calibration import Calibration, identity, log_probabilities
from mlcore.stress.face.crop import SIDE
from mlcore.stress.face.inference import for_inference
from mlcore.stress.face.network import DEPTHS, EMBEDDING, WIDTHS, FaceNetwork, normalise
from mlcore.stress.labels import EMOTIONS, LEVELS, stress_of
from mlcore.stress.predictions import Predictions

NAME = "face"
AT_ONCE = 128
"""Faces that are in the network together (each with its mirror image): about 100 MB."""


class FaceModel:
    """The trained network with its calibration. Thread-safe, since nothing in it changes.

    Where the processor has AMX tiles the convolutions run in bfloat16, elsewhere in float32; the embedding and what
    follows are always float32. Runs on as many threads as torch is set to.
    """

    def __init__(
        self,
        network: FaceNetwork,
        *,
        emotions: Calibration | None = None,
        levels: Calibration | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """`network` as trained, not fused. `emotions` calibrates its emotions, `levels` the sums of these."""
        self._run = for_inference(network)
        self._emotions = emotions or identity(len(EMOTIONS))
        self._levels = levels or identity(len(LEVELS))
        self.meta = dict(meta or {})

    @classmethod
    def load(cls, folder: Path = weights.WEIGHTS) -> FaceModel:
        """`AnalysisError` (``weights_unreadable``) where ``face.safetensors`` is absent or damaged."""
        tensors, meta = weights.load(folder, NAME)
        network = FaceNetwork(tuple(meta.get("widths", WIDTHS)), tuple(meta.get("depths", DEPTHS)))
        weights.fill(network, tensors, folder, NAME)
        found = {name: Calibration.from_dict(one) for name, one in meta.get("calibration", {}).items()}
        return cls(network, emotions=found.get("emotions"), levels=found.get("levels"), meta=meta)

    def predict(self, crops: npt.NDArray[np.uint8]) -> Predictions:
        """Of grey faces as `face_crop.crop_face` gives them, shape (n, 48, 48); n may be 0.

        Logits and embeddings are the means of each face's and its mirror image's. `AnalysisError`
        (``faces_unreadable``) for arrays of another shape or type.
        """
        _check(crops)
        parts = [self._outputs(crops[start : start + AT_ONCE]) for start in range(0, len(crops), AT_ONCE)]
        if not parts:
            return Predictions(
                *(np.empty((0, size), np.float32) for size in (len(LEVELS), len(EMOTIONS), EMBEDDING))
            )
        emotions = self._emotions.apply(torch.cat([logits for logits, _ in parts]).numpy())
        embeddings = torch.cat([embedding for _, embedding in parts]).numpy()
        levels = self._levels.apply(log_probabilities(stress_of(emotions)))
        return Predictions(levels, emotions, embeddings)

    def _outputs(self, crops: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            faces = normalise(np.ascontiguousarray(crops))
            logits, embeddings = self._run(torch.cat([faces, faces.flip(3)]))
            return _mean_of_halves(logits), _mean_of_halves(embeddings)


def _mean_of_halves(values: Tensor) -> Tensor:
    straight, mirrored = values.chunk(2)
    return (straight + mirrored) / 2


def _check(crops: npt.NDArray[np.uint8]) -> None:
    if crops.dtype != np.uint8 or crops.ndim != 3 or crops.shape[1:] != (SIDE, SIDE):
        what = f"{crops.dtype} of shape {crops.shape}"
        message = f"Faces are {what}; they have to be grey, uint8 of shape (n, {SIDE}, {SIDE})."
        raise AnalysisError("faces_unreadable", message)
