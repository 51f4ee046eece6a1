from functools import cache

import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.stress.evaluation import pairs
from mlcore.stress.evaluation.pairs import FusionFigures, Labelled
from mlcore.stress.labels import Floats, level_labels
from mlcore.stress.predictions import Predictions
from tests.mlcore.stress.judged import labelled

FACES = labelled(500, seed=1, certainty=1.7)
VOICES = labelled(140, seed=2, width=32, persons=7, certainty=1.5)


def product(face: Predictions, voice: Predictions) -> Floats:
    """Naive Bayes of the levels."""
    both = face.probabilities * voice.probabilities
    return both / both.sum(axis=1, keepdims=True)


@cache
def by_product() -> FusionFigures:
    return measured()


def measured(face: Labelled = FACES, voice: Labelled = VOICES, fuse: pairs.Join = product) -> FusionFigures:
    return pairs.fusion_figures(face, voice, pairs.whoever(fuse), draws=40)


def test_a_pair_shares_its_label_and_each_voice_gets_as_many_faces() -> None:
    made = pairs.pair(FACES.emotions, VOICES.emotions)
    assert (FACES.emotions[made.faces] == VOICES.emotions[made.voices]).all()
    assert set(np.bincount(made.voices)) == {made.draws}
    assert len(made.voices) >= pairs.PAIRS


def test_pairs_are_those_of_the_seed() -> None:
    first, again, other = (pairs.pair(FACES.emotions, VOICES.emotions, seed=seed) for seed in (1, 1, 2))
    assert (first.faces == again.faces).all() and (first.faces != other.faces).any()


def test_a_voice_whose_label_no_face_has_is_left_out() -> None:
    made = pairs.pair(np.array([0, 0, 1]), np.array([0, 1, 2, 2]))
    assert set(made.voices) == {0, 1}


def test_few_voices_get_many_faces_but_not_without_end() -> None:
    assert pairs.pair(np.zeros(9, int), np.zeros(3, int)).draws == pairs.MOST_DRAWS
    assert pairs.pair(np.zeros(9, int), np.zeros(9000, int)).draws == pairs.FEWEST_DRAWS


def test_pairs_by_level_mix_the_emotions_of_a_level() -> None:
    made = pairs.pair(level_labels(FACES.emotions), level_labels(VOICES.emotions))
    ours, theirs = FACES.emotions[made.faces], VOICES.emotions[made.voices]
    assert (level_labels(ours) == level_labels(theirs)).all() and (ours != theirs).any()


def test_fusion_is_held_against_each_model_alone_and_the_mean_on_the_same_pairs() -> None:
    one = by_product()
    assert one.pairs.n == one.figures.n and one.pairs.faces <= 500 and one.pairs.voices == 140
    assert one.pairs.better_alone == "face"
    assert one.pairs.gain_over_better_alone.uar == pytest.approx(
        one.pairs.fusion.uar - one.pairs.face_alone.uar
    )
    low, high = one.pairs.gain_over_better_alone.uar_interval
    assert low < 0.02 < one.pairs.gain_over_better_alone.uar < high
    assert one.pairs.fusion.uar == one.figures.uar
    assert one.pairs_by_level.share == "level" and one.pairs_by_level.n == one.pairs.n


def test_the_product_of_levels_decides_as_the_mean_of_logits_does() -> None:
    gain = by_product().pairs.gain_over_mean_of_logits
    assert gain.uar == pytest.approx(0, abs=1e-3) and gain.accuracy == pytest.approx(0, abs=1e-3)


def test_a_fusion_that_heeds_the_voice_alone_gains_nothing_over_it() -> None:
    one = measured(fuse=lambda face, voice: voice.probabilities)
    assert one.pairs.fusion == one.pairs.voice_alone
    assert one.pairs.gain_over_better_alone.uar < 0


def test_intervals_draw_persons_and_faces() -> None:
    one = by_product()
    assert "persons and faces" in one.figures.interval_method
    assert one.figures.groups["sex"].between
    assert one.figures.emotion_accuracy is None


def test_one_level_in_common_is_refused() -> None:
    happy = np.flatnonzero(FACES.emotions == 3)
    faces = Labelled(pairs.rows_of(FACES.predictions, happy), FACES.emotions[happy])
    with pytest.raises(AnalysisError, match="two levels") as refused:
        measured(faces)
    assert refused.value.code == "no_pairs"
