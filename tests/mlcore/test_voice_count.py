from __future__ import annotations

import numpy as np
import pytest

from mlcore.voice_activity import Interval
from mlcore.voice_count import Windows, best_split, count_voices, silhouettes, unit, without_variation


def windows(sizes: list[int], spread: float = 0.03, seed: int = 0) -> Windows:
    """Voices of so many windows each, 1.2 s with no overlap, around directions with a cosine of 0.5."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((256, len(sizes) + 1)))[0].T
    centres = np.concatenate([[basis[0] + basis[index + 1]] * size for index, size in enumerate(sizes)])
    embeddings = unit(centres + spread * rng.standard_normal(centres.shape))
    spans = tuple(Interval(1.2 * index, 1.2 * (index + 1)) for index in range(sum(sizes)))
    return Windows(spans, embeddings, np.full(sum(sizes), np.nan, dtype=np.float32))


@pytest.mark.parametrize("sizes", [[30], [20, 20], [40, 4], [15, 15, 15], [12, 12, 12, 12]])
def test_voices_that_lie_apart_are_counted(sizes):
    counted = count_voices(windows(sizes))
    assert counted.found == len(sizes)
    expected = np.repeat(np.arange(len(sizes)), sizes)
    assert np.array_equal(counted.labels_by_count[len(sizes)], expected)


def test_more_than_four_voices_are_counted_as_four():
    counted = count_voices(windows([10] * 6))
    assert counted.found == 4
    assert sorted(counted.labels_by_count) == [1, 2, 3, 4]


@pytest.mark.parametrize("sizes", [[], [1], [3]])
def test_too_little_speech_is_one_voice_whatever_the_count(sizes):
    counted = count_voices(windows(sizes or [0]))
    assert counted.found == 1
    assert all(set(labels) <= {0} for labels in counted.labels_by_count.values())


@pytest.mark.slow
def test_long_recordings_are_thinned_out_and_every_window_gets_its_voice():
    counted = count_voices(windows([2500, 1500]))
    assert counted.found == 2
    assert np.array_equal(counted.labels_by_count[2], np.repeat([0, 1], [2500, 1500]))


def test_a_pitch_that_differs_makes_two_voices_less_likely():
    alike = windows([20, 20])
    pitch = np.repeat(np.log([120, 240]), 20).astype(np.float32)
    members = np.arange(40)
    other = Windows(alike.spans, alike.embeddings, pitch)
    assert best_split(other, members).log_odds < best_split(alike, members).log_odds


def test_embeddings_lose_the_directions_of_emotion_and_keep_their_length():
    embeddings = windows([5, 5]).embeddings
    once = without_variation(embeddings)
    np.testing.assert_allclose(np.linalg.norm(once, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(without_variation(once), once, atol=1e-5)
    assert not np.allclose(once, embeddings, atol=1e-3)


def test_the_silhouette_is_that_of_scikit_learn():
    from sklearn.metrics import silhouette_score

    of = windows([12, 7, 9], spread=0.1)
    labels = np.repeat([0, 1, 2], [12, 7, 9])
    expected = silhouette_score(of.embeddings, labels, metric="cosine")
    assert float(silhouettes(of.embeddings, labels)[2].mean()) == pytest.approx(expected, abs=1e-3)


def repeated(heard: Windows, times: int) -> Windows:
    """The same sound played again and again."""
    length_s = heard.spans[-1].end_s
    spans = [
        Interval(span.start_s + turn * length_s, span.end_s + turn * length_s)
        for turn in range(times)
        for span in heard.spans
    ]
    return Windows(tuple(spans), np.tile(heard.embeddings, (times, 1)), np.tile(heard.log_pitch, times))


@pytest.mark.parametrize("sizes", [[8], pytest.param([10, 10], marks=pytest.mark.slow)])
def test_what_is_played_again_adds_no_voice(sizes):
    once = windows(sizes, spread=0.06)
    again = count_voices(repeated(once, 12))
    assert again.found == count_voices(once).found == len(sizes)
    assert len(again.labels_by_count[1]) == 12 * sum(sizes)
