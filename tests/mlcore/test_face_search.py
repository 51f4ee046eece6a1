from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.conf import settings

from mlcore.face_detection import BoxDetector, Picture, Window
from mlcore.face_geometry import FaceBox
from mlcore.face_search import FaceSearch
from tests.media_factory import empty_room, portrait

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
LOOK_S = 0.2

needs_model = pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")


def blank(width: int, height: int) -> Picture:
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (960, 540), (540, 960), (512, 512), (1000, 100)])
def test_parts_cover_the_frame_and_are_few(width, height):
    covered = np.zeros((height, width), np.bool_)
    parts = Window.parts(blank(width, height), 9, 0.85)
    for part in parts:
        covered[part.top : part.top + part.height, part.left : part.left + part.width] = True
    assert covered.all()
    assert len(parts) <= 9
    assert max(part.width for part in parts) < 0.4 * max(width, height)


def test_a_window_at_the_edge_is_moved_into_the_frame():
    window = Window.around(FaceBox(0.0, 0.9, 0.1, 0.1, 0.9), 4.0, blank(600, 600))
    assert (window.left, window.top, window.width, window.height) == (0, 360, 240, 240)


def test_the_share_of_a_window_that_a_box_covers():
    window = Window(0, 0, 100, 100)
    assert window.share_covered(FaceBox(0.05, 0.0, 0.5, 0.5, 0.9), blank(1000, 100)) == pytest.approx(0.25)
    assert window.share_covered(FaceBox(0.5, 0.0, 0.5, 0.5, 0.9), blank(1000, 100)) == 0


@pytest.fixture
def search() -> Iterator[FaceSearch]:
    detector = BoxDetector(MODEL)
    opened = FaceSearch(MODEL, detector)
    yield opened
    opened.close()
    detector.close()


def looks(
    search: FaceSearch, picture: Picture, number: int, followed: FaceBox | None = None
) -> list[FaceBox]:
    for look in range(number):
        search.look(picture, look * LOOK_S, (), followed)
    return search.confirmed


def room_with_small_face() -> Picture:
    picture = empty_room(640, 480).copy()
    picture[60:140, 500:580] = portrait(80, 80)
    return picture


@needs_model
@pytest.mark.slow
def test_a_small_face_counts_once_two_looks_agree(search: FaceSearch):
    (found,) = looks(search, room_with_small_face(), 7)
    assert found.x + found.width / 2 == pytest.approx(540 / 640, abs=0.02)
    assert 0.04 < found.width < 0.09


@needs_model
@pytest.mark.slow
def test_the_followed_face_is_nobody_else(search: FaceSearch):
    followed = FaceBox(510 / 640, 70 / 480, 60 / 640, 70 / 480, 0.9)
    assert looks(search, room_with_small_face(), 7, followed) == []
    assert search.suspected == []


@needs_model
@pytest.mark.slow
def test_lettering_is_no_face(search: FaceSearch):
    picture = np.full((480, 640, 3), 220, np.uint8)
    for line, text in enumerate(["Camera O8%", "(oo) :) &@", "ROYAL OPERA", "8%& @O (.)"]):
        place = (10, 100 + 110 * line)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_TRIPLEX, 2.8, (60, 40, 90), 6)
    assert looks(search, picture, 12) == []
