"""The logic of the live analysis, with scripted time, answers and consent (see `scripted`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from django.db import OperationalError

from rooms.consent import NO_ANALYSIS, NOT_HERE, MayAnalyse
from rooms.live import constants
from rooms.media_messages import Frame
from rooms.models import Alert, Reading
from tests.rooms.live.scripted import JPEG, Bench, heard, looked, settle, silence, stress, tone

pytestmark = pytest.mark.asyncio

FACE_ONLY, VOICE_ONLY = MayAnalyse(True, False, True), MayAnalyse(False, True, True)
NO_EMOTION = MayAnalyse(True, True, False)


async def test_a_second_gives_one_message_and_one_reading() -> None:
    async with Bench() as bench:
        await bench.live(12, sound=tone)
        results = bench.said("stress_analysis")
        assert 10 <= len(results) <= 12
        times = [result["t"] for result in results]
        assert all(after - before >= 1.7 for before, after in zip(times[1:], times[3:], strict=False))
        last = results[-1]
        assert last["stress"] == {
            "level": "low",
            "probabilities": {"low": 0.8, "medium": 0.1, "high": 0.1},
            "model_confidence": 0.8,
            "unsure": False,
        }
        assert last["face"] == {"detected": True, "count": 1, "quality": "ok", "eye_contact": True}
        assert last["voice"] == {"speaking": True, "quality": "ok"}
        assert last["confidence_parts"] == {"eye_contact": 1.0, "fluency": 1.0, "calm": 0.9}
        # 0.35 · 1 + 0.35 · 1 + 0.30 · 0.9, renormalised over 1
        assert last["confidence"] == 97.0
        assert bench.status["state"] == "on"
        stored = [one for one in bench.written if isinstance(one, Reading) and one.level]
        assert len(stored) >= len(results) - 1
        assert stored[-1].from_face
        assert stored[-1].from_voice
        assert stored[-1].parts["unsure"] is False


async def test_a_frame_s_result_waits_for_no_tick_and_for_no_sound() -> None:
    async with Bench() as bench:
        bench.analyzer.offer(Frame(0, JPEG))
        await settle()
        for second in range(5):
            bench.clock.now_s += 0.95 if second % 2 else 1.05
            bench.analyzer._news = True  # something was heard meanwhile
            bench.analyzer.tick()
            await settle()
            before = len(bench.said("stress_analysis"))
            bench.analyzer.offer(Frame(0, JPEG))
            await settle()
            assert len(bench.said("stress_analysis")) == before + 1


async def test_every_second_of_sound_is_listened_to_and_counted_once() -> None:
    async with Bench(may=VOICE_ONLY) as bench:
        await bench.live(30, frames=False, sound=tone)
        assert len(bench.inference.windows) == 15
        assert {len(window) for window in bench.inference.windows} == {2 * 16_000 * 2, 2 * 16_000 * 3}
        metrics = bench.said("speech_metrics")
        assert 8 <= len(metrics) <= 10
        last = metrics[-1]
        assert last["measured_s"] <= 30
        assert last["speech_share"] == 1.0
        assert last["rate"] == pytest.approx(4.0, abs=0.1)
        assert last["words_per_minute"] == pytest.approx(4 * 60 / 1.45, abs=4)


async def test_silence_costs_no_inference_and_counts_as_silence() -> None:
    async with Bench(may=VOICE_ONLY) as bench:
        await bench.live(10, frames=False, sound=silence)
        assert bench.inference.windows == []
        assert bench.said("speech_metrics")[-1]["speech_share"] == 0.0
        assert bench.said("stress_analysis")[-1]["voice"] == {"speaking": False, "quality": "silent"}
        assert bench.said("stress_analysis")[-1]["stress"] is None


async def test_silence_does_not_take_the_face_away() -> None:
    async with Bench() as bench:
        await bench.live(6, sound=silence)
        assert all(one["stress"] for one in bench.said("stress_analysis"))


@pytest.mark.parametrize("source", ["face", "voice"])
async def test_the_indicator_ends_with_what_it_was_made_of(source: str) -> None:
    """A camera that is off, or a speaker who stopped: silence that goes on says nothing of them."""
    async with Bench() as bench:
        bench.inference.look_answer = lambda: looked(stress=stress("high", 0.9))
        bench.inference.listen_answer = lambda: heard(stress=stress("high", 0.9), sources=("voice",))
        await bench.live(8, frames=source == "face", sound=tone if source == "voice" else silence)
        assert bench.said("stress_analysis")[-1]["stress"]["level"] == "high"
        before = len(bench.written)
        await bench.live(40, frames=False, sound=silence)
        late = bench.said("stress_analysis")[-1]
        assert late["voice"]["quality"] == "silent", "it is listened to still"
        assert (late["stress"], late["sources"]) == (None, [])
        assert "high_stress" not in bench.alerts()
        later = [one for one in bench.written[before:] if isinstance(one, Reading) and one.level]
        assert all(getattr(one, f"from_{source}") for one in later), "else it would outlive a withdrawal"
        assert len(later) <= 6


async def test_the_newest_frame_wins() -> None:
    async with Bench() as bench:
        bench.inference.hold()
        for number in range(4):
            bench.analyzer.offer(Frame(0, JPEG + bytes([number])))
            await bench.pass_s(0.5)
        bench.inference.release()
        await settle()
        assert [frame[-1] for frame in bench.inference.frames] == [0, 3]
        assert bench.analyzer.counts.replaced == 2


async def test_frames_and_sound_faster_than_life_are_dropped() -> None:
    async with Bench() as bench:
        for _ in range(100):
            bench.analyzer.offer(Frame(0, JPEG))
            bench.analyzer.offer(tone(1.0))
        await settle()
        assert bench.analyzer.counts.too_fast == 97 + 88
        assert bench.analyzer._ears.held_s <= 10


async def test_media_without_consent_is_dropped_counted_and_never_forwarded() -> None:
    async with Bench(may=NO_ANALYSIS) as bench:
        await bench.live(5, sound=tone)
        assert bench.inference.calls == []
        assert bench.analyzer.counts.without_consent == 25
        assert bench.analyzer._ears.held_s == 0
        assert bench.written == []
        assert {message["type"] for message in bench.panel} == {"analysis-status"}
        assert bench.status["state"] == "off"
        assert "reason" not in bench.status


@pytest.mark.parametrize(("may", "asked"), [(FACE_ONLY, {"look"}), (VOICE_ONLY, {"listen"})])
async def test_only_what_is_agreed_to_is_analysed(may: MayAnalyse, asked: set[str]) -> None:
    async with Bench(may=may) as bench:
        await bench.live(8, sound=tone)
        assert {call[0] for call in bench.inference.calls} == asked
        assert (bench.status["face"], bench.status["voice"]) == (may.face, may.voice)
        for one in bench.written:
            assert one.from_face == may.face
            assert one.from_voice == may.voice


async def test_a_result_under_way_is_thrown_away_after_a_withdrawal() -> None:
    async with Bench() as bench:
        await bench.live(3, sound=tone)
        session = bench.inference.calls[-1][1]
        bench.inference.look_answer = lambda: looked(count=2, stress=stress("high", 0.99))
        bench.inference.hold()
        bench.analyzer.offer(Frame(0, JPEG))
        await settle()
        bench.panel.clear()
        bench.written.clear()
        bench.may = VOICE_ONLY
        bench.analyzer.consent()
        await settle()
        bench.inference.release()
        bench.inference.recover()
        bench.inference.listen_answer = lambda: heard(sources=("voice",))
        await bench.live(6, sound=tone)
        assert bench.analyzer.counts.thrown_away == 1
        assert bench.candidate[-1] == {"type": "capture", "face": False, "voice": True}
        assert session in bench.inference.forgotten
        assert {call[1] for call in bench.inference.calls[-2:]} != {session}
        for message in bench.said("stress_analysis"):
            assert message["sources"] == ["voice"]
            assert message["face"]["count"] == 0
            assert message["confidence_parts"]["eye_contact"] is None
        assert not any(one.from_face for one in bench.written)
        assert bench.written


async def test_a_withdrawal_is_noticed_without_a_word_within_a_second() -> None:
    async with Bench() as bench:
        await bench.live(3)
        bench.may = NO_ANALYSIS
        asked = len(bench.inference.calls)
        await bench.pass_s(1.0)
        bench.panel.clear()
        await bench.live(3, sound=tone)
        assert len(bench.inference.calls) == asked
        assert bench.said("stress_analysis") == []
        await bench.pass_s(5)
        assert bench.status["state"] == "off"
        assert bench.candidate[-1] == {"type": "capture", "face": False, "voice": False}


async def test_what_was_taken_back_and_given_again_at_once_does_not_bring_back_what_was_made_before() -> None:
    async with Bench() as bench:
        bench.write_error = OperationalError("database is locked")
        await bench.live(5, sound=tone)
        assert bench.analyzer.store.waiting > 0
        session = bench.analyzer._session
        bench.may = replace(bench.may, withdrawals=1)
        bench.analyzer.consent()
        await settle()
        assert bench.analyzer.store.waiting == 0
        assert bench.analyzer._session != session


async def test_readings_that_wait_are_dropped_with_the_consent() -> None:
    async with Bench() as bench:
        bench.write_error = OperationalError("database is locked")
        await bench.live(5, sound=tone)
        assert bench.analyzer.store.waiting > 0
        bench.may = NO_ANALYSIS
        bench.analyzer.consent()
        await bench.pass_s(1.0)
        bench.write_error = None
        await bench.pass_s(3.0)
        assert bench.written == []


async def test_consent_given_later_begins_the_analysis() -> None:
    async with Bench(may=NO_ANALYSIS) as bench:
        await bench.live(2)
        bench.may = FACE_ONLY
        bench.analyzer.consent()
        await settle()
        assert bench.candidate == [{"type": "capture", "face": True, "voice": False}]
        await bench.live(3)
        assert bench.said("stress_analysis")


async def test_when_consent_cannot_be_read_nothing_is_analysed() -> None:
    async with Bench() as bench:
        await bench.live(3)
        bench.read_error = OperationalError("away")
        await bench.live(3)
        asked = len(bench.inference.calls)
        await bench.live(4)
        assert len(bench.inference.calls) == asked
        assert bench.status["state"] == "paused"
        bench.read_error = None
        await bench.live(3)
        assert len(bench.inference.calls) > asked
        assert bench.status["state"] == "on"


async def test_after_word_of_a_change_the_old_answer_counts_for_less_than_a_second() -> None:
    async with Bench() as bench:
        await bench.live(2)
        bench.read_error = OperationalError("away")
        bench.analyzer.consent()
        await bench.pass_s(1.0)
        assert bench.analyzer.gate.stale
        bench.analyzer.offer(Frame(0, JPEG))
        assert bench.analyzer.counts.without_consent == 1


async def test_where_policy_forbids_there_is_no_indicator_and_no_index() -> None:
    async with Bench(may=NO_EMOTION) as bench:
        bench.inference.look_answer = lambda: looked(stress=None, sources=(), count=2)
        bench.inference.listen_answer = lambda: heard(stress=None, sources=())
        await bench.live(90, sound=tone)
        assert not any(call[2] for call in bench.inference.calls)
        for message in bench.said("stress_analysis"):
            for name in ("stress", "confidence", "confidence_parts", "voice_confidence"):
                assert message[name] is None
        assert bench.said("stress_analysis")[-1]["face"]["count"] == 2
        assert bench.said("stress_analysis")[-1]["sources"] == ["face", "voice"]
        assert bench.said("speech_metrics")[-1]["rate"] is not None
        assert set(bench.alerts()) == {"second_face"}
        assert bench.status["emotion"] is False
        for one in bench.written:
            if isinstance(one, Reading):
                assert (one.level, one.high, one.confidence, one.voice_confidence) == ("", None, None, None)


async def test_even_an_indicator_that_comes_unasked_is_not_passed_on() -> None:
    async with Bench(may=NO_EMOTION) as bench:
        bench.inference.look_answer = lambda: looked(stress=stress("high", 0.99))
        await bench.live(100)
        assert all(one["stress"] is None for one in bench.said("stress_analysis"))
        assert "high_stress" not in bench.alerts()


async def test_high_for_half_a_minute_is_said_once_a_minute() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.inference.look_answer = lambda: looked(stress=stress("high", 0.9), eye_contact=None)
        await bench.live(29)
        assert "high_stress" not in bench.alerts()
        await bench.live(4)
        assert bench.alerts().count("high_stress") == 1
        await bench.live(50)
        assert bench.alerts().count("high_stress") == 1
        await bench.live(12)
        assert bench.alerts().count("high_stress") == 2
        alert = next(one for one in bench.said("real_time_alert") if one["kind"] == "high_stress")
        assert alert["severity"] == "attention"
        assert 30 <= alert["value"] <= 32
        assert isinstance(alert["id"], int)
        stored = [one for one in bench.written if isinstance(one, Alert) and one.kind == "high_stress"]
        assert [one.from_voice for one in stored] == [False, False]
        assert [one.from_face for one in stored] == [True, True]


async def test_an_unsure_high_is_not_one() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.inference.look_answer = lambda: looked(stress=stress("high", 0.4, unsure=True))
        await bench.live(60)
        assert "high_stress" not in bench.alerts()


async def test_a_pause_of_media_does_not_count_as_time() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.inference.look_answer = lambda: looked(detected=False, count=0, stress=None, sources=())
        await bench.live(3)
        await bench.pass_s(8)
        assert bench.status["state"] == "paused"
        await bench.live(2)
        assert bench.alerts() == []
        await bench.live(4)
        assert bench.alerts() == ["no_face"]
        assert bench.said("real_time_alert")[0]["message"].startswith("No face for ")


async def test_a_suggestion_comes_at_most_once_a_minute() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.inference.look_answer = lambda: looked(stress=stress("high", 0.9))
        await bench.live(130)
        advice = [one for one in bench.said("stress_analysis") if one["recommendation"]]
        assert len(advice) == 2
        assert advice[0]["recommendation"]["code"] == "offer_break"
        assert advice[1]["t"] - advice[0]["t"] >= 60


async def test_inference_away_and_back() -> None:
    async with Bench() as bench:
        await bench.live(4, sound=tone)
        results = len(bench.said("stress_analysis"))
        bench.inference.fail("inference_away")
        await bench.live(10, sound=tone)
        assert bench.status["state"] == "delayed"
        assert len(bench.said("stress_analysis")) <= results + 1
        intervals = [one["frame_interval_ms"] for one in bench.candidate]
        assert intervals == [2000, 3000]
        bench.inference.recover()
        await bench.live(20, sound=tone)
        assert bench.status["state"] == "on"
        assert bench.candidate[-1] == {"type": "flow", "frame_interval_ms": 1000}
        assert len(bench.said("stress_analysis")) >= results + 15


async def test_slow_answers_slow_the_frames() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        for _ in range(6):
            bench.inference.hold()
            bench.analyzer.offer(Frame(0, JPEG))
            await bench.pass_s(1.75)
            bench.inference.release()
            await settle()
        await bench.pass_s(0.25)
        assert bench.candidate[0] == {"type": "flow", "frame_interval_ms": 2000}
        assert bench.status["state"] == "delayed"
        assert bench.status["latency_ms"] == 1750


async def test_a_picture_that_is_none_is_told_to_the_sender() -> None:
    async with Bench() as bench:
        bench.inference.fail("bad_frame")
        await bench.live(1)
        assert bench.candidate == [{"type": "error", "code": "bad_frame", "message": "Scripted."}]
        assert bench.status["state"] != "delayed"


async def test_clearing_the_smoothing_drops_what_is_under_way() -> None:
    async with Bench() as bench:
        await bench.live(3)
        bench.inference.hold()
        bench.analyzer.offer(Frame(0, JPEG))
        await settle()
        bench.analyzer.reset()
        bench.inference.release()
        await settle()
        assert bench.inference.reset_ == [bench.inference.calls[0][1]]
        assert bench.analyzer.counts.thrown_away == 1
        bench.panel.clear()
        await bench.live(2)
        assert bench.said("stress_analysis")[0]["stress"]["level"] == "low"


async def test_the_database_away_for_a_minute_keeps_a_minute() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.write_error = OperationalError("database is locked")
        await bench.live(90)
        assert 55 <= bench.analyzer.store.waiting <= 65
        assert bench.analyzer.store.lost >= 25
        assert len(bench.said("stress_analysis")) >= 85
        bench.write_error = None
        await bench.pass_s(2)
        assert bench.analyzer.store.waiting == 0
        assert len(bench.written) >= 55


async def test_an_alert_is_shown_though_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ALERT_STORED_WITHIN_S", 0.01)
    async with Bench(may=FACE_ONLY) as bench:
        bench.write_error = OperationalError("database is locked")
        bench.inference.look_answer = lambda: looked(detected=False, count=0, stress=None, sources=())
        await bench.live(8)
        async with asyncio.timeout(60):
            while not bench.alerts():
                await asyncio.sleep(0.01)
        await settle()
        assert bench.alerts() == ["no_face"]
        assert bench.said("real_time_alert")[0]["id"]


async def test_what_is_left_is_written_at_the_end() -> None:
    async with Bench(may=FACE_ONLY) as bench:
        bench.analyzer.offer(Frame(0, JPEG))
        await settle()
        bench.clock.now_s += 1
        bench.analyzer.tick()
        await settle()
        written = len(bench.written)
        bench.analyzer.offer(Frame(0, JPEG))
        await settle()
        await bench.analyzer.close(say_paused=True)
        assert len(bench.written) == written + 1
        assert bench.panel[-1]["type"] == "analysis-status"
        assert bench.panel[-1]["state"] == "paused"
        assert bench.inference.forgotten


@pytest.mark.parametrize("found_out", ["before", "after"])
async def test_the_last_word_does_not_undo_a_withdrawal(found_out: str) -> None:
    """Who withdraws closes the socket, too. That it is off was said already, and "paused" may not stay behind it."""
    async with Bench() as bench:
        await bench.live(2)
        if found_out == "before":
            bench.may = NO_ANALYSIS

        async def told_meanwhile(message: dict[str, object]) -> None:
            bench.panel.append(message)
            bench.may = NO_ANALYSIS

        bench.analyzer._outside = replace(bench.analyzer._outside, panel=told_meanwhile)
        bench.panel.clear()
        await bench.analyzer.close(say_paused=True)
        assert [one["state"] for one in bench.panel] == (
            ["off"] if found_out == "before" else ["paused", "off"]
        )
        last = bench.panel[-1]
        assert (last["face"], last["voice"], last["emotion"]) == (False, False, False)


@pytest.mark.parametrize("found_out", ["while it runs", "at its end"])
async def test_an_analysis_of_a_browser_that_is_not_in_any_more_says_nothing(found_out: str) -> None:
    """Another browser of the candidate may be in, whose analysis is on; "off" would undo that, and clear the panel."""
    async with Bench() as bench:
        await bench.live(2)
        bench.may = NOT_HERE
        bench.panel.clear()
        if found_out == "while it runs":
            await bench.pass_s(7)
        await bench.analyzer.close(say_paused=True)
        assert bench.panel == []


async def test_an_analysis_that_could_not_begin_says_nothing() -> None:
    """Consent could not be read: that is no withdrawal."""
    bench = Bench(read_error=OperationalError("away"))
    with pytest.raises(OperationalError):
        await bench.__aenter__()
    await bench.analyzer.close(say_paused=True)
    assert bench.panel == []


async def test_the_last_word_does_not_wait_for_a_locked_database() -> None:
    """Another socket of the browser may be open by then, whose analysis is on."""
    async with Bench() as bench:
        await bench.live(2)
        bench.analyzer.store.add(Reading(room=bench.room, t_s=2.0, from_face=True))
        states: list[list[object]] = []

        async def locked(records: list[Reading | Alert]) -> list[int | None]:
            states.append([one["state"] for one in bench.said("analysis-status")])
            return [None] * len(records)

        bench.analyzer.store._write = locked
        await bench.analyzer.close(say_paused=True)
        assert states[-1][-1] == "paused"


async def test_the_last_word_is_said_though_the_database_is_away() -> None:
    async with Bench() as bench:
        await bench.live(2)
        bench.read_error = OperationalError("away")
        await bench.analyzer.close(say_paused=True)
        assert bench.panel[-1]["state"] == "paused"


async def test_two_rooms_share_nothing() -> None:
    async with Bench() as one, Bench() as other:
        other.inference = one.inference
        other.analyzer._client = one.inference
        await asyncio.gather(one.live(3, sound=tone), other.pass_s(3))
        assert one.said("stress_analysis")
        assert other.said("stress_analysis") == []
        await other.live(3)
        assert len({call[1] for call in one.inference.calls}) == 2
