"""Our trained weights: safetensors with what is known about them in the header, and nothing that is executed.

Written atomically and without a date, so that the same training gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from mlcore.errors import AnalysisError
from mlcore.stress.keeping import written_whole

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""Where the shipped weights lie."""

FORMAT = 1
"""Goes up when an older file can no longer be read rightly."""

HEADER = "wawancara"
HALF_FROM = 4096
"""Float tensors with at least so many numbers are stored as float16: half the size, and their rounding (2⁻¹¹ of
each weight) stays far below what training left undetermined. Smaller ones (norms, biases) stay float32."""

LARGEST_HALF = 65504.0
READABLE = 0o644
"""safetensors keeps its files to their owner; a site may run as somebody else."""

Tensors = dict[str, torch.Tensor]


def save(folder: Path, name: str, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> Path:
    """Write ``<folder>/<name>.safetensors``; `meta` must be JSON-able.

    `load` gives the same names and shapes back, floats as float32. ValueError for a tensor that is not finite.
    """
    stored = {key: _stored(key, tensor) for key, tensor in tensors.items()}
    header = {"format": FORMAT, "name": name, "sha256": _digest(stored), "meta": dict(meta)}
    path = _file(folder, name)
    with written_whole(path) as unfinished:
        save_file(stored, unfinished, {HEADER: json.dumps(header, sort_keys=True, allow_nan=False)})
        unfinished.chmod(READABLE)
    return path


def load(folder: Path, name: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors (floats as float32, on the CPU) and the meta that `save` was given.

    `AnalysisError` (``weights_unreadable``) for a file that is absent, truncated, changed, of another model or
    format, or with a value that is not finite.
    """
    path = _file(folder, name)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER])
            stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError as error:
        raise _unreadable(path, "is not there") from error
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, "is damaged or incomplete") from error
    except (KeyError, ValueError) as error:
        raise _unreadable(path, "does not say what it holds") from error
    _check(path, name, header, stored)
    return {key: _as_float32(tensor) for key, tensor in stored.items()}, dict(header["meta"])


def fill(network: nn.Module, tensors: Mapping[str, torch.Tensor], folder: Path, name: str) -> None:
    """Put the tensors of ``<folder>/<name>.safetensors`` into a network.

    `AnalysisError` (``weights_unreadable``) where names or shapes are not the network's.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    path = _file(folder, name)
    if different := sorted(expected.keys() ^ tensors.keys()):
        raise _unreadable(path, f"is of another network ({different[0]} on one side only)")
    for key, shape in expected.items():
        if tuple(tensors[key].shape) != shape:
            raise _unreadable(
                path, f"is of another network ({key} is {tuple(tensors[key].shape)}, not {shape})"
            )
    network.load_state_dict(dict(tensors))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _stored(key: str, tensor: torch.Tensor) -> torch.Tensor:
    kept = tensor.detach().cpu().contiguous().clone()
    if not kept.is_floating_point():
        return kept
    if not bool(torch.isfinite(kept).all()):
        raise ValueError(f"{key} holds values that are not finite")
    half = kept.numel() >= HALF_FROM and float(kept.abs().max()) <= LARGEST_HALF
    return kept.half() if half else kept.float()


def _digest(stored: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(stored):
        digest.update(f"{key} {tuple(stored[key].shape)} {stored[key].dtype}".encode())
        digest.update(stored[key].numpy().tobytes())
    return digest.hexdigest()


def _check(path: Path, name: str, header: Any, stored: Tensors) -> None:
    if not isinstance(header, dict) or not isinstance(header.get("meta"), dict):
        raise _unreadable(path, "does not say what it holds")
    if header.get("format") != FORMAT:
        raise _unreadable(path, f"has format version {header.get('format')}, this program reads {FORMAT}")
    if header.get("name") != name:
        raise _unreadable(path, f"holds the model {header.get('name')}")
    for key, tensor in stored.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _unreadable(path, f"holds values that are not finite ({key})")
    if header.get("sha256") != _digest(stored):
        raise _unreadable(path, "was changed after it was written")


def _as_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _unreadable(path: Path, what: str) -> AnalysisError:
    shipped = path.parent.resolve() == WEIGHTS
    mend = "git checkout -- mlcore/weights, or python manage.py train_models"
    mend = mend if shipped else f"python manage.py train_models --out {path.parent}"
    return AnalysisError(
        "weights_unreadable", f"The weights {path.name} cannot be used: the file {what}. Run: {mend}"
    )
