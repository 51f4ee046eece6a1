from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from mlcore.errors import AnalysisError
from mlcore.faces import ImageFaceDetector
from mlcore.stress.face.crop import (
    RISE,
    SIDE,
    SIDE_PER_OVAL,
    Square,
    check_frame,
    crop_face,
    crop_square,
    square_of,
)
from tests.media_factory import portrait
from tests.mlcore.stress.faces import face_at, slope

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"


def test_the_square_stands_around_the_oval_a_little_raised():
    square = square_of(face_at(0.25, 0.25, 0.25, 0.5), 640, 480)
    assert square.side == pytest.approx(SIDE_PER_OVAL * 240)
    assert (square.x, square.y) == pytest.approx((240, 240 - RISE * square.side))


def test_the_square_is_raised_along_a_tilted_head():
    upright, tilted = (
        square_of(face_at(0.4, 0.4, 0.2, 0.2, roll_deg=roll), 500, 500) for roll in (0.0, 30.0)
    )
    assert tilted.roll_deg == 30.0
    assert tilted.x - upright.x == pytest.approx(RISE * upright.side / 2)
    assert tilted.y > upright.y


@pytest.mark.parametrize("cut", [face_at(0.4, 0.7, 0.3, 0.3), face_at(0.4, 0.0, 0.3, 0.3)])
def test_a_face_cut_off_above_or_below_keeps_its_proportions(cut):
    square = square_of(cut, 480, 480)
    assert square.side == pytest.approx(SIDE_PER_OVAL * 1.12 * 144, rel=1e-3)
    oval_middle = square.y + RISE * square.side
    assert oval_middle > 0.85 * 480 if cut.y > 0.5 else oval_middle < 0.15 * 480


def test_a_face_cut_off_at_the_side_lies_partly_outside():
    square = square_of(face_at(0.85, 0.2, 0.15, 0.6), 480, 480)
    assert square.side == pytest.approx(SIDE_PER_OVAL * 288)
    assert square.x == pytest.approx(0.85 * 480 + 288 / 1.12 / 2)


@pytest.mark.parametrize("roll_deg", [0.0, 20.0, -35.0])
@pytest.mark.parametrize("side", [30, 48, 97, 190])
def test_every_pixel_is_the_mean_of_what_it_covers(side: int, roll_deg: float):
    crop = crop_square(slope(480, 360), Square(230.0, 170.0, side, roll_deg))
    across = (np.arange(SIDE) + 0.5) * side / SIDE - side / 2
    turn = np.radians(roll_deg)
    x = 229.5 + np.cos(turn) * across[None, :] - np.sin(turn) * across[:, None]
    y = 169.5 + np.sin(turn) * across[None, :] + np.cos(turn) * across[:, None]
    assert np.abs(crop.pixels - (20 + 0.3 * x + 0.2 * y)).max() < 1.3
    assert crop.inside == 1.0
    assert crop.side_px == side


def test_fine_stripes_are_averaged_away():
    stripes = np.zeros((480, 480, 3), np.uint8)
    stripes[:, ::2] = 200
    pixels = crop_square(stripes, Square(240, 240, 300, 10.0)).pixels
    assert np.abs(pixels.astype(int) - 100).max() < 12


def test_colours_become_grey_by_their_luma():
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[...] = (200, 100, 50)
    assert crop_square(rgb, Square(30, 30, 48)).pixels == pytest.approx(
        0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1
    )


def test_beyond_the_frame_its_edge_is_repeated_and_the_share_inside_told():
    crop = crop_square(slope(480, 360), Square(0.0, 180.0, 96))
    assert crop.inside == pytest.approx(0.5)
    assert np.ptp(crop.pixels[24, :23]) <= 1
    assert crop.pixels[24, 40] > crop.pixels[24, 23]


def test_a_part_of_a_larger_array_is_read_rightly():
    wide = np.repeat(slope(480, 360), 2, axis=1)[:, ::2]
    assert not wide.flags["C_CONTIGUOUS"]
    whole = crop_square(np.ascontiguousarray(wide), Square(200, 150, 90))
    assert np.array_equal(crop_square(wide, Square(200, 150, 90)).pixels, whole.pixels)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((48, 48, 3), np.float32),
        np.zeros((0, 48, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_by_name(frame):
    with pytest.raises(AnalysisError, match="RGB") as caught:
        check_frame(frame)
    assert caught.value.code == "frame_unreadable"
    with pytest.raises(AnalysisError):
        crop_face(frame, face_at(0.2, 0.2, 0.5, 0.5))


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")
def test_eyes_and_mouth_stand_where_fer2013_has_them():
    # Medians of FER-2013's training images: eyes 18.9, mouth 37.0 rows from the top, each with a deviation of 3.5.
    with ImageFaceDetector(MODEL) as detector:
        picture = portrait(480, 480)
        (face,) = detector.detect(picture)
        crop = crop_face(picture, face)
        enlarged = np.repeat(np.kron(crop.pixels, np.ones((6, 6), np.uint8))[..., None], 3, axis=2)
        room = np.full((576, 576, 3), 128, np.uint8)
        room[144:432, 144:432] = enlarged
        (again,) = detector.detect(room)
    square = square_of(again, 96, 96)
    assert (square.x, square.y) == pytest.approx((48, 48), abs=3)
    assert square.side == pytest.approx(48, rel=0.08)
    assert abs(again.roll_deg) < 4
