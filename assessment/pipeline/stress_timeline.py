"""What the models say about faces and stretches of speech -> a timeline in seconds, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlcore.stress.labels import LEVELS, Floats
from mlcore.stress.predictions import Predictions
from mlcore.stress.smoothing import Smoother
from mlcore.voice_activity import Interval

STEP_S = 1.0
Source = Literal["face", "voice"]


@dataclass(frozen=True)
class BySecond:
    """Predictions for some seconds of the recording, one a row; `seconds` in rising order. `qualities` (n,), 0 to 1."""

    seconds: tuple[int, ...]
    predictions: Predictions
    qualities: Floats

    def at(self, seconds: Sequence[int]) -> BySecond:
        rows = np.searchsorted(self.seconds, seconds)
        return BySecond(tuple(seconds), _picked(self.predictions, rows), self.qualities[rows])


@dataclass(frozen=True)
class Step:
    """One second from `t_s` on. `probabilities` are low, medium, high; `level` is None where the model is unsure."""

    t_s: float
    probabilities: tuple[float, float, float]
    sources: tuple[Source, ...]
    level: str | None = None


@dataclass(frozen=True)
class HighInterval:
    """`value` is the mean probability of high in it; `sources` what any of its seconds rests on."""

    start_s: float
    end_s: float
    value: float
    sources: tuple[Source, ...]


def of_moments(times_s: Sequence[float], predictions: Predictions, qualities: Floats) -> BySecond:
    """The mean of what was seen within each second. One time and one quality for each prediction."""
    return _means([(int(t_s), index) for index, t_s in enumerate(times_s)], predictions, qualities)


def of_windows(windows: Sequence[Interval], predictions: Predictions, qualities: Floats) -> BySecond:
    """For each second whose middle lies in a window, the mean of the windows that hold it."""
    pairs = [
        (second, index)
        for index, window in enumerate(windows)
        for second in range(int(window.start_s), int(np.ceil(window.end_s)))
        if window.start_s <= second + STEP_S / 2 < window.end_s
    ]
    return _means(pairs, predictions, qualities)


def _means(pairs: list[tuple[int, int]], predictions: Predictions, qualities: Floats) -> BySecond:
    """`pairs` of a second and a row that counts in it; a row may count in several."""
    pairs = sorted(pairs)
    rows = np.array([row for _, row in pairs], np.intp)
    seconds, starts, counts = np.unique(
        [second for second, _ in pairs], return_index=True, return_counts=True
    )

    def means(values: Floats) -> Floats:
        sums = np.add.reduceat(values[rows], starts, axis=0)
        return np.asarray(sums / counts.reshape(-1, *[1] * (values.ndim - 1)), np.float32)

    joined = Predictions(
        means(predictions.probabilities), means(predictions.emotions), means(predictions.embeddings)
    )
    return BySecond(tuple(seconds.tolist()), joined, means(qualities))


def _picked(predictions: Predictions, rows: npt.NDArray[np.intp]) -> Predictions:
    return Predictions(
        predictions.probabilities[rows], predictions.emotions[rows], predictions.embeddings[rows]
    )


Fuse = Callable[[BySecond | None, BySecond | None], Floats]
"""Of the same n seconds -> probabilities, shape (n, 3); either may be None."""


def fused(face: BySecond | None, voice: BySecond | None, fuse: Fuse) -> list[Step]:
    """Every second in which there is a face or a voice, in order."""
    seen = set(face.seconds) if face else set()
    heard = set(voice.seconds) if voice else set()
    parts: tuple[tuple[set[int], tuple[Source, ...]], ...] = (
        (seen & heard, ("face", "voice")),
        (seen - heard, ("face",)),
        (heard - seen, ("voice",)),
    )
    steps: list[Step] = []
    for seconds, sources in parts:
        if seconds:
            steps += _steps(sorted(seconds), sources, face, voice, fuse)
    return sorted(steps, key=lambda step: step.t_s)


def _steps(
    seconds: Sequence[int],
    sources: tuple[Source, ...],
    face: BySecond | None,
    voice: BySecond | None,
    fuse: Fuse,
) -> list[Step]:
    face = face.at(seconds) if face and "face" in sources else None
    voice = voice.at(seconds) if voice and "voice" in sources else None
    rows = fuse(face, voice).tolist()
    return [Step(second * STEP_S, tuple(row), sources) for second, row in zip(seconds, rows, strict=True)]


def smoothed(steps: Iterable[Step], smoother: Smoother) -> list[Step]:
    """Rolling mean, and a level that changes only past a margin (DESIGN section 5); none where it is unsure."""
    found = []
    for step in steps:
        smooth = smoother.update(step.t_s, np.asarray(step.probabilities, np.float32))
        low, medium, high = smooth.probabilities.tolist()
        level = None if smooth.unsure else smooth.level
        found.append(replace(step, probabilities=(low, medium, high), level=level))
    return found


def distribution(steps: Sequence[Step]) -> dict[str, float]:
    """Shares of the timeline by level, and `unsure`; they sum to one."""
    levels = [step.level or "unsure" for step in steps]
    return {name: levels.count(name) / len(levels) for name in (*LEVELS, "unsure")}


def model_confidence(steps: Sequence[Step]) -> float:
    """Mean probability of the likeliest level."""
    return sum(max(step.probabilities) for step in steps) / len(steps)


def high_intervals(steps: Iterable[Step], *, min_s: float, end_s: float) -> list[HighInterval]:
    """Seconds on end at level high, where they last for `min_s` or more; the recording ends at `end_s`."""
    found: list[list[Step]] = []
    for step in steps:
        if step.level != "high":
            continue
        if found and step.t_s - found[-1][-1].t_s <= STEP_S:
            found[-1].append(step)
        else:
            found.append([step])
    intervals = [_interval(run, end_s) for run in found]
    return [one for one in intervals if one.end_s - one.start_s >= min_s]


def _interval(run: Sequence[Step], end_s: float) -> HighInterval:
    heard: set[str] = {source for step in run for source in step.sources}
    sources: tuple[Source, ...] = tuple(source for source in ("face", "voice") if source in heard)  # type: ignore[misc]
    value = sum(step.probabilities[LEVELS.index("high")] for step in run) / len(run)
    return HighInterval(run[0].t_s, min(run[-1].t_s + STEP_S, end_s), value, sources)
