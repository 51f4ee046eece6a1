"""The last seconds of sound, in a fixed amount of memory."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rooms.media_messages import SAMPLE_RATE

Samples = npt.NDArray[np.int16]
FULL_SCALE = 32768.0


class Ring:
    """Holds up to `seconds` of 16 kHz samples; the oldest go first."""

    def __init__(self, seconds: float) -> None:
        self._held = np.zeros(round(seconds * SAMPLE_RATE), np.int16)
        self._next = self._filled = 0

    @property
    def seconds(self) -> float:
        return self._filled / SAMPLE_RATE

    def append(self, pcm: bytes) -> None:
        """PCM s16le of an even number of bytes."""
        new = np.frombuffer(pcm, "<i2")[-len(self._held) :]
        until_end = min(len(new), len(self._held) - self._next)
        self._held[self._next : self._next + until_end] = new[:until_end]
        self._held[: len(new) - until_end] = new[until_end:]
        self._next = (self._next + len(new)) % len(self._held)
        self._filled = min(len(self._held), self._filled + len(new))

    def last(self, seconds: float) -> Samples:
        """A copy of up to the last `seconds`, oldest first."""
        wanted = min(self._filled, round(seconds * SAMPLE_RATE))
        first = self._next - wanted
        if first >= 0:
            return self._held[first : self._next].copy()
        return np.concatenate([self._held[first:], self._held[: self._next]])

    def clear(self) -> None:
        self._held[:] = 0  # what somebody said is not kept a moment longer than it counts
        self._next = self._filled = 0


def level_dbfs(samples: Samples) -> float:
    """Root mean square in dB of full scale; −inf for nothing at all."""
    if not len(samples):
        return -math.inf
    mean_square = float(np.mean(np.square(samples.astype(np.float32) / FULL_SCALE)))
    return 10 * math.log10(mean_square) if mean_square > 0 else -math.inf
