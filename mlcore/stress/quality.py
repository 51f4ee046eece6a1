"""Is a face or a stretch of speech good enough to be read? One that is not is left out, and this says why.

The limits of faces were measured with the face network itself: FER-2013 images made darker, brighter, blurrier or
smaller step by step, until it no longer agreed with what it said of the untouched image (`tests/bench/crop_gap.py`).
"""

from __future__ import annotations

from enum import StrEnum
from math import log10
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.stress.face_crop import Picture, crop_face

if TYPE_CHECKING:
    from mlcore.face_geometry import Face

SAMPLE_RATE = 16_000

MIN_SIDE_PX = 24.0
MOST_YAW_DEG, MOST_PITCH_DEG = 45.0, 35.0
DARKEST, BRIGHTEST = 30.0, 225.0
LEAST_SHARPNESS = 0.12
LEAST_INSIDE = 0.5
"""A face of which less than half is in the frame is none. *Assumption*."""

MIN_CLIP_S = 2.0
"""The voice model works on 2 to 10 s (issue 3)."""
MIN_SPEECH_S = 1.0
"""Less speech in a clip counts as not speaking. *Assumption*."""
QUIETEST_DB = -60.0
"""Root mean square level under which a clip is called silent, dB of full scale. *Assumption*: a muted microphone, or
one that hears nothing but itself."""
FULL_SCALE, MOST_CLIPPED = 0.985, 0.01
"""A clip with more than this share of samples at full scale is overdriven. *Assumption*."""


class FaceQuality(StrEnum):
    OK = "ok"
    NO_FACE = "no_face"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    BLURRED = "blurred"
    TURNED_AWAY = "turned_away"
    TOO_SMALL = "too_small"


class VoiceQuality(StrEnum):
    OK = "ok"
    SILENT = "silent"
    CLIPPED = "clipped"
    TOO_SHORT = "too_short"
    NOT_SPEAKING = "not_speaking"


def face_quality(rgb: Picture, face: Face | None) -> FaceQuality:
    """Of a face found in the frame `rgb`, shape (height, width, 3), or of None, where none was found.

    `AnalysisError` (``frame_unreadable``) for an array that is no RGB picture.
    """
    if face is None:
        return FaceQuality.NO_FACE
    crop = crop_face(rgb, face)
    if crop.inside < LEAST_INSIDE:
        return FaceQuality.NO_FACE
    if crop.side_px < MIN_SIDE_PX:
        return FaceQuality.TOO_SMALL
    if abs(face.yaw_deg) > MOST_YAW_DEG or abs(face.pitch_deg) > MOST_PITCH_DEG:
        return FaceQuality.TURNED_AWAY
    return picture_quality(crop.pixels)


def picture_quality(pixels: Picture) -> FaceQuality:
    """Light and sharpness of a grey crop, shape (48, 48)."""
    brightness = float(pixels.mean())
    if brightness < DARKEST:
        return FaceQuality.TOO_DARK
    if brightness > BRIGHTEST:
        return FaceQuality.TOO_BRIGHT
    return FaceQuality.BLURRED if sharpness(pixels) < LEAST_SHARPNESS else FaceQuality.OK


def sharpness(pixels: Picture) -> float:
    """Deviation of the crop's Laplacian (after Pertuz et al. 2013, LAPV) over that of its grey levels, so that the
    light does not count. 0 for a picture of one grey."""
    deviation = float(pixels.std())
    edges = cv2.Laplacian(pixels.astype(np.float32), cv2.CV_32F)
    return float(edges.std()) / deviation if deviation > 0 else 0.0


def speech_quality(samples: npt.NDArray[np.float32], speech_s: float) -> VoiceQuality:
    """Of 16 kHz mono samples in -1..1, shape (n,), of which `speech_s` seconds are speech
    (`mlcore.voice_activity`)."""
    if len(samples) < MIN_CLIP_S * SAMPLE_RATE:
        return VoiceQuality.TOO_SHORT
    if level_db(samples) < QUIETEST_DB:
        return VoiceQuality.SILENT
    if speech_s < MIN_SPEECH_S:
        return VoiceQuality.NOT_SPEAKING
    clipped = float(np.mean(np.abs(samples) >= FULL_SCALE))
    return VoiceQuality.CLIPPED if clipped > MOST_CLIPPED else VoiceQuality.OK


def level_db(samples: npt.NDArray[np.float32]) -> float:
    """Root mean square level, dB of full scale; -120 for nothing at all."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * log10(max(power, 1e-12))
