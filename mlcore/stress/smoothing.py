"""Probabilities of the levels over time -> a level that does not flicker (DESIGN §5).

A rolling mean over the last five readings; the level changes only past a margin; below a confidence it is marked
*unsure*.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from mlcore.stress.labels import LEVELS, Floats

WINDOW = 5
"""Readings in the mean: the earlier system's (references/stress-analyser.md)."""

MARGIN = 0.08
"""By how much another level's mean probability must be above that of the level shown. *Assumption*."""

UNSURE_BELOW = 0.5
"""A mean probability under this is called unsure: the level shown is then less likely than the others together. Of
FER-2013's held-out faces, one by one, 2.5 % lie below it, of which half were read rightly; the model cards have the
whole risk–coverage curve."""

MAX_AGE_S = 10.0
"""Readings older than this no longer count: after a gap the mean starts anew. *Assumption*: twice the time of five
readings at one a second."""


@dataclass(frozen=True)
class Smoothed:
    """`probabilities` (3,) are the mean over the window, low, medium, high; `confidence` 0-1 is that of `level`."""

    probabilities: Floats
    level: str
    confidence: float
    unsure: bool


class Smoother:
    """The memory of one room or one recording. Not for several threads at once."""

    def __init__(
        self,
        *,
        window: int = WINDOW,
        margin: float = MARGIN,
        unsure_below: float = UNSURE_BELOW,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._recent: deque[tuple[float, Floats]] = deque(maxlen=window)
        self._margin, self._unsure_below, self._max_age_s = margin, unsure_below, max_age_s
        self._level: int | None = None

    def update(self, t_s: float, probabilities: Floats) -> Smoothed:
        """Take in the reading of `t_s`, shape (3,). Readings come in the order of their times."""
        self._forget_before(t_s - self._max_age_s)
        self._recent.append((t_s, np.asarray(probabilities, np.float32)))
        mean = np.stack([reading for _, reading in self._recent]).mean(axis=0)
        self._level = self._next_level(mean)
        confidence = float(mean[self._level])
        return Smoothed(mean, LEVELS[self._level], confidence, confidence < self._unsure_below)

    def reset(self) -> None:
        """Forget everything, as after *clear the smoothing*."""
        self._recent.clear()
        self._level = None

    def _forget_before(self, t_s: float) -> None:
        while self._recent and self._recent[0][0] < t_s:
            self._recent.popleft()
        if not self._recent:
            self._level = None

    def _next_level(self, mean: Floats) -> int:
        likeliest = int(np.argmax(mean))
        if self._level is None or mean[likeliest] > mean[self._level] + self._margin:
            return likeliest
        return self._level
