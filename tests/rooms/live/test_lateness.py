"""What waited on a broken line is not taken for what is there now."""

from __future__ import annotations

from rooms.live import constants as c
from rooms.live.lateness import Lateness
from rooms.media_messages import Frame, Sound
from tests.rooms.live.scripted import Clock


def frame(t_s: float) -> Frame:
    return Frame(round(t_s * 1000), b"jpeg")


def test_what_was_held_up_is_late_and_what_follows_is_not() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    for second in range(1, 5):
        clock.now_s += 1
        assert not lateness.is_late(frame(second))
    clock.now_s += 8  # nothing gets through, then all of it at once
    assert [lateness.is_late(frame(second)) for second in range(5, 13)] == [True] * 4 + [False] * 4
    sounds = [lateness.is_late(Sound(second * 1000, b"pcm")) for second in range(5, 13)]
    assert sounds == [True] * 2 + [False] * 6


def test_only_differences_count_not_the_clocks_themselves() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    for second in range(1, 200):
        clock.now_s += 1
        assert not lateness.is_late(frame(5000 + second * 0.97))  # far ahead, and slow


def test_a_laptop_that_slept_is_made_up_for() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    assert not lateness.is_late(frame(1))
    clock.now_s += 10  # and the browser's clock stood still
    late = []
    for second in range(2, 250):
        clock.now_s += 1
        late.append(lateness.is_late(frame(second)))
    assert late[0]
    assert sum(late) <= 10 / c.QUICKEST_FORGOTTEN_S_PER_S
    assert not any(late[-20:])


def test_without_a_time_nothing_is_late() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    assert not lateness.is_late(frame(30))
    clock.now_s += 100
    assert not lateness.is_late(frame(0))
