"""Small faces in parts of the frame: other people behind the candidate, or anybody while nobody is followed.

The detector misses faces lower than about 13 % of what it is shown. So parts of the frame are shown to it in
turn, a few at each look, and what it finds is looked at again from near before it counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mediapipe.tasks.python import vision

from mlcore.face_detection import (
    BoxDetector,
    Picture,
    Window,
    landmarker_options,
    measured_faces,
    open_landmarker,
)
from mlcore.face_geometry import Boxed, FaceBox, distinct, same_face

PARTS, PART_STEP = 9, 0.85
"""The frame is searched in at most so many parts, this share of their own side apart: squares of 0.37 of the
longer side in a 4:3 frame, 0.31 in 16:9. Of stills of 21 people pasted over three backgrounds, parts of 0.34
showed 95 % of the faces of 4 % of the frame's longer side, parts of 0.4 52 %, and 95 % of those of 5 %."""

PARTS_A_LOOK, PART_AGAIN_S = 2, 1.0
"""So many parts are searched in one look, and each of them not sooner than this after the last time. With five
looks a second that takes a second for the whole frame."""

SUGGESTED_SCORE = 0.4
"""What the detector calls a face in a part of the frame by this score is looked at from near."""

NEAR_SIDES, CLOSE_SIDES = 4.5, 2.5
"""Windows for a second and a third look, in sides of the face's box."""

CERTAIN_SCORE, LIKELY_SCORE, KEPT_SCORE = 0.9, 0.75, 0.6
"""Seen from near, a face counts from the first score on, and from the second when the landmarker agrees; once
found, it stays down to the third. Of 7 200 suggestions in parts of stills, clips, lettering and patterns no false
one came over 0.87 (a motorcycle's lamp), and the landmarker agreed to none over 0.75. In a window of
`NEAR_SIDES` it agreed to the lamp."""

AGREEING_LOOKS = 2
MISSED_LOOKS = 1
"""A face counts once it was seen from near in so many looks, and is given up after more missed ones than
this."""

LOOKED_AFTER = 3
"""So many of the faces that were found are looked at again in one look, in turn. *Assumption*: enough for a
room; in a crowd it takes longer to notice who leaves."""

COVERED_SHARE = 0.5
"""Parts that the followed face covers by more are left out: their neighbours show the rest of them."""

FOLLOWED_MARGIN = 1.2
"""What lies with its middle inside the followed face's box times this is a piece of that face or of its
hair. *Assumption*."""


@dataclass(frozen=True)
class _Sighting:
    """A face seen from near, in how many looks, and how many of the last ones missed it."""

    box: FaceBox
    looks: int = 1
    missed: int = 0


class FaceSearch:
    """Remembers the small faces of one video. Close it; `detector` stays its owner's."""

    def __init__(self, model_path: Path, detector: BoxDetector) -> None:
        self._model_path = model_path
        self._detector = detector
        self._landmarker: vision.FaceLandmarker | None = None
        self._sightings: list[_Sighting] = []
        self._parts: list[Window] = []
        self._parts_shape: tuple[int, ...] = ()
        self._part_again_s: list[float] = []

    def close(self) -> None:
        if self._landmarker is not None:
            self._landmarker.close()

    @property
    def suspected(self) -> list[FaceBox]:
        """Every face that was seen from near, if only once."""
        return [sighting.box for sighting in self._sightings]

    @property
    def confirmed(self) -> list[FaceBox]:
        return [sighting.box for sighting in self._sightings if sighting.looks >= AGREEING_LOOKS]

    def look(self, rgb: Picture, t_s: float, whole: Iterable[FaceBox], followed: Boxed | None) -> None:
        """One look at a frame: at faces found before, at the next parts, and at `whole`, what the
        detector found in the whole frame. The `followed` face is left out."""
        after, later = self._sightings[:LOOKED_AFTER], self._sightings[LOOKED_AFTER:]
        again = [seen for sighting in after if (seen := self._again(rgb, sighting)) is not None]
        self._sightings = [
            sighting
            for sighting in later + again
            if followed is None or not shows_part_of(sighting.box, followed)
        ]
        suggested = [
            box for box in [*whole, *self._in_parts(rgb, t_s, followed)] if box.score >= SUGGESTED_SCORE
        ]
        for box in distinct(suggested):
            known = any(same_face(box, sighting.box) for sighting in self._sightings)
            if known or (followed is not None and shows_part_of(box, followed)):
                continue
            near = self._from_near(rgb, box)
            if near is not None and self._is_face(rgb, near):
                self._sightings.append(_Sighting(near))

    def _in_parts(self, rgb: Picture, t_s: float, followed: Boxed | None) -> list[FaceBox]:
        parts = self._parts_of(rgb)
        due = [
            number
            for number, part in enumerate(parts)
            if self._part_again_s[number] <= t_s
            and (followed is None or part.share_covered(followed, rgb) <= COVERED_SHARE)
        ]
        chosen = sorted(due, key=self._part_again_s.__getitem__)[:PARTS_A_LOOK]
        for number in chosen:
            self._part_again_s[number] = t_s + PART_AGAIN_S
        return [box for number in chosen for box in self._detector.boxes(rgb, parts[number])]

    def _parts_of(self, rgb: Picture) -> list[Window]:
        if self._parts_shape != rgb.shape:
            self._parts_shape = rgb.shape
            self._parts = Window.parts(rgb, PARTS, PART_STEP)
            self._part_again_s = [0.0] * len(self._parts)
        return self._parts

    def _again(self, rgb: Picture, sighting: _Sighting) -> _Sighting | None:
        near = self._from_near(rgb, sighting.box)
        if near is not None and near.score >= KEPT_SCORE:
            return _Sighting(near, sighting.looks + 1)
        if sighting.looks < AGREEING_LOOKS or sighting.missed >= MISSED_LOOKS:
            return None
        return _Sighting(sighting.box, sighting.looks, sighting.missed + 1)

    def _from_near(self, rgb: Picture, box: FaceBox) -> FaceBox | None:
        found = self._detector.boxes(rgb, Window.around(box, NEAR_SIDES, rgb))
        return max((one for one in found if same_face(one, box)), key=lambda one: one.score, default=None)

    def _is_face(self, rgb: Picture, near: FaceBox) -> bool:
        if near.score >= CERTAIN_SCORE or near.score < LIKELY_SCORE:
            return near.score >= CERTAIN_SCORE
        if self._landmarker is None:
            options = landmarker_options(self._model_path, vision.RunningMode.IMAGE, 1)
            self._landmarker = open_landmarker(self._model_path, options)
        window = Window.around(near, CLOSE_SIDES, rgb)
        shown = np.ascontiguousarray(window.cut(rgb))
        found = measured_faces(self._landmarker, shown)
        return any(same_face(window.in_frame(face, rgb), near) for face in found)


def shows_part_of(box: Boxed, followed: Boxed) -> bool:
    """Whether the box shows the followed face or a piece of it."""
    across = abs(box.x + box.width / 2 - followed.x - followed.width / 2)
    down = abs(box.y + box.height / 2 - followed.y - followed.height / 2)
    inside = across < FOLLOWED_MARGIN * followed.width / 2 and down < FOLLOWED_MARGIN * followed.height / 2
    return inside or same_face(box, followed)
