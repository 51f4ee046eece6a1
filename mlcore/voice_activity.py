"""Samples -> when somebody speaks (Silero VAD, as packaged with faster-whisper).

The network is run once a recording; the recogniser, the diarization and the speaking ratio each take their
own intervals from the same probabilities.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import get_vad_model

from mlcore.media import SAMPLE_RATE

FRAME_SAMPLES = 512
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE


@dataclass(frozen=True)
class Interval:
    """A stretch of the recording, seconds from its start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class IntervalOptions:
    """How probabilities become intervals: a hysteresis between `threshold` and `release`, a silence of
    `min_silence_s` that ends an interval, intervals of at most `min_speech_s` left out, and `padding_s` of
    context on both sides (two neighbours share the silence between them where it is shorter)."""

    threshold: float = 0.5
    release: float = 0.35
    min_silence_s: float = 0.3
    min_speech_s: float = 0.2
    padding_s: float = 0.05


SPEECH = IntervalOptions()
"""Tight intervals, for the speaking ratio and for voices. Silero's thresholds; the times are assumptions."""

RECOGNITION = IntervalOptions(min_silence_s=2.0, min_speech_s=0.0, padding_s=0.4)
"""What `faster_whisper` uses with `vad_filter=True`, so that our transcript is the one that it would give."""


@dataclass(frozen=True)
class VoiceActivity:
    """Speech probability of every 32 ms frame, shape (frames,), and the number of samples that were heard."""

    probabilities: npt.NDArray[np.float32]
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / SAMPLE_RATE

    @cached_property
    def speech(self) -> tuple[Interval, ...]:
        return self.intervals(SPEECH)

    def speech_between(self, start_s: float, end_s: float) -> tuple[Interval, ...]:
        """The speech intervals that overlap a stretch of the recording."""
        first = bisect_right(self.speech, start_s, key=lambda interval: interval.end_s)
        last = bisect_left(self.speech, end_s, key=lambda interval: interval.start_s)
        return self.speech[first:last]

    @property
    def speaking_time_s(self) -> float:
        return total_s(self.speech)

    def intervals(self, options: IntervalOptions) -> tuple[Interval, ...]:
        """Speech intervals in order of time, not overlapping; none where nobody speaks."""
        return tuple(
            Interval(start / SAMPLE_RATE, end / SAMPLE_RATE)
            for start, end in self.sample_ranges(options)
            if end > start
        )

    def sample_ranges(self, options: IntervalOptions) -> list[tuple[int, int]]:
        """The same intervals as `[start, end)` in samples."""
        return _padded(self._triggered(options), self.samples, int(options.padding_s * SAMPLE_RATE))

    def _triggered(self, options: IntervalOptions) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        start: int | None = None
        quiet_from: int | None = None
        for position, probability in zip(
            range(0, len(self.probabilities) * FRAME_SAMPLES, FRAME_SAMPLES), self.probabilities, strict=True
        ):
            if probability >= options.threshold:
                start = position if start is None else start
                quiet_from = None
            elif start is not None and probability < options.release:
                quiet_from = position if quiet_from is None else quiet_from
                if position - quiet_from >= options.min_silence_s * SAMPLE_RATE:
                    found.append((start, quiet_from))
                    start = quiet_from = None
        if start is not None:
            found.append((start, self.samples))
        return [pair for pair in found if pair[1] - pair[0] > options.min_speech_s * SAMPLE_RATE]


def detect_voice(samples: npt.NDArray[np.float32]) -> VoiceActivity:
    """Speech probabilities of 16 kHz mono samples in -1..1, shape (n,)."""
    if len(samples) == 0:
        return VoiceActivity(np.zeros(0, dtype=np.float32), 0)
    padded = np.pad(samples.astype(np.float32, copy=False), (0, FRAME_SAMPLES - len(samples) % FRAME_SAMPLES))
    return VoiceActivity(get_vad_model()(padded).reshape(-1).astype(np.float32), len(samples))


def total_s(intervals: Iterable[Interval]) -> float:
    """Summed length of intervals that do not overlap, seconds."""
    return float(sum(interval.duration_s for interval in intervals))


def _padded(ranges: list[tuple[int, int]], samples: int, padding: int) -> list[tuple[int, int]]:
    padded = [[start, end] for start, end in ranges]
    for before, after in pairwise(padded):
        gap = after[0] - before[1]
        share = gap // 2 if gap < 2 * padding else padding
        before[1], after[0] = before[1] + share, after[0] - share
    if padded:
        padded[0][0] = max(0, padded[0][0] - padding)
        padded[-1][1] = min(samples, padded[-1][1] + padding)
    return [(start, min(end, samples)) for start, end in padded]
