"""Which of our weights are there: their headers alone, read without torch, which the web server does without."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER_BYTES = 1 << 20
LENGTH_BYTES = 8
"""A safetensors file begins with the length of its JSON header, little endian."""


@dataclass(frozen=True)
class ShippedModel:
    """`name` is that of the file without its suffix."""

    name: str
    purpose: str
    licence: str


SHIPPED = (
    ShippedModel("face", "expression indicator: faces", "trained on FER-2013: research use; see its card"),
    ShippedModel(
        "voice", "expression indicator: voices", "trained on RAVDESS: CC BY-NC-SA 4.0; see its card"
    ),
    ShippedModel("fusion", "expression indicator: both", "trained on both; see its card"),
)


def version(folder: Path, model: ShippedModel) -> str | None:
    """The beginning of the hash that the file's header tells; None where it is absent or its header is damaged."""
    try:
        header = _header(folder / f"{model.name}.safetensors")
        return str(json.loads(header["__metadata__"]["wawancara"])["sha256"])[:12]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def missing(folder: Path) -> list[str]:
    """Names of the files that are absent or whose header is damaged. A quick look: loading checks the whole."""
    return [f"weights/{model.name}.safetensors" for model in SHIPPED if version(folder, model) is None]


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = min(int.from_bytes(file.read(LENGTH_BYTES), "little"), LONGEST_HEADER_BYTES)
        found: dict[str, Any] = json.loads(file.read(length))
    return found
