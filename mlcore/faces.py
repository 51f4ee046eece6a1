"""Frame -> faces: box, head pose, gaze, eyelids, smile, brows (MediaPipe FaceLandmarker).

One person's face is followed from frame to frame with a landmarker set to a single face: its region then
comes from the last landmarks. Set to several, MediaPipe starts every frame anew from the coarse detector
box, which on a small face made gaze jump by 10° from frame to frame instead of 2°. Other people are found
by the face detector of the same model file, a few times a second."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python import vision

from mlcore.closing import Closing
from mlcore.face_detection import (
    REPORTED_DETECTION_SCORE,
    BoxDetector,
    Window,
    landmarker_options,
    measured_faces,
    open_landmarker,
    side_px,
)
from mlcore.face_geometry import Boxed, Face, FaceBox, FaceFrame, distinct, same_face
from mlcore.face_search import FaceSearch, shows_part_of
from mlcore.media import Frame

__all__ = ["Face", "FaceBox", "FaceFrame", "FaceTracker", "ImageFaceDetector"]

OTHERS_INTERVAL_S = 0.2
"""How often other faces are looked for; two looks have to agree before a face counts
(`mlcore.face_search`)."""

MIN_DETECTION_SCORE = 0.5
"""MediaPipe's own default; below it a detection is not called a face."""

SURE_SCORE, UNSURE_S = 0.8, 0.2
"""A face that is newly followed with a lower score counts once it has been followed for so long: blurred
lettering was taken for one for three frames. *Assumption*."""

SAME_PERSON_S = 1.0
"""... unless it lies where the candidate's was within this time. *Assumption*."""

MIN_FACE_SIDE = 0.03
"""Smallest box side that counts, as a share of the frame's longer side. *Assumption*: 19 pixels in a 640
pixel wide frame; the detector misses most faces under 4 % anyway."""

MIN_RELATIVE_SIDE = 0.15
"""Smallest second face against the followed one: the side of its box over the square root of the followed
face's area, both in pixels. *Assumption*: somebody at four times the distance comes to about 0.22, at six
times to 0.15, for the detector's box is a little smaller than the face's oval: 3.6 m behind a candidate at
60 cm, the depth of a room."""

SMALL_FACE, LARGE_FACE = 0.2, 0.3
WINDOW_SIDES = 4.0
"""A face whose longer side is under `SMALL_FACE` of the frame's is measured in a square window of
`WINDOW_SIDES` times its side, until it is over `LARGE_FACE`: in the whole frame the landmarker's first box
is so coarse that it gives up faces which its own detector finds (seen with faces a tenth of the frame
wide)."""

LARGER_FACE = 2.0
"""The followed face is given up for another with this many times its area. *Assumption*."""

SWITCH_AFTER_S = 5.0
"""... once that has lasted this long, so that somebody passing in front does not become the candidate; at
once in the first `NEW_FACE_S` of following a face, which may be the wrong one. *Assumption*."""

NEW_FACE_S = 1.0


class FaceTracker(Closing):
    """Follows the largest face of one video and counts the others. Close it, or use it as a context manager.

    `model_path` is MediaPipe's ``face_landmarker.task``; a missing or broken file raises `AnalysisError`
    (``model_unreadable``). One tracker serves one video and one thread. `options` are the landmarker's.
    """

    def __init__(self, model_path: Path, *, others_interval_s: float = OTHERS_INTERVAL_S) -> None:
        self._model_path = model_path
        self._detector = BoxDetector(model_path)
        self.options = landmarker_options(model_path, vision.RunningMode.VIDEO, 1)
        self._landmarker = open_landmarker(model_path, self.options)
        self._search = FaceSearch(model_path, self._detector)
        self._others_interval_s = others_interval_s
        self._last_ms = -1
        self._seen: list[FaceBox] = []
        self._confirmed: list[FaceBox] = []
        self._whole: list[FaceBox] = []
        self._look_again_s = 0.0
        self._whole_again_s = 0.0
        self._followed: Face | None = None
        self._followed_since_s = 0.0
        self._reported: tuple[Face, float] | None = None
        self._rival_since_s: float | None = None
        self._window: Window | None = None

    def close(self) -> None:
        self._landmarker.close()
        self._search.close()
        self._detector.close()

    def detect(self, frame: Frame) -> FaceFrame:
        """The faces of the next frame: at most one measured face, boxes for the other people.

        Frames come in the order of their times. Times that fall into one millisecond are kept apart, as
        MediaPipe wants them strictly increasing."""
        self._last_ms = max(round(frame.t_s * 1000), self._last_ms + 1)
        if frame.t_s >= self._look_again_s:
            self._look_around(frame)
        view = self._view(self._masked(frame.rgb))
        found = measured_faces(self._landmarker, view, self._last_ms)
        face = self._in_frame(found[0], frame.rgb) if found else None
        if face is not None and not _large_enough(face, frame.rgb):
            face = None
        self._note(face, frame.t_s)
        if face is None or not self._counts(face, frame.t_s):
            return FaceFrame(frame.t_s, (), tuple(self._confirmed))
        face = replace(face, detection_score=self._score(face))
        self._reported = (face, frame.t_s)
        return FaceFrame(frame.t_s, (face,), tuple(self._others(face, frame.rgb)))

    def _look_around(self, frame: Frame) -> None:
        self._look_again_s = frame.t_s + self._others_interval_s
        fresh = frame.t_s >= self._whole_again_s
        if fresh:
            self._look_at_whole(frame)
        self._search.look(frame.rgb, frame.t_s, self._whole if fresh else (), self._followed)
        self._confirmed = self._without_tiny(self._search.confirmed, frame.rgb)
        self._seen = self._without_tiny(
            self._whole + self._around_followed(frame.rgb) + self._search.suspected, frame.rgb
        )
        self._watch_rival(frame.t_s)
        self._place_window(frame.rgb)

    def _look_at_whole(self, frame: Frame) -> None:
        """The detector on the whole frame; again at the next look, or at the one after that while it shows
        nobody but the followed face."""
        self._whole = self._without_tiny(self._detector.boxes(frame.rgb), frame.rgb)
        followed = self._followed
        alone = followed is not None and all(same_face(box, followed) for box in self._whole)
        self._whole_again_s = frame.t_s + self._others_interval_s * (1.5 if alone else 0.5)

    def _without_tiny(self, boxes: list[FaceBox], rgb: npt.NDArray[np.uint8]) -> list[FaceBox]:
        return [box for box in distinct(boxes) if _large_enough(box, rgb)]

    def _around_followed(self, rgb: npt.NDArray[np.uint8]) -> list[FaceBox]:
        """How the detector sees a small followed face in its window."""
        followed = self._followed
        if followed is None or self._window is None:
            return []
        return [box for box in self._detector.boxes(rgb, self._window) if same_face(box, followed)]

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
            self._landmarker = open_landmarker(self._model_path, self.options)
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
        target: Boxed | None = self._followed or next(iter(self._certain()), None)
        if target is None:
            self._window = None
            return
        if self._window is not None and self._window.suits(target, rgb):
            return
        if self._followed is not None and self._window is None:
            return
        limit = LARGE_FACE if self._window is not None else SMALL_FACE
        small = not _large_enough(target, rgb, limit)
        self._window = Window.around(target, WINDOW_SIDES, rgb) if small else None

    def _view(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return rgb if self._window is None else self._window.cut(rgb)

    def _in_frame(self, face: Face, rgb: npt.NDArray[np.uint8]) -> Face:
        return face if self._window is None else self._window.in_frame(face, rgb)

    def _note(self, face: Face | None, t_s: float) -> None:
        """Remember whom the landmarker follows; look around at once when that is someone new."""
        if face is not None and (self._followed is None or not same_face(face, self._followed)):
            self._followed_since_s = t_s
            self._look_again_s = min(self._look_again_s, t_s)
            self._whole_again_s = min(self._whole_again_s, t_s)
        self._followed = face

    def _counts(self, face: Face, t_s: float) -> bool:
        """Whether the followed face is certain enough to be called one."""
        if self._score(face) >= SURE_SCORE or t_s - self._followed_since_s >= UNSURE_S:
            return True
        if self._reported is None:
            return False
        last, last_s = self._reported
        return t_s - last_s <= SAME_PERSON_S and same_face(face, last)

    def _certain(self) -> list[FaceBox]:
        return [box for box in self._seen if box.score >= MIN_DETECTION_SCORE]

    def _others(self, face: Face, rgb: npt.NDArray[np.uint8]) -> list[FaceBox]:
        height, width = rgb.shape[:2]
        least_px = MIN_RELATIVE_SIDE * sqrt(face.area * width * height)
        return [
            box for box in self._confirmed if not shows_part_of(box, face) and side_px(box, rgb) >= least_px
        ]

    def _score(self, face: Face) -> float:
        return max(
            (box.score for box in self._seen if same_face(box, face)), default=REPORTED_DETECTION_SCORE
        )


class ImageFaceDetector(Closing):
    """Measures the faces of single pictures, without a past: for live rooms, which share one. Close it."""

    def __init__(self, model_path: Path, *, num_faces: int = 2) -> None:
        self.options = landmarker_options(model_path, vision.RunningMode.IMAGE, num_faces)
        self._landmarker = open_landmarker(model_path, self.options)

    def close(self) -> None:
        self._landmarker.close()

    def detect(self, rgb: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """The measured faces, largest first. `rgb` has shape (height, width, 3)."""
        faces = distinct(measured_faces(self._landmarker, rgb))
        return tuple(face for face in faces if _large_enough(face, rgb))


def _pixels(box: Boxed, rgb: npt.NDArray[np.uint8]) -> tuple[slice, slice]:
    height, width = rgb.shape[:2]
    top, left = max(0, int(box.y * height)), max(0, int(box.x * width))
    return slice(top, int((box.y + box.height) * height)), slice(left, int((box.x + box.width) * width))


def _large_enough(box: Boxed, rgb: npt.NDArray[np.uint8], least: float = MIN_FACE_SIDE) -> bool:
    return side_px(box, rgb) >= least * max(rgb.shape[:2])
