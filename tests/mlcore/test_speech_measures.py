from __future__ import annotations

import numpy as np
import pytest

from mlcore.speech import Word
from mlcore.speech_measures import measure_speech, pauses_between
from mlcore.voice_activity import Interval, VoiceActivity

FRAME_S = 0.032


def voice(duration_s: float, *speech: tuple[float, float]) -> VoiceActivity:
    frames = np.zeros(round(duration_s / FRAME_S), dtype=np.float32)
    for start_s, end_s in speech:
        frames[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = 0.99
    return VoiceActivity(frames, len(frames) * 512)


def words(*starts_s: float, length_s: float = 0.3) -> list[Word]:
    return [Word(start_s, start_s + length_s, "word", 0.9) for start_s in starts_s]


def test_without_an_audio_track_nothing_is_measured():
    measured = measure_speech([], None, 30.0)
    assert measured.total_duration_s == 30.0
    assert measured.speaking_time_s is None
    assert measured.speaking_ratio is None
    assert measured.number_of_pauses is None
    assert measured.pauses == ()


@pytest.mark.parametrize("speech", [[], [(2.0, 8.0)]], ids=["silence", "voice_like_sound"])
def test_without_words_nothing_is_measured(speech):
    measured = measure_speech([], voice(30, *speech), 30.0)
    assert measured.speaking_ratio is None
    assert measured.speech_rate_wpm is None
    assert measured.word_count is None


@pytest.mark.parametrize(
    ("speech", "ratio"),
    [((10.0, 10.5), 0.01), ((10.0, 40.0), 0.50), ((0.0, 60.0), 1.0)],
    ids=["bottom", "middle", "top"],
)
def test_the_speaking_ratio_is_voice_activity_over_duration(speech, ratio):
    measured = measure_speech(words(11.0), voice(60, speech), 60.0)
    assert measured.speaking_ratio == pytest.approx(ratio, abs=0.005)
    assert measured.speaking_time_s + measured.silence_time_s == pytest.approx(60.0)


def test_the_ratio_never_passes_one_where_the_sound_is_longer_than_the_video():
    measured = measure_speech(words(1.0), voice(10, (0, 10)), 8.0)
    assert measured.speaking_ratio == 1.0
    assert measured.silence_time_s == 0.0


@pytest.mark.parametrize(("count", "rate"), [(1, 6.0), (25, 150.0), (50, 300.0)])
def test_the_rate_counts_words_per_minute_of_speaking_time(count, rate):
    spoken = words(*np.linspace(10, 19, count))
    measured = measure_speech(spoken, voice(40, (10.05, 19.95)), 40.0)
    assert measured.speech_rate_wpm == pytest.approx(rate, rel=0.02)
    assert measured.word_count == count


def test_the_rate_is_unknown_where_hardly_anything_was_said():
    measured = measure_speech(words(10.0), voice(40, (10.0, 10.5)), 40.0)
    assert measured.speaking_time_s > 0
    assert measured.speech_rate_wpm is None


@pytest.mark.parametrize(("gap_s", "pauses"), [(0.45, 0), (0.55, 1), (2.0, 1)])
def test_a_pause_is_half_a_second_or_more_between_words(gap_s, pauses):
    assert len(pauses_between(words(0.0, 0.3 + gap_s))) == pauses


def test_a_stretched_word_is_cut_to_a_second_and_a_half_first():
    spoken = [Word(1.0, 6.0, "end", 0.9), Word(6.0, 6.3, "next", 0.9)]
    assert pauses_between(spoken) == (Interval(2.5, 6.0),)


def test_silence_before_the_first_and_after_the_last_word_is_no_pause():
    assert pauses_between(words(10.0)) == ()


def test_a_word_within_a_longer_one_opens_no_pause():
    spoken = [Word(0.0, 1.4, "a", 0.9), Word(0.1, 0.3, "b", 0.9), Word(1.5, 1.8, "c", 0.9)]
    assert pauses_between(spoken) == ()


def test_long_pauses_are_those_of_three_seconds_or_more():
    measured = measure_speech(words(0.0, 3.2, 6.6), voice(10, (0, 7)), 10.0)
    assert measured.number_of_pauses == 2
    assert [pause.start_s for pause in measured.long_pauses] == [pytest.approx(3.5)]
