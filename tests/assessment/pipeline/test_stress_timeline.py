"""Predictions -> timeline, shares and intervals, at the bottom, in the middle and at the top."""

from __future__ import annotations

import numpy as np
import pytest

from assessment.pipeline import stress_timeline as timeline
from assessment.pipeline.stress_timeline import BySecond, Step
from mlcore.stress.labels import Floats
from mlcore.stress.predictions import Predictions
from mlcore.stress.smoothing import Smoother
from mlcore.voice_activity import Interval

LOW, MEDIUM, HIGH = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def said(*rows: tuple[float, float, float]) -> Predictions:
    levels = np.array(rows, np.float32)
    emotions = np.zeros((len(rows), 7), np.float32)
    emotions[:, [3, 5, 0]] = levels
    return Predictions(levels, emotions, np.repeat(levels[:, :1], 4, axis=1))


def trust(count: int, value: float = 1.0) -> Floats:
    return np.full(count, value, np.float32)


def faces(times_s: list[float], *rows: tuple[float, float, float]) -> BySecond:
    return timeline.of_moments(times_s, said(*rows), trust(len(rows)))


def steps(*levels: str | None, first_s: float = 0.0, high: float = 0.8) -> list[Step]:
    row = ((1 - high) / 2, (1 - high) / 2, high)
    return [Step(first_s + n, row, ("face",), level) for n, level in enumerate(levels)]


# -- By the second ----------------------------------------------------------------------------


def test_faces_of_one_second_count_as_their_mean() -> None:
    found = timeline.of_moments([2.0, 2.5, 7.9], said(LOW, HIGH, MEDIUM), np.array([1, 0.5, 1], np.float32))
    assert found.seconds == (2, 7)
    np.testing.assert_allclose(found.predictions.probabilities, [[0.5, 0, 0.5], MEDIUM])
    np.testing.assert_allclose(found.predictions.emotions.sum(axis=1), 1)
    np.testing.assert_allclose(found.qualities, [0.75, 1])


def test_windows_speak_for_the_seconds_whose_middle_they_hold() -> None:
    windows = [Interval(0.6, 3.6), Interval(2.6, 5.4)]
    found = timeline.of_windows(windows, said(LOW, HIGH), trust(2))
    assert found.seconds == (1, 2, 3, 4)
    np.testing.assert_allclose(found.predictions.probabilities[:, 2], [0, 0, 0.5, 1])


# -- Together ---------------------------------------------------------------------------------


def test_each_second_is_read_from_what_there_is() -> None:
    asked: list[tuple[int, int]] = []

    def fuse(face: BySecond | None, voice: BySecond | None) -> Floats:
        asked.append((len(face.seconds) if face else 0, len(voice.seconds) if voice else 0))
        part = face or voice
        assert part is not None
        return part.predictions.probabilities

    face = faces([0.0, 1.0, 4.0], LOW, MEDIUM, LOW)
    voice = timeline.of_windows([Interval(1.0, 3.0)], said(HIGH), trust(1))
    found = timeline.fused(face, voice, fuse)
    assert [(step.t_s, step.sources) for step in found] == [
        (0.0, ("face",)),
        (1.0, ("face", "voice")),
        (2.0, ("voice",)),
        (4.0, ("face",)),
    ]
    assert [step.probabilities for step in found] == [LOW, MEDIUM, HIGH, LOW]
    assert sorted(asked) == [(0, 1), (1, 1), (2, 0)]


def test_without_face_and_voice_there_is_no_timeline() -> None:
    assert timeline.fused(None, None, lambda face, voice: pytest.fail("nothing to fuse")) == []


# -- Levels over time -------------------------------------------------------------------------


def test_a_level_follows_the_mean_of_the_last_five() -> None:
    raw = [Step(float(t), LOW if t < 5 else HIGH, ("face",)) for t in range(12)]
    found = timeline.smoothed(raw, Smoother())
    assert [step.level for step in found] == ["low"] * 7 + ["high"] * 5
    assert found[6].probabilities == pytest.approx((0.6, 0.0, 0.4))


def test_an_even_chance_is_called_unsure() -> None:
    (found,) = timeline.smoothed([Step(0.0, (0.36, 0.33, 0.31), ("voice",))], Smoother())
    assert found.level is None
    assert found.probabilities == pytest.approx((0.36, 0.33, 0.31))


@pytest.mark.parametrize(
    ("levels", "shares"),
    [
        (["low"], (1, 0, 0, 0)),
        (["low", "medium", "high", None], (0.25, 0.25, 0.25, 0.25)),
        (["high"] * 3, (0, 0, 1, 0)),
        ([None] * 2, (0, 0, 0, 1)),
    ],
)
def test_shares_of_the_time_sum_to_one(levels: list[str | None], shares: tuple[float, ...]) -> None:
    found = timeline.distribution(steps(*levels))
    assert tuple(found.values()) == shares
    assert tuple(found) == ("low", "medium", "high", "unsure")


@pytest.mark.parametrize("high", [0.34, 0.6, 1.0])
def test_confidence_is_the_mean_of_the_likeliest(high: float) -> None:
    assert timeline.model_confidence(steps("high", "high", high=high)) == pytest.approx(high)


# -- Evidence ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "found"), [(4, 0), (5, 1), (6, 1)])
def test_only_long_stretches_at_high_are_evidence(seconds: int, found: int) -> None:
    levels = ["low", *["high"] * seconds, None]
    intervals = timeline.high_intervals(steps(*levels), min_s=5.0, end_s=60.0)
    assert len(intervals) == found
    if found:
        assert (intervals[0].start_s, intervals[0].end_s) == (1.0, 1.0 + seconds)
        assert intervals[0].value == pytest.approx(0.8)


def test_a_gap_or_another_level_ends_a_stretch() -> None:
    gap = steps(*["high"] * 4) + steps(*["high"] * 4, first_s=6.0)
    assert timeline.high_intervals(gap, min_s=5.0, end_s=60.0) == []
    broken = steps(*["high"] * 4, None, *["high"] * 4)
    assert timeline.high_intervals(broken, min_s=5.0, end_s=60.0) == []


def test_evidence_does_not_outlast_the_recording_and_names_its_sources() -> None:
    held = steps(*["high"] * 6)
    held[3] = Step(3.0, held[3].probabilities, ("voice",), "high")
    (found,) = timeline.high_intervals(held, min_s=5.0, end_s=5.4)
    assert (found.end_s, found.sources) == (5.4, ("face", "voice"))
