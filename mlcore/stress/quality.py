"""Is a face or a stretch of speech good enough to be read? One that is not is left out, and this says why.

The limits of faces were measured with the face network itself (`tests/bench/crop_gap.py`): held-out FER-2013 images
were made darker, brighter, blurrier or coarser step by step, until its level agreed with that of the untouched image
for about 90 % only; it then was right for some three in a hundred fewer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.stress.face.crop import FaceCrop, Picture, crop_face
from mlcore.stress.labels import Floats
from mlcore.stress.voice.features import check_samples

if TYPE_CHECKING:
    from mlcore.face_geometry import Face

MIN_SIDE_PX = 24.0
"""Side of the face's square in the frame. At 24 pixels the network still agreed with itself on 91 % of the images, at
20 on 87 %."""
DARKEST = 12.0
"""Mean grey level of the crop; 90 % agreement from 10 to 15."""
GLARE, MOST_GLARE = 250, 0.35
"""Share of pixels as white as can be; 89 % agreement from 0.3 to 0.4."""
LEAST_SHARPNESS = 0.2
"""90 % agreement from 0.2 to 0.25; FER-2013 itself has 0.57 to 1.26 (5th and 95th percentile), faces of the shared
videos 0.5 to 1.1."""
MOST_YAW_DEG, MOST_PITCH_DEG = 40.0, 35.0
"""FER-2013 has hardly any face that is turned further. Of those turned by 30 to 40° a quarter was read wrongly, of
frontal ones less than a fifth."""
LEAST_INSIDE = 0.5
"""A face of which less than half is in the frame is none. *Assumption*."""

MIN_CLIP_S = 2.0
"""The voice model works on 2 to 10 s (issue 3)."""
MIN_SPEECH_S = 1.0
"""Less speech in a clip counts as not speaking. *Assumption*."""


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
    return crop_quality(face, crop_face(rgb, face)) if face is not None else FaceQuality.NO_FACE


def crop_quality(face: Face, crop: FaceCrop) -> FaceQuality:
    """Of a face and what `crop_face` cut out of its frame."""
    if crop.inside < LEAST_INSIDE:
        return FaceQuality.NO_FACE
    if crop.side_px < MIN_SIDE_PX:
        return FaceQuality.TOO_SMALL
    if abs(face.yaw_deg) > MOST_YAW_DEG or abs(face.pitch_deg) > MOST_PITCH_DEG:
        return FaceQuality.TURNED_AWAY
    return picture_quality(crop.pixels)


def picture_quality(pixels: Picture) -> FaceQuality:
    """Light and sharpness of a grey crop, shape (48, 48)."""
    if float(pixels.mean()) < DARKEST:
        return FaceQuality.TOO_DARK
    if float(np.mean(pixels >= GLARE)) > MOST_GLARE:
        return FaceQuality.TOO_BRIGHT
    return FaceQuality.BLURRED if sharpness(pixels) < LEAST_SHARPNESS else FaceQuality.OK


def sharpness(pixels: Picture) -> float:
    """Deviation of the crop's Laplacian (after Pertuz et al. 2013, LAPV) over that of its grey levels, so that the
    light does not count. 0 for a picture of one grey."""
    deviation = float(pixels.std())
    edges = cv2.Laplacian(pixels.astype(np.float32), cv2.CV_32F)
    return float(edges.std()) / deviation if deviation > 0 else 0.0


def speech_quality(samples: npt.ArrayLike, speech_s: float, sample_rate: int = SAMPLE_RATE) -> VoiceQuality:
    """Of a clip, in any form that `voice_features.check_samples` takes, of which `speech_s` seconds are speech
    (`mlcore.voice_activity`).

    `AnalysisError` as `check_samples`, for what is no sound at all (NaN, a wrong shape, scale or rate).
    """
    quality = checked_clip(samples, sample_rate)[0]
    if quality is VoiceQuality.OK and speech_s < MIN_SPEECH_S:
        return VoiceQuality.NOT_SPEAKING
    return quality


def checked_clip(samples: npt.ArrayLike, sample_rate: int = SAMPLE_RATE) -> tuple[VoiceQuality, Floats]:
    """`speech_quality` before anybody looked for speech, and the samples as `check_samples` gives them, where they are
    OK. `AnalysisError` likewise."""
    nothing = np.empty(0, np.float32)
    try:
        mono = check_samples(samples, sample_rate)
    except AnalysisError as error:
        if error.code not in _HEARD_BUT_BAD:
            raise
        return _HEARD_BUT_BAD[error.code], nothing
    if len(mono) < MIN_CLIP_S * SAMPLE_RATE:
        return VoiceQuality.TOO_SHORT, nothing
    return VoiceQuality.OK, mono


_HEARD_BUT_BAD = {
    "audio_empty": VoiceQuality.TOO_SHORT,
    "audio_too_short": VoiceQuality.TOO_SHORT,
    "audio_silent": VoiceQuality.SILENT,
    "audio_clipped": VoiceQuality.CLIPPED,
}
