"""Whether somebody looks into the camera, measured from their own first seconds as in recorded answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import hypot

import numpy as np

from mlcore.behaviour import constants as c
from mlcore.face_geometry import Face

LONGEST_FRAME_S = 2.0
"""A frame stands for the time since the one before it, up to this: frames come once or twice a second, and slower
ones are not seconds of face. *Assumption*."""

MOST_GATHERED = 300
"""Frames; enough for 5 s at any rate that comes."""


class EyeContact:
    """The calibration of one session; see `mlcore.behaviour.visual`. Not for several threads at once.

    Its first `CALIBRATION_S` of face are gathered; the median of their line of sight is then where the camera seems
    to be, unless the person looked about: then it is where the angles say."""

    def __init__(self) -> None:
        self._gathered: deque[tuple[float, float]] = deque(maxlen=MOST_GATHERED)
        self._face_s = self._used_s = 0.0
        self._last_s: float | None = None
        self._baseline: tuple[float, float] | None = None

    def look(self, t_s: float, face: Face | None) -> bool | None:
        """Of the frame at `t_s`; None without a face, with shut eyes, and until the baseline is there."""
        if face is None:
            return None
        sight = (face.yaw_deg + face.gaze_yaw_deg, face.pitch_deg + face.gaze_pitch_deg)
        is_open = face.eyelids_closed < c.SHUT_LIDS
        if self._baseline is None:
            self._gather(t_s, sight, is_open)
            return None
        if not is_open:
            return None
        return hypot(sight[0] - self._baseline[0], sight[1] - self._baseline[1]) <= c.DIRECT_CONE_DEG

    def _gather(self, t_s: float, sight: tuple[float, float], is_open: bool) -> None:
        length_s = min(max(0.0, t_s - self._last_s), LONGEST_FRAME_S) if self._last_s is not None else 0.0
        self._last_s = t_s
        self._face_s += length_s
        if is_open:
            self._used_s += length_s
            self._gathered.append(sight)
        if self._face_s >= c.CALIBRATION_S and self._used_s >= c.MIN_CALIBRATION_S:
            self._baseline = _baseline(self._gathered)
            self._gathered.clear()


def _baseline(gathered: Sequence[tuple[float, float]]) -> tuple[float, float]:
    sights = np.array(gathered)
    middle = np.median(sights, axis=0)
    spread = np.median(np.abs(sights - middle), axis=0)
    if spread.max() > c.MAX_CALIBRATION_SPREAD_DEG:
        return 0.0, 0.0
    return float(middle[0]), float(middle[1])
