"""One pass over a recording: 16 kHz mono samples, and frames with their times.

Decoding runs in a child process (`mlcore.media_child`) that can be killed, with CPU and memory limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class MediaLimits:
    """What is refused before anything is decoded in full, and what the child may use."""

    max_duration_s: float = 3600.0
    max_pixels: int = 4096 * 2304
    min_side_px: int = 16
    memory_bytes: int = 1_500_000_000


@dataclass(frozen=True)
class MediaInfo:
    """What the container says. `width` × `height` in pixels after rotation."""

    container: str
    duration_s: float | None
    has_audio: bool
    has_video: bool
    width: int | None
    height: int | None
    rotation_deg: int
    frame_rate: float | None


@dataclass(frozen=True)
class Frame:
    """`rgb` has shape (height, width, 3), uint8; valid until the next frame is taken."""

    t_s: float
    rgb: npt.NDArray[np.uint8]
