"""Intervals of attention: looking away, nobody in the picture, several people in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlcore.behaviour import constants as c

Series = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Kind = Literal["off_screen", "no_face", "multiple_faces"]


@dataclass(frozen=True)
class AttentionInterval:
    """`reason` of ``off_screen`` is ``head_`` or ``gaze_`` with ``left``, ``right``, ``up`` or ``down`` as
    seen in the image, and `value` the mean angle from the baseline in degrees; of ``multiple_faces`` the
    reason is ``second_face`` and `value` the greatest number of faces; of ``no_face`` it is ``not_in_view``
    without value."""

    kind: Kind
    start_s: float
    end_s: float
    reason: str
    value: float | None

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Run:
    """Frames `first` to `last`, both included, and the time they stand for."""

    first: int
    last: int
    start_s: float
    end_s: float


def find_runs(starts_s: Series, ends_s: Series, flags: Flags, *, max_gap_s: float, min_s: float) -> list[Run]:
    """Runs of flagged frames of at least `min_s`, after joining those that lie at most `max_gap_s` apart."""
    runs: list[Run] = []
    for index in np.flatnonzero(flags).tolist():
        start, end = float(starts_s[index]), float(ends_s[index])
        if runs and start - runs[-1].end_s <= max_gap_s:
            runs[-1] = Run(runs[-1].first, index, runs[-1].start_s, end)
        else:
            runs.append(Run(index, index, start, end))
    return [run for run in runs if run.end_s - run.start_s >= min_s - 1e-6]


def is_off_screen(yaw_deg: Series, pitch_deg: Series) -> Flags:
    """Whether the line of sight, relative to the baseline, lies outside the limits of the screen."""
    up, down = pitch_deg > c.OFF_SCREEN_UP_DEG, pitch_deg < -c.OFF_SCREEN_DOWN_DEG
    return np.asarray((np.abs(yaw_deg) > c.OFF_SCREEN_SIDE_DEG) | up | down, dtype=np.bool_)


def off_screen_reason(head_deg: Series, sight_deg: Series) -> tuple[str, float]:
    """The direction most looked in during an interval, and the mean angle there.

    Both arrays have shape (frames, 2): yaw and pitch from the baseline. The head is named when it makes up
    half or more of the turn, else the gaze."""
    limits = np.array([c.OFF_SCREEN_SIDE_DEG, c.OFF_SCREEN_DOWN_DEG])
    axes = np.argmax(np.abs(sight_deg) / limits, axis=1)
    along = np.take_along_axis(sight_deg, axes[:, None], axis=1)[:, 0]
    directions = 2 * axes + (along > 0)
    direction = int(np.bincount(directions).argmax())
    chosen = directions == direction
    axis = direction // 2
    part = "head" if head_deg[chosen, axis].mean() / along[chosen].mean() >= 0.5 else "gaze"
    angle = float(np.hypot(sight_deg[chosen, 0], sight_deg[chosen, 1]).mean())
    return f"{part}_{('left', 'right', 'down', 'up')[direction]}", angle


def union_s(intervals: Iterable[AttentionInterval]) -> float:
    """Seconds covered by at least one of the intervals."""
    covered, until = 0.0, -np.inf
    for interval in sorted(intervals, key=lambda one: one.start_s):
        covered += max(0.0, interval.end_s - max(interval.start_s, until))
        until = max(until, interval.end_s)
    return covered


def frames_inside(times_s: Series, intervals: Sequence[AttentionInterval]) -> int:
    inside = np.zeros(len(times_s), dtype=np.bool_)
    for interval in intervals:
        inside |= (times_s >= interval.start_s) & (times_s < interval.end_s)
    return int(inside.sum())
