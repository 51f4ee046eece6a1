"""The stress stage on real recordings, with small networks of random weights: what they say is no result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import LazySettings

from assessment import pipeline, results
from assessment.models import Answer, StageRun
from assessment.pipeline import models, stress
from assessment.policy import decide
from mlcore.errors import AnalysisError
from mlcore.faces import Face, FaceFrame
from mlcore.media import Frame
from mlcore.stress.quality import FaceQuality
from tests import media_factory
from tests.assessment.pipeline.small_weights import save_small_weights
from tests.assessment.records import make_assessment, only_answer

ALLOWED = decide("ID", "ID").snapshot()
SPOKEN = "Last year I managed a project with three engineers, and we finished it well before the deadline."
SMALL: dict[str, Any] = {"size": (320, 240), "fps": 15.0}


# -- Faces in passing -------------------------------------------------------------------------


def portrait_frame(t_s: float) -> Frame:
    return Frame(t_s, media_factory.portrait(320, 240))


def frontal(**changes: float) -> Face:
    measures = dict.fromkeys(Face.__dataclass_fields__, 0.0)
    return Face(**(measures | {"x": 0.3, "y": 0.15, "width": 0.35, "height": 0.6} | changes))


def passed_by(frames: int, fps: float, *faces: Face) -> stress.FaceSamples:
    samples = stress.FaceSamples(2.0)
    for number in range(frames):
        t_s = number / fps
        samples.pass_by(portrait_frame(t_s), FaceFrame(t_s, faces))
    return samples


@pytest.mark.parametrize("fps", [15.0, 29.97, 2.0, 1.0])
def test_at_most_two_faces_a_second_are_taken(fps: float) -> None:
    samples = passed_by(round(10 * fps), fps, frontal())
    per_second = np.bincount([int(t_s) for t_s in samples.times_s])
    assert per_second.max() == min(2, fps)
    assert len(samples.crops) == pytest.approx(min(20, 10 * fps), abs=1)
    assert all(crop.pixels.shape == (48, 48) for crop in samples.crops)


def test_faces_that_cannot_be_read_are_counted_and_not_kept() -> None:
    assert passed_by(15, 15.0).quality == {FaceQuality.NO_FACE: 2}
    away = passed_by(15, 15.0, frontal(yaw_deg=70.0))
    assert (away.crops, away.quality) == ([], {FaceQuality.TURNED_AWAY: 2})
    small = passed_by(15, 15.0, frontal(width=0.03, height=0.05))
    assert (small.crops, small.quality) == ([], {FaceQuality.TOO_SMALL: 2})


# -- The whole stage --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def own_weights(weights: Path, settings: LazySettings) -> Iterator[None]:
    settings.STRESS_WEIGHTS_DIR = weights
    yield
    models._stress_models.cache_clear()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face, and seven seconds of speech."""
    folder = tmp_path_factory.mktemp("spoken")
    speech = media_factory.make_speech(SPOKEN, folder / "speech.wav", voice="en-us")
    return media_factory.make_video(folder / "spoken.mp4", speech=speech, **SMALL)


@pytest.fixture(scope="module")
def voice_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voice")
    speech = media_factory.make_speech(SPOKEN, folder / "speech.wav", voice="en-us")
    return media_factory.make_audio_only(folder / "voice.m4a", speech=speech)


def handed_in(media: Path, policy: dict[str, Any] = ALLOWED) -> Answer:
    return only_answer(make_assessment(media=media, policy=policy, language="en"))


def processed(answer: Answer, attempt: int = 1) -> dict[str, Any]:
    """The answer's block of the document after this attempt."""
    pipeline.run_answer(answer, attempt=attempt, on_progress=lambda *_: None)
    answer.status = Answer.Status.COMPLETED
    answer.save()
    block: dict[str, Any] = results.build_document(answer.assessment)["content"][0]["result"]
    return block


def stages(answer: Answer) -> list[tuple[str, int]]:
    return list(answer.stage_runs.filter(status="completed").values_list("stage", "attempt"))


def codes(result: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in result["warnings"]}


slow = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.usefixtures("own_weights")]


class TestTheStage:
    pytestmark = slow

    def test_face_and_voice_make_a_timeline(self, spoken: Path) -> None:
        answer = handed_in(spoken)
        result = processed(answer)
        found = result["stress"]
        duration_s = answer.media_info["duration_s"]
        times = [point["t_s"] for point in found["timeline"]]
        assert times == sorted(set(times)) and times[-1] < duration_s
        assert len(times) >= int(duration_s)
        assert {tuple(point["sources"]) for point in found["timeline"]} == {("face",), ("face", "voice")}
        for point in found["timeline"]:
            assert point["low"] + point["medium"] + point["high"] == pytest.approx(1, abs=1e-3)
        assert sum(found["distribution"].values()) == pytest.approx(1, abs=1e-3)
        tops = [max(point["low"], point["medium"], point["high"]) for point in found["timeline"]]
        assert found["model_confidence"] == pytest.approx(np.mean(tops), abs=1e-3)
        assert found["face"]["used"] == found["face"]["quality"]["ok"] >= int(duration_s)
        assert sum(found["voice"]["emotions"].values()) == pytest.approx(1, abs=1e-3)

    def test_it_is_timed_and_says_what_it_worked_with(self, spoken: Path) -> None:
        answer = handed_in(spoken)
        result = processed(answer)
        made = result["provenance"]["stress"]
        assert "face " in made["model"] and "voice " in made["model"] and "fusion " in made["model"]
        assert made["thresholds"]["unsure_below"] == 0.5
        (timing,) = results.build_document(answer.assessment)["metadata"]["timings"]
        assert timing["stress_s"] is not None
        assert timing["total_s"] >= timing["stress_s"]

    def test_no_picture_of_a_face_is_stored(self, spoken: Path) -> None:
        answer = handed_in(spoken)
        processed(answer)
        (run,) = answer.stage_runs.filter(stage="stress")
        assert set(run.output) == {
            "timeline", "distribution", "model_confidence", "face", "voice", "high", "warnings",
        }  # fmt: skip
        assert len(json.dumps(run.output)) < 10_000

    def test_a_voice_without_picture_is_read_alone(self, voice_only: Path) -> None:
        found = processed(handed_in(voice_only))["stress"]
        assert found["face"] is None
        assert {tuple(point["sources"]) for point in found["timeline"]} == {("voice",)}

    def test_a_face_without_speech_is_read_alone(self, tmp_path: Path) -> None:
        silent = media_factory.make_silent_video(tmp_path / "silent.mp4", seconds=3.0, **SMALL)
        result = processed(handed_in(silent))
        assert result["stress"]["voice"] is None
        assert {tuple(point["sources"]) for point in result["stress"]["timeline"]} == {("face",)}
        assert "no_speech" in codes(result) and "stress_not_measured" not in codes(result)

    def test_neither_face_nor_voice_is_null_with_its_warning(self, tmp_path: Path) -> None:
        empty = media_factory.make_silent_video(tmp_path / "empty.mp4", seconds=2.0, face=False, **SMALL)
        result = processed(handed_in(empty))
        assert result["stress"] is None
        (warning,) = (one for one in result["warnings"] if one["code"] == "stress_not_measured")
        assert "picture: no face 4; sound: none to read" in warning["message"]

    def test_high_for_long_is_evidence(self, spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        certain = np.array([[0.05, 0.05, 0.9]], np.float32)
        monkeypatch.setattr(
            stress,
            "_fusing",
            lambda _: lambda face, voice: np.repeat(certain, len((face or voice).seconds), 0),
        )
        result = processed(handed_in(spoken))
        (found,) = (one for one in result["evidence"] if one["kind"] == "high_stress")
        assert (found["start_s"], found["reason"], found["value"]) == (0.0, "face and voice", 0.9)
        assert found["end_s"] == pytest.approx(result["stress"]["timeline"][-1]["t_s"] + 1, abs=1)
        assert result["stress"]["distribution"]["high"] == 1.0


class TestWherePolicyForbidsIt:
    pytestmark = [pytest.mark.slow, pytest.mark.django_db]

    @pytest.mark.parametrize(
        ("country", "code"), [("", "country_unknown"), ("DE", "policy_prohibits"), ("NO", "policy_prohibits")]
    )
    def test_nothing_is_taken_or_computed(
        self, spoken: Path, monkeypatch: pytest.MonkeyPatch, country: str, code: str
    ) -> None:
        def never(*_: Any, **__: Any) -> None:
            raise AssertionError("not where policy forbids it")

        for name in ("crop_face", "face_quality", "stress_models"):
            monkeypatch.setattr(stress, name, never)
        answer = handed_in(spoken, decide(country, "ID").snapshot())
        result = processed(answer)
        assert result["stress"] is None and code in codes(result)
        assert not answer.stage_runs.filter(stage="stress").exists()
        assert "stress" not in result["provenance"]
        assert result["transkripsi_en"] and result["faces"]["one"] > 0.9


class TestAnotherAttempt:
    pytestmark = slow

    def test_it_decodes_again_for_the_faces_alone(
        self, spoken: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = handed_in(spoken)
        whole = processed(answer)["stress"]
        answer.stage_runs.filter(stage__in=("stress", "grade")).delete()
        asked: list[float] = []
        open_media = pipeline.attempt.open_media
        monkeypatch.setattr(
            pipeline.attempt,
            "open_media",
            lambda path, **how: asked.append(how["frames_per_second"]) or open_media(path, **how),
        )
        again = processed(answer, attempt=2)["stress"]
        assert asked == [2.0]
        assert [stage for stage, attempt in stages(answer) if attempt == 2] == ["stress", "grade"]
        assert again["face"]["looked_at"] == pytest.approx(whole["face"]["looked_at"], abs=2)
        assert again["voice"] == whole["voice"]
        assert len(again["timeline"]) == pytest.approx(len(whole["timeline"]), abs=1)

    def test_where_it_has_finished_no_media_is_needed(self, spoken: Path) -> None:
        answer = handed_in(spoken)
        processed(answer)
        answer.stage_runs.filter(stage="grade").delete()
        answer.media.delete()
        assert processed(answer, attempt=2)["stress"] is not None

    def test_unreadable_weights_fail_this_stage_and_keep_the_others(
        self, spoken: Path, settings: LazySettings, tmp_path: Path, weights: Path
    ) -> None:
        settings.STRESS_WEIGHTS_DIR = tmp_path
        answer = handed_in(spoken)
        with pytest.raises(AnalysisError) as caught:
            processed(answer)
        assert caught.value.code == "weights_unreadable"
        failed = answer.stage_runs.get(stage="stress")
        assert (failed.status, failed.error_code) == (StageRun.Status.ERROR, "weights_unreadable")
        settings.STRESS_WEIGHTS_DIR = weights
        assert processed(answer, attempt=2)["stress"] is not None
        kept = {stage for stage, attempt in stages(answer) if attempt == 1}
        assert kept == {"transcribe", "listen", "watch"}
