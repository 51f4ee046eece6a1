"""The lower layers of Whisper's encoder, with the weights out of the recogniser's own file.

The middle of the encoder tells emotions better than its end, which has turned to words, and two layers better than one
(docs/models/voice-stress.md). CTranslate2 gives the last layer only, so those needed are computed here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlcore.errors import AnalysisError
from mlcore.stress.labels import Floats

TAPPED = (2, 4)
"""Outputs of these layers, counted from 1, are the features."""
LAYERS = max(TAPPED)
MELS = 80
SIDE = 512
"""Width of the encoder of Whisper base."""
HEADS = 8
WIDTH = SIDE * len(TAPPED)
SHORTEST_MELS = 8
USUAL_FRAMES = 150
"""Of 3 s. The weights are packed for so many; others are right as well, and may be slower."""
FILE_VERSION = 6
"""Of CTranslate2's binary format (`ctranslate2.specs.model_spec`, `ModelSpec._serialize`)."""
SPECIFICATION = "WhisperSpec"
HALF = 4
"""CTranslate2's number for float16."""
PREFIX = "encoder/"

Tensors = dict[str, Tensor]


class VoiceEncoder(nn.Module):
    """Whisper base's encoder (Radford et al. 2022) up to its fourth layer. Thread-safe; 27 MB.

    Where the processor has AMX tiles, products are in bfloat16 (a third of the time), their weights laid out once
    (seven tenths of the rest), elsewhere in float32; what is added up along the layers is float32 always.
    """

    def __init__(self, weights: Tensors, dtype: torch.dtype = torch.float32) -> None:
        """`weights` by their names in the recogniser's file, without ``encoder/``."""
        super().__init__()
        self._dtype = dtype
        self._first = _of_convolution(weights, "conv1", dtype)
        self._second = _of_convolution(weights, "conv2", dtype)
        self._places = weights["position_encodings/encodings"].float()
        layers = [_Layer(weights, f"layer_{number}/", dtype) for number in range(LAYERS)]
        self._layers = nn.ModuleList(layers)
        self.requires_grad_(False)

    @classmethod
    def load(cls, whisper_folder: Path) -> VoiceEncoder:
        """Of the folder of Whisper base in CTranslate2 form.

        AnalysisError ``model_unavailable`` where it is absent, damaged or another model."""
        dtype = torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32
        return cls(read_weights(whisper_folder / "model.bin"), dtype).eval()

    def forward(self, mels: Tensor) -> Tensor:
        """(n, 80, t), frames of 10 ms, t even and at most 3000 -> (n, t / 2, 1024): the tapped layers, normalised."""
        heard = _along(mels.transpose(1, 2).to(self._dtype), self._first, 1)
        x = _along(heard, self._second, 2).float()
        x = x + self._places[: x.shape[1]]
        tapped = []
        for number, layer in enumerate(self._layers, start=1):
            x = layer(x)
            if number in TAPPED:
                tapped.append(functional.layer_norm(x, (SIDE,)))
        return torch.cat(tapped, dim=2)

    def frames(self, mels: Floats) -> Floats:
        """(80, t) -> (t / 2, 1024)."""
        with torch.inference_mode():
            return np.asarray(self(torch.from_numpy(mels)[None])[0].numpy())


class _Product:
    """A linear layer; in bfloat16 with the operator that torch's compiler emits for one (torch/_inductor/
    mkldnn_lowerings.py), where this torch has it."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self._weight, self._bias = weight.contiguous().to(dtype), bias.to(dtype)
        self._packed = dtype is torch.bfloat16 and _can_pack()
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, USUAL_FRAMES)

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        if not self._packed:
            product = functional.linear(x, self._weight, self._bias)
            return functional.gelu(product) if gelu else product
        multiply: Any = torch.ops.mkldnn._linear_pointwise
        result: Tensor = multiply(x, self._weight, self._bias, "gelu" if gelu else "none", [], "none")
        return result


def _can_pack() -> bool:
    return all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))


class _Layer(nn.Module):
    """Self-attention and two linear layers, each after a norm and beside a shortcut."""

    def __init__(self, weights: Tensors, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self._norms = nn.ModuleList(
            _norm(weights, f"{name}{part}/layer_norm") for part in ("self_attention", "ffn")
        )
        names = ("self_attention/linear_0", "self_attention/linear_1", "ffn/linear_0", "ffn/linear_1")
        self._linears = [_linear(weights, f"{name}{part}", dtype) for part in names]
        self._dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        to_heads, from_heads, wider, narrower = self._linears
        of_attention, of_rest = self._norms
        parts = to_heads(of_attention(x).to(self._dtype)).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(query, key, value)
        x = x + from_heads(attended.transpose(1, 2).flatten(2)).float()
        return x + narrower(wider(of_rest(x).to(self._dtype), gelu=True)).float()


def read_weights(file: Path) -> Tensors:
    """The encoder's tensors, float16, from a CTranslate2 file of Whisper base.

    AnalysisError ``model_unavailable`` where it is absent, damaged or another model."""
    try:
        with file.open("rb") as opened:
            found = dict(_variables(opened))
    except FileNotFoundError as error:
        raise _unavailable(f"{file} is not there") from error
    except (OSError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise _unavailable(f"{file} cannot be read: {error}") from error
    first = found.get("conv1/weight")
    if first is None or tuple(first.shape) != (SIDE, MELS, 3):
        raise _unavailable(f"{file} is not the base size")
    return found


def _unavailable(reason: str) -> AnalysisError:
    return AnalysisError(
        "model_unavailable",
        f"The voice model needs Whisper base: {reason}. Run: python manage.py fetch_models",
        permanent=False,
    )


def _variables(file: BinaryIO) -> Iterator[tuple[str, Tensor]]:
    """The encoder's variables that are tensors; the decoder's are passed over."""
    version, name, _ = _number(file, "I"), _text(file), _number(file, "I")
    if (version, name) != (FILE_VERSION, SPECIFICATION):
        raise ValueError(f"it is version {version} of {name!r}, not {FILE_VERSION} of {SPECIFICATION!r}")
    for _ in range(_number(file, "I")):
        name, rank = _text(file), _number(file, "B")
        shape = tuple(_number(file, "I") for _ in range(rank))
        kind, size = _number(file, "B"), _number(file, "I")
        data = file.read(size)
        if len(data) != size:
            raise ValueError("it ends too early")
        if name.startswith(PREFIX) and rank:
            yield name.removeprefix(PREFIX), _tensor(name, kind, shape, data)


def _tensor(name: str, kind: int, shape: tuple[int, ...], data: bytes) -> Tensor:
    if kind != HALF:
        raise ValueError(f"{name} is not float16")
    return torch.from_numpy(np.frombuffer(data, dtype=np.float16).reshape(shape).copy())


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack(kind, file.read(struct.calcsize(kind)))[0])


def _along(x: Tensor, product: _Product, stride: int) -> Tensor:
    """A convolution over three frames and what follows it, as a product of matrices: half the time of `conv1d`."""
    stretches = functional.pad(x, (0, 0, 1, 1)).unfold(1, 3, stride)
    return product(stretches.transpose(2, 3).flatten(2), gelu=True)


def _of_convolution(weights: Tensors, name: str, dtype: torch.dtype) -> _Product:
    """Of a convolution's weights (outputs, inputs, 3)."""
    flat = weights[f"{name}/weight"].transpose(1, 2).flatten(1)
    return _Product(flat, weights[f"{name}/bias"], dtype)


def _linear(weights: Tensors, name: str, dtype: torch.dtype) -> _Product:
    return _Product(weights[f"{name}/weight"], weights[f"{name}/bias"], dtype)


def _norm(weights: Tensors, name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(SIDE)
    norm.weight.data = weights[f"{name}/gamma"].float()
    norm.bias.data = weights[f"{name}/beta"].float()
    return norm
