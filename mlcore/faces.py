"""Frame -> faces: box, head pose, gaze, eyelids, smile, brows (MediaPipe FaceLandmarker).

One person's face is followed from frame to frame with a landmarker set to a single face: its region then
comes from the last landmarks. Set to several, MediaPipe starts every frame anew from the coarse detector
box, which on a small face made gaze jump by 10° from frame to frame instead of 2°. Other people are found
by the face detector of the same model file, a few times a second."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import mediapipe as mp
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.components.containers.detections import Detection

from mlcore.errors import AnalysisError
from mlcore.face_geometry import (
    SAME_FACE_OVERLAP,
    Boxed,
    Face,
    FaceBox,
    FaceFrame,
    distinct,
    measured_face,
    same_face,
)
from mlcore.media import Frame

__all__ = ["Face", "FaceBox", "FaceFrame", "FaceTracker", "ImageFaceDetector"]

OTHERS_INTERVAL_S = 0.2
"""How often other faces are looked for; two looks have to agree before a face counts, since the detector
takes lettering or a pattern for a face now and then. *Assumption*: nobody passes through a picture in
less."""

MIN_DETECTION_SCORE = 0.5
"""MediaPipe's own default; below it a detection is not called a face."""

REPORTED_DETECTION_SCORE = 0.3
"""Weaker detections of the followed face still tell how sure the detector is; 0.3 stands for "or less"."""

MIN_FACE_SIDE = 0.04
"""Smallest box side that counts, as a share of the frame's longer side. *Assumption*: 26 pixels in a 640
pixel wide frame; what is smaller is a picture on the wall or someone far off, and the detector misses most
such faces."""

MIN_RELATIVE_SIDE = 0.25
"""Smallest second face against the followed one. *Assumption*: a person at four times the distance."""

SMALL_FACE, LARGE_FACE = 0.2, 0.3
WINDOW_SIDES = 4.0
"""A face whose longer side is under `SMALL_FACE` of the frame's is measured in a square window of
`WINDOW_SIDES` times its side, until it is over `LARGE_FACE`: in the whole frame the landmarker's first box
is so coarse that it gives up faces which its own detector finds (seen with faces a tenth of the frame
wide)."""

PART_SIDE = 0.5
"""While nobody is to be seen, parts of the frame with this share of its longer side are searched in turn,
one at each look: the detector misses faces lower than about 13 % of what it is shown, and so finds those of
7 % of the frame. What it finds there counts once the landmarker agrees."""

LARGER_FACE = 2.0
"""The followed face is given up for another with this many times its area. *Assumption*."""

SWITCH_AFTER_S = 5.0
"""... once that has lasted this long, so that somebody passing in front does not become the candidate; at
once in the first `NEW_FACE_S` of following a face, which may be the wrong one. *Assumption*."""

NEW_FACE_S = 1.0


@dataclass(frozen=True)
class _Window:
    """Part of the frame, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def around(cls, across: float, down: float, side: int, frame_width: int, frame_height: int) -> Self:
        """A square of `side` with its middle near the point, cut and moved to fit into the frame."""
        width, height = min(side, frame_width), min(side, frame_height)
        left = min(max(0, round(across - width / 2)), frame_width - width)
        top = min(max(0, round(down - height / 2)), frame_height - height)
        return cls(left, top, width, height)

    @classmethod
    def parts(cls, frame_width: int, frame_height: int) -> list[Self]:
        """Overlapping squares of `PART_SIDE` that cover the frame, from its middle column outwards."""
        side = min(round(PART_SIDE * max(frame_width, frame_height)), frame_width, frame_height)
        lefts = _starts(frame_width, side)
        lefts.sort(key=lambda left: abs(left + side / 2 - frame_width / 2))
        return [cls(left, top, side, side) for top in _starts(frame_height, side) for left in lefts]

    def cut(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return rgb[self.top : self.top + self.height, self.left : self.left + self.width]

    def suits(self, across: float, down: float, side: float) -> bool:
        """Whether a face is well inside, and neither much nearer nor further than when the window was
        placed."""
        inside_x = side <= across - self.left <= self.width - side
        inside_y = 0.75 * side <= down - self.top <= self.height - 0.75 * side
        return inside_x and inside_y and 0.125 <= side / self.width <= 0.45


def _starts(length: int, side: int) -> list[int]:
    """Where pieces of `side` begin that cover `length` and overlap by half or more."""
    pieces = -(-2 * (length - side) // side) + 1 if length > side else 1
    return [round(start) for start in np.linspace(0, length - side, pieces)]


class FaceTracker:
    """Follows the largest face of one video and counts the others. Close it, or use it as a context manager.

    `model_path` is MediaPipe's ``face_landmarker.task``; a missing or broken file raises `AnalysisError`
    (``model_unreadable``). One tracker serves one video and one thread. `options` are the landmarker's.
    """

    def __init__(self, model_path: Path, *, others_interval_s: float = OTHERS_INTERVAL_S) -> None:
        self._model_path = model_path
        self._detector = _detector(model_path)
        self.options = _options(model_path, vision.RunningMode.VIDEO, 1)
        self._landmarker = _landmarker(model_path, self.options)
        self._others_interval_s = others_interval_s
        self._last_ms = -1
        self._seen: list[FaceBox] = []
        self._confirmed: list[FaceBox] = []
        self._look_again_s = 0.0
        self._followed: Face | None = None
        self._followed_since_s = 0.0
        self._rival_since_s: float | None = None
        self._window: _Window | None = None
        self._part = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._landmarker.close()
        self._detector.close()

    def detect(self, frame: Frame) -> FaceFrame:
        """The faces of the next frame: at most one measured face, boxes for the other people.

        Frames come in the order of their times. Times that fall into one millisecond are kept apart, as
        MediaPipe wants them strictly increasing."""
        self._last_ms = max(round(frame.t_s * 1000), self._last_ms + 1)
        aspect = frame.rgb.shape[0] / frame.rgb.shape[1]
        if frame.t_s >= self._look_again_s:
            self._look_around(frame, aspect)
        view = self._view(self._masked(frame.rgb))
        found = _faces(self._landmarker.detect_for_video(_image(view), self._last_ms), view)
        face = self._in_frame(found[0], frame.rgb) if found else None
        if face is not None and not _large_enough(face, aspect):
            face = None
        self._note(face, frame.t_s)
        if face is None:
            return FaceFrame(frame.t_s, (), tuple(self._confirmed))
        face = replace(face, detection_score=self._score(face))
        return FaceFrame(frame.t_s, (face,), tuple(self._others(face)))

    def _look_around(self, frame: Frame, aspect: float) -> None:
        self._look_again_s = frame.t_s + self._others_interval_s
        boxes = self._boxes(frame.rgb, None)
        before = self._seen
        self._seen = [box for box in distinct(boxes) if _large_enough(box, aspect)]
        self._confirmed = [box for box in self._certain() if any(same_face(box, other) for other in before)]
        self._seen = distinct(self._seen + self._boxes_nearer(frame.rgb))
        self._watch_rival(frame.t_s)
        self._place_window(frame.rgb)

    def _boxes(self, rgb: npt.NDArray[np.uint8], window: _Window | None) -> list[FaceBox]:
        found = self._detector.detect(_image(window.cut(rgb) if window else rgb)).detections
        return [_box(detection, rgb, window) for detection in found]

    def _boxes_nearer(self, rgb: npt.NDArray[np.uint8]) -> list[FaceBox]:
        """Boxes around a followed small face; while nobody is to be seen, those in the next part of the
        frame."""
        if self._followed is not None:
            followed = self._followed
            near = self._boxes(rgb, self._window) if self._window else []
            return [box for box in near if same_face(box, followed)]
        if self._certain():
            return []
        parts = _Window.parts(rgb.shape[1], rgb.shape[0])
        self._part = (self._part + 1) % len(parts)
        return self._boxes(rgb, parts[self._part])

    def _watch_rival(self, t_s: float) -> None:
        """Give up the followed face when another has been much larger for a while, or from the start."""
        certain, followed = self._certain(), self._followed
        if followed is None or not certain or same_face(certain[0], followed):
            self._rival_since_s = None
            return
        own_area = next(
            (box.area for box in self._seen if same_face(box, followed)), followed.width * followed.height
        )
        if certain[0].area < LARGER_FACE * own_area:
            self._rival_since_s = None
            return
        if self._rival_since_s is None:
            self._rival_since_s = t_s
        newly_followed = t_s - self._followed_since_s < NEW_FACE_S
        if newly_followed or t_s - self._rival_since_s >= SWITCH_AFTER_S:
            # The landmarker does not let go of a face that is merely painted over; a new one costs about 50
            # ms.
            self._landmarker.close()
            self._landmarker = _landmarker(self._model_path, self.options)
            self._followed = self._rival_since_s = self._window = None

    def _masked(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture to find a face in: without all but the largest, when nobody is followed yet."""
        certain = self._certain()
        if self._followed is not None or len(certain) < 2:
            return rgb
        masked = rgb.copy()
        for box in certain[1:]:
            masked[_pixels(box, rgb)] = 128
        kept = _pixels(certain[0], rgb)
        masked[kept] = rgb[kept]
        return masked

    def _place_window(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Look at a small face through a window around it, and at anything else in the whole frame."""
        height, width = rgb.shape[:2]
        target: Boxed | None = self._followed or next(iter(self._certain()), None)
        if target is None:
            self._window = None
            return
        side = max(target.width * width, target.height * height)
        across, down = (target.x + target.width / 2) * width, (target.y + target.height / 2) * height
        if self._window is not None and self._window.suits(across, down, side):
            return
        if self._followed is not None and self._window is None:
            return
        limit = LARGE_FACE if self._window is not None else SMALL_FACE
        small = side < limit * max(width, height)
        self._window = (
            _Window.around(across, down, round(WINDOW_SIDES * side), width, height) if small else None
        )

    def _view(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self._window is None:
            return rgb
        left, top, width, height = (
            self._window.left,
            self._window.top,
            self._window.width,
            self._window.height,
        )
        return rgb[top : top + height, left : left + width]

    def _in_frame(self, face: Face, rgb: npt.NDArray[np.uint8]) -> Face:
        """A face found in the window, with its box as fractions of the frame."""
        if self._window is None:
            return face
        height, width = rgb.shape[:2]
        return replace(
            face,
            x=(self._window.left + face.x * self._window.width) / width,
            y=(self._window.top + face.y * self._window.height) / height,
            width=face.width * self._window.width / width,
            height=face.height * self._window.height / height,
        )

    def _note(self, face: Face | None, t_s: float) -> None:
        """Remember whom the landmarker follows; look around at once when that is someone new."""
        if face is not None and (self._followed is None or not same_face(face, self._followed)):
            self._followed_since_s = t_s
            self._look_again_s = min(self._look_again_s, t_s)
        self._followed = face

    def _certain(self) -> list[FaceBox]:
        return [box for box in self._seen if box.score >= MIN_DETECTION_SCORE]

    def _others(self, face: Face) -> list[FaceBox]:
        side = max(face.width, face.height) * MIN_RELATIVE_SIDE
        return [
            box for box in self._confirmed if not same_face(box, face) and max(box.width, box.height) >= side
        ]

    def _score(self, face: Face) -> float:
        return max(
            (box.score for box in self._seen if same_face(box, face)), default=REPORTED_DETECTION_SCORE
        )


class ImageFaceDetector:
    """Measures the faces of single pictures, without a past: for live rooms, which share one. Close it."""

    def __init__(self, model_path: Path, *, num_faces: int = 2) -> None:
        self.options = _options(model_path, vision.RunningMode.IMAGE, num_faces)
        self._landmarker = _landmarker(model_path, self.options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._landmarker.close()

    def detect(self, rgb: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """The measured faces, largest first. `rgb` has shape (height, width, 3)."""
        aspect = rgb.shape[0] / rgb.shape[1]
        faces = distinct(_faces(self._landmarker.detect(_image(rgb)), rgb))
        return tuple(face for face in faces if _large_enough(face, aspect))


def _box(detection: Detection, rgb: npt.NDArray[np.uint8], window: _Window | None) -> FaceBox:
    height, width = rgb.shape[:2]
    box = detection.bounding_box
    left = box.origin_x + (window.left if window else 0)
    top = box.origin_y + (window.top if window else 0)
    score = detection.categories[0].score or 0.0
    return FaceBox(left / width, top / height, box.width / width, box.height / height, score)


def _pixels(box: Boxed, rgb: npt.NDArray[np.uint8]) -> tuple[slice, slice]:
    height, width = rgb.shape[:2]
    top, left = max(0, int(box.y * height)), max(0, int(box.x * width))
    return slice(top, int((box.y + box.height) * height)), slice(left, int((box.x + box.width) * width))


def _faces(result: vision.FaceLandmarkerResult, rgb: npt.NDArray[np.uint8]) -> list[Face]:
    height, width = rgb.shape[:2]
    found = zip(
        result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True
    )
    return [
        measured_face(landmarks, [shape.score for shape in shapes], matrix, height / width)
        for landmarks, shapes, matrix in found
    ]


def _image(rgb: npt.NDArray[np.uint8]) -> mp.Image:
    # MediaPipe reads the buffer as if rows followed each other without padding: PyAV's arrays often do not.
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))


def _large_enough(box: Boxed, aspect: float) -> bool:
    """Against the frame's longer side; `aspect` is height over width."""
    longer = max(1.0, aspect)
    return max(box.width, box.height * aspect) >= MIN_FACE_SIDE * longer


def _options(model_path: Path, mode: vision.RunningMode, num_faces: int) -> vision.FaceLandmarkerOptions:
    return vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model_path)),
        running_mode=mode,
        num_faces=num_faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )


def _landmarker(model_path: Path, options: vision.FaceLandmarkerOptions) -> vision.FaceLandmarker:
    try:
        return vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise _unreadable(model_path) from error


def _detector(model_path: Path) -> vision.FaceDetector:
    """The face detector inside the landmarker's model file, which is a zip archive."""
    try:
        with zipfile.ZipFile(model_path) as bundle:
            model = bundle.read("face_detector.tflite")
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=model),
            running_mode=vision.RunningMode.IMAGE,
            min_detection_confidence=REPORTED_DETECTION_SCORE,
            min_suppression_threshold=SAME_FACE_OVERLAP,
        )
        return vision.FaceDetector.create_from_options(options)
    except (KeyError, zipfile.BadZipFile, RuntimeError, ValueError, OSError) as error:
        raise _unreadable(model_path) from error


def _unreadable(model_path: Path) -> AnalysisError:
    message = f"The face model {model_path.name} cannot be read. Run: python manage.py fetch_models"
    return AnalysisError("model_unreadable", message)
