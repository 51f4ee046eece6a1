import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from mlcore.stress.evaluation import measures
from mlcore.stress.evaluation.figures import Figures, Outcome, as_json, figures
from mlcore.stress.labels import LEVELS
from tests.mlcore.stress.judged import labelled


def found(outcome: Outcome) -> Figures:
    return figures(outcome, draws=60)


def test_the_figures_are_those_of_the_predictions() -> None:
    outcome = labelled().outcome()
    predicted = outcome.probabilities.argmax(axis=1)
    one = found(outcome)
    assert one.n == 300 and one.labels == LEVELS
    assert one.confusion == confusion_matrix(outcome.levels, predicted).tolist()
    assert one.accuracy == pytest.approx((predicted == outcome.levels).mean())
    assert one.uar == pytest.approx(recall_score(outcome.levels, predicted, average="macro"))
    assert one.emotion_accuracy == pytest.approx((outcome.said.argmax(axis=1) == outcome.emotions).mean())
    assert np.array(one.emotions.confusion).shape == (7, 7)
    assert [one.by_level[level].n for level in LEVELS] == np.bincount(outcome.levels).tolist()
    assert np.mean([one.by_level[level].recall for level in LEVELS]) == pytest.approx(one.uar)
    assert one.groups == {}


def test_every_interval_holds_its_figure() -> None:
    one = found(labelled(persons=8).outcome())
    assert set(one.intervals) == {
        "accuracy", "macro_f1", "uar", "ece", "brier", "log_loss", "emotion_accuracy",
    }  # fmt: skip
    for name, (low, high) in one.intervals.items():
        assert low <= getattr(one, name) <= high


def test_the_method_says_what_was_drawn() -> None:
    assert "single inputs within each level" in found(labelled().outcome()).interval_method
    assert "drawn: persons" in found(labelled(persons=6).outcome()).interval_method
    lone = replace(labelled(persons=1).outcome(), groups={})
    assert "single inputs" in found(lone).interval_method


def test_groups_are_compared_with_their_gap() -> None:
    outcome = labelled(600, persons=10).outcome()
    spoiled = outcome.probabilities.copy()
    women = outcome.groups["sex"] == "female"
    spoiled[women] = np.roll(spoiled[women], 1, axis=1)
    sexes = found(replace(outcome, probabilities=spoiled)).groups["sex"]
    assert sexes.between == ("male", "female")
    assert sexes.of["male"].n + sexes.of["female"].n == 600
    assert sexes.gap["uar"] == pytest.approx(sexes.of["male"].uar - sexes.of["female"].uar)
    low, high = sexes.gap_intervals["uar"]
    assert 0.2 < low < sexes.gap["uar"] < high


def test_groups_that_do_equally_well_are_two_all_the_same() -> None:
    outcome = replace(
        labelled(persons=4).outcome(), probabilities=np.tile(np.float32([0.8, 0.1, 0.1]), (300, 1))
    )
    sexes = found(outcome).groups["sex"]
    assert set(sexes.between) == {"male", "female"} and sexes.gap["uar"] == 0


def test_one_group_alone_has_no_gap() -> None:
    outcome = labelled(persons=6).outcome()
    assert found(outcome.take(outcome.groups["sex"] == "male")).groups == {}


def test_what_is_unsure_is_wrong_more_often() -> None:
    one = found(labelled(3000, certainty=1.2).outcome())
    assert 0 < one.unsure.coverage < 1
    assert one.unsure.accuracy > one.accuracy > one.unsure.accuracy_of_unsure
    last = one.risk_coverage[-1]
    assert last.coverage == 1.0 and last.risk == pytest.approx(1 - one.accuracy)
    assert len(one.risk_coverage) == 20


def test_nothing_unsure_gives_no_figure_of_the_unsure() -> None:
    outcome = replace(labelled(30).outcome(), probabilities=np.eye(3, dtype=np.float32)[np.arange(30) % 3])
    one = found(outcome)
    assert one.unsure.coverage == 1.0 and one.unsure.accuracy_of_unsure is None


def test_a_level_that_does_not_occur_has_no_recall() -> None:
    outcome = labelled().outcome()
    rest = outcome.take(outcome.levels != 1)
    assert found(rest).by_level["medium"].recall is None
    assert found(rest).uar == pytest.approx(measures.uar(np.array(found(rest).confusion)))


def test_a_model_without_emotions_has_no_accuracy_by_them() -> None:
    one = found(replace(labelled().outcome(), said=None))
    assert one.emotion_accuracy is None and one.emotions is None and "emotion_accuracy" not in one.intervals


def test_as_json_is_json() -> None:
    one = as_json(found(labelled(persons=6).outcome()))
    assert json.loads(json.dumps(one, allow_nan=False)) == one
    assert isinstance(one["confusion"][0][0], int) and isinstance(one["intervals"]["uar"], list)
    assert as_json({"a": np.float32("nan"), "b": np.int64(2), "c": (1 / 3,)}) == {
        "a": None, "b": 2, "c": [0.333333],
    }  # fmt: skip


def test_a_handful_of_inputs_is_enough() -> None:
    one = found(labelled(5).outcome())
    assert one.n == 5 and len(one.reliability) == 5 and one.risk_coverage[-1].coverage == 1.0
