"""A face found by MediaPipe -> 48×48 grey levels laid out as FER-2013 lays faces out.

FER-2013 was cut by a face detector's upright box (Goodfellow et al. 2013). Which square of ours gives that layout was
measured: the landmarker found 4 807 of 5 000 random images of the training set (enlarged six times, on grey), and of
sixteen squares built from its eyes, mouth, face oval or all points, the one from the longer side of the oval's box
came nearest to the picture's own edges (its side within 8 % for half of the images, its middle within 6 % of the
side, one deviation). The head's roll, which FER-2013 leaves in, is taken out: a network trained on FER-2013 reads
upright faces a little better (accuracy on held-out images 0.822 instead of 0.816).
`tests/bench/crop_gap.py` measures what differences remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError

if TYPE_CHECKING:
    from mlcore.face_geometry import Face

Picture = npt.NDArray[np.uint8]

SIDE = 48

SIDE_PER_OVAL = 1.02
"""The square's side over the longer side of the oval's box. The median of the measurement above is 1.087; a little
tighter, as two networks wanted it, leaves ours 0.3 points of accuracy behind the given crops of held-out images, not
0.9."""

RISE = 0.053
"""How far the square's middle lies above the box's, in sides: FER-2013 shows forehead, and cuts at the chin."""

OVAL_HEIGHT_PER_WIDTH = 1.12
"""Median of the same ovals; for faces that the frame's edge cuts off."""

EDGE = 0.002
"""A box this near to the frame's edge (fraction of the frame) counts as cut off by it."""

MOST_ROLL_DEG = 60.0
"""The landmarker finds no face that is tilted much further. *Assumption*."""

OVERSAMPLED = 2
"""Points a pixel side at which the tilted square is sampled before it is averaged."""


@dataclass(frozen=True)
class Square:
    """Part of a frame: its middle and side in pixels, and how far it is turned clockwise."""

    x: float
    y: float
    side: float
    roll_deg: float = 0.0


@dataclass(frozen=True)
class FaceCrop:
    """`pixels` uint8 (48, 48), grey. `side_px`: the side of the square they show, in pixels of the frame.
    `inside`: share of its area that lies in the frame; the rest repeats the frame's edge."""

    pixels: Picture
    side_px: float
    inside: float


def crop_face(rgb: Picture, face: Face) -> FaceCrop:
    """Cut a face out of the frame that it was found in; `rgb` has shape (height, width, 3).

    `AnalysisError` (``frame_unreadable``) for an array that is no RGB picture.
    """
    check_frame(rgb)
    return crop_square(rgb, square_of(face, rgb.shape[1], rgb.shape[0]))


def square_of(face: Face, width: int, height: int) -> Square:
    """The square that FER-2013 would show of a face in a frame of `width` × `height` pixels."""
    wide, tall = face.width * width, face.height * height
    left, right = _whole(face.x, face.width, width, tall / OVAL_HEIGHT_PER_WIDTH)
    top, bottom = _whole(face.y, face.height, height, wide * OVAL_HEIGHT_PER_WIDTH)
    side = SIDE_PER_OVAL * max(right - left, bottom - top)
    roll_deg = max(-MOST_ROLL_DEG, min(MOST_ROLL_DEG, face.roll_deg))
    x = (left + right) / 2 + RISE * side * sin(radians(roll_deg))
    return Square(x, (top + bottom) / 2 - RISE * side * cos(radians(roll_deg)), side, roll_deg)


def crop_square(rgb: Picture, square: Square) -> FaceCrop:
    """Any square of the frame, turned upright and brought to 48×48 by area averaging."""
    upright, reach = _around(rgb, square)
    fine = SIDE * OVERSAMPLED
    scale = square.side * len(upright) / reach / fine
    matrix = cv2.getRotationMatrix2D((0.0, 0.0), -square.roll_deg, scale)
    # Pixel i of the finer grid is centred at i + ½ of it; OpenCV counts from the middle of the first pixel.
    matrix[:, 2] = (len(upright) - 1) / 2 - matrix[:, :2] @ np.full(2, (fine - 1) / 2)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(upright, matrix, (fine, fine), flags=how, borderMode=cv2.BORDER_REPLICATE)
    pixels = cv2.resize(turned, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return FaceCrop(pixels, square.side, _share_inside(square, rgb.shape[1], rgb.shape[0]))


def _around(rgb: Picture, square: Square) -> tuple[Picture, int]:
    """Grey, and no finer than is needed: the upright square around the turned one, and its side in the frame (its
    borders fall on whole pixels)."""
    turn = radians(square.roll_deg)
    reach = max(2, ceil(square.side * (abs(cos(turn)) + abs(sin(turn)))))
    grey = cv2.cvtColor(
        _cut(rgb, round(square.x - reach / 2), round(square.y - reach / 2), reach), cv2.COLOR_RGB2GRAY
    )
    needed = ceil(SIDE * OVERSAMPLED * reach / square.side)
    if needed < reach:
        grey = cv2.resize(grey, (needed, needed), interpolation=cv2.INTER_AREA)
    return grey.astype(np.uint8), reach


def _cut(rgb: Picture, left: int, top: int, length: int) -> Picture:
    """An upright square of pixels, the frame's edge repeated where it reaches over it."""
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


def _whole(start: float, length: float, frame_px: int, usual_px: float) -> tuple[float, float]:
    """Where the oval's box begins and ends along one axis, pixels, continued to its usual length where the frame's
    edge cuts it off. `start` and `length` are fractions of the frame."""
    first, last = start * frame_px, (start + length) * frame_px
    cut_before, cut_after = start < EDGE, start + length > 1 - EDGE
    if last - first < usual_px and cut_after and not cut_before:
        return first, first + usual_px
    if last - first < usual_px and cut_before and not cut_after:
        return last - usual_px, last
    return first, last


def _share_inside(square: Square, width: int, height: int) -> float:
    """As if it stood upright."""
    across = min(square.x + square.side / 2, width) - max(square.x - square.side / 2, 0.0)
    down = min(square.y + square.side / 2, height) - max(square.y - square.side / 2, 0.0)
    return max(0.0, across) * max(0.0, down) / square.side**2 if square.side > 0 else 0.0
