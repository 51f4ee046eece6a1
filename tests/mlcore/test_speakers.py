from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest

from mlcore.media import open_media
from mlcore.speakers import Turn, assign_speakers, find_voices, second_voice_intervals, spread
from mlcore.speech import Word
from mlcore.voice_activity import Interval
from mlcore.voice_embedding import embed_windows, mel_spectrogram, one_thread, voice_encoder
from tests.mlcore import sounds
from tests.mlcore.sounds import SHARED, needs_shared_data

SENTENCES = (
    "I have worked as a software engineer for five years in a small company.",
    "In my last project we moved the payment system to a new data center.",
    "My greatest strength is that I finish what I start, even when it is hard.",
    "I would like to learn more about the team and how it makes decisions.",
)
LOW, HIGH = ("en-us+m3", 35), ("en-us+f4", 75)


def said(voice: tuple[str, int], sentences: tuple[str, ...]) -> np.ndarray:
    parts = [sounds.say(text, voice[0], pitch=voice[1]) for text in sentences]
    return np.concatenate([piece for part in parts for piece in (part, sounds.silence(0.4))])


def word(start_s: float, end_s: float) -> Word:
    return Word(start_s, end_s, "word", 0.9)


@pytest.mark.slow
def test_the_spectrogram_is_that_of_resemblyzer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from resemblyzer.audio import wav_to_mel_spectrogram
    samples = said(LOW, SENTENCES[:1])
    theirs = wav_to_mel_spectrogram(samples)
    ours = mel_spectrogram(samples)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=theirs.max() * 1e-7)


@pytest.mark.slow
def test_embeddings_are_those_of_resemblyzer():
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from resemblyzer import VoiceEncoder
    mels = torch.rand(3, 160, 40) * 0.01
    with one_thread(), torch.inference_mode():
        expected = VoiceEncoder("cpu", verbose=False)(mels)
        np.testing.assert_allclose(voice_encoder()(mels).numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.slow
def test_embeddings_do_not_hang_on_the_level():
    samples = said(LOW, SENTENCES[:1])
    window = [Interval(0.5, 2.1)]
    quiet = embed_windows(samples * 0.02, window)
    assert float((embed_windows(samples, window) @ quiet.T).item()) > 0.999


def test_windows_reach_from_edge_to_edge_and_overlap_by_two_thirds_at_least():
    windows = spread(Interval(2.0, 7.3))
    assert windows[0].start_s == 2.0
    assert windows[-1].end_s == pytest.approx(7.3)
    steps = np.diff([window.start_s for window in windows])
    assert all(step <= 0.4 + 1e-9 for step in steps)


@pytest.mark.parametrize(("length_s", "windows"), [(0.5, 0), (0.6, 1), (1.1, 1), (1.2, 1), (1.3, 2)])
def test_short_speech_gives_one_window_or_none(length_s, windows):
    assert len(spread(Interval(0.0, length_s))) == windows


@pytest.mark.parametrize(
    "samples",
    [sounds.silence(0), sounds.silence(5), sounds.pink_noise(5)],
    ids=["nothing", "silence", "noise"],
)
def test_without_speech_there_are_no_voices(samples):
    voices = find_voices(samples)
    assert voices.num_speakers is None
    assert voices.confidence is None
    assert voices.turns == ()
    assert voices.silhouette_score == -1


@pytest.mark.slow
@pytest.mark.parametrize("voice", [LOW, HIGH], ids=["low", "high"])
def test_one_voice_is_a_possible_answer(voice):
    voices = find_voices(said(voice, SENTENCES))
    assert voices.num_speakers == 1
    assert {turn.speaker for turn in voices.turns} == {0}
    assert voices.silhouette_score == -1
    assert 50 <= voices.confidence <= 100


@pytest.mark.slow
def test_two_voices_are_found_with_their_turns():
    first, second = said(LOW, SENTENCES[:2]), said(HIGH, SENTENCES[2:])
    voices = find_voices(np.concatenate([first, second]))
    border_s = len(first) / 16_000
    assert voices.num_speakers == 2
    assert {turn.speaker for turn in voices.turns if turn.end_s < border_s - 0.3} == {0}
    assert {turn.speaker for turn in voices.turns if turn.start_s > border_s + 0.3} == {1}
    assert 0 < voices.silhouette_score <= 1
    assert voices.turns == voices.turns_by_count[2]


@pytest.mark.slow
def test_turns_are_kept_for_one_to_four_voices_and_a_reviewer_may_set_the_count():
    samples = np.concatenate([said(LOW, SENTENCES), said(HIGH, SENTENCES)])
    voices = find_voices(samples, num_speakers=1)
    assert voices.num_speakers == 1
    assert sorted(voices.turns_by_count) == [1, 2, 3, 4]
    for count, turns in voices.turns_by_count.items():
        assert len({turn.speaker for turn in turns}) <= count
        assert all(before.end_s <= after.start_s + 1e-6 for before, after in pairwise(turns))
        assert turns[0].speaker == 0
    assert len({turn.speaker for turn in voices.turns_by_count[2]}) == 2
    assert find_voices(samples, num_speakers=2).turns == voices.turns_by_count[2]


@pytest.mark.slow
def test_half_a_second_of_speech_is_one_voice_without_certainty():
    samples = np.concatenate([sounds.silence(1), sounds.say("Yes, of course."), sounds.silence(1)])
    voices = find_voices(samples)
    assert voices.num_speakers == 1
    assert voices.confidence == 50
    assert len(voices.turns) == 1


def test_a_word_belongs_to_whose_turns_overlap_it_most():
    turns = [Turn(0, 2, 0), Turn(2, 5, 1), Turn(6, 8, 0)]
    words = [word(0.5, 1.0), word(1.9, 2.4), word(1.2, 2.1), word(5.2, 5.3), word(5.8, 5.9), word(9, 9.5)]
    assert assign_speakers(words, turns) == [0, 1, 0, 1, 0, 0]


def test_words_without_turns_have_no_speaker():
    assert assign_speakers([word(0, 1)], []) == [None]


def test_the_second_voice_is_whoever_does_not_speak_most():
    turns = [Turn(0, 2, 0), Turn(2, 12, 1), Turn(13, 14, 0)]
    assert second_voice_intervals(turns) == (Interval(0, 2), Interval(13, 14))
    assert second_voice_intervals([Turn(0, 2, 0)]) == ()


def _readers(*names: str) -> np.ndarray:
    folder = SHARED / "conversation" / "librispeech"
    parts = [sounds.load(path) for name in names for path in sorted(folder.glob(f"{name}-*-000[0-3].flac"))]
    return np.concatenate([piece for part in parts for piece in (part[: 8 * 16_000], sounds.silence(0.4))])


@pytest.mark.slow
@needs_shared_data
@pytest.mark.parametrize("reader", ["1688", "1998", "2033", "2414", "2609", "3005"])
def test_one_reader_is_one_voice(reader):
    assert find_voices(_readers(reader)).num_speakers == 1


@pytest.mark.slow
@needs_shared_data
@pytest.mark.parametrize("pair", [("1688", "1998"), ("1998", "2033"), ("2414", "2609"), ("2609", "3005")])
def test_two_readers_are_two_voices(pair):
    assert find_voices(_readers(*pair)).num_speakers == 2


@pytest.mark.slow
@needs_shared_data
@pytest.mark.parametrize(
    ("recording", "voices", "worst_error"),
    [("pyannote_sample.wav", 2, 0.3), ("ami/dev00.flac", 2, 0.5), ("ami/trn03.flac", 1, 0.3)],
    ids=["two in quick exchange", "two in a meeting", "one, and a second of another"],
)
def test_voices_of_real_conversations_are_counted_and_followed(recording, voices, worst_error):
    from tests.bench.voices import diarization_error, reference

    path = SHARED / "conversation" / recording
    samples = sounds.load(path)
    rttm = path.parent / "reference.rttm" if path.parent.name == "ami" else path.with_suffix(".rttm")
    truth = reference(rttm, path.stem.removeprefix("pyannote_"))
    found = find_voices(samples)
    assert found.num_speakers == voices
    assert diarization_error(truth, list(found.turns), len(samples) / 16_000) < worst_error


@pytest.mark.slow
@needs_shared_data
@pytest.mark.parametrize(
    "video",
    ["LatentSync__demo1_video", "SadTalker__WDA_KatieHill_000", "videoretalking__1", "videoretalking__5"],
)
def test_one_person_in_a_video_is_one_voice(video):
    with open_media(SHARED / "videos" / f"{video}.mp4", want_video=False) as media:
        assert find_voices(media.samples()).num_speakers == 1


@pytest.mark.slow
@needs_shared_data
def test_a_looped_clip_of_one_person_is_one_voice():
    with open_media(SHARED / "videos" / "videoretalking__3.mp4", want_video=False) as media:
        samples = np.tile(media.samples(), 10)
    assert find_voices(samples).num_speakers == 1
