"""Ring, buckets, speech metrics, confidence, alerts, suggestions and words, each by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from rooms.live import constants as c
from rooms.live import words
from rooms.live.alerts import Held, Raised, Watch
from rooms.live.confidence import (
    EyeContact,
    Loudness,
    candidate_confidence,
    pause_score,
    rate_score,
    voice_confidence,
    weighted,
)
from rooms.live.flow import Pace
from rooms.live.hearing import Ears
from rooms.live.rates import TokenBucket
from rooms.live.recommendations import Adviser, State
from rooms.live.ring import Ring, level_dbfs
from rooms.live.speech_metrics import Piece, SpeechLog, SpeechMetrics
from tests.rooms.live.scripted import Clock, heard, looked, silence, tone

FACE, BOTH = frozenset({"face"}), frozenset({"face", "voice"})


def metrics(**changes: Any) -> SpeechMetrics:
    values: dict[str, Any] = {
        "t_s": 100.0,
        "measured_s": 30.0,
        "speech_s": 20.0,
        "rate": 4.5,
        "words_per_minute": 150,
        "speech_share": 0.67,
        "pauses_s": (),
    }
    return SpeechMetrics(**values | changes)


def kinds(raised: list[Raised]) -> list[str]:
    return [alert.kind for alert in raised]


# -- Ring and buckets ---------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3000), max_size=20), st.integers(1, 2500))
def test_the_ring_holds_the_newest_samples_in_order(lengths: list[int], wanted: int) -> None:
    ring = Ring(1000 / 16_000)
    whole = np.arange(sum(lengths), dtype=np.int16)
    place = 0
    for length in lengths:
        ring.append(whole[place : place + length].tobytes())
        place += length
    held = ring.last(wanted / 16_000)
    expected = whole[-min(1000, wanted) :]
    assert np.array_equal(held, expected)


def test_a_cleared_ring_holds_nothing() -> None:
    ring = Ring(2.0)
    ring.append(tone(1.0).pcm)
    ring.clear()
    assert ring.seconds == 0
    assert not ring._held.any()


def test_levels() -> None:
    assert level_dbfs(np.zeros(100, np.int16)) == -math.inf
    assert level_dbfs(np.zeros(0, np.int16)) == -math.inf
    full = np.frombuffer(tone(1.0, 1.0).pcm, np.int16)
    assert level_dbfs(full) == pytest.approx(-3.01, abs=0.02)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(40, 80, clock)
    assert sum(bucket.take() for _ in range(1000)) == 80
    clock.now_s += 1
    assert sum(bucket.take() for _ in range(1000)) == 40
    clock.now_s += 1000
    assert sum(bucket.take() for _ in range(1000)) == 80


def test_a_gap_in_the_sound_begins_a_new_window() -> None:
    ears = Ears()
    assert ears.take(tone(1.5), 0.0, 10.0) is None
    assert ears.take(tone(1.5), 5.0, 15.0) is None
    window = ears.take(tone(0.5), 5.5, 15.5)
    assert window is not None
    assert len(window.samples) == 2 * 16_000
    assert (window.end_s, window.new_s) == (15.5, 2.0)


def test_jitter_of_the_network_makes_no_gaps_between_windows() -> None:
    ears, windows = Ears(), []
    jitter = (0.0, 0.4, -0.3, 0.2)
    for number in range(80):
        at_s = number * 0.25 + jitter[number % 4]
        window = ears.take(tone(0.25), at_s, at_s)
        windows += [window] if window else []
    ends = [window.end_s for window in windows]
    assert np.allclose(np.diff(ends), 2.0)


def test_while_results_come_late_windows_follow_one_another_and_nothing_is_left_out() -> None:
    ears, pieces = Ears(), []
    for number in range(1, 81):
        at_s = number * 0.25
        window = ears.take(tone(0.25), at_s, at_s, c.LATE_STEP_S)
        pieces += [window.silence()] if window else []
    assert [(piece.start_s, piece.end_s) for piece in pieces] == [(3.0 * n, 3.0 * n + 3.0) for n in range(6)]


def test_voice_gives_way_before_frames_do_and_comes_back_later() -> None:
    clock = Clock()
    pace = Pace(clock)
    for latency_ms in (90.0, 900.0, 120.0, 110.0):  # a single late one
        pace.succeeded(latency_ms)
    assert pace.step_s == c.STEP_S
    for _ in range(3):
        pace.succeeded(c.LATE_MS + 100)
    assert (pace.step_s, pace.changed(), pace.interval_ms) == (c.LATE_STEP_S, False, 1000)
    for _ in range(3):
        pace.succeeded(90.0)
    assert pace.step_s == c.LATE_STEP_S
    clock.now_s += c.QUICKER_AFTER_S
    assert pace.step_s == c.STEP_S
    pace.failed()
    assert pace.step_s == c.LATE_STEP_S


def test_a_window_gives_only_what_is_new_and_knows_silence() -> None:
    ears = Ears()
    ears.take(tone(2.0), 0.0, 2.0)
    window = ears.take(silence(2.0), 2.0, 4.0)
    assert window is not None
    assert not window.silent
    piece = window.piece(heard(speech=((0.0, 1.0), (1.5, 2.0)), syllables_s=(0.5, 1.2, 2.9)))
    assert piece == Piece(2.0, 4.0, ((2.5, 3.0),), (2.2, 3.9))
    quiet = ears.take(silence(3.0), 4.0, 7.0)
    assert quiet is not None
    assert quiet.silent


# -- Speech metrics -----------------------------------------------------------------------------


def log_of(*pieces: Piece, language: str = "en") -> SpeechLog:
    log = SpeechLog(language)
    for piece in pieces:
        log.add(piece)
    return log


def test_rate_share_and_pauses() -> None:
    log = log_of(
        Piece(0, 10, ((0, 4), (5, 8)), tuple(np.arange(0, 4, 0.25)) + tuple(np.arange(5, 8, 0.25))),
        Piece(10, 20, ((10, 15),), tuple(np.arange(10, 15, 0.25))),
    )
    found = log.metrics(20.0)
    assert found is not None
    assert found.rate == pytest.approx(4.0)
    assert found.speech_share == pytest.approx(0.6)
    assert found.pauses_s == pytest.approx((1.0, 2.0))
    assert found.longest_pause_s == pytest.approx(2.0)
    assert found.words_per_minute == round(240 / 1.45)
    assert found.message()["window_s"] == 30.0


@pytest.mark.parametrize(("language", "words_per_minute"), [("en", 166), ("id", 100), ("auto", None)])
def test_words_a_minute_need_the_language(language: str, words_per_minute: int | None) -> None:
    found = log_of(Piece(0, 10, ((0, 10),), tuple(np.arange(0, 10, 0.25))), language=language).metrics(10.0)
    assert found is not None
    assert found.words_per_minute == words_per_minute


def test_the_other_side_s_turn_is_no_pause() -> None:
    found = log_of(Piece(0, 20, ((0, 4), (4.3, 6), (11.1, 15), (20, 20)), ())).metrics(20.0)
    assert found is not None
    assert found.pauses_s == ()


def test_a_gap_in_the_capture_is_no_pause_and_no_time() -> None:
    found = log_of(Piece(0, 4, ((0, 4),), ()), Piece(6, 10, ((6, 10),), ())).metrics(10.0)
    assert found is not None
    assert found.pauses_s == ()
    assert found.measured_s == 8.0
    assert found.speech_share == 1.0


def test_each_second_counts_once() -> None:
    found = log_of(Piece(0, 3, ((0, 3),), (0.5, 2.5)), Piece(2, 5, ((2, 5),), (2.5, 4.5))).metrics(5.0)
    assert found is not None
    assert found.measured_s == 5.0
    assert found.speech_s == 5.0
    assert found.rate == pytest.approx(3 / 5)


def test_the_window_has_a_bottom_and_a_top() -> None:
    log = log_of(*(Piece(at, at + 2, ((at, at + 2),), (at + 1.0,)) for at in range(0, 100, 2)))
    found = log.metrics(100.0)
    assert found is not None
    assert found.measured_s == 30.0
    assert len(log._pieces) <= 16
    assert log.metrics(200.0) is None


def test_too_little_speech_gives_no_rate_and_nothing_gives_nothing() -> None:
    found = log_of(Piece(0, 10, ((0, 2.9),), (0.1, 0.2))).metrics(10.0)
    assert found is not None
    assert (found.rate, found.words_per_minute) == (None, None)
    assert found.message()["rate"] is None
    assert log_of().metrics(10.0) is None


# -- Confidence ---------------------------------------------------------------------------------


def test_weights_are_spread_over_what_is_there() -> None:
    index = candidate_confidence(0.5, None, 0.2)
    assert index.value == pytest.approx(100 * (0.35 * 0.5 + 0.30 * 0.8) / 0.65)
    assert index.parts == {"eye_contact": 0.5, "fluency": None, "calm": 0.8}
    assert candidate_confidence(None, None, None).value is None
    assert sum(c.WEIGHTS.values()) == pytest.approx(1)
    assert sum(c.VOICE_WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("rate", "score"), [(1.0, 0), (1.5, 0), (2.5, 0.5), (3.5, 1), (5, 1), (6, 1), (7.25, 0.5), (9, 0)]
)
def test_rate_score(rate: float, score: float) -> None:
    assert rate_score(metrics(rate=rate)) == pytest.approx(score)


@pytest.mark.parametrize(
    ("pauses_s", "score"), [((), 1.0), ((2.5, 2.5), 0.6), ((5.0,) * 4, 0.0), ((5.0,) * 6, 0.0)]
)
def test_pause_score(pauses_s: tuple[float, ...], score: float) -> None:
    assert pause_score(metrics(pauses_s=pauses_s)) == pytest.approx(score)


def test_voice_confidence_needs_speech_and_compares_to_the_person_s_own() -> None:
    assert voice_confidence(None, 1.0).value is None
    assert voice_confidence(metrics(speech_s=4.9), 1.0).value is None
    assert voice_confidence(metrics(), None).value == pytest.approx(100)
    assert voice_confidence(metrics(), 0.0).value == pytest.approx(70)


def test_loudness_is_relative_to_the_first_twenty_seconds() -> None:
    loudness = Loudness()
    for at in range(10):
        loudness.add(at * 2.0, 2.0, -30.0)
        assert loudness.score(at * 2.0) is None
    for louder_db, score in ((0.0, 0.75), (3.0, 1.0), (20.0, 1.0), (-9.0, 0.0), (-3.0, 0.5)):
        loudness._recent.clear()
        loudness.add(50.0, 2.0, -30.0 + louder_db)
        assert loudness.score(50.0) == pytest.approx(score)
    assert loudness.score(90.0) is None


def test_eye_contact_is_a_share_of_the_last_quarter_minute() -> None:
    eyes = EyeContact()
    for at, look in enumerate((True, True, None, False, True)):
        eyes.add(float(at), look)
    assert eyes.share(4.0) == 0.75
    assert eyes.share(16.5) is None


@given(
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 12),
    st.floats(0, 30),
    st.lists(st.floats(0.5, 5), max_size=8),
)
def test_indexes_stay_within_0_and_100(
    eyes: float | None, high: float | None, rate: float | None, speech_s: float, pauses_s: list[float]
) -> None:
    speech = metrics(rate=rate, speech_s=speech_s, pauses_s=tuple(pauses_s))
    for index in (candidate_confidence(eyes, speech, high), voice_confidence(speech, eyes)):
        assert index.value is None or 0 <= index.value <= 100.000001
        assert (index.value is None) == all(part is None for part in index.parts.values())


def test_no_part_no_index() -> None:
    assert weighted(dict.fromkeys(c.WEIGHTS), c.WEIGHTS).value is None


# -- Alerts -------------------------------------------------------------------------------------


def test_held_counts_observed_time_alone() -> None:
    held = Held()
    for at_s in (0, 1, 2):
        held.observe(at_s, True, FACE)
    assert held.seconds == 2
    held.observe(3, None, FACE)
    held.observe(4, True, BOTH)
    assert held.seconds == 2
    held.observe(5, True, FACE)
    assert (held.seconds, held.sources) == (3, BOTH)
    held.observe(10, True, FACE)
    assert held.seconds == 3
    held.observe(11, False, FACE)
    assert (held.seconds, held.sources) == (0, frozenset())


def test_a_long_gap_begins_anew() -> None:
    held = Held()
    held.observe(0, True, FACE)
    held.observe(4, True, FACE)
    held.observe(20, True, FACE)
    assert held.seconds == 0


def test_faces() -> None:
    watch = Watch()
    assert kinds(watch.looked(0, looked(count=2))) == []
    assert kinds(watch.looked(1, looked(count=2))) == []
    assert kinds(watch.looked(2, looked(count=2))) == ["second_face"]
    assert kinds(watch.looked(3, looked(count=2))) == []
    for at_s in range(4, 9):
        assert kinds(watch.looked(at_s, looked(detected=False, count=0))) == []
    assert kinds(watch.looked(9, looked(detected=False, count=0))) == ["no_face"]


def test_a_second_voice_takes_two_windows_in_a_row() -> None:
    watch, far, near = Watch(), heard(other_voice=0.5), heard(other_voice=0.2)
    assert kinds(watch.heard(0, far)) == []
    assert kinds(watch.heard(2, near)) == []
    assert kinds(watch.heard(4, far)) == []
    assert kinds(watch.heard(6, heard())) == []
    assert kinds(watch.heard(8, far)) == ["second_voice"]
    assert kinds(watch.heard(30, far)) == []
    assert kinds(watch.heard(90, far)) == []
    assert kinds(watch.heard(92, far)) == ["second_voice"]


def test_confidence_low_for_its_time() -> None:
    watch = Watch()
    raised: list[str] = []
    for at_s in range(47):
        raised += kinds(watch.judged(at_s, high=False, confidence=39.9, voice_confidence=None, sources=BOTH))
        assert raised == ([] if at_s < 45 else ["low_confidence"])
    raised = []
    for at_s in range(100, 132):
        raised += kinds(watch.judged(at_s, high=None, confidence=40, voice_confidence=34.9, sources=BOTH))
    assert raised == ["low_voice_confidence"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rate": 7.1}, ["fast_speech"]),
        ({"rate": 7.0}, []),
        ({"rate": 1.9}, ["slow_speech"]),
        ({"rate": 2.0}, []),
        ({"rate": None}, []),
        ({"rate": 9.0, "speech_s": 9.9}, []),
        ({"pauses_s": (3.0, 3.5)}, ["long_pauses"]),
        ({"pauses_s": (3.5, 2.9)}, []),
    ],
)
def test_speech_alerts(changes: dict[str, Any], expected: list[str]) -> None:
    assert kinds(Watch().spoke(metrics(**changes))) == expected


# -- Suggestions and words ----------------------------------------------------------------------


def test_suggestions_take_turns_once_a_minute() -> None:
    adviser = Adviser()
    state = {"high_s": 40.0, "low_confidence_s": 50.0}
    assert adviser.advise(State(100.0, **state)) == "offer_break"
    assert adviser.advise(State(159.0, **state)) is None
    assert adviser.advise(State(160.0, **state)) == "easier_question"
    assert adviser.advise(State(220.0, **state)) == "offer_break"
    assert adviser.advise(State(400.0)) is None


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"second_face_s": 3.0}, "ask_who"),
        ({"no_face_s": 6.0}, "check_camera"),
        ({"speech": metrics(rate=7.5)}, "slow_down"),
        ({"speech": metrics(pauses_s=(3.0, 4.0))}, "give_time"),
        ({"speech": metrics(speech_share=0.2, speech_s=6.0)}, "open_question"),
        ({"speech": metrics(speech_share=0.0, speech_s=0.0, rate=None)}, None),
        ({}, None),
    ],
)
def test_what_is_suggested(state: dict[str, Any], code: str | None) -> None:
    assert Adviser().advise(State(100.0, **state)) == code


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"face_quality": "too_dark"}, "more_light"),
        ({"face_quality": "too_bright"}, "less_light"),
        ({"face_quality": "blurred"}, "steady_camera"),
        ({"voice_quality": "clipped"}, "softer_sound"),
    ],
)
def test_a_poor_picture_is_said_once_it_lasts(state: dict[str, str], code: str) -> None:
    adviser = Adviser()
    said = [adviser.advise(State(float(at_s), **state)) for at_s in range(12)]
    assert said == [None] * 10 + [code, None]


def test_every_kind_has_words_in_both_languages_and_a_severity() -> None:
    assert set(words.ALERTS) == set(words.ADVICE) == set(words.SEVERITIES)
    for language in ("en", "id"):
        with translation.override(language):
            for kind in words.ALERTS:
                assert "%" not in words.title(kind, 5.25)
                assert words.title(kind, None)
                assert str(words.ADVICE[kind])
    assert words.said("no_face", 5.2) == ("No face for 5 s", "Ask whether the camera still works.")
    assert words.title("unheard_of", 1.0) == ""


def test_every_code_that_can_be_suggested_has_words() -> None:
    for code in words.RECOMMENDATIONS:
        assert words.recommended(code)["text"]
    shown = " ".join(
        str(text) for texts in (words.ALERTS, words.ADVICE, words.RECOMMENDATIONS) for text in texts.values()
    )
    for never in ("stress detected", "cheat", "liar", "failed", "suspicious"):
        assert never not in shown.lower()
