"""A face found by MediaPipe -> 48×48 grey levels laid out as FER-2013 lays faces out.

FER-2013 was cut by a face detector's upright box and its roll left in (Goodfellow et al. 2013). Which square of ours
gives that layout was measured: the landmarker found 4 807 of 5 000 random images of the training set (enlarged six
times, on grey), and of sixteen squares built from its eyes, mouth, face oval or all points, the one from the longer
side of the oval's box came nearest to the picture's own edges (its side within 8 % for half of the images, its
middle within 6 % of the side, one deviation). `tests/bench/crop_gap.py` measures what the difference costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError

if TYPE_CHECKING:
    from mlcore.face_geometry import Face

Picture = npt.NDArray[np.uint8]

SIDE = 48

SIDE_PER_OVAL = 1.087
"""The square's side over the longer side of the oval's box; median of the measurement above."""

RISE = 0.053
"""How far the square's middle lies above the box's, in sides: FER-2013 shows forehead, and cuts at the chin."""

OVAL_HEIGHT_PER_WIDTH = 1.12
"""Median of the same ovals; for faces that the frame's edge cuts off above or below."""

EDGE = 0.002
"""A box this near to the frame's edge (fraction of the frame) counts as cut off by it."""


@dataclass(frozen=True)
class FaceCrop:
    """`pixels` uint8 (48, 48), grey. `side_px`: the side of the square they show, in pixels of the frame.
    `inside`: share of the square's area that lies in the frame; the rest repeats the frame's edge."""

    pixels: Picture
    side_px: float
    inside: float


def crop_face(rgb: Picture, face: Face) -> FaceCrop:
    """Cut a face out of the frame that it was found in; `rgb` has shape (height, width, 3).

    `AnalysisError` (``frame_unreadable``) for an array that is no RGB picture.
    """
    return crop_square(rgb, *square_of(face, *_size(rgb)))


def square_of(face: Face, width: int, height: int) -> tuple[float, float, float]:
    """Middle (x, y) and side, in pixels, of the square that FER-2013 would show of a face."""
    left, right = face.x * width, (face.x + face.width) * width
    top, bottom = _whole_height(face, width, height)
    side = SIDE_PER_OVAL * max(right - left, bottom - top)
    return (left + right) / 2, (top + bottom) / 2 - RISE * side, side


def crop_square(rgb: Picture, x: float, y: float, side: float) -> FaceCrop:
    """Any square of the frame, brought to 48×48 by area averaging; coordinates in pixels, borders rounded to whole
    ones (a hundredth of the side at most)."""
    width, height = _size(rgb)
    left, top, length = round(x - side / 2), round(y - side / 2), max(1, round(side))
    grey = cv2.cvtColor(_cut(rgb, left, top, length), cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if length >= SIDE else cv2.INTER_LINEAR
    pixels = cv2.resize(grey, (SIDE, SIDE), interpolation=how).astype(np.uint8)
    return FaceCrop(pixels, side, _share_inside(left, top, length, width, height))


def _cut(rgb: Picture, left: int, top: int, length: int) -> Picture:
    """The square, the frame's edge repeated where it reaches over it."""
    height, width = rgb.shape[:2]
    rows = slice(_within(top, height - 1), _within(top + length, height, least=1))
    columns = slice(_within(left, width - 1), _within(left + length, width, least=1))
    part = np.ascontiguousarray(rgb[rows, columns])
    above, before = max(0, -top), max(0, -left)
    below, behind = max(0, top + length - height), max(0, left + length - width)
    if not (above or before or below or behind):
        return part
    return cv2.copyMakeBorder(part, above, below, before, behind, cv2.BORDER_REPLICATE).astype(np.uint8)


def _within(value: int, most: int, *, least: int = 0) -> int:
    return max(least, min(most, value))


def check_frame(rgb: Picture) -> None:
    """`AnalysisError` (``frame_unreadable``) unless `rgb` is a picture of shape (height, width, 3), uint8."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        what = f"{rgb.dtype} of shape {rgb.shape}"
        message = f"A frame is {what}; it has to be RGB, uint8 of shape (height, width, 3)."
        raise AnalysisError("frame_unreadable", message)


def _size(rgb: Picture) -> tuple[int, int]:
    check_frame(rgb)
    return rgb.shape[1], rgb.shape[0]


def _whole_height(face: Face, width: int, height: int) -> tuple[float, float]:
    """Top and bottom of the oval's box, in pixels, continued where the frame's edge cuts it off."""
    top, bottom = face.y * height, (face.y + face.height) * height
    least = OVAL_HEIGHT_PER_WIDTH * face.width * width
    cut_above, cut_below = face.y < EDGE, face.y + face.height > 1 - EDGE
    if bottom - top < least and cut_below and not cut_above:
        return top, top + least
    if bottom - top < least and cut_above and not cut_below:
        return bottom - least, bottom
    return top, bottom


def _share_inside(left: int, top: int, length: int, width: int, height: int) -> float:
    across = min(left + length, width) - max(left, 0)
    down = min(top + length, height) - max(top, 0)
    return max(0, across) * max(0, down) / length**2
