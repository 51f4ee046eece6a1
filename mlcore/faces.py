"""Frame -> faces: box, head pose, gaze, eyelids, smile, brows (MediaPipe FaceLandmarker)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """One face. Box as fractions of the frame; angles in degrees.

    Signs: yaw and gaze_yaw positive towards the image's right, pitch and gaze_pitch positive upwards, roll
    positive clockwise. Gaze is relative to the head. Blendshape measures run from 0 to 1.
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


@dataclass(frozen=True)
class FaceFrame:
    """The faces of one frame, largest first; `t_s` in seconds from the start of the recording."""

    t_s: float
    faces: tuple[Face, ...]
