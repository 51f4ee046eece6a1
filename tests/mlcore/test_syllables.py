"""Syllables counted in speech whose words are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mlcore.media import SAMPLE_RATE
from mlcore.syllables import intensity_db, syllable_nuclei
from tests.mlcore.sounds import (
    SHARED,
    harmonics,
    load,
    needs_shared_data,
    pink_noise,
    say,
    silence,
    white_noise,
)

SENTENCES = {
    "I have worked in this team for three years now and I like it a lot": 16,
    "My greatest strength is that I listen before I answer any question": 18,
    "Printing in the only sense with which we are at present concerned differs from most if not from all the arts": 26,
}
"""Syllables as a dictionary has them; people swallow some, and so does the synthesiser."""

SPOKEN = {
    "jfk.flac": 28,
    "ljspeech/LJ001-0001.flac": 38,
    "ljspeech/LJ001-0002.flac": 10,
    "ljspeech/LJ001-0003.flac": 40,
    "ljspeech/LJ001-0004.flac": 22,
    "sb_spk1_snt1.wav": 8,
    "sb_spk1_snt2.wav": 9,
    "sb_spk1_snt3.wav": 9,
    "sb_spk1_snt4.wav": 8,
    "sb_spk1_snt5.wav": 9,
}
"""Counted by hand in the transcripts."""

SPEEDS = (100, 145, 190, 240)


@pytest.mark.parametrize("words_per_minute", SPEEDS)
@pytest.mark.parametrize("voice", ["en-us", "en-us+f2"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_syllables_of_known_sentences_are_counted(sentence: str, voice: str, words_per_minute: int):
    found = len(syllable_nuclei(say(sentence, voice, words_per_minute)))
    assert found == pytest.approx(SENTENCES[sentence], rel=0.25)


def test_syllables_of_indonesian_are_counted():
    said = say("Saya sudah bekerja di perusahaan ini selama tiga tahun dan saya senang sekali", "id", 150)
    assert len(syllable_nuclei(said)) == pytest.approx(30, rel=0.25)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_faster_speech_has_the_higher_rate(sentence: str):
    rates = []
    for words_per_minute in SPEEDS:
        said = say(sentence, words_per_minute=words_per_minute)
        rates.append(len(syllable_nuclei(said)) * SAMPLE_RATE / len(said))
    assert all(slow < fast for slow, fast in pairwise(rates))


@needs_shared_data
@pytest.mark.parametrize("name", SPOKEN)
def test_syllables_of_people_are_counted(name: str):
    found = len(syllable_nuclei(load(SHARED / "speech_en" / name)))
    assert found == pytest.approx(SPOKEN[name], rel=0.25)


@needs_shared_data
def test_over_many_sentences_of_people_the_count_is_near():
    found = sum(len(syllable_nuclei(load(SHARED / "speech_en" / name))) for name in SPOKEN)
    assert found == pytest.approx(sum(SPOKEN.values()), rel=0.15)


def test_times_are_in_order_and_within_the_speech():
    said = say("Seven green apples")
    padded = np.concatenate([silence(1.0), said, silence(1.0)])
    times = syllable_nuclei(padded)
    assert list(times) == sorted(times)
    assert 1.0 < times[0] < times[-1] < 1.0 + len(said) / SAMPLE_RATE


@pytest.mark.parametrize("gain", [0.02, 0.2, 1.0])
def test_the_distance_to_the_microphone_does_not_matter(gain: float):
    said = say("I have worked in this team for three years now")
    assert len(syllable_nuclei(said * np.float32(gain))) == len(syllable_nuclei(said))


def test_what_is_no_speech_has_no_syllables():
    assert syllable_nuclei(silence(3.0)) == ()
    assert syllable_nuclei(white_noise(10.0)) == ()
    assert syllable_nuclei(white_noise(3.0, 1e-5)) == ()
    assert syllable_nuclei(silence(0.0)) == ()
    assert syllable_nuclei(silence(0.01)) == ()
    assert len(syllable_nuclei(pink_noise(10.0))) < 10, "its lowest frequencies seem voiced now and then"
    assert len(syllable_nuclei(harmonics(3.0, 150, 8))) <= 1, "one long hum"


def test_levels_are_those_of_full_scale():
    sine = np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert float(np.median(intensity_db(sine))) == pytest.approx(-3.0, abs=0.2)
    assert float(np.median(intensity_db(sine / 10))) == pytest.approx(-23.0, abs=0.2)
