"""What the voice model is given to hear."""

from __future__ import annotations

import numpy as np
import pytest

from assessment.pipeline import stress_windows
from mlcore.speakers import Turn
from mlcore.voice_activity import FRAME_SAMPLES, Interval, VoiceActivity
from tests.media_factory import noise


def spans(*turns: tuple[float, float, int]) -> list[tuple[float, float]]:
    found = stress_windows.of_main_voice([Turn(*turn) for turn in turns])
    return [(window.start_s, window.end_s) for window in found]


def speaking(seconds: float) -> VoiceActivity:
    samples = int(seconds * 16_000)
    return VoiceActivity(np.ones(-(-samples // FRAME_SAMPLES), np.float32), samples)


@pytest.mark.parametrize(
    ("turn", "windows"),
    [
        ((1.0, 2.5, 0), [(1.0, 2.5)]),
        ((1.0, 4.0, 0), [(1.0, 4.0)]),
        ((1.0, 6.0, 0), [(1.0, 4.0), (3.0, 6.0)]),
        ((0.0, 8.0, 0), [(0.0, 3.0), (pytest.approx(5 / 3), pytest.approx(14 / 3)),
                         (pytest.approx(10 / 3), pytest.approx(19 / 3)), (5.0, 8.0)]),
    ],
)  # fmt: skip
def test_windows_reach_from_edge_to_edge_of_a_stretch(turn, windows) -> None:
    assert spans(turn) == windows


def test_short_pauses_are_spoken_over_and_long_ones_are_not() -> None:
    assert spans((0.0, 1.5, 0), (2.0, 3.0, 0)) == [(0.0, 3.0)]
    assert spans((0.0, 2.0, 0), (3.5, 6.0, 0)) == [(0.0, 2.0), (3.5, 6.0)]


def test_only_the_voice_that_speaks_longest_is_heard() -> None:
    found = spans((0.0, 2.5, 0), (2.5, 3.0, 1), (3.0, 5.5, 0), (6.0, 9.0, 1), (9.2, 11.5, 0))
    assert found == [(0.0, 2.5), (3.0, 5.5), (9.2, 11.5)]


def test_without_turns_nothing_is_heard() -> None:
    assert stress_windows.of_main_voice([]) == []


def test_windows_that_cannot_be_read_are_counted_by_their_cause() -> None:
    loud = np.sign(noise(3.0, level=1.0))
    samples = np.concatenate([noise(3.0, level=0.1), np.zeros(48_000, np.float32), loud, noise(1.5)])
    windows = [Interval(0, 3), Interval(3, 6), Interval(6, 9), Interval(9, 10.5)]
    found = stress_windows.readable(samples, speaking(10.5), windows)
    assert found.windows == (Interval(0, 3),)
    assert found.speech_s == pytest.approx([3.0])
    assert found.quality == {"ok": 1, "silent": 1, "clipped": 1, "too_short": 1}


def test_sound_that_is_clipped_below_full_scale_is_left_out_too() -> None:
    flattened = np.clip(noise(3.0, level=1.0), -0.4, 0.4)
    found = stress_windows.readable(flattened, speaking(3.0), [Interval(0, 3)])
    assert (found.windows, dict(found.quality)) == ((), {"clipped": 1})


def test_a_window_without_speech_is_left_out() -> None:
    quiet = VoiceActivity(np.zeros(94, np.float32), 48_000)
    found = stress_windows.readable(noise(3.0), quiet, [Interval(0, 3)])
    assert (found.windows, dict(found.quality)) == ((), {"not_speaking": 1})
