"""The voice network: a bidirectional LSTM with attention over frames, and the mean of several of them as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.linalg import hadamard
from torch import Tensor, nn
from torch.nn import functional

from mlcore.stress.datasets.ravdess import CODES
from mlcore.stress.voice.features import WIDTH

PROJECTION = 96
HIDDEN = 64
HEADS = 4
ATTENTION = 48
EMBEDDING = 32
LEAST_VARIANCE = 1e-5
MASKED = -1e4


class VoiceOutput(NamedTuple):
    logits: Tensor
    """(n, 8), by `ravdess.CODES`."""
    embeddings: Tensor
    """(n, 32)."""


class VoiceNetwork(nn.Module):
    """Frames are projected, read both ways, and pooled by four heads of attention, mean and deviation.

    The classifier is fixed, the same for every network: so the mean of several networks' embeddings is an embedding of
    their mean logits.
    """

    mean: Tensor
    deviation: Tensor
    classifier: Tensor

    def __init__(
        self,
        width: int = WIDTH,
        projection: int = PROJECTION,
        hidden: int = HIDDEN,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(width, projection)
        self.norm = nn.LayerNorm(projection)
        self.dropout = nn.Dropout(dropout)
        self.onwards = nn.LSTM(projection, hidden, batch_first=True)
        self.backwards = nn.LSTM(projection, hidden, batch_first=True)
        self.attention = nn.Sequential(
            nn.Linear(2 * hidden, ATTENTION), nn.Tanh(), nn.Linear(ATTENTION, HEADS)
        )
        self.embedding = nn.Linear(2 * hidden * (HEADS + 2), EMBEDDING)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("classifier", _classifier(), persistent=False)

    def forward(self, frames: Tensor, lengths: Tensor) -> VoiceOutput:
        """`frames` (n, t, width), zeros after each clip's end; `lengths` (n,), frames of each clip."""
        normal = (frames - self.mean) / self.deviation
        projected = self.dropout(functional.gelu(self.norm(self.projection(normal))))
        read = self.dropout(self._read(projected, lengths))
        inside = torch.arange(frames.shape[1])[None, :, None] < lengths[:, None, None]
        embeddings = self.embedding(self.dropout(self._pooled(read, inside)))
        return VoiceOutput(embeddings @ self.classifier.T, embeddings)

    def _read(self, projected: Tensor, lengths: Tensor) -> Tensor:
        """Both ways; the reading from the end starts at each clip's end, not at the batch's.

        Two networks rather than PyTorch's packed sequences, which take three times as long on a CPU."""
        mirror = mirror_of(lengths, projected.shape[1])
        onwards, _ = self.onwards(projected)
        backwards, _ = self.backwards(_taken(projected, mirror))
        return torch.cat([onwards, _taken(backwards, mirror)], dim=2)

    def _pooled(self, read: Tensor, inside: Tensor) -> Tensor:
        weights = self.attention(read).masked_fill(~inside, MASKED).softmax(dim=1)
        attended = torch.einsum("nth,nta->nah", read, weights).flatten(1)
        return torch.cat([attended, self._statistics(read, inside)], dim=1)

    def _statistics(self, read: Tensor, inside: Tensor) -> Tensor:
        count = inside.sum(dim=1)
        mean = (read * inside).sum(dim=1) / count
        variance = ((read - mean[:, None]).square() * inside).sum(dim=1) / count
        return torch.cat([mean, (variance + LEAST_VARIANCE).sqrt()], dim=1)


class VoiceEnsemble(nn.Module):
    """The mean of several networks."""

    def __init__(self, members: Sequence[VoiceNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, frames: Tensor, lengths: Tensor) -> VoiceOutput:
        """As `VoiceNetwork.forward`."""
        outputs = [member(frames, lengths) for member in self.members]
        logits, embeddings = (torch.stack(parts).mean(dim=0) for parts in zip(*outputs, strict=True))
        return VoiceOutput(logits, embeddings)


def padded(clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Frames of several clips, each (t, width), as one batch and their lengths."""
    lengths = torch.tensor([len(clip) for clip in clips])
    return nn.utils.rnn.pad_sequence(list(clips), batch_first=True), lengths


def mirror_of(lengths: Tensor, frames: int) -> Tensor:
    """(n, t): each clip's places from its last to its first, those after its end as they are."""
    places = torch.arange(frames)[None].expand(len(lengths), frames)
    mirrored = lengths[:, None] - 1 - places
    return torch.where(mirrored >= 0, mirrored, places)


def _taken(values: Tensor, places: Tensor) -> Tensor:
    return values.gather(1, places[:, :, None].expand(-1, -1, values.shape[2]))


def _classifier() -> Tensor:
    """(8, 32), orthogonal rows of length one."""
    return torch.tensor(hadamard(EMBEDDING)[1 : len(CODES) + 1], dtype=torch.float32) / EMBEDDING**0.5
