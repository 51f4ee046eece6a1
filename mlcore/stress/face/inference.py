"""The face network as it is run: where the processor has bfloat16 tiles (AMX), with its convolutions packed once.

Torch's own modules lay the weights out anew at every call and write every intermediate result; with packed weights and
the activation inside the convolution a face takes two thirds of the time. The operators are those that torch's
compiler emits (torch/_inductor/mkldnn_lowerings.py); elsewhere, or should they go, the plain network runs in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mlcore.stress.face.network import ConvNorm, FaceNetwork, Residual, fused

Outputs = tuple[Tensor, Tensor]
Run = Callable[[Tensor], Outputs]

FEW, MANY, USUAL_SIDE = 2, 32, 24
"""The weights are packed twice, for so many inputs (a face and its mirror image; sixteen) of this side: packed for
another number they are right as well, but the last layers' are laid out anew at every call, a seventh of the time of a
single face."""
MOST_OF_FEW = 8
"""Up to this number the packing for few is as fast as the other."""


def for_inference(network: FaceNetwork) -> Run:
    """`network` as trained, not fused -> what gives emotion logits (n, 7) and embeddings (n, 64), float32, of faces as
    `normalise` gives them."""
    plain = fused(network)
    if not _can_pack():
        return _plain(plain)
    few, many = _Packed(plain, FEW), _Packed(plain, MANY)
    return lambda faces: (few if len(faces) <= MOST_OF_FEW else many)(faces)


def _plain(network: FaceNetwork) -> Run:
    def run(faces: Tensor) -> Outputs:
        output = network(faces)
        return output.emotion_logits, output.embeddings

    return run


def _can_pack() -> bool:
    packs = hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    return (
        packs and hasattr(torch.ops.mkldnn, "_convolution_pointwise") and torch.cpu._is_amx_tile_supported()
    )


@dataclass(frozen=True)
class _Conv:
    """A packed convolution, in bfloat16. `activation` is ``none`` or ``relu``."""

    weight: Tensor
    bias: Tensor
    padding: list[int]
    stride: list[int]
    activation: str

    @classmethod
    def of(cls, module: ConvNorm, batch: int, side: int, activation: str) -> _Conv:
        conv = module.conv
        assert conv.bias is not None, "pack only what is fused"
        padding, stride = [conv.kernel_size[0] // 2] * 2, list(conv.stride)
        weight = conv.weight.detach().bfloat16()
        shape = [batch, weight.shape[1], side, side]
        pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        packed = pack(weight.to_mkldnn(), padding, stride, [1, 1], 1, shape)
        return cls(packed, conv.bias.detach().bfloat16(), padding, stride, activation)

    def __call__(self, x: Tensor) -> Tensor:
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        result: Tensor = convolve(
            x, self.weight, self.bias, self.padding, self.stride, [1, 1], 1, self.activation, [], ""
        )
        return result


class _Block:
    """`face_network.Residual`."""

    def __init__(self, module: Residual, batch: int, side: int) -> None:
        stride = module.first.conv.stride[0]
        self._first = _Conv.of(module.first, batch, side, "relu")
        self._second = _Conv.of(module.second, batch, side // stride, "none")
        self._shortcut = (
            _Conv.of(module.shortcut, batch, side, "none") if isinstance(module.shortcut, ConvNorm) else None
        )
        self._squeeze, self._excite = copy.deepcopy((module.squeeze, module.excite))
        self._squeeze.bfloat16()
        self._excite.bfloat16()
        self.side = side // stride

    def __call__(self, x: Tensor) -> Tensor:
        y = self._second(self._first(x))
        attention = torch.sigmoid(self._excite(functional.relu(self._squeeze(y.mean(dim=(2, 3))))))
        shortcut = x if self._shortcut is None else self._shortcut(x)
        return torch.addcmul(shortcut, y, attention[:, :, None, None]).relu_()


class _Packed:
    """Not written to after it is made: thread-safe."""

    def __init__(self, network: FaceNetwork, batch: int) -> None:
        self._unshuffle = network.unshuffle
        self._stem = _Conv.of(network.stem, batch, USUAL_SIDE, "relu")
        self._blocks: list[_Block] = []
        side = USUAL_SIDE
        for block in network.blocks:
            assert isinstance(block, Residual)
            self._blocks.append(_Block(block, batch, side))
            side = self._blocks[-1].side
        self._embedding, self._emotions = network.embedding, network.emotions

    def __call__(self, faces: Tensor) -> Outputs:
        x = self._unshuffle(faces.bfloat16()).contiguous(memory_format=torch.channels_last)
        x = self._stem(x)
        for block in self._blocks:
            x = block(x)
        embeddings = self._embedding(x.mean(dim=(2, 3)).float())
        return self._emotions(embeddings), embeddings
