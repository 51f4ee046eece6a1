"""What is told of our weights without loading them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from django.conf import settings

from mlcore.stress import inventory, weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for model in inventory.SHIPPED:
        weights.save(tmp_path, model.name, {"w": torch.ones(3)}, {"seed": 1})
    return tmp_path


def test_each_file_has_a_version_that_follows_its_contents(folder: Path) -> None:
    before = [inventory.version(folder, model) for model in inventory.SHIPPED]
    assert all(one and len(one) == 12 for one in before)
    weights.save(folder, "face", {"w": torch.zeros(3)}, {"seed": 1})
    after = [inventory.version(folder, model) for model in inventory.SHIPPED]
    assert after[0] != before[0] and after[1:] == before[1:]
    assert inventory.missing(folder) == []


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{}", b"no weights at all, a text"]
)
def test_what_is_absent_or_damaged_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "voice.safetensors"
    path.unlink() if content is None else path.write_bytes(content)
    assert inventory.missing(folder) == ["weights/voice.safetensors"]


def test_it_needs_no_torch() -> None:
    look = "import sys, mlcore.stress.inventory; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
