"""Small models that really learnt something in a second, for the tests of what measures models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from sklearn.linear_model import LogisticRegression

from mlcore.stress import weights
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.face.network import normalise
from mlcore.stress.fusion.model import FusionNetwork
from mlcore.stress.labels import EMOTIONS, Floats, stress_of
from mlcore.stress.predictions import Predictions
from mlcore.stress.voice.features import VERSION
from mlcore.stress.voice.network import VoiceEnsemble, VoiceNetwork
from tests.mlcore.stress.drawn_faces import draw_many
from tests.mlcore.stress.networks import save_face_weights, small_face_network

RATE = 16000


class Regression:
    """Logistic regression of the emotions on a few numbers of each input."""

    def __init__(
        self, features: Callable[[object], np.ndarray], inputs: Sequence, emotions: np.ndarray
    ) -> None:
        self._features = features
        self._fitted = LogisticRegression(C=10.0, max_iter=500).fit(self._table(inputs), emotions)

    def predict(self, inputs: Sequence) -> Predictions:
        table = self._table(inputs)
        said = np.zeros((len(table), len(EMOTIONS)), np.float32)
        said[:, self._fitted.classes_] = self._fitted.predict_proba(table)
        return Predictions(stress_of(said), said, table[:, :32].astype(np.float32))

    def _table(self, inputs: Sequence) -> np.ndarray:
        return np.stack([self._features(one) for one in inputs])


def drawn(n: int, split: str = "test", seed: int = 0) -> FaceImages:
    emotions = [EMOTIONS[number % len(EMOTIONS)] for number in range(n)]
    images, labels = draw_many(emotions, np.random.default_rng(seed))
    names = np.array([f"{split}/{emotion}/{number}.png" for number, emotion in enumerate(emotions)])
    splits, votes = np.full(n, split), np.zeros((n, 8), np.float32)
    return FaceImages(images, labels, splits, names, votes, np.zeros(n, bool), SkippedFiles())


def face_regression() -> Regression:
    seen = drawn(210, "train", seed=9)
    return Regression(
        lambda image: image.reshape(12, 4, 12, 4).mean(axis=(1, 3)).ravel() / 255, seen.images, seen.emotions
    )


def tone(code: int, actor: int, seconds: float = 1.5) -> Floats:
    """A buzz whose pitch tells RAVDESS's emotion `code` (1 to 8), in noise; actors differ a little."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 100.0 * 1.25**code * 1.01**actor
    buzz = sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in range(1, 5))
    noise = np.random.default_rng(actor * 10 + code).normal(0, 0.2, len(time))
    return (0.2 * (buzz + noise)).astype(np.float32)


def spectrum(samples: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(samples[:RATE])[:2048])
    return np.log1p(power.reshape(64, 32).mean(axis=1))


def voice_regression() -> Regression:
    """Of actors 23 and 24."""
    emotions = {1: 6, 2: 6, 3: 3, 4: 4, 5: 0, 6: 2, 7: 1, 8: 5}
    labelled = [(tone(code, actor), emotion) for actor in (23, 24) for code, emotion in emotions.items()]
    return Regression(spectrum, [one for one, _ in labelled], np.array([emotion for _, emotion in labelled]))


def write_ravdess(folder: Path, actors: Sequence[int], codes: Sequence[int] = range(1, 9)) -> Path:
    """`folder/Actor_nn/…wav`, a clip for each emotion."""
    for actor in actors:
        (folder / f"Actor_{actor:02d}").mkdir(parents=True, exist_ok=True)
        for code in codes:
            name = f"03-01-{code:02d}-01-01-01-{actor:02d}.wav"
            soundfile.write(folder / f"Actor_{actor:02d}" / name, tone(code, actor), RATE)
    return folder


def trained_face_weights(folder: Path) -> Path:
    """``face.safetensors`` of a small network that tells drawn faces apart."""
    faces = drawn(350, "train", seed=9)
    network = small_face_network().train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    images, emotions = normalise(faces.images), torch.from_numpy(faces.emotions)
    order = torch.randperm(len(emotions) * 10, generator=torch.Generator().manual_seed(0)) % len(emotions)
    for rows in order.split(70):
        loss = torch.nn.functional.cross_entropy(network(images[rows]).emotion_logits, emotions[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return save_face_weights(folder, network.eval())


def untrained_voice_and_fusion_weights(folder: Path, actors: Sequence[int]) -> None:
    """``voice.safetensors``, as if trained on `actors`, and ``fusion.safetensors``; what they say is no result."""
    torch.manual_seed(0)
    voice = VoiceEnsemble([VoiceNetwork()])
    weights.save(
        folder, "voice", voice.state_dict(), {"features": VERSION, "members": 1, "actors": list(actors)}
    )
    weights.save(folder, "fusion", FusionNetwork().state_dict(), {"calibration": {}})
