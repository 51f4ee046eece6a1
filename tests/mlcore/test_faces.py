from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.conf import settings

from mlcore import face_detection
from mlcore.errors import AnalysisError
from mlcore.face_geometry import Face, FaceBox, distinct, head_angles_deg, same_face
from mlcore.faces import FaceTracker, ImageFaceDetector
from mlcore.media import Frame
from tests.media_factory import Picture, empty_room, portrait

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
WIDTH, HEIGHT = 640, 480

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")


@pytest.fixture
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker(MODEL) as opened:
        yield opened


def room_with(*people: tuple[int, int, int]) -> Picture:
    """People as (left, top, side) in pixels, in a 640×480 room."""
    picture = empty_room(WIDTH, HEIGHT).copy()
    for left, top, side in people:
        picture[top : top + side, left : left + side] = portrait(side, side)
    return picture


def matrix(
    yaw_deg: float = 0, pitch_deg: float = 0, roll_deg: float = 0, at: tuple[float, ...] = (0, 0, -50)
):
    """MediaPipe's pose: the face first rolls, then nods, then turns."""
    yaw, pitch, roll = np.radians([yaw_deg, -pitch_deg, -roll_deg])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn @ nod @ tilt, at
    return pose


@pytest.mark.parametrize(
    ("turned", "expected"),
    [({"yaw_deg": 30}, (30, 0, 0)), ({"pitch_deg": 20}, (0, 20, 0)), ({"roll_deg": 15}, (0, 0, 15))],
)
def test_angles_have_the_documented_signs(turned, expected):
    assert head_angles_deg(matrix(**turned)) == pytest.approx(expected, abs=1e-6)


def test_a_face_at_the_edge_that_faces_the_camera_is_not_called_turned():
    # MediaPipe's own output for a frontal face pasted 24.8° to the right and 14.4° below the middle.
    yaw, pitch, _ = head_angles_deg(matrix(yaw_deg=-6.2, pitch_deg=4.3, at=(26.0, -14.5, -56.4)))
    assert abs(yaw) < 1
    assert abs(pitch) < 1


def box(x: float, y: float, side: float) -> FaceBox:
    return FaceBox(x, y, side, side, 0.9)


def test_overlapping_boxes_are_one_person_and_the_larger_stays():
    small, large, apart = box(0.12, 0.12, 0.15), box(0.1, 0.1, 0.2), box(0.6, 0.1, 0.18)
    assert distinct([small, large, apart]) == [large, apart]


def test_neighbours_whose_boxes_touch_at_the_edge_stay_two():
    assert not same_face(box(0.1, 0.1, 0.3), box(0.37, 0.1, 0.3))


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    broken = tmp_path / "face_landmarker.task"
    broken.write_bytes(b"not a model")
    with pytest.raises(AnalysisError, match=r"face_landmarker\.task") as caught:
        FaceTracker(broken)
    assert caught.value.code == "model_unreadable"


@needs_model
@pytest.mark.slow
def test_a_portrait_is_found_where_it_is(tracker: FaceTracker):
    seen = tracker.detect(Frame(0.0, room_with((320, 100, 300))))
    (face,) = seen.faces
    assert seen.others == ()
    assert 0.5 < face.x + face.width / 2 < 0.95
    assert 0.2 < face.y + face.height / 2 < 0.85
    assert face.smile > 0.3
    assert abs(face.yaw_deg) < 25
    assert face.detection_score is not None and face.detection_score > 0.7


@needs_model
@pytest.mark.slow
def test_the_mirrored_picture_gives_mirrored_angles():
    picture = portrait(480, 480)
    with ImageFaceDetector(MODEL) as detector:
        (face,) = detector.detect(picture)
        (mirrored,) = detector.detect(np.ascontiguousarray(picture[:, ::-1]))
    assert mirrored.yaw_deg == pytest.approx(-face.yaw_deg, abs=4)
    assert mirrored.roll_deg == pytest.approx(-face.roll_deg, abs=4)
    assert mirrored.gaze_yaw_deg == pytest.approx(-face.gaze_yaw_deg, abs=5)
    assert mirrored.pitch_deg == pytest.approx(face.pitch_deg, abs=4)


@needs_model
@pytest.mark.slow
def test_a_tilted_head_rolls_clockwise():
    picture = portrait(480, 480)
    turn = cv2.getRotationMatrix2D((240, 240), -20, 1.0)
    with ImageFaceDetector(MODEL) as detector:
        (face,) = detector.detect(picture)
        (tilted,) = detector.detect(cv2.warpAffine(picture, turn, (480, 480)).astype(np.uint8))
    assert tilted.roll_deg - face.roll_deg == pytest.approx(20, abs=4)


@needs_model
@pytest.mark.slow
def test_an_empty_room_has_no_face(tracker: FaceTracker):
    counts = [tracker.detect(Frame(i / 15, empty_room(WIDTH, HEIGHT, i / 15))).count for i in range(8)]
    assert counts == [0] * 8


@needs_model
@pytest.mark.slow
def test_padded_and_repeated_frames_are_read_like_any_other(tracker: FaceTracker):
    padded = np.zeros((HEIGHT, WIDTH + 7, 3), np.uint8)
    padded[:, :WIDTH] = room_with((160, 80, 320))
    first = tracker.detect(Frame(0.0, padded[:, :WIDTH]))
    again = tracker.detect(Frame(0.0, padded[:, :WIDTH]))
    assert first.count == again.count == 1
    assert same_face(first.faces[0], again.faces[0])


@needs_model
@pytest.mark.slow
def test_two_people_are_two_and_the_larger_is_measured(tracker: FaceTracker):
    picture = room_with((20, 100, 240), (300, 60, 330))
    seen = [tracker.detect(Frame(i / 15, picture)) for i in range(12)]
    assert seen[-1].count == 2
    assert all(frame.faces[0].x > 0.4 for frame in seen if frame.faces)
    assert seen[-1].faces and seen[-1].others[0].x < 0.4


@needs_model
@pytest.mark.slow
def test_a_passer_by_before_the_candidate_is_counted_but_not_followed(tracker: FaceTracker):
    alone, visited = room_with((20, 140, 220)), room_with((20, 140, 220), (260, 50, 370))
    pictures = [alone] * 15 + [visited] * 9 + [alone] * 8
    seen = [tracker.detect(Frame(i / 15, picture)) for i, picture in enumerate(pictures)]
    assert all(frame.faces and frame.faces[0].x < 0.4 for frame in seen[1:])
    assert max(frame.count for frame in seen[15:24]) == 2
    assert seen[-1].count == 1


@needs_model
@pytest.mark.slow
def test_a_far_larger_face_that_stays_is_followed_in_the_end(tracker: FaceTracker):
    far, both = room_with((20, 140, 170)), room_with((20, 140, 170), (250, 50, 390))
    pictures = [far] * 8 + [both] * 24
    seen = [tracker.detect(Frame(i / 4, picture)) for i, picture in enumerate(pictures)]
    assert seen[7].faces[0].x < 0.4
    assert seen[23].faces[0].x < 0.4
    assert seen[-1].faces[0].x > 0.4


@needs_model
@pytest.mark.slow
def test_a_small_face_is_found_and_measured_where_it_is(tracker: FaceTracker):
    seen = [tracker.detect(Frame(i / 15, room_with((60 + 4 * i, 160, 120)))) for i in range(45)]
    assert sum(frame.count == 1 for frame in seen[27:]) >= 16  # a frame may be lost where the window moves
    (face,) = seen[-1].faces
    assert face.width < 0.12
    assert face.x + face.width / 2 == pytest.approx((60 + 4 * 44 + 60) / WIDTH, abs=0.03)
    assert face.y + face.height / 2 == pytest.approx((160 + 65) / HEIGHT, abs=0.06)
    assert face.smile > 0.3
    assert face.detection_score is not None and face.detection_score > 0.5


@needs_model
@pytest.mark.slow
def test_someone_far_behind_the_candidate_is_noticed_within_about_a_second_and_forgotten(
    tracker: FaceTracker,
):
    alone, visited = room_with((180, 80, 320)), room_with((180, 80, 320), (540, 60, 80))
    pictures = [alone] * 15 + [visited] * 24 + [alone] * 12
    counts = [tracker.detect(Frame(i / 15, picture)).count for i, picture in enumerate(pictures)]
    assert counts[:15] == [1] * 15
    assert counts[15 + 18 : 39] == [2] * 6
    assert counts[-4:] == [1] * 4


@needs_model
@pytest.mark.slow
def test_a_face_too_small_beside_the_candidate_s_does_not_count(tracker: FaceTracker):
    picture = room_with((120, 0, 480), (20, 40, 62))
    assert [tracker.detect(Frame(i / 15, picture)).count for i in range(30)] == [1] * 30


@needs_model
@pytest.mark.slow
def test_single_pictures_keep_their_faces_apart():
    with ImageFaceDetector(MODEL, num_faces=3) as detector:
        faces = detector.detect(room_with((20, 100, 240), (300, 60, 330)))
        nobody = detector.detect(empty_room(WIDTH, HEIGHT))
    assert [isinstance(face, Face) for face in faces] == [True, True]
    assert faces[0].area > faces[1].area
    assert nobody == ()


@needs_model
@pytest.mark.parametrize("people", [[], [(170, 90, 300)], [(20, 100, 260), (380, 180, 200)]])
def test_faces_are_read_out_of_the_result_as_the_package_reads_them(people, monkeypatch: pytest.MonkeyPatch):
    with ImageFaceDetector(MODEL) as detector:
        quick = detector.detect(room_with(*people))
        monkeypatch.setattr(face_detection, "MpFaceLandmarkerResultC", None)
        assert detector.detect(room_with(*people)) == quick
    assert len(quick) == len(people)


@needs_model
def test_frames_of_a_video_are_read_as_the_package_reads_them(monkeypatch: pytest.MonkeyPatch):
    frames = [Frame(number / 15, room_with((100 + 4 * number, 60, 320))) for number in range(4)]
    with FaceTracker(MODEL) as first, FaceTracker(MODEL) as second:
        quick = [first.detect(frame) for frame in frames]
        monkeypatch.setattr(face_detection, "MpFaceLandmarkerResultC", None)
        assert [second.detect(frame) for frame in frames] == quick
    assert all(found.faces for found in quick)
