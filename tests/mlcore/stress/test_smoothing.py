from __future__ import annotations

import numpy as np
import pytest

from mlcore.stress.smoothing import Smoother


def levels(smoother: Smoother, readings: list[tuple[float, float, float]]) -> list[str]:
    return [smoother.update(float(t), np.array(row, np.float32)).level for t, row in enumerate(readings)]


LOW, HIGH = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)


def test_the_first_reading_is_shown_as_it_is():
    smoothed = Smoother().update(0.0, np.array(LOW, np.float32))
    assert smoothed.level == "low"
    assert smoothed.probabilities == pytest.approx(LOW)
    assert smoothed.confidence == pytest.approx(0.8)
    assert not smoothed.unsure


def test_the_mean_runs_over_the_last_five_readings():
    smoother = Smoother()
    for t in range(5):
        smoother.update(float(t), np.array(LOW, np.float32))
    smoothed = [smoother.update(5.0 + t, np.array(HIGH, np.float32)) for t in range(5)]
    assert smoothed[0].probabilities == pytest.approx([0.66, 0.1, 0.24], abs=1e-6)
    assert smoothed[-1].probabilities == pytest.approx(HIGH, abs=1e-6)


def test_one_outlier_does_not_change_the_level():
    assert levels(Smoother(), [LOW, LOW, HIGH, LOW, LOW, LOW]) == ["low"] * 6


def test_a_level_that_lasts_is_taken_over():
    assert levels(Smoother(), [LOW] * 5 + [HIGH] * 5)[-2:] == ["high", "high"]


def test_levels_that_are_close_do_not_flicker():
    close = [(0.46, 0.08, 0.46 + 0.02 * (-1) ** t) for t in range(20)]
    assert set(levels(Smoother(), close)) == {"high"}
    assert set(levels(Smoother(margin=0.0, window=1), close)) == {"high", "low"}


def test_a_level_changes_exactly_past_the_margin():
    smoother = Smoother(window=1, margin=0.125)
    assert levels(smoother, [(0.5, 0.0, 0.5), (0.4375, 0.0, 0.5625), (0.4, 0.0, 0.6)]) == [
        "low",
        "low",
        "high",
    ]


def test_a_low_confidence_is_called_unsure():
    smoothed = Smoother(unsure_below=0.5).update(0.0, np.array([0.4, 0.3, 0.3], np.float32))
    assert smoothed.unsure
    assert smoothed.level == "low"


def test_readings_from_before_a_gap_do_not_count():
    smoother = Smoother(max_age_s=10.0)
    for t in range(5):
        smoother.update(float(t), np.array(LOW, np.float32))
    after = smoother.update(60.0, np.array(HIGH, np.float32))
    assert after.level == "high"
    assert after.probabilities == pytest.approx(HIGH)


def test_a_reset_forgets():
    smoother = Smoother()
    levels(smoother, [LOW] * 5)
    smoother.reset()
    assert smoother.update(5.0, np.array(HIGH, np.float32)).level == "high"


def test_two_smoothers_know_nothing_of_each_other():
    one, other = Smoother(), Smoother()
    levels(one, [LOW] * 5)
    assert levels(other, [HIGH]) == ["high"]
    assert levels(one, [LOW]) == ["low"]
