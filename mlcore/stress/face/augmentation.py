"""Training faces as cameras and detectors may show them, made in batches."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 48
TRAINED_SIDE = 44
"""Training on a smaller cut and testing on the whole is cheaper and no worse (Touvron et al. 2019)."""
MOST_TURN_RAD = math.radians(15)
VIEW = (0.82, 1.25)
"""Share of the picture that is seen: detectors crop more loosely than FER-2013 does."""
MOST_SHIFT = 0.1
MOST_LOG_GAMMA = 0.35
COARSE_SHARE, NOISY_SHARE, ERASED_SHARE = 0.15, 0.25, 0.4
MOST_NOISE = 12.0
ERASED = (0.02, 0.2)
"""Share of the area that random erasing takes (Zhong et al. 2020)."""


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Grey levels 0 to 255, uint8 (n, 48, 48) -> float (n, 44, 44): mirrored, turned, moved, cropped, with other light,
    coarser, noisy, partly erased."""
    faces = _moved(images.float()[:, None] / 255, generator)
    faces = faces.clamp_min(0) ** torch.exp(_uniform(len(faces), generator, -MOST_LOG_GAMMA, MOST_LOG_GAMMA))
    faces = _coarsened(faces, generator)
    noise = torch.randn(faces.shape, generator=generator) * _uniform(
        len(faces), generator, 0, MOST_NOISE / 255
    )
    faces = faces + noise * _chosen(len(faces), generator, NOISY_SHARE)
    return _erased(faces, generator)[:, 0] * 255


def _uniform(count: int, generator: torch.Generator, low: float, high: float) -> Tensor:
    return torch.rand((count, 1, 1, 1), generator=generator) * (high - low) + low


def _chosen(count: int, generator: torch.Generator, share: float) -> Tensor:
    return (torch.rand((count, 1, 1, 1), generator=generator) < share).float()


def _moved(faces: Tensor, generator: torch.Generator) -> Tensor:
    count = len(faces)
    turn = _uniform(count, generator, -MOST_TURN_RAD, MOST_TURN_RAD).flatten()
    view = torch.exp(_uniform(count, generator, math.log(VIEW[0]), math.log(VIEW[1]))).flatten()
    view = view * (TRAINED_SIDE / SIDE)
    mirror = 1 - 2 * _chosen(count, generator, 0.5).flatten()
    shift = (torch.rand((count, 2), generator=generator) * 2 - 1) * 2 * MOST_SHIFT
    cos, sin = torch.cos(turn) * view, torch.sin(turn) * view
    rows = [
        torch.stack([cos * mirror, -sin, shift[:, 0]], 1),
        torch.stack([sin * mirror, cos, shift[:, 1]], 1),
    ]
    grid = functional.affine_grid(
        torch.stack(rows, 1), [count, 1, TRAINED_SIDE, TRAINED_SIDE], align_corners=False
    )
    return functional.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _coarsened(faces: Tensor, generator: torch.Generator) -> Tensor:
    coarse = functional.interpolate(functional.avg_pool2d(faces, 2), scale_factor=2, mode="bilinear")
    chosen = _chosen(len(faces), generator, COARSE_SHARE)
    return faces * (1 - chosen) + coarse * chosen


def _erased(faces: Tensor, generator: torch.Generator) -> Tensor:
    count, side = len(faces), faces.shape[-1]
    area = _uniform(count, generator, *ERASED)
    stretch = torch.exp(_uniform(count, generator, -0.7, 0.7))
    half_width, half_height = torch.sqrt(area * stretch) / 2, torch.sqrt(area / stretch) / 2
    x, y = _uniform(count, generator, 0, 1), _uniform(count, generator, 0, 1)
    along = (torch.arange(side) + 0.5) / side
    inside = ((along[None, None, None, :] - x).abs() < half_width) & (
        (along[None, None, :, None] - y).abs() < half_height
    )
    inside = inside & (_chosen(count, generator, ERASED_SHARE) > 0)
    return torch.where(inside, torch.rand(faces.shape, generator=generator), faces)
