"""What a face is, and how its angles come from MediaPipe's landmarks, blendshapes and pose matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, atan2, degrees
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python.vision.face_landmarker import Blendshapes as Shape

SAME_FACE_OVERLAP = 0.3
"""Two boxes that overlap by this much (intersection over union) are one face; MediaPipe's detector
suppresses its own duplicates at the same value."""

YAW_PER_POSITION = 0.25
PITCH_PER_POSITION = 0.3
"""A face away from the middle of the picture seems turned by this part of its direction seen from the
camera: the landmarker sees a crop, its pose solver assumes a camera of 63°. Measured with one and the same
frontal face pasted at six places: 6.2° of yaw for 24.7° to the side, 4.9° of pitch for 15.6° upwards."""

IRIS_ANGLE_FACTOR = 2.5
"""Eye opening (about 30 mm from corner to corner) over the eyeball's radius (12 mm): the sine of the eye's
rotation is the iris's way from the middle of the opening, in widths of the opening, times this."""

LID_PITCH_DEG = 15.0
"""Degrees of vertical gaze for a full eyeLookUp/eyeLookDown blendshape, added to the iris's: the lid hides
the iris, whose way shows only half of the vertical rotation (people who keep looking at the camera while
nodding)."""

PITCH_AT_REST_DEG = 8.0
"""Iris and lids of people who look into the camera: the iris stands above the line of the eye corners."""

MAX_GAZE_DEG = 35.0
"""Eyes are rarely turned further; larger values come from landmarks gone wrong. *Assumption*."""

_OVAL = (10, 297, 284, 389, 454, 361, 397, 378, 152, 149, 172, 132, 234, 162, 54, 67)
_RIGHT_EYE, _LEFT_EYE = (33, 133, 468), (362, 263, 473)  # corner, corner, iris; image left to image right


class Scores(Protocol):
    """Of blendshapes, 0-1, by their number."""

    def __getitem__(self, number: int, /) -> float: ...


@dataclass(frozen=True)
class FaceBox:
    """Box as fractions of the frame; `score` 0-1 of the detector."""

    x: float
    y: float
    width: float
    height: float
    score: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True)
class Face:
    """One face. Box as fractions of the frame; angles in degrees.

    Signs: yaw and gaze_yaw positive towards the image's right, pitch and gaze_pitch positive upwards, roll
    positive clockwise. Gaze is relative to the head: the line of sight is head + gaze, 0° into the camera.
    Blendshape measures run from 0 to 1. `detection_score` 0-1 is None where no detector was asked.
    """

    x: float
    y: float
    width: float
    height: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    gaze_yaw_deg: float
    gaze_pitch_deg: float
    eyelids_closed: float
    smile: float
    brow_raise: float
    brow_lower: float
    detection_score: float | None = None

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True)
class FaceFrame:
    """The measured faces of one frame, largest first, and boxes of `others` that were seen but not measured;
    `t_s` in seconds from the start of the recording."""

    t_s: float
    faces: tuple[Face, ...]
    others: tuple[FaceBox, ...] = ()

    @property
    def count(self) -> int:
        return len(self.faces) + len(self.others)


Boxed = Face | FaceBox
BoxT = TypeVar("BoxT", Face, FaceBox)


def same_face(first: Boxed, second: Boxed) -> bool:
    """Whether two boxes show one person: they overlap, or one lies around the other's middle at like size."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return False
    smaller = min(first.width * first.height, second.width * second.height)
    shared = width * height
    union = first.width * first.height + second.width * second.height - shared
    return shared > SAME_FACE_OVERLAP * union or shared > 0.7 * smaller


def distinct(faces: Sequence[BoxT]) -> list[BoxT]:
    """Largest first, without those that show the same person as a larger one."""
    kept: list[BoxT] = []
    for face in sorted(faces, key=lambda box: box.width * box.height, reverse=True):
        if not any(same_face(face, other) for other in kept):
            kept.append(face)
    return kept


def head_angles_deg(matrix: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Yaw, pitch, roll from MediaPipe's 4×4 pose matrix (x right, y up, z towards the viewer), such that a
    face that looks into the camera has yaw and pitch near 0 wherever it stands in the picture."""
    (_, up_x, front_x, t_x), (_, up_y, front_y, t_y), (_, _, front_z, t_z), _ = matrix.tolist()
    yaw = degrees(atan2(front_x, front_z)) - YAW_PER_POSITION * degrees(atan2(-t_x, -t_z))
    pitch = degrees(asin(max(-1.0, min(1.0, front_y)))) - PITCH_PER_POSITION * degrees(atan2(-t_y, -t_z))
    return yaw, pitch, degrees(atan2(up_x, up_y))


def _gaze_deg(
    landmarks: Sequence[Any], shapes: Scores, matrix: npt.NDArray[np.float64], aspect: float
) -> tuple[float, float]:
    """Gaze relative to the head. `aspect` is the frame's height over its width."""
    right_axis, up_axis = matrix[:3, 0].tolist(), matrix[:3, 1].tolist()
    yaw = pitch = 0.0
    for corners in (_RIGHT_EYE, _LEFT_EYE):
        along, above = zip(
            *(_in_head(landmarks[i], right_axis, up_axis, aspect) for i in corners), strict=True
        )
        width = max(along[1] - along[0], 1e-6)
        yaw += _iris_angle_deg((along[2] - (along[0] + along[1]) / 2) / width) / 2
        pitch += _iris_angle_deg((above[2] - (above[0] + above[1]) / 2) / width) / 2
    lids = shapes[Shape.EYE_LOOK_UP_LEFT] + shapes[Shape.EYE_LOOK_UP_RIGHT]
    lids -= shapes[Shape.EYE_LOOK_DOWN_LEFT] + shapes[Shape.EYE_LOOK_DOWN_RIGHT]
    return yaw, pitch + LID_PITCH_DEG * lids / 2 - PITCH_AT_REST_DEG


def _in_head(
    point: Any, right_axis: Sequence[float], up_axis: Sequence[float], aspect: float
) -> tuple[float, float]:
    """A landmark's way along the head's own right and up axes, in frame widths."""
    x, y, z = point.x, -point.y * aspect, -point.z
    return (
        x * right_axis[0] + y * right_axis[1] + z * right_axis[2],
        x * up_axis[0] + y * up_axis[1] + z * up_axis[2],
    )


def _iris_angle_deg(way: float) -> float:
    angle = degrees(asin(max(-1.0, min(1.0, IRIS_ANGLE_FACTOR * way))))
    return max(-MAX_GAZE_DEG, min(MAX_GAZE_DEG, angle))


def measured_face(landmarks: Sequence[Any], shapes: Scores, matrix: Any, aspect: float) -> Face:
    xs = [landmarks[i].x for i in _OVAL]
    ys = [landmarks[i].y for i in _OVAL]
    left, top = max(0.0, min(xs)), max(0.0, min(ys))
    yaw, pitch, roll = head_angles_deg(matrix)
    gaze_yaw, gaze_pitch = _gaze_deg(landmarks, shapes, matrix, aspect)
    brow_outer = (shapes[Shape.BROW_OUTER_UP_LEFT] + shapes[Shape.BROW_OUTER_UP_RIGHT]) / 2
    return Face(
        x=left,
        y=top,
        width=max(0.0, min(1.0, max(xs)) - left),
        height=max(0.0, min(1.0, max(ys)) - top),
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
        gaze_yaw_deg=gaze_yaw,
        gaze_pitch_deg=gaze_pitch,
        eyelids_closed=(shapes[Shape.EYE_BLINK_LEFT] + shapes[Shape.EYE_BLINK_RIGHT]) / 2,
        smile=(shapes[Shape.MOUTH_SMILE_LEFT] + shapes[Shape.MOUTH_SMILE_RIGHT]) / 2,
        brow_raise=(shapes[Shape.BROW_INNER_UP] + brow_outer) / 2,
        brow_lower=(shapes[Shape.BROW_DOWN_LEFT] + shapes[Shape.BROW_DOWN_RIGHT]) / 2,
    )
