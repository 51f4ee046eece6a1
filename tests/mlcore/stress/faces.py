"""Faces and pictures for the tests of the stress models."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mlcore.face_geometry import Face

STILL: dict[str, Any] = {
    "yaw_deg": 0.0,
    "pitch_deg": 0.0,
    "roll_deg": 0.0,
    "gaze_yaw_deg": 0.0,
    "gaze_pitch_deg": 0.0,
    "eyelids_closed": 0.0,
    "smile": 0.0,
    "brow_raise": 0.0,
    "brow_lower": 0.0,
}


def face_at(x: float, y: float, width: float, height: float, **measured: float) -> Face:
    """A face that looks into the camera; box as fractions of the frame."""
    return Face(x=x, y=y, width=width, height=height, **(STILL | measured))


def slope(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A grey picture that gets brighter to the right by 0.3 a pixel and downwards by 0.2."""
    grey = 20 + 0.3 * np.arange(width)[None, :] + 0.2 * np.arange(height)[:, None]
    return np.repeat(np.rint(np.clip(grey, 0, 255))[..., None], 3, axis=2).astype(np.uint8)
