"""How quickly results come, and how often frames and windows of sound are to come then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from rooms.live import constants as c
from rooms.live.rates import Clock


@dataclass
class Counts:
    """What was not used, by reason."""

    replaced: int = 0
    too_fast: int = 0
    late: int = 0
    without_consent: int = 0
    thrown_away: int = 0
    """Results that came back after consent, room or smoothing had changed."""
    failed: int = 0

    @property
    def dropped(self) -> int:
        """As shown to the interviewer: what was allowed and could not be used."""
        return self.replaced + self.too_fast + self.late + self.failed


@dataclass
class Pace:
    """`interval_ms`: how often frames are to come; `step_s`: how often a window of sound is listened to."""

    clock: Clock
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=c.LATENCIES))
    _place: int = 0
    _changed_s: float = float("-inf")
    _slow_s: float = float("-inf")
    _late_s: float = float("-inf")
    _failing: bool = False

    @property
    def interval_ms(self) -> int:
        return c.FRAME_INTERVALS_MS[self._place]

    @property
    def latency_ms(self) -> float | None:
        return median(self._latencies_ms) if self._latencies_ms else None

    @property
    def delayed(self) -> bool:
        """The inference is away, busy or slow."""
        return self._failing or (self.latency_ms or 0.0) > c.DELAYED_MS

    @property
    def step_s(self) -> float:
        """How much new sound makes a window."""
        return c.LATE_STEP_S if self.clock() - self._late_s < c.QUICKER_AFTER_S else c.STEP_S

    def succeeded(self, latency_ms: float) -> None:
        self._failing = False
        self._latencies_ms.append(latency_ms)
        if len(self._latencies_ms) >= 3 and median(self._last_three()) > c.LATE_MS:
            self._late_s = self.clock()
        if latency_ms > c.SLOW_MS:
            self._slow_s = self.clock()

    def failed(self) -> None:
        self._failing = True
        self._slow_s = self._late_s = self.clock()

    def changed(self) -> bool:
        """Whether `interval_ms` became another one just now."""
        place = self._wanted()
        if place == self._place:
            return False
        self._place, self._changed_s = place, self.clock()
        return True

    def _wanted(self) -> int:
        now_s = self.clock()
        recent = self._last_three()
        slow = self._failing or (bool(recent) and median(recent) > c.SLOW_MS)
        if slow and now_s - self._changed_s >= c.SLOWER_AFTER_S:
            return min(self._place + 1, len(c.FRAME_INTERVALS_MS) - 1)
        quick = not self._failing and now_s - max(self._slow_s, self._changed_s) >= c.QUICKER_AFTER_S
        if quick and recent and median(recent) < c.QUICK_MS:
            return 0
        return self._place

    def _last_three(self) -> list[float]:
        return list(self._latencies_ms)[-3:]
