"""How late media comes: what waited on a slow or broken line arrives at once, and is not what is seen and heard now."""

from __future__ import annotations

from rooms.live import constants as c
from rooms.live.rates import Clock
from rooms.media_messages import Frame, Sound


class Lateness:
    """Of one socket, by the browser's own times since it opened: by how much longer than the quickest one took.

    Clocks need not agree. What counts as quick is forgotten slowly, since a browser's clock stands still while a laptop
    sleeps and would be behind for good.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quickest_s, self._at_s = float("inf"), clock()

    def is_late(self, media: Frame | Sound) -> bool:
        """Too late to be taken for what is there now; never where the browser tells no time (0)."""
        if media.t_ms == 0:
            return False
        now_s = self._clock()
        took_s = now_s - media.t_ms / 1000
        self._quickest_s = min(took_s, self._quickest_s + (now_s - self._at_s) * c.QUICKEST_FORGOTTEN_S_PER_S)
        self._at_s = now_s
        return took_s - self._quickest_s > (c.FRAME_LATE_S if isinstance(media, Frame) else c.SOUND_LATE_S)
