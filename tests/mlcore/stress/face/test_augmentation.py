"""Augmented faces stay faces: in range, of the trained size, mirrored in half of the cases, repeatable."""

from __future__ import annotations

import numpy as np
import torch

from mlcore.stress.face.augmentation import TRAINED_SIDE, augmented
from tests.mlcore.stress.drawn_faces import draw_many


def lopsided(count: int) -> torch.Tensor:
    """Dark on the left, bright on the right."""
    ramp = np.tile(np.linspace(20, 230, 48).astype(np.uint8), (count, 48, 1))
    return torch.from_numpy(ramp)


def test_shape_and_range() -> None:
    images = torch.from_numpy(draw_many(["happy", "sad"] * 8, np.random.default_rng(0))[0])
    made = augmented(images, torch.Generator().manual_seed(0))
    assert made.shape == (16, TRAINED_SIDE, TRAINED_SIDE)
    assert float(made.min()) > -80
    assert float(made.max()) < 335, "grey levels and at most some noise beyond them"


def test_about_half_are_mirrored() -> None:
    made = augmented(lopsided(400), torch.Generator().manual_seed(1))
    brighter_right = made[:, :, -10:].mean(dim=(1, 2)) > made[:, :, :10].mean(dim=(1, 2))
    assert 140 < int(brighter_right.sum()) < 260


def test_the_same_seed_makes_the_same_faces() -> None:
    images = lopsided(4)
    first, second = (augmented(images, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augmented(images, torch.Generator().manual_seed(6)))
