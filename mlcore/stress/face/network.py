"""The face network: a small squeeze-and-excitation ResNet on 48×48 grey faces (He et al. 2016; Hu et al. 2018)."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlcore.stress.labels import EMOTIONS, FERPLUS

WIDTHS = (48, 96, 192, 320)
DEPTHS = (1, 2, 2, 1)
EMBEDDING = 64
SQUEEZE = 8
LEAST_DEVIATION = 8.0
"""Grey levels added to an image's deviation, so that the noise of a black picture is not taken for a face."""


class FaceOutput(NamedTuple):
    emotion_logits: Tensor
    """(n, 7)."""
    vote_logits: Tensor
    """(n, 8), by `labels.FERPLUS`: an auxiliary task of the training."""
    embeddings: Tensor
    """(n, 64)."""


class FaceNetwork(nn.Module):
    """Halves the picture by unshuffling its pixels, then four stages of residual blocks, mean pooling, embedding."""

    def __init__(
        self, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(2)
        self.stem = ConvNorm(4, widths[0], 3)
        blocks: list[nn.Module] = []
        before = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                blocks.append(Residual(before, width, 2 if stage and not block else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Linear(before, EMBEDDING)
        self.emotions = nn.Linear(EMBEDDING, len(EMOTIONS))
        self.votes = nn.Linear(EMBEDDING, len(FERPLUS))

    def forward(self, faces: Tensor) -> FaceOutput:
        """`faces` as `normalise` gives them, shape (n, 1, height, width), sides even."""
        features = self.blocks(functional.relu(self.stem(self.unshuffle(faces))))
        embeddings = self.embedding(self.dropout(features.mean(dim=(2, 3))))
        return FaceOutput(self.emotions(embeddings), self.votes(embeddings), embeddings)


class ConvNorm(nn.Module):
    """A convolution and its batch normalisation, which `fused` makes one."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(x))
        return result

    def fuse(self) -> None:
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Residual(nn.Module):
    """Two 3×3 convolutions with channel attention beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3)
        self.squeeze = nn.Linear(outputs, outputs // SQUEEZE)
        self.excite = nn.Linear(outputs // SQUEEZE, outputs)
        self.shortcut = (
            nn.Identity() if stride == 1 and inputs == outputs else ConvNorm(inputs, outputs, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x)))
        weights = torch.sigmoid(self.excite(functional.relu(self.squeeze(y.mean(dim=(2, 3))))))
        return functional.relu(y * weights[:, :, None, None] + self.shortcut(x))


def normalise(crops: npt.NDArray[np.uint8] | Tensor) -> Tensor:
    """Grey levels, shape (n, height, width) -> less each image's mean, over its deviation: (n, 1, height, width)."""
    grey = torch.as_tensor(crops).float()
    mean, deviation = grey.mean(dim=(1, 2), keepdim=True), grey.std(dim=(1, 2), keepdim=True)
    normal = ((grey - mean) / (deviation + LEAST_DEVIATION))[:, None]
    return normal.contiguous(memory_format=torch.channels_last)


def fused(network: FaceNetwork) -> FaceNetwork:
    """A copy for inference, its batch normalisations taken into the convolutions."""
    result = copy.deepcopy(network).eval()
    for module in result.modules():
        if isinstance(module, ConvNorm):
            module.fuse()
    return result.to(memory_format=torch.channels_last)
