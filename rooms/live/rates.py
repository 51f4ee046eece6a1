"""How much of something may come."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds that never go back, as `time.monotonic`."""


class TokenBucket:
    """`per_s` in the long run, `burst` at once."""

    def __init__(self, per_s: float, burst: float, clock: Clock) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._there = burst
        self._at_s = clock()

    def take(self, amount: float = 1.0) -> bool:
        """False where it would be too much; nothing is taken then."""
        now_s = self._clock()
        self._there = min(self._burst, self._there + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._there + 1e-9:
            return False
        self._there -= amount
        return True
