"""MediaPipe's face detector and landmarker behind plain calls, and the parts of a frame they are shown."""

from __future__ import annotations

import ctypes
import zipfile
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Self

import mediapipe as mp
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.components.containers.detections import Detection

from mlcore.errors import AnalysisError
from mlcore.face_geometry import SAME_FACE_OVERLAP, Boxed, Face, FaceBox, measured_face

try:
    from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC
except ImportError:  # another version: its own way of reading results is slower, and gives the same
    MpFaceLandmarkerResultC = None

Picture = npt.NDArray[np.uint8]

REPORTED_DETECTION_SCORE = 0.3
"""Weaker detections of the followed face still tell how sure the detector is; 0.3 stands for "or less"."""

SMALLEST_PART = 0.25
"""Parts of a frame are no smaller than this share of its longer side, however narrow it is."""


@dataclass(frozen=True)
class Window:
    """Part of the frame, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def around(cls, box: Boxed, times: float, rgb: Picture) -> Self:
        """A square of so many times the box's longer side around its middle, cut and moved to fit into the
        frame."""
        height, width = rgb.shape[:2]
        side = round(times * side_px(box, rgb))
        own_width, own_height = min(side, width), min(side, height)
        left = round((box.x + box.width / 2) * width - own_width / 2)
        top = round((box.y + box.height / 2) * height - own_height / 2)
        return cls(
            min(max(0, left), width - own_width), min(max(0, top), height - own_height), own_width, own_height
        )

    @classmethod
    def parts(cls, rgb: Picture, at_most: int, step: float) -> list[Self]:
        """The smallest squares of which `at_most` cover the frame when they stand up to `step` of their own
        side apart, row by row."""
        height, width = rgb.shape[:2]
        side = next(
            side
            for side in range(max(1, round(SMALLEST_PART * max(width, height))), max(width, height) + 1)
            if _pieces(width, side, step) * _pieces(height, side, step) <= at_most
        )
        tall, wide = min(side, height), min(side, width)
        tops, lefts = _starts(height, side, step), _starts(width, side, step)
        return [cls(left, top, wide, tall) for top in tops for left in lefts]

    def cut(self, rgb: Picture) -> Picture:
        return rgb[self.top : self.top + self.height, self.left : self.left + self.width]

    def suits(self, box: Boxed, rgb: Picture) -> bool:
        """Whether a face is well inside, and neither much nearer nor further than when the window was
        placed."""
        side = side_px(box, rgb)
        across = (box.x + box.width / 2) * rgb.shape[1] - self.left
        down = (box.y + box.height / 2) * rgb.shape[0] - self.top
        inside_x = side <= across <= self.width - side
        inside_y = 0.75 * side <= down <= self.height - 0.75 * side
        return inside_x and inside_y and 0.125 <= side / self.width <= 0.45

    def in_frame(self, face: Face, rgb: Picture) -> Face:
        """A face found in the window, with its box as fractions of the frame."""
        height, width = rgb.shape[:2]
        return replace(
            face,
            x=(self.left + face.x * self.width) / width,
            y=(self.top + face.y * self.height) / height,
            width=face.width * self.width / width,
            height=face.height * self.height / height,
        )

    def share_covered(self, box: Boxed, rgb: Picture) -> float:
        """How much of the window the box covers, 0-1."""
        height, width = rgb.shape[:2]
        right, bottom = self.left + self.width, self.top + self.height
        across = min((box.x + box.width) * width, right) - max(box.x * width, self.left)
        down = min((box.y + box.height) * height, bottom) - max(box.y * height, self.top)
        return max(0.0, across) * max(0.0, down) / (self.width * self.height)


def _pieces(length: int, side: int, step: float) -> int:
    return 1 + max(0, ceil((length - side) / (step * side) - 1e-9))


def _starts(length: int, side: int, step: float) -> list[int]:
    return [round(start) for start in np.linspace(0, max(0, length - side), _pieces(length, side, step))]


def side_px(box: Boxed, rgb: Picture) -> float:
    """The box's longer side in pixels."""
    return max(box.width * rgb.shape[1], box.height * rgb.shape[0])


class BoxDetector:
    """The face detector inside the landmarker's model file, which is a zip archive: boxes, no landmarks.

    It sees whatever it is shown at 128×128 pixels, and so misses faces lower than about 13 % of it. A missing
    or broken file raises `AnalysisError` (``model_unreadable``). Close it."""

    def __init__(self, model_path: Path) -> None:
        try:
            with zipfile.ZipFile(model_path) as bundle:
                model = bundle.read("face_detector.tflite")
            options = vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=model),
                running_mode=vision.RunningMode.IMAGE,
                min_detection_confidence=REPORTED_DETECTION_SCORE,
                min_suppression_threshold=SAME_FACE_OVERLAP,
            )
            self._detector = vision.FaceDetector.create_from_options(options)
        except (KeyError, zipfile.BadZipFile, RuntimeError, ValueError, OSError) as error:
            raise _unreadable(model_path) from error

    def close(self) -> None:
        self._detector.close()

    def boxes(self, rgb: Picture, window: Window | None = None) -> list[FaceBox]:
        """Boxes as fractions of the frame, found in it or in a part of it."""
        found = self._detector.detect(mediapipe_image(window.cut(rgb) if window else rgb)).detections
        return [_box(detection, rgb, window) for detection in found]


def _box(detection: Detection, rgb: Picture, window: Window | None) -> FaceBox:
    height, width = rgb.shape[:2]
    box = detection.bounding_box
    left = box.origin_x + (window.left if window else 0)
    top = box.origin_y + (window.top if window else 0)
    score = detection.categories[0].score or 0.0
    return FaceBox(left / width, top / height, box.width / width, box.height / height, score)


def mediapipe_image(rgb: Picture) -> mp.Image:
    # MediaPipe reads the buffer as if rows followed each other without padding: PyAV's arrays often do not.
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))


def landmarker_options(
    model_path: Path, mode: vision.RunningMode, num_faces: int
) -> vision.FaceLandmarkerOptions:
    return vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model_path)),
        running_mode=mode,
        num_faces=num_faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )


def open_landmarker(model_path: Path, options: vision.FaceLandmarkerOptions) -> vision.FaceLandmarker:
    try:
        return vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise _unreadable(model_path) from error


def measured_faces(landmarker: vision.FaceLandmarker, rgb: Picture, at_ms: int | None = None) -> list[Face]:
    """The landmarker's faces in a picture, or in a video's next frame, which is at `at_ms`; boxes as fractions of
    `rgb`."""
    image = mediapipe_image(rgb)
    if not _reads_results(landmarker):
        found = landmarker.detect(image) if at_ms is None else landmarker.detect_for_video(image, at_ms)
        return faces_of(found, rgb)
    library: Any = landmarker._lib
    result = MpFaceLandmarkerResultC()
    where = ctypes.byref(result)
    if at_ms is None:
        library.MpFaceLandmarkerDetectImage(landmarker._handle, image._image_ptr, None, where)
    else:
        library.MpFaceLandmarkerDetectForVideo(landmarker._handle, image._image_ptr, None, at_ms, where)
    try:
        return _read(result, rgb.shape[0] / rgb.shape[1])
    finally:
        library.MpFaceLandmarkerCloseResult(where)


def faces_of(result: vision.FaceLandmarkerResult, rgb: Picture) -> list[Face]:
    """The faces of a result that MediaPipe's package read itself: an object for each of the 478 points."""
    height, width = rgb.shape[:2]
    found = zip(
        result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True
    )
    return [
        measured_face(landmarks, [shape.score for shape in shapes], matrix, height / width)
        for landmarks, shapes, matrix in found
    ]


def _reads_results(landmarker: vision.FaceLandmarker) -> bool:
    """Whether this version of the package leaves its C results to be read here."""
    return MpFaceLandmarkerResultC is not None and hasattr(landmarker, "_lib")


def _read(result: Any, aspect: float) -> list[Face]:
    """As `faces_of`, but only of the two dozen points that are used: an object for each of them all costs a tenth of
    the landmarker's time, and holds up the interpreter's other threads."""
    counts = {
        result.face_landmarks_count,
        result.face_blendshapes_count,
        result.facial_transformation_matrixes_count,
    }
    if len(counts) != 1:
        raise ValueError(f"The landmarker gave {sorted(counts)} parts of the same faces.")
    return [
        measured_face(
            result.face_landmarks[number].landmarks,
            _Scores(result.face_blendshapes[number].categories),
            result.facial_transformation_matrixes[number].to_numpy(),
            aspect,
        )
        for number in range(counts.pop())
    ]


class _Scores:
    """Scores of blendshapes by their number."""

    def __init__(self, categories: Any) -> None:
        self._categories = categories

    def __getitem__(self, number: int) -> float:
        score: float = self._categories[number].score
        return score


def _unreadable(model_path: Path) -> AnalysisError:
    message = f"The face model {model_path.name} cannot be read. Run: python manage.py fetch_models"
    return AnalysisError("model_unreadable", message)
