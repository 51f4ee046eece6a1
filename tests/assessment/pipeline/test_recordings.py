"""The whole recorded pipeline on recordings of every kind, read in the document that comes out."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assessment import jobs, policy, results
from assessment.intake import media_limits
from assessment.models import Answer
from assessment.throwaway import store, throwaway_database
from mlcore import media
from tests import media_factory

pytestmark = pytest.mark.slow

SPOKEN = "My name is Sarah. Last year I managed a project with three engineers, and we finished it before the deadline."
KINDS = ("spoken", "no_audio", "silence", "music", "no_video", "no_face", "part_face", "truncated", "text")


@dataclass(frozen=True)
class Outcome:
    document: dict[str, Any]
    allowed: dict[str, Any]
    stage_runs: dict[str, list[tuple[str, str]]]

    def content(self, kind: str) -> dict[str, Any]:
        return self.document["content"][KINDS.index(kind)]

    def result(self, kind: str) -> dict[str, Any]:
        result = self.content(kind)["result"]
        assert result is not None, self.content(kind)["error"]
        return result

    def codes(self, kind: str) -> list[str]:
        return [warning["code"] for warning in self.result(kind)["warnings"]]


def chords(seconds: float) -> np.ndarray:
    """Three chords with harmonics: music without a voice."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    sound = np.zeros_like(t)
    for place, notes in enumerate(((220, 277, 330), (196, 247, 294), (175, 220, 262))):
        inside = (t >= place * seconds / 3) & (t < (place + 1) * seconds / 3)
        for hz in notes:
            for harmonic in (1, 2, 3):
                sound += inside * np.sin(2 * np.pi * hz * harmonic * t) / (harmonic * 12)
    return sound.astype(np.float32)


def recordings(folder: Path) -> list[Path]:
    speech = media_factory.make_speech(SPOKEN, folder / "speech.wav", voice="en-us")
    small = {"size": (320, 240), "fps": 15.0}
    whole = folder / "whole.mp4"
    media_factory.make_video(whole, speech=speech, container_options={"movflags": "faststart"}, **small)
    text = folder / "text.mp4"
    text.write_text("This is not a video. " * 50)
    return [
        media_factory.make_video(folder / "spoken.mp4", speech=speech, size=(640, 480), fps=30.0),
        media_factory.make_video(folder / "no_audio.mp4", seconds=3.0, **small),
        media_factory.make_video(
            folder / "silence.mp4", samples=np.zeros(48_000, np.float32), seconds=3.0, **small
        ),
        media_factory.make_video(folder / "music.mp4", samples=chords(6.0), seconds=6.0, **small),
        media_factory.make_audio_only(folder / "no_video.m4a", speech=speech),
        media_factory.make_video(folder / "no_face.mp4", speech=speech, face=False, **small),
        media_factory.make_video(folder / "part_face.mp4", speech=speech, face_spans=[(0.0, 3.0)], **small),
        media_factory.truncate(whole, 0.6, folder / "truncated.mp4"),
        text,
    ]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("recordings")
    videos = recordings(folder)
    with django_db_blocker.unblock(), throwaway_database():
        assessment = store(videos, [f"Question {kind}?" for kind in KINDS], "Sari", "en", "")
        _note_header(assessment.answers.get(position=KINDS.index("truncated") + 1))
        jobs.process_inline(assessment, lambda *_: None)
        document = assessment.results.document
        assessment.policy = policy.decide("ID", "ID").snapshot()
        allowed = results.build_document(assessment)
        runs = {
            kind: list(answer.stage_runs.values_list("stage", "status"))
            for kind, answer in zip(KINDS, assessment.answers.all(), strict=True)
        }
        yield Outcome(document, allowed, runs)


def _note_header(answer: Answer) -> None:
    """Keep what the header promises, as intake does."""
    (info,) = media.probe([Path(answer.media.path)], media_limits())
    answer.media_info = asdict(info)
    answer.save(update_fields=["media_info"])


def words_of(result: dict[str, Any]) -> str:
    return " ".join(word["text"] for segment in result["segments"] for word in segment["words"]).lower()


def test_speech_becomes_words_with_times(outcome: Outcome) -> None:
    result = outcome.result("spoken")
    heard = words_of(result)
    for word in ("project", "three", "engineers", "deadline"):
        assert word in heard
    times = [word["start_s"] for segment in result["segments"] for word in segment["words"]]
    assert times == sorted(times)
    assert result["transkripsi_en"] and result["transkripsi_id"] is None
    assert result["metadata"]["source_language"] == "English"
    assert result["metadata"]["word_count"] == len(times)


def test_one_person_facing_the_camera_gives_no_evidence(outcome: Outcome) -> None:
    result = outcome.result("spoken")
    assert result["cheating_detection"]["audio"]["num_speakers"] == 1
    assert result["cheating_detection"]["final_verdict"] == "Safe"
    assert result["faces"]["one"] > 0.9
    assert result["metadata"]["analysed_frames_per_s"] >= 15


def test_without_services_it_is_graded_by_rules_and_a_person_is_asked(outcome: Outcome) -> None:
    result = outcome.result("spoken")
    assert result["penilaian"]["grader"] == "rules"
    assert result["penilaian"]["confidence_score"] is None
    assert 0 <= result["penilaian"]["total"] <= 100
    assert {"graded_by_rules", "translation_unavailable", "country_unknown"} <= set(outcome.codes("spoken"))
    assert outcome.document["recommendation"]["value"] == "Perlu Tinjauan"


def test_no_sound_keeps_what_was_seen(outcome: Outcome) -> None:
    result = outcome.result("no_audio")
    assert "no_audio" in outcome.codes("no_audio")
    assert result["segments"] == [] and result["transkripsi_en"] is None
    speech = result["non_verbal_analysis"]["speech_analysis"]
    assert (
        speech["speech_rate_wpm"] is None
        and speech["speaking_ratio"] is None
        and speech["number_of_pauses"] is None
    )
    assert result["cheating_detection"]["audio"]["num_speakers"] is None
    assert result["non_verbal_analysis"]["eye_movement_analysis"]["eye_contact_percentage"] is not None
    assert result["penilaian"]["total"] is None and result["penilaian"]["grader"] is None


@pytest.mark.parametrize("kind", ["silence", "music"])
def test_sound_without_speech_gives_no_words_and_no_score(outcome: Outcome, kind: str) -> None:
    result = outcome.result(kind)
    assert "no_speech" in outcome.codes(kind)
    assert result["segments"] == [] and result["transkripsi_confidence"] is None
    assert result["penilaian"]["total"] is None
    assert result["metadata"]["word_count"] == 0
    assert result["non_verbal_analysis"]["facial_expression_analysis"]["face_detected_percentage"] > 90


def test_no_picture_keeps_what_was_heard(outcome: Outcome) -> None:
    result = outcome.result("no_video")
    assert "no_video" in outcome.codes("no_video")
    assert "project" in words_of(result)
    visual = result["cheating_detection"]["visual"]
    assert visual["cheating_score"] is None and visual["suspicious_frames"] is None
    assert result["faces"] == {"none": None, "one": None, "more": None}
    assert result["non_verbal_analysis"]["eye_movement_analysis"]["total_blinks"] is None
    assert result["penilaian"]["total"] is not None


def test_no_face_at_all_is_an_interval_and_null_measures(outcome: Outcome) -> None:
    result = outcome.result("no_face")
    assert "face_not_visible" in outcome.codes("no_face")
    assert "no_face" in [item["kind"] for item in result["evidence"]]
    assert result["faces"]["none"] == 1.0
    assert result["non_verbal_analysis"]["eye_movement_analysis"]["eye_contact_percentage"] is None
    assert "project" in words_of(result)


def test_a_face_for_part_of_the_time_says_for_how_much(outcome: Outcome) -> None:
    result = outcome.result("part_face")
    warning = next(item for item in result["warnings"] if item["code"] == "face_not_visible")
    seen = result["non_verbal_analysis"]["facial_expression_analysis"]["face_detected_percentage"]
    assert f"{seen:.0f} %" in warning["message"]
    gone = next(item for item in result["evidence"] if item["kind"] == "no_face")
    assert gone["start_s"] == pytest.approx(3.0, abs=0.4)


def test_a_cut_off_file_is_processed_up_to_the_cut(outcome: Outcome) -> None:
    assert "truncated" in outcome.codes("truncated")
    timing = outcome.document["metadata"]["timings"][KINDS.index("truncated")]
    whole = outcome.document["metadata"]["timings"][KINDS.index("no_face")]
    assert 1.0 < timing["duration_s"] < 0.8 * whole["duration_s"]
    (warning,) = (one for one in outcome.result("truncated")["warnings"] if one["code"] == "truncated")
    assert f"breaks off at {timing['duration_s']:.1f} s" in warning["message"]


def test_an_unreadable_file_fails_alone_and_stays_in_the_list(outcome: Outcome) -> None:
    content = outcome.content("text")
    assert content["status"] == "error" and content["result"] is None
    assert content["error"]["code"] == "unreadable_media"
    assert outcome.document["success"] is True
    assert outcome.document["metadata"]["failed_videos"] == 1


def test_every_stage_left_a_finished_run(outcome: Outcome) -> None:
    expected = {(stage, "completed") for stage in ("transcribe", "translate", "watch", "listen", "grade")}
    assert set(outcome.stage_runs["spoken"]) == expected


def test_an_unknown_country_switches_the_confidence_score_off_and_a_known_one_on(outcome: Outcome) -> None:
    assert outcome.result("spoken")["non_verbal_confidence_score"] is None
    assert outcome.document["aggregate_non_verbal_analysis"]["overall_confidence_score"] is None
    allowed = outcome.allowed["content"][KINDS.index("spoken")]["result"]
    assert 0 <= allowed["non_verbal_confidence_score"] <= 100
    assert allowed["non_verbal_confidence"]["low"] < allowed["non_verbal_confidence"]["high"]


def test_expressions_are_not_read_before_the_country_is_known(outcome: Outcome) -> None:
    assert outcome.result("spoken")["stress"] is None and outcome.document["aggregate_stress"] is None
    allowed = outcome.allowed["content"][KINDS.index("spoken")]["result"]
    assert allowed["stress"] is None, "a policy that changes later finds nothing that was kept"


def test_timings_add_up(outcome: Outcome) -> None:
    timing = outcome.document["metadata"]["timings"][0]
    assert all(
        timing[f"{stage}_s"] is not None
        for stage in ("decode", "transcribe", "watch", "listen", "grade", "total")
    )
    assert timing["stress_s"] is None
    factor = (timing["total_s"] - timing["translate_s"] - timing["grade_s"]) / timing["duration_s"]
    assert timing["real_time_factor"] == pytest.approx(factor, abs=0.01)
    assert outcome.result("spoken")["provenance"]["transcribe"]["model"] == "whisper base"
