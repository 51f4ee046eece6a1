"""Sound at other rates than 16 kHz, piece by piece, without a click at the seams (soxr's streaming resampler)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rooms.media_messages import SAMPLE_RATE, Sound


class Resampler:
    """One stream. A change of the rate begins it anew; `clear` forgets what it holds back for its filter."""

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._stream: Any = None

    def take(self, sound: Sound) -> bytes:
        """What the piece comes to at 16 kHz, s16le. The filter's length, some 10 ms, comes with the next piece."""
        if sound.rate == SAMPLE_RATE:
            return sound.pcm
        if self._stream is None or sound.rate != self._rate:
            self._begin(sound.rate)
        resampled = self._stream.resample_chunk(np.frombuffer(sound.pcm, "<i2").astype(np.int16))
        return bytes(resampled.astype("<i2").tobytes())

    def _begin(self, rate: int) -> None:
        import soxr

        self._rate = rate
        self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="int16", quality="HQ")

    def clear(self) -> None:
        self._stream = None
