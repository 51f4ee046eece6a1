from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from django.conf import settings

from mlcore.errors import AnalysisError
from mlcore.face_geometry import Face
from mlcore.faces import ImageFaceDetector
from mlcore.media import SAMPLE_RATE
from mlcore.stress import quality
from mlcore.stress.face.crop import SIDE_PER_OVAL
from mlcore.stress.quality import FaceQuality, VoiceQuality, face_quality, sharpness, speech_quality
from tests.media_factory import Picture, noise, portrait
from tests.mlcore.sounds import say, silence
from tests.mlcore.stress.faces import face_at

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
SHARED_FACES = Path(settings.BASE_DIR).parent / "shared" / "data" / "faces"

FACE = face_at(0.3, 0.2, 0.4, 0.6)


@pytest.fixture
def picture() -> Picture:
    return portrait(480, 480)


def test_a_well_lit_face_is_good(picture: Picture):
    assert face_quality(picture, FACE) == FaceQuality.OK


def test_nobody_is_no_face(picture: Picture):
    assert face_quality(picture, None) == FaceQuality.NO_FACE


def test_a_face_that_is_mostly_outside_the_frame_is_none(picture: Picture):
    assert face_quality(picture, face_at(0.85, 0.2, 0.15, 0.6)) == FaceQuality.NO_FACE


def test_a_dark_and_an_overexposed_face_are_named(picture: Picture):
    assert face_quality((picture * 0.05).astype(np.uint8), FACE) == FaceQuality.TOO_DARK
    glare = np.clip(picture * 8.0 + 120, 0, 255).astype(np.uint8)
    assert face_quality(glare, FACE) == FaceQuality.TOO_BRIGHT


def test_a_blurred_face_is_named_whatever_its_size_in_the_frame(picture: Picture):
    for side in (160, 480):
        frame = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(frame, (0, 0), side * 0.05).astype(np.uint8)
        assert face_quality(blurred, FACE) == FaceQuality.BLURRED


@pytest.mark.parametrize("angle", [{"yaw_deg": 70.0}, {"yaw_deg": -70.0}, {"pitch_deg": -60.0}])
def test_a_face_turned_away_is_named(picture: Picture, angle: dict[str, float]):
    assert face_quality(picture, face_at(0.3, 0.2, 0.4, 0.6, **angle)) == FaceQuality.TURNED_AWAY


def test_a_face_of_few_pixels_is_too_small(picture: Picture):
    least = quality.MIN_SIDE_PX / SIDE_PER_OVAL / 480
    assert face_quality(picture, sized(0.9 * least)) == FaceQuality.TOO_SMALL
    assert face_quality(picture, sized(1.1 * least)) != FaceQuality.TOO_SMALL


def sized(side: float) -> Face:
    return face_at(0.5, 0.5, side / 2, side)


def test_the_light_does_not_change_the_sharpness():
    crop = cv2.resize(portrait(480, 480)[..., 0], (48, 48), interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert sharpness((crop * 0.5).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.1)
    assert sharpness(np.full((48, 48), 90, np.uint8)) == 0.0


def test_what_is_no_picture_is_refused_by_name():
    with pytest.raises(AnalysisError) as caught:
        face_quality(np.zeros((48, 48), np.uint8), FACE)
    assert caught.value.code == "frame_unreadable"


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")
@pytest.mark.skipif(not SHARED_FACES.is_dir(), reason=f"the shared stills are not at {SHARED_FACES}")
def test_the_faces_of_real_stills_are_good():
    seen = []
    with ImageFaceDetector(MODEL) as detector:
        for still in sorted(SHARED_FACES.glob("mpiigaze*.jpg")):
            rgb = cv2.cvtColor(cv2.imread(str(still)), cv2.COLOR_BGR2RGB).astype(np.uint8)
            seen += [face_quality(rgb, face) for face in detector.detect(rgb)[:1]]
    assert len(seen) >= 2
    assert set(seen) == {FaceQuality.OK}


SPEECH = "I have worked in this team for three years now."


def test_speech_is_good():
    assert speech_quality(say(SPEECH), 2.5) == VoiceQuality.OK


def test_speech_shorter_than_the_model_was_trained_on_is_too_short():
    length = int(quality.MIN_CLIP_S * SAMPLE_RATE)
    assert speech_quality(say(SPEECH)[: length - 1], 1.9) == VoiceQuality.TOO_SHORT
    assert speech_quality(say(SPEECH)[:length], 1.9) == VoiceQuality.OK
    assert speech_quality(np.zeros(0, np.float32), 0.0) == VoiceQuality.TOO_SHORT


def test_a_muted_microphone_is_silent():
    assert speech_quality(silence(3.0), 0.0) == VoiceQuality.SILENT


def test_sound_without_enough_speech_is_not_speaking():
    room = noise(3.0, 0.02)
    assert speech_quality(room, quality.MIN_SPEECH_S - 0.01) == VoiceQuality.NOT_SPEAKING
    assert speech_quality(room, quality.MIN_SPEECH_S) == VoiceQuality.OK


def test_overdriven_speech_is_clipped():
    assert speech_quality(np.clip(say(SPEECH) * 50, -1, 1), 2.5) == VoiceQuality.CLIPPED


@pytest.mark.parametrize(
    ("samples", "rate", "code"),
    [
        (np.full(48_000, np.nan, np.float32), 16_000, "audio_not_finite"),
        (np.zeros((3, 5, 100), np.float32), 16_000, "audio_shape"),
        (np.ones(48_000, np.float32), 4000, "audio_rate"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(samples: np.ndarray, rate: int, code: str):
    with pytest.raises(AnalysisError) as caught:
        speech_quality(samples, 2.0, rate)
    assert caught.value.code == code
