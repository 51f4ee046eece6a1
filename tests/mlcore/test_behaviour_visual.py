from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from mlcore.behaviour import VisualMeasures, describe_interval, judge, measure_visual, risk_level, worst
from mlcore.behaviour.attention import AttentionInterval, union_s
from mlcore.behaviour.blinks import find_closures
from mlcore.faces import Face, FaceBox, FaceFrame, FaceTracker
from mlcore.media import open_media

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
VIDEOS = Path(settings.BASE_DIR).parent / "shared" / "data" / "videos"
FPS = 15.0
STILL: dict[str, float] = {
    "yaw_deg": 0.0,
    "pitch_deg": 0.0,
    "roll_deg": 0.0,
    "gaze_yaw_deg": 0.0,
    "gaze_pitch_deg": 0.0,
    "eyelids_closed": 0.1,
    "smile": 0.2,
    "brow_raise": 0.3,
    "brow_lower": 0.1,
}


def face(x: float = 0.4, side: float = 0.2, **measures: float) -> Face:
    return Face(x=x, y=0.3, width=side, height=side, **(STILL | measures), detection_score=0.9)


def video(seconds: float, at: Callable[[float], dict[str, Any] | None], fps: float = FPS) -> list[FaceFrame]:
    """Frames whose single face has the measures that `at` gives for each time; none where it gives None."""
    frames = []
    for index in range(round(seconds * fps)):
        t_s = index / fps
        measures = at(t_s)
        frames.append(FaceFrame(t_s, () if measures is None else (face(**measures),)))
    return frames


def between(start_s: float, end_s: float, inside: dict[str, Any], otherwise: dict[str, Any] | None = None):
    return lambda t_s: inside if start_s <= t_s < end_s else (otherwise or {})


def blinking(starts_s: Sequence[float], length_s: float, peak: float = 0.7):
    return lambda t_s: {
        "eyelids_closed": peak if any(start <= t_s < start + length_s for start in starts_s) else 0.1
    }


def spans(measures: VisualMeasures, kind: str) -> list[tuple[float, float, str]]:
    return [(one.start_s, one.end_s, one.reason) for one in measures.intervals if one.kind == kind]


def test_a_person_who_looks_into_the_camera_has_full_contact_and_no_interval():
    measures = measure_visual(video(10, lambda t_s: {}), 10.0)
    assert measures.eye_contact_percentage == 100
    assert measures.intervals == ()
    assert measures.cheating_score == 0
    assert measures.suspicious_frames == 0
    assert measures.face_detected_percentage == 100
    assert measures.calibration_applied is True
    assert measures.gaze_stability_deg == pytest.approx(0)
    assert measures.head_movement_deg_per_s == pytest.approx(0)
    assert measures.analysed_fps == pytest.approx(15)
    assert (measures.confidence_min, measures.confidence_max) == (90, 90)


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({"gaze_yaw_deg": -22.0}, "gaze_left"),
        ({"gaze_yaw_deg": 22.0}, "gaze_right"),
        ({"yaw_deg": -25.0}, "head_left"),
        ({"yaw_deg": 25.0}, "head_right"),
        ({"pitch_deg": -15.0, "gaze_pitch_deg": -12.0}, "head_down"),
        ({"gaze_pitch_deg": 20.0}, "gaze_up"),
    ],
)
def test_looking_away_is_one_interval_with_its_reason(measures, reason):
    found = measure_visual(video(16, between(7, 10, measures)), 16.0)
    ((start_s, end_s, said),) = spans(found, "off_screen")
    assert said == reason
    assert start_s == pytest.approx(7, abs=0.1)
    assert end_s == pytest.approx(10, abs=0.1)
    assert found.cheating_score == pytest.approx(100 * 3 / 16, abs=1)
    assert found.suspicious_frames == 45
    assert found.eye_contact_percentage == pytest.approx(100 * 13 / 16, abs=1)


def test_a_turned_head_with_the_eyes_on_the_screen_is_not_looking_away():
    found = measure_visual(video(12, between(6, 11, {"yaw_deg": 28.0, "gaze_yaw_deg": -26.0})), 12.0)
    assert found.intervals == ()
    assert found.eye_contact_percentage == 100


def test_a_glance_of_less_than_a_second_is_not_an_interval():
    found = measure_visual(video(12, between(7, 7.8, {"gaze_yaw_deg": 25.0})), 12.0)
    assert found.intervals == ()


def test_the_person_s_own_way_of_looking_is_the_baseline():
    off_axis = {"yaw_deg": 14.0, "pitch_deg": -9.0, "gaze_yaw_deg": 4.0}
    found = measure_visual(video(12, lambda t_s: off_axis), 12.0)
    assert found.calibration is not None
    assert found.calibration.sight_yaw_deg == pytest.approx(18)
    assert found.eye_contact_percentage == 100
    assert found.intervals == ()


def test_without_enough_face_the_camera_is_the_baseline():
    found = measure_visual(video(0.8, lambda t_s: {"gaze_yaw_deg": 18.0}), 0.8)
    assert found.calibration_applied is False
    assert found.eye_contact_percentage == 0
    assert found.baseline_smile_intensity is None


def test_someone_who_looks_about_from_the_start_gets_no_baseline_of_their_own():
    found = measure_visual(video(9, lambda t_s: {"gaze_yaw_deg": 25.0 * np.sin(2 * t_s)}), 9.0)
    assert found.calibration_applied is False


def test_a_blink_does_not_break_an_interval():
    def at(t_s: float) -> dict[str, float]:
        away = {"gaze_yaw_deg": -22.0} if 6 <= t_s < 9 else {}
        return away | (
            {"eyelids_closed": 0.8, "gaze_pitch_deg": -20.0, "gaze_yaw_deg": 0.0} if 7 <= t_s < 7.3 else {}
        )

    ((start_s, end_s, _),) = spans(measure_visual(video(14, at), 14.0), "off_screen")
    assert (start_s, end_s) == (pytest.approx(6, abs=0.1), pytest.approx(9, abs=0.1))


def test_a_blink_is_not_a_look_down():
    at = blinking([1, 3, 5, 7], 0.2)
    found = measure_visual(
        video(10, lambda t_s: at(t_s) | {"gaze_pitch_deg": -30 * (at(t_s)["eyelids_closed"] > 0.5)}), 10
    )
    assert found.eye_contact_percentage == 100
    assert found.total_blinks == 4


def shut_from_6_to_9(lids: float, **head: float) -> VisualMeasures:
    down = {"eyelids_closed": lids, "gaze_pitch_deg": -30.0} | head
    return measure_visual(video(14, between(6, 9, down, {"eyelids_closed": 0.1})), 14.0)


def test_shut_eyes_look_nowhere():
    found = shut_from_6_to_9(0.78)
    assert found.intervals == ()
    assert found.eye_contact_percentage == 100
    assert found.total_blinks == 0


def test_lowered_lids_that_are_not_shut_still_look_down():
    assert [reason for _, _, reason in spans(shut_from_6_to_9(0.6), "off_screen")] == ["gaze_down"]


def test_a_head_that_turns_away_with_shut_eyes_is_still_away():
    assert [reason for *_, reason in spans(shut_from_6_to_9(0.78, yaw_deg=30.0), "off_screen")] == [
        "head_right"
    ]


@pytest.mark.parametrize(("length_s", "blinks"), [(0.07, 4), (0.2, 4), (0.45, 4), (0.8, 0)])
def test_blinks_are_closures_of_up_to_half_a_second(length_s, blinks):
    found = measure_visual(video(20, blinking([2, 6, 11, 17], length_s)), 20.0)
    assert found.total_blinks == blinks
    assert found.blink_rate_per_minute == pytest.approx(3 * blinks)


def test_blinks_of_someone_whose_lids_close_weakly_are_found():
    found = measure_visual(video(20, blinking([2, 6, 11, 17], 0.2, peak=0.38)), 20.0)
    assert found.total_blinks == 4


def test_lids_that_waver_are_no_blinks():
    rng = np.random.default_rng(3)
    found = measure_visual(video(20, lambda t_s: {"eyelids_closed": 0.2 + 0.1 * rng.random()}), 20.0)
    assert found.total_blinks == 0


def test_two_blinks_in_close_succession_are_two():
    times_s = np.arange(60) / 30
    lids = np.full(60, 0.1)
    lids[20:24], lids[27:31] = 0.7, 0.6
    closures = find_closures(times_s, lids)
    assert [(closure.first, closure.last) for closure in closures] == [(20, 23), (27, 30)]
    assert closures[0].duration_s == pytest.approx(4 / 30)


def test_a_closure_at_the_very_end_is_no_blink():
    found = measure_visual(video(10, between(9.8, 10, {"eyelids_closed": 0.8})), 10.0)
    assert found.total_blinks == 0


@pytest.mark.parametrize(("fps", "measured"), [(6.0, False), (12.0, False), (14.985, True), (25.0, True)])
def test_blinks_are_not_counted_below_fifteen_frames_a_second(fps, measured):
    found = measure_visual(video(10, blinking([2, 6], 0.2), fps), 10.0)
    assert (found.total_blinks is not None) is measured
    assert (found.blink_rate_per_minute is not None) is measured
    assert found.eye_contact_percentage is not None


def test_a_missing_face_is_an_interval_and_no_zero():
    found = measure_visual(video(10, lambda t_s: None if 4 <= t_s < 7 else {}), 10.0)
    ((start_s, end_s, _),) = spans(found, "no_face")
    assert (start_s, end_s) == (pytest.approx(4), pytest.approx(7))
    assert found.cheating_score == pytest.approx(30)
    assert found.face_detected_percentage == pytest.approx(70, abs=1)
    assert found.share_no_face == pytest.approx(0.3, abs=0.01)
    assert found.eye_contact_percentage == 100


def test_a_hand_before_the_face_is_no_interval():
    assert measure_visual(video(10, lambda t_s: None if 4 <= t_s < 4.8 else {}), 10.0).intervals == ()


@pytest.mark.parametrize("frames", [[], video(4, lambda t_s: None)])
def test_what_needs_a_face_is_null_without_one(frames):
    found = measure_visual(frames, 4.0)
    needs_face = {
        "calibration",
        "eye_contact_percentage",
        "gaze_stability_deg",
        "total_blinks",
        "blink_rate_per_minute",
        "average_smile_intensity",
        "smile_variation",
        "baseline_smile_intensity",
        "eyebrow_movement_range",
        "baseline_eyebrow_position",
        "head_movement_deg_per_s",
        "confidence_average",
        "confidence_min",
        "confidence_max",
    }
    assert {name for name in needs_face if getattr(found, name) is not None} == set()


def test_without_frames_nothing_is_zero():
    found = measure_visual([], 12.0)
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    assert {name for name, value in values.items() if value is not None} == {"frames_analysed", "intervals"}


def test_a_video_without_any_face_is_all_no_face():
    found = measure_visual(video(4, lambda t_s: None), 4.0)
    assert found.cheating_score == pytest.approx(100)
    assert found.face_detected_percentage == 0


def crowd(
    seconds: float, start_s: float, end_s: float, frame_pattern: Callable[[int], bool] = lambda i: True
):
    other = FaceBox(0.75, 0.3, 0.15, 0.15, 0.8)
    frames = []
    for index in range(round(seconds * FPS)):
        t_s = index / FPS
        visited = start_s <= t_s < end_s and frame_pattern(index)
        frames.append(FaceFrame(t_s, (face(),), (other,) if visited else ()))
    return frames


def test_a_second_face_is_an_interval():
    found = measure_visual(crowd(20, 8, 11), 20.0)
    assert spans(found, "multiple_faces") == [(pytest.approx(8), pytest.approx(11), "second_face")]
    assert found.second_face_percentage == pytest.approx(15)
    assert found.intervals[0].value == 2
    assert found.share_several_faces == pytest.approx(0.15)


def test_a_second_face_that_flickers_is_one_interval_and_a_single_frame_is_none():
    assert len(spans(measure_visual(crowd(20, 8, 11, lambda i: i % 4 != 0), 20.0), "multiple_faces")) == 1
    assert measure_visual(crowd(20, 8, 8.2), 20.0).intervals == ()


def test_a_larger_face_passing_by_does_not_become_the_candidate():
    visitor = face(x=0.0, side=0.35, yaw_deg=40.0, smile=1.0)
    frames = []
    for frame in video(12, lambda t_s: {}):
        visited = 6 <= frame.t_s < 9
        frames.append(FaceFrame(frame.t_s, (visitor, *frame.faces) if visited else frame.faces))
    found = measure_visual(frames, 12.0)
    assert found.average_smile_intensity == pytest.approx(0.2)
    assert spans(found, "off_screen") == []
    assert found.second_face_percentage == pytest.approx(25)


def test_overlapping_intervals_count_once():
    intervals = [
        AttentionInterval("off_screen", 2.0, 6.0, "gaze_left", 20.0),
        AttentionInterval("multiple_faces", 4.0, 8.0, "second_face", 2.0),
        AttentionInterval("no_face", 10.0, 11.0, "not_in_view", None),
    ]
    assert union_s(intervals) == pytest.approx(7)


def test_expressions_are_summed_up_in_their_units():
    found = measure_visual(
        video(10, lambda t_s: {"smile": 0.8 if t_s >= 5 else 0.0, "yaw_deg": 6 * t_s}), 10.0
    )
    assert found.average_smile_intensity == pytest.approx(0.4)
    assert found.smile_variation == pytest.approx(0.4)
    assert found.baseline_smile_intensity == pytest.approx(0.0)
    assert found.head_movement_deg_per_s == pytest.approx(6)
    assert found.eyebrow_movement_range == pytest.approx(0)
    assert found.baseline_eyebrow_position == pytest.approx(0.2)


def away(seconds: float) -> VisualMeasures:
    """A hundred seconds of which `seconds` are spent looking away."""
    return measure_visual(video(100, between(20, 20 + seconds, {"gaze_yaw_deg": -25.0})), 100.0)


@pytest.mark.parametrize(
    ("away_s", "speakers", "value"),
    [
        (0, 1, "Safe"),
        (4, 1, "Safe"),
        (6, 1, "Medium Risk"),
        (19, 1, "Medium Risk"),
        (22, 1, "High Risk"),
        (0, 2, "High Risk"),
        (0, None, "Safe"),
    ],
)
def test_the_verdict_follows_its_limits(away_s, speakers, value):
    assert judge(away(away_s), speakers).value == value


def test_a_second_face_for_more_than_a_hundredth_of_the_time_comes_first():
    assert judge(measure_visual(crowd(100, 20, 20.8), 100.0), 1).value == "Safe"
    verdict = judge(measure_visual(crowd(100, 20, 22), 100.0), 1)
    assert verdict.value == "High Risk"
    assert verdict.reasons == ("2.0 % of the time to look at", "Second face 0:20–0:22")


def test_reasons_say_when_and_stay_calm():
    verdict = judge(away(10), 2)
    assert verdict.visual_reasons[1:] == ("Looked away to the left 0:20–0:30",)
    assert verdict.audio_reasons == ("2 voices heard",)
    gone = AttentionInterval("no_face", 59.6, 125.0, "not_in_view", None)
    assert describe_interval(gone) == "No face in view 1:00–2:05"


def test_nothing_seen_and_nothing_heard_is_no_verdict():
    assert judge(None, None).value is None
    assert judge(measure_visual([], 10.0), None).value is None
    assert judge(None, 1).value == "Safe"
    assert judge(None, 3).value == "High Risk"


def test_an_aggregate_is_as_its_worst_answer():
    assert worst(["Safe", "High Risk", None, "Medium Risk"]) == "High Risk"
    assert worst([None]) is None
    levels = [risk_level(value) for value in ("Safe", "Medium Risk", "High Risk", None)]
    assert levels == ["Clear", "Warning", "Critical", None]


def watch(name: str) -> VisualMeasures:
    path = VIDEOS / name
    if not path.exists() or not MODEL.exists():
        pytest.skip(f"{name} or the face model is not here")
    with open_media(path, want_audio=False) as stream, FaceTracker(MODEL) as tracker:
        frames = [tracker.detect(frame) for frame in stream.frames()]
        return measure_visual(frames, stream.duration_s or frames[-1].t_s)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ProctoringAI__center_left_center.mp4", "gaze_left"),
        ("ProctoringAI__center_right_center.mp4", "gaze_right"),
    ],
)
def test_a_real_look_to_the_side_is_one_interval(name, reason):
    ((start_s, end_s, said),) = spans(watch(name), "off_screen")
    assert said == reason
    assert start_s == pytest.approx(5.6, abs=0.7)
    assert end_s == pytest.approx(10.2, abs=0.7)


@pytest.mark.slow
def test_a_real_steady_look_has_no_interval():
    assert watch("ProctoringAI__center_focus.mp4").intervals == ()


@pytest.mark.slow
def test_blinks_of_a_real_talk_are_those_that_are_seen():
    found = watch("videoretalking__3.mp4")
    assert found.total_blinks is not None and abs(found.total_blinks - 7) <= 1
    assert found.intervals == ()


@pytest.mark.slow
def test_a_face_that_leaves_a_real_video_is_noticed():
    found = watch("pyfeat__face_noface.mov")
    ((start_s, _, _),) = spans(found, "no_face")
    assert start_s == pytest.approx(2.5, abs=0.4)
    assert found.share_several_faces == 0
