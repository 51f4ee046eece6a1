from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from django.conf import settings

from mlcore.errors import AnalysisError
from mlcore.face_geometry import Face
from mlcore.faces import ImageFaceDetector
from mlcore.media import SAMPLE_RATE
from mlcore.stress import live
from mlcore.stress.face.model import FaceModel
from mlcore.stress.fusion.model import FusionModel, FusionNetwork
from mlcore.stress.labels import stress_of
from mlcore.stress.live import StressAnalyzer
from mlcore.stress.predictions import Predictions
from mlcore.stress.quality import FaceQuality, VoiceQuality
from mlcore.stress.readings import StressReading
from mlcore.stress.voice.features import VoiceFeatures
from mlcore.stress.voice.model import VoiceModel
from mlcore.stress.voice.network import VoiceEnsemble, VoiceNetwork
from tests.media_factory import empty_room, noise, portrait
from tests.mlcore.sounds import say, silence
from tests.mlcore.stress.faces import face_at
from tests.mlcore.stress.networks import small_face_network

MODEL = Path(settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
HAPPY, SAD = np.eye(7, dtype=np.float32)[[3, 4]] * 0.93 + 0.01


class Finder:
    """Finds a face in the middle of every frame that is not black."""

    closed = False

    def detect(self, rgb: np.ndarray) -> tuple[Face, ...]:
        return (face_at(0.3, 0.2, 0.4, 0.6),) if rgb.max() > 60 else ()

    def close(self) -> None:
        self.closed = True


class Told:
    """Says what it was told to, and keeps how many it was asked for at once."""

    def __init__(self, emotions: np.ndarray, size: int) -> None:
        self.emotions, self.size = emotions, size
        self.asked: list[int] = []

    def predict(self, inputs: Sequence[np.ndarray] | np.ndarray) -> Predictions:
        self.asked.append(len(inputs))
        rows = np.repeat(self.emotions[None], len(inputs), axis=0)
        return Predictions(stress_of(rows), rows, np.zeros((len(inputs), self.size), np.float32))


@pytest.fixture
def face() -> Told:
    return Told(HAPPY, 64)


@pytest.fixture
def voice() -> Told:
    return Told(SAD, 32)


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def analyzer(
    face: Told, voice: Told, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StressAnalyzer]:
    """The untrained fusion adds up what both say. Nothing is left out because the machine stalled for a second."""
    for name in ("FACE_WAITS_S", "CLIP_WAITS_S"):
        monkeypatch.setattr(live, name, 60.0)
    with StressAnalyzer(face, voice, FusionModel(FusionNetwork(), {}, {}), finder) as opened:
        yield opened


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (360, 480, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return say("I have worked in this team for three years now.")[: 3 * SAMPLE_RATE]


def total(values: dict[str, float] | None) -> float:
    assert values is not None
    return sum(values.values())


def test_a_frame_alone_gives_a_reading_by_the_face(analyzer: StressAnalyzer, frame: np.ndarray):
    reading = analyzer.session().update(t_s=1.0, frame=frame)
    assert (reading.level, reading.sources, reading.unsure) == ("low", ("face",), False)
    assert total(reading.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert reading.emotions is not None and max(reading.emotions, key=reading.emotions.__getitem__) == "happy"
    assert reading.face == live.FacePart(True, 1, FaceQuality.OK)
    assert reading.voice == live.VoicePart(False, None)
    assert reading.latency_ms > 0


def test_speech_alone_gives_a_reading_by_the_voice(analyzer: StressAnalyzer, speech: np.ndarray):
    reading = analyzer.session().update(t_s=1.0, samples=speech)
    assert (reading.level, reading.sources) == ("high", ("voice",))
    assert reading.face == live.FacePart(False, 0, None)
    assert reading.voice == live.VoicePart(True, VoiceQuality.OK)


def test_both_are_fused(analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray):
    reading = analyzer.session().update(t_s=1.0, frame=frame, samples=speech)
    assert reading.sources == ("face", "voice")
    assert reading.probabilities is not None
    assert reading.probabilities["low"] == pytest.approx(reading.probabilities["high"], abs=0.05)


def test_speech_goes_on_counting_while_only_frames_come_and_then_no_longer(
    analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    session.update(t_s=0.0, samples=speech)
    assert session.update(t_s=live.VOICE_KEPT_S, frame=frame).sources == ("face", "voice")
    assert session.update(t_s=live.VOICE_KEPT_S + 0.1, frame=frame).sources == ("face",)


def test_a_face_goes_on_counting_while_only_speech_comes_and_then_no_longer(
    analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    session.update(t_s=0.0, frame=frame)
    assert session.update(t_s=live.FACE_KEPT_S, samples=speech).sources == ("face", "voice")
    assert session.update(t_s=live.FACE_KEPT_S + 0.1, samples=speech).sources == ("voice",)


def test_a_face_that_is_gone_does_not_count_any_longer(analyzer: StressAnalyzer, frame: np.ndarray):
    session = analyzer.session()
    session.update(t_s=0.0, frame=frame)
    gone = session.update(t_s=0.5, frame=np.zeros_like(frame))
    assert gone.face == live.FacePart(False, 0, FaceQuality.NO_FACE)
    assert (gone.level, gone.probabilities, gone.emotions, gone.confidence) == (None, None, None, None)
    assert gone.sources == ()


def test_who_stops_speaking_is_no_longer_heard(
    analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    session.update(t_s=0.0, samples=speech)
    quiet = session.update(t_s=2.0, frame=frame, samples=noise(3.0, 0.02))
    assert quiet.sources == ("face",)
    assert quiet.voice == live.VoicePart(False, VoiceQuality.NOT_SPEAKING)


@pytest.mark.parametrize(
    ("samples", "quality"),
    [
        (silence(3.0), VoiceQuality.SILENT),
        (np.zeros(0, np.float32), VoiceQuality.TOO_SHORT),
        (noise(1.0), VoiceQuality.TOO_SHORT),
        (np.sign(noise(3.0)), VoiceQuality.CLIPPED),
    ],
)
def test_sound_that_cannot_be_read_is_left_out_by_name(
    analyzer: StressAnalyzer, voice: Told, samples: np.ndarray, quality: VoiceQuality
):
    reading = analyzer.session().update(t_s=0.0, samples=samples)
    assert reading.voice == live.VoicePart(False, quality)
    assert reading.level is None
    assert voice.asked == []


@pytest.mark.parametrize(
    ("samples", "rate", "code"),
    [
        (np.full(48_000, np.nan, np.float32), 16_000, "audio_not_finite"),
        (noise(3.0) * 5000, 16_000, "audio_out_of_range"),
        (np.zeros((3, 16_000), np.float32), 16_000, "audio_shape"),
        (noise(3.0), 4000, "audio_rate"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(
    analyzer: StressAnalyzer, samples: np.ndarray, rate: int, code: str
):
    with pytest.raises(AnalysisError) as caught:
        analyzer.session().update(t_s=0.0, samples=samples, sample_rate=rate)
    assert caught.value.code == code


def test_speech_at_8_khz_and_in_stereo_is_heard(analyzer: StressAnalyzer, speech: np.ndarray):
    session = analyzer.session()
    stereo = np.stack([speech, speech], axis=1)
    assert session.update(t_s=0.0, samples=stereo).voice.speaking
    assert session.update(t_s=1.0, samples=speech[::2], sample_rate=8000).voice.speaking


def test_a_refused_input_leaves_the_session_as_it_was(analyzer: StressAnalyzer, frame: np.ndarray):
    session = analyzer.session()
    before = session.update(t_s=0.0, frame=frame)
    for bad in ({"frame": frame[..., 0]}, {"frame": frame, "samples": np.full(48_000, np.nan, np.float32)}):
        with pytest.raises(AnalysisError):
            session.update(t_s=1.0, **bad)
    after = session.update(t_s=1.0)
    assert (after.sources, after.probabilities) == (before.sources, before.probabilities)


def test_rooms_keep_their_smoothing_to_themselves(analyzer: StressAnalyzer, face: Told, frame: np.ndarray):
    one, other = analyzer.session(), analyzer.session()
    for t in range(5):
        one.update(t_s=float(t), frame=frame)
    face.emotions = SAD
    assert other.update(t_s=5.0, frame=frame).level == "high"
    assert one.update(t_s=5.0, frame=frame).level == "low"


def test_a_reset_forgets_what_was_seen(analyzer: StressAnalyzer, face: Told, frame: np.ndarray):
    session = analyzer.session()
    for t in range(5):
        session.update(t_s=float(t), frame=frame)
    session.reset()
    assert session.update(t_s=5.0).sources == ()
    face.emotions = SAD
    assert session.update(t_s=5.0, frame=frame).level == "high"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no nice value of their own")
def test_clips_give_way_to_faces_and_nothing_else_does(analyzer: StressAnalyzer):
    nice = analyzer.among_clips(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result(60)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert nice == min(19, own + live.CLIPS_NICE)


def test_frames_of_many_rooms_are_read_together(
    analyzer: StressAnalyzer, face: Told, finder: Finder, frame: np.ndarray
):
    held, free = threading.Event(), threading.Event()
    detect = finder.detect

    def held_up(rgb: np.ndarray) -> tuple[Face, ...]:
        held.set()
        assert free.wait(20)
        return detect(rgb)

    finder.detect = held_up  # type: ignore[method-assign]
    with ThreadPoolExecutor(1 + 2 * live.FACES_AT_ONCE) as pool:
        first = pool.submit(analyzer.session().update, t_s=0.0, frame=frame)
        assert held.wait(20)
        waiting = [
            pool.submit(analyzer.session().update, t_s=0.0, frame=frame)
            for _ in range(2 * live.FACES_AT_ONCE)
        ]
        batcher = analyzer._faces
        while len(batcher._kinds[live.FACES]._waiting) < 2 * live.FACES_AT_ONCE:
            assert not first.done()
        free.set()
        readings = [future.result(60) for future in [first, *waiting]]
    assert face.asked == [1, live.FACES_AT_ONCE, live.FACES_AT_ONCE]
    assert [reading.level for reading in readings] == ["low"] * 9


def test_a_face_does_not_wait_for_voices(
    analyzer: StressAnalyzer, voice: Told, frame: np.ndarray, speech: np.ndarray
):
    held, free = threading.Event(), threading.Event()
    predict = voice.predict

    def held_up(clips: Sequence[np.ndarray]) -> Predictions:
        held.set()
        assert free.wait(20)
        return predict(clips)

    voice.predict = held_up  # type: ignore[method-assign]
    session = analyzer.session()
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(session.update, t_s=1.0, samples=speech)
        try:
            assert held.wait(20)
            assert session.update(t_s=1.5, frame=frame).sources == ("face",)
            assert not heard.done()
        finally:
            free.set()
        late = heard.result(60)
    assert (late.sources, late.t_s) == (("face", "voice"), 1.5)


def test_work_beside_the_clips_runs_in_their_thread_and_few_may_wait(analyzer: StressAnalyzer):
    held, free = threading.Event(), threading.Event()

    def hold() -> str:
        held.set()
        assert free.wait(20)
        return threading.current_thread().name

    first = analyzer.among_clips(hold)
    assert held.wait(20)
    waiting = [analyzer.among_clips(lambda: "done") for _ in range(live.TASKS_WAITING)]
    with pytest.raises(AnalysisError) as caught:
        analyzer.among_clips(lambda: "too many")
    free.set()
    assert caught.value.code == "analysis_busy"
    assert first.result(60) == "stress-clips"
    assert [future.result(60) for future in waiting] == ["done"] * live.TASKS_WAITING


def test_a_reading_carries_the_face_and_the_speech_it_was_asked_with(
    analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    both = session.update(t_s=0.0, frame=frame, samples=speech)
    assert both.measured == face_at(0.3, 0.2, 0.4, 0.6)
    assert both.speech
    assert all(0 <= one.start_s < one.end_s <= 3.0 for one in both.speech)
    nothing = session.update(t_s=0.5)
    assert (nothing.measured, nothing.speech, nothing.sources) == (None, (), ("face", "voice"))


def test_without_emotions_no_network_is_run_and_nothing_is_said_of_levels(
    analyzer: StressAnalyzer, face: Told, voice: Told, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    reading = session.update(t_s=0.0, frame=frame, samples=speech, emotions=False)
    assert face.asked == voice.asked == []
    assert (reading.level, reading.probabilities, reading.emotions, reading.sources) == (None, None, None, ())
    assert reading.face == live.FacePart(True, 1, FaceQuality.OK)
    assert reading.voice == live.VoicePart(True, VoiceQuality.OK)
    assert reading.measured is not None
    assert reading.speech


def test_what_was_said_before_emotions_were_switched_off_is_forgotten(
    analyzer: StressAnalyzer, frame: np.ndarray, speech: np.ndarray
):
    session = analyzer.session()
    assert session.update(t_s=0.0, frame=frame, samples=speech).level is not None
    assert session.update(t_s=0.5, frame=frame, emotions=False).level is None
    assert session.update(t_s=1.0).sources == ()


def test_one_session_used_by_two_threads_gives_a_reading_for_every_frame(
    analyzer: StressAnalyzer, frame: np.ndarray
):
    session = analyzer.session()
    with ThreadPoolExecutor(2) as pool:
        readings = list(pool.map(lambda _: session.update(t_s=1.0, frame=frame), range(40)))
    assert [reading.level for reading in readings] == ["low"] * 40


def test_after_closing_callers_are_told_and_the_detector_is_closed(
    analyzer: StressAnalyzer, finder: Finder, frame: np.ndarray
):
    session = analyzer.session()
    analyzer.close()
    with pytest.raises(AnalysisError) as caught:
        session.update(t_s=0.0, frame=frame)
    assert caught.value.code == "analysis_closed"
    assert finder.closed


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")
def test_real_frames_and_speech_go_through_landmarker_encoder_and_networks(
    whisper_folder: Path, speech: np.ndarray
):
    room = empty_room(640, 480).copy()
    room[60:420, 140:500] = portrait(360, 360)
    torch.manual_seed(0)
    hearing = VoiceModel(VoiceEnsemble([VoiceNetwork()]), VoiceFeatures(whisper_folder))
    fusion = FusionModel(FusionNetwork(), {}, {})
    with StressAnalyzer(
        FaceModel(small_face_network()), hearing, fusion, ImageFaceDetector(MODEL)
    ) as analyzer:
        session = analyzer.session()
        both: StressReading = session.update(t_s=0.0, frame=room, samples=speech)
        dark = session.update(t_s=1.0, frame=(room * 0.04).astype(np.uint8))
        empty = session.update(t_s=2.0, frame=empty_room(640, 480))
        tiny = session.update(t_s=3.0, frame=np.zeros((1, 1, 3), np.uint8))
    assert both.sources == ("face", "voice")
    assert total(both.probabilities) == pytest.approx(1.0, abs=1e-4)
    assert total(both.emotions) == pytest.approx(1.0, abs=1e-4)
    assert dark.face.quality in (FaceQuality.TOO_DARK, FaceQuality.NO_FACE)
    assert dark.sources == ("voice",)
    assert empty.face == tiny.face == live.FacePart(False, 0, FaceQuality.NO_FACE)


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.exists(), reason="the face model is not fetched")
def test_the_shipped_models_see_a_smile():
    room = empty_room(640, 480).copy()
    room[60:420, 140:500] = portrait(360, 360)
    with StressAnalyzer.load(models_dir=Path(settings.MODELS_DIR)) as analyzer:
        reading = analyzer.session().update(t_s=0.0, frame=room)
    assert reading.emotions is not None
    assert max(reading.emotions, key=reading.emotions.__getitem__) == "happy"
    assert reading.level == "low"
