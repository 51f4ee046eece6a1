"""Eyelid closures in a series of eyeBlink blendshapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlcore.behaviour import constants as c

Series = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Closure:
    """Eyes closed from frame `first` to frame `last`, both included; `duration_s` up to the frame after. It
    is not `complete` where the series begins, ends or has a gap: nobody knows how long it was."""

    first: int
    last: int
    duration_s: float
    complete: bool

    @property
    def is_blink(self) -> bool:
        return self.complete and c.MIN_BLINK_S <= self.duration_s <= c.MAX_BLINK_S


def find_closures(times_s: Series, eyelids_closed: Series) -> list[Closure]:
    """Closures of any length, in order. Both arrays have shape (frames,), times rising, lids 0 to 1.

    A closure is where the lids rise above their own level (a rolling median) by the person's threshold; it
    lasts while they stay above half of its own peak (full width at half maximum, the usual blink duration).
    Gaps of more than `MAX_STEP_S` between frames end it too."""
    if len(times_s) < 3:
        return []
    rise = eyelids_closed - _rolling_median(times_s, eyelids_closed, c.LID_WINDOW_S)
    begin = float(np.clip(c.CLOSURE_SHARE * np.percentile(rise, 98), c.MIN_CLOSURE, c.MAX_CLOSURE))
    joined = np.append(np.diff(times_s) <= c.MAX_STEP_S, False)
    lengths_s = frame_lengths_s(times_s)
    closures: list[Closure] = []
    place = 0
    while place < len(rise):
        if rise[place] < begin:
            place += 1
            continue
        after = closures[-1].last + 1 if closures else 0
        first, last = _half_width(rise, joined, place, after)
        valley = rise[after - 1 : first + 1].min() if closures else 0.0
        if rise[first : last + 1].max() - valley >= c.MIN_REOPENING:
            complete = first > 0 and bool(joined[first - 1] and joined[last])
            closures.append(Closure(first, last, float(lengths_s[first : last + 1].sum()), complete))
        place = last + 1
    return closures


def _half_width(rise: Series, joined: npt.NDArray[np.bool_], place: int, earliest: int) -> tuple[int, int]:
    """First and last frame around `place` above half of the peak that follows it."""
    last, peak = place, float(rise[place])
    while joined[last] and rise[last + 1] > peak / 2:
        last += 1
        peak = max(peak, float(rise[last]))
    while rise[last] <= peak / 2:
        last -= 1
    first = place
    while first > earliest and joined[first - 1] and rise[first - 1] > peak / 2:
        first -= 1
    while rise[first] <= peak / 2:
        first += 1
    return first, last


def frame_lengths_s(times_s: Series) -> Series:
    """How long each frame stands: until the next one; the last, and those before a gap, as long as is
    usual."""
    if len(times_s) < 2:
        return np.zeros(len(times_s))
    steps = np.diff(times_s)
    usual = float(np.median(steps))
    return np.append(np.where(steps > c.MAX_STEP_S, usual, steps), usual)


def _rolling_median(times_s: Series, values: Series, window_s: float) -> Series:
    lows = np.searchsorted(times_s, times_s - window_s / 2, side="left")
    highs = np.searchsorted(times_s, times_s + window_s / 2, side="right")
    return np.array([np.median(values[low:high]) for low, high in zip(lows, highs, strict=True)])
