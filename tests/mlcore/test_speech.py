from __future__ import annotations

import json
import math
import zlib
from difflib import SequenceMatcher
from typing import ClassVar

import ctranslate2
import faster_whisper
import jiwer
import numpy as np
import pytest
from faster_whisper.transcribe import Segment as HeardSegment
from faster_whisper.vad import get_speech_timestamps

from mlcore import speech_model
from mlcore.errors import AnalysisError
from mlcore.speech import Recognizer, Segment, confidence
from mlcore.speech_model import invented
from mlcore.voice_activity import RECOGNITION, VoiceActivity, detect_voice, total_s
from tests.mlcore import sounds
from tests.mlcore.sounds import SHARED, needs_shared_data

TEXT = (
    "My name is Anna. I have worked as a software engineer for five years. "
    "In my last project we moved the payment system to a new data center."
)
NORMALISE = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()]
)


def word_error_rate(reference: list[str], heard: list[str]) -> float:
    return 100 * jiwer.wer([NORMALISE(text) for text in reference], [NORMALISE(text) for text in heard])


def segment(start_s: float, end_s: float, avg_logprob: float) -> Segment:
    return Segment(start_s, end_s, "word", (), avg_logprob, 0.0)


def test_confidence_is_none_without_segments():
    assert confidence([]) is None


@pytest.mark.parametrize(("logprob", "expected"), [(-20.0, 0.0), (math.log(0.5), 50.0), (0.0, 100.0)])
def test_confidence_spans_0_to_100(logprob, expected):
    assert confidence([segment(0, 3, logprob)]) == pytest.approx(expected, abs=1e-4)


def test_confidence_weighs_segments_by_duration():
    assert confidence([segment(0, 9, 0.0), segment(9, 10, math.log(0.2))]) == pytest.approx(92.0)


@pytest.mark.parametrize("gap_s", [0.4, 1.0, 3.0])
def test_recognition_intervals_are_those_of_faster_whisper(gap_s):
    said = sounds.say("One short sentence.")
    samples = np.concatenate([sounds.silence(0.7), said, sounds.silence(gap_s), said, sounds.silence(1)])
    theirs = [(chunk["start"], chunk["end"]) for chunk in get_speech_timestamps(samples)]
    assert detect_voice(samples).sample_ranges(RECOGNITION) == theirs


def test_voice_activity_of_no_samples_is_empty():
    voice = detect_voice(np.zeros(0, dtype=np.float32))
    assert voice.speech == ()
    assert voice.duration_s == 0


def test_speech_intervals_lie_where_somebody_speaks():
    said = sounds.say("This is one sentence without any pause.")
    samples = np.concatenate([sounds.silence(3), said, sounds.silence(3)])
    speech = detect_voice(samples).speech
    assert speech[0].start_s == pytest.approx(3.0, abs=0.25)
    assert total_s(speech) == pytest.approx(len(said) / 16_000, abs=0.5)


def test_an_interval_ends_only_after_the_silence_that_was_asked_for():
    probabilities = np.array([0.0] * 10 + [0.9] * 20 + [0.1] * 5 + [0.9] * 20 + [0.1] * 40, dtype=np.float32)
    voice = VoiceActivity(probabilities, len(probabilities) * 512)
    assert len(voice.speech) == 1
    assert voice.speech[0].start_s == pytest.approx(10 * 0.032 - 0.05)
    assert voice.speech[0].end_s == pytest.approx(55 * 0.032 + 0.05)


def test_it_refuses_a_language_that_it_does_not_know(recognizer):
    with pytest.raises(AnalysisError) as caught:
        recognizer.transcribe(sounds.silence(1), "fr")
    assert caught.value.code == "unknown_language"


def test_it_names_a_model_that_cannot_be_loaded(tmp_path):
    with pytest.raises(AnalysisError, match=str(tmp_path)) as caught:
        Recognizer(tmp_path)
    assert caught.value.code == "model_unavailable"
    assert not caught.value.permanent


@pytest.mark.slow
@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, dtype=np.float32),
        sounds.silence(20),
        sounds.white_noise(20, 0.1),
        sounds.white_noise(20, 0.3),
        sounds.pink_noise(20, 0.1),
        sounds.harmonics(20, 50, 5),
        sounds.harmonics(20, 440, 1),
        sounds.chords(20),
        sounds.vibrato(8, 110, 3, 8, 4),
    ],
    ids=[
        "nothing",
        "silence",
        "white",
        "loud_white",
        "pink",
        "hum",
        "tone",
        "music",
        "sung",
    ],
)
def test_no_words_are_invented_where_nobody_speaks(recognizer, samples):
    transcript = recognizer.transcribe(samples, "auto")
    assert transcript.text == ""
    assert transcript.words == ()
    assert transcript.confidence is None
    assert transcript.min_confidence is None


@pytest.mark.slow
def test_what_is_said_again_and_again_is_heard_each_time(recognizer):
    """As in a short clip that is looped: text that compresses well is no sign of invention by itself."""
    once = np.concatenate(
        [sounds.say("I moved the payment system to a new data center."), sounds.silence(0.5)]
    )
    transcript = recognizer.transcribe(np.tile(once, 8), "en")
    assert transcript.text.lower().count("payment system") == 8
    assert transcript.confidence > 70


def heard(text: str, seconds: float, *, logprob: float = -0.1, no_speech: float = 0.1) -> HeardSegment:
    ratio = len(text) / len(zlib.compress(text.encode()))
    return HeardSegment(1, 0, 0.0, seconds, text, [], logprob, ratio, no_speech, None, 0.0)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (heard("I think so. " * 12, 14.0), False),
        (heard("I think so. " * 12, 3.0), True),
        (heard("I think so. " * 12, 14.0, logprob=-1.2), True),
        (heard("I think so. " * 12, 14.0, no_speech=0.7), True),
        (heard("Oh. Oh. Oh.", 3.0, no_speech=0.7), True),
        (heard("We moved the payment system in May.", 3.0, no_speech=0.7), False),
        (heard("We moved the payment system in May.", 3.0, no_speech=0.7, logprob=-1.2), True),
    ],
    ids=["said_again", "crowded", "unlikely_loop", "silent_loop", "one_word", "speech", "silence"],
)
def test_loops_that_nobody_can_have_said_are_invented(segment, expected):
    assert invented(segment) is expected


@pytest.mark.slow
def test_words_have_times_and_probabilities(recognizer):
    samples = np.concatenate([sounds.say(TEXT), sounds.silence(2)])
    seen: list[float] = []
    transcript = recognizer.transcribe(samples, "en", on_progress=seen.append)
    assert word_error_rate([TEXT], [transcript.text]) < 25
    assert len(transcript.words) == len(transcript.text.split())
    starts = [word.start_s for word in transcript.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start_s <= word.end_s <= len(samples) / 16_000 for word in transcript.words)
    assert all(0 <= word.probability <= 1 for word in transcript.words)
    assert transcript.min_confidence <= transcript.confidence <= transcript.max_confidence
    assert transcript.language == "en"
    assert transcript.language_probability is None
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("padding_s", [1.3, 7.0, 40.0])
def test_silence_in_front_shifts_words_by_its_length(recognizer, padding_s):
    said = np.concatenate([sounds.say(TEXT), sounds.silence(4), sounds.say("That was all.")])
    plain = recognizer.transcribe(said, "en").words
    shifted = recognizer.transcribe(np.concatenate([sounds.silence(padding_s), said]), "en").words
    same = SequenceMatcher(None, [w.text for w in plain], [w.text for w in shifted]).get_matching_blocks()
    pairs = [(plain[i + k], shifted[j + k]) for i, j, size in same for k in range(size)]
    assert len(pairs) > 0.9 * len(plain)
    for before, after in pairs:
        assert after.start_s - before.start_s == pytest.approx(padding_s, abs=0.2)
        assert after.end_s - before.end_s == pytest.approx(padding_s, abs=0.2)


@pytest.mark.slow
def test_long_speech_is_worked_in_blocks_without_losing_words(recognizer, monkeypatch):
    samples = np.concatenate([sounds.say(TEXT), sounds.silence(3), sounds.say(TEXT)])
    whole = recognizer.transcribe(samples, "en")
    monkeypatch.setattr("mlcore.speech.BLOCK_S", 6.0)
    monkeypatch.setattr("mlcore.speech.BLOCK_SEARCH_S", 2.0)
    seen: list[float] = []
    blocks = recognizer.transcribe(samples, "en", on_progress=seen.append)
    assert word_error_rate([whole.text], [blocks.text]) < 15
    assert blocks.words[-1].end_s == pytest.approx(whole.words[-1].end_s, abs=0.4)
    assert seen == sorted(seen)


@pytest.mark.slow
def test_english_speech_is_taken_for_english(recognizer):
    found = recognizer.detect_language(sounds.say(TEXT))
    assert found.language == "en"
    assert found.share > 0.95
    assert not found.uncertain


class _Odds(Recognizer):
    def __init__(self, *odds: dict[str, float]) -> None:
        self._odds = iter(odds)

    def _language_odds(self, window):
        return next(self._odds)


SPEECH = VoiceActivity(np.full(2000, 0.9, dtype=np.float32), 2000 * 512)
HEARD = np.zeros(2000 * 512, dtype=np.float32)


@pytest.mark.parametrize(
    ("odds", "language", "uncertain"),
    [
        ({"en": 0.9, "id": 0.01, "ms": 0.01}, "en", False),
        ({"en": 0.01, "id": 0.3, "ms": 0.6}, "id", False),
        ({"en": 0.3, "id": 0.5, "ms": 0.1}, "id", True),
        ({"en": 0.04, "id": 0.001, "th": 0.9}, "en", True),
    ],
    ids=["english", "indonesian_taken_for_malay", "close", "a_third_language"],
)
def test_the_language_is_chosen_between_english_and_indonesian_alone(odds, language, uncertain):
    found = _Odds(odds, odds, odds).detect_language(HEARD, SPEECH)
    assert (found.language, found.uncertain) == (language, uncertain)


def test_several_windows_of_speech_decide_on_the_language():
    windows = [{"en": 0.6, "id": 0.3}, {"en": 0.05, "id": 0.9}, {"en": 0.02, "id": 0.9}]
    assert _Odds(*windows).detect_language(HEARD, SPEECH).language == "id"


def _spoken(folder: str) -> dict[str, str]:
    texts = json.loads((SHARED / folder / "transcripts.json").read_text())
    return {str(SHARED / folder / name): text for name, text in texts.items()}


class _WithoutCublas(speech_model.WhisperModel):
    """On a machine with a GPU and cuBLAS of CUDA 13: loaded, and then the first encoding fails with these words
    (faster-whisper issue 1431). Here the model is really loaded, on the CPU."""

    loads: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, model: str, *, device: str, compute_type: str, cpu_threads: int) -> None:
        self.loads.append((device, compute_type))
        self.on_gpu = device == "cuda"
        super().__init__(model, device="cpu", compute_type="int8", cpu_threads=cpu_threads)

    def encode(self, features):
        encoded = super().encode(features)
        if self.on_gpu:
            raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
        return encoded


@pytest.fixture
def gpu_without_cublas(monkeypatch):
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(speech_model, "WhisperModel", _WithoutCublas)
    monkeypatch.setattr(_WithoutCublas, "loads", [])


@pytest.mark.slow
def test_a_gpu_whose_libraries_are_not_there_leaves_it_to_the_cpu_and_says_what_to_install(
    gpu_without_cublas, whisper_folder, caplog
):
    found = Recognizer(whisper_folder, device="auto", cpu_threads=1)
    assert (found.device, found.compute_type) == ("cpu", "int8")
    assert _WithoutCublas.loads == [("cuda", "float16"), ("cpu", "int8")]
    assert found.transcribe(sounds.say("One short sentence."), "en").words
    [warning] = [one for one in caplog.records if one.levelname == "WARNING"]
    for told in ("CPU", "libcublas.so.12", "nvidia-cublas-cu12", "LD_LIBRARY_PATH"):
        assert told in warning.getMessage()


class _OldGpu(speech_model.WhisperModel):
    """On a GPU that has no fast float16 (GTX 10 series, Tesla P40; faster-whisper issue 42) CTranslate2 refuses to load
    the model, with the words that it has for a CPU as well: here it is one that refuses."""

    def __init__(self, model: str, *, device: str, compute_type: str, cpu_threads: int) -> None:
        super().__init__(model, device="cpu", compute_type=compute_type, cpu_threads=cpu_threads)


@pytest.mark.slow
def test_a_gpu_that_is_too_old_leaves_it_to_the_cpu(monkeypatch, whisper_folder, caplog):
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(speech_model, "WhisperModel", _OldGpu)
    found = Recognizer(whisper_folder, device="auto", cpu_threads=1)
    assert (found.device, found.compute_type) == ("cpu", "int8")
    assert "float16" in caplog.text
    with pytest.raises(AnalysisError, match="float16"):
        Recognizer(whisper_folder, device="cuda", cpu_threads=1)


@pytest.mark.slow
def test_a_gpu_that_was_asked_for_and_cannot_be_used_is_an_error_that_says_what_to_install(
    gpu_without_cublas, whisper_folder, caplog
):
    with pytest.raises(AnalysisError) as caught:
        Recognizer(whisper_folder, device="cuda", cpu_threads=1)
    assert caught.value.code == "model_unavailable"
    for told in ("libcublas.so.12", "nvidia-cublas-cu12", "LD_LIBRARY_PATH"):
        assert told in caught.value.message
    assert caplog.records == []


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU")
def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(whisper_folder):
    with pytest.raises(AnalysisError, match="CUDA") as caught:
        Recognizer(whisper_folder, device="cuda", cpu_threads=1)
    assert caught.value.code == "model_unavailable"


@pytest.mark.slow
@needs_shared_data
def test_word_error_rate_is_that_of_the_recogniser_called_directly(recognizer, whisper_folder):
    direct = faster_whisper.WhisperModel(
        str(whisper_folder), device="cpu", compute_type="int8", cpu_threads=1
    )
    for language, folder in (("en", "speech_en"), ("id", "speech_id")):
        spoken = _spoken(folder)
        recordings = [sounds.load(path) for path in spoken]
        ours = [recognizer.transcribe(samples, language).text for samples in recordings]
        theirs = []
        for samples in recordings:
            found, _ = direct.transcribe(
                samples,
                language=language,
                beam_size=5,
                condition_on_previous_text=False,
                word_timestamps=True,
            )
            theirs.append(" ".join(heard.text for heard in found))
        assert word_error_rate(list(spoken.values()), ours) <= (
            word_error_rate(list(spoken.values()), theirs) + 0.5
        )


@pytest.mark.slow
@needs_shared_data
def test_indonesian_speech_is_found_and_put_into_english(recognizer):
    (path,) = _spoken("speech_id")
    samples = sounds.load(path)
    transcript = recognizer.transcribe(samples, "auto")
    assert transcript.language == "id"
    assert transcript.language_probability > 0.95
    assert not transcript.language_uncertain
    assert "garasi" in transcript.text.lower()
    english = recognizer.translate_to_english(samples, "id")
    assert recognizer.detect_language(samples).language == "id"
    assert english
    assert "membersihkan" not in english.lower()
