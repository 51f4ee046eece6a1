"""Files that are written whole or not at all: caches, weights, checkpoints of a training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` at the end, and is removed where writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def save_checkpoint(path: Path, plan: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """`state` of a training by `plan`: tensors and plain values."""
    with written_whole(path) as unfinished:
        torch.save({"plan": dict(plan), **state}, unfinished)


def load_checkpoint(path: Path, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was saved; None where nothing was, or by another plan."""
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state if state["plan"] == plan else None
