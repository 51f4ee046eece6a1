import json

import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.stress import calibration
from mlcore.stress.calibration import Calibration
from mlcore.stress.evaluation import measures


def overconfident(
    n: int = 3000, temperature: float = 2.5, biases: tuple[float, ...] = (0, 0, 0), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that would be right at this temperature and with these biases, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (n, 3))
    true = Calibration(temperature, biases).apply(logits)
    labels = (rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return logits, labels


def test_the_temperature_that_the_labels_were_drawn_at_is_found() -> None:
    assert calibration.fit_temperature(*overconfident(temperature=2.5)) == pytest.approx(2.5, rel=0.1)
    assert calibration.fit_temperature(*overconfident(temperature=0.5)) == pytest.approx(0.5, rel=0.1)


def test_a_model_that_is_always_right_gets_a_bounded_temperature() -> None:
    logits = np.eye(3)[np.arange(60) % 3] * 5
    assert calibration.TEMPERATURES[0] <= calibration.fit_temperature(logits, np.arange(60) % 3) < 0.5


def test_biases_that_the_labels_were_drawn_with_are_found() -> None:
    fitted = calibration.fit_vector_scaling(*overconfident(biases=(0.8, 0.0, -0.8)), ridge=1.0)
    assert fitted.biases == pytest.approx((0.8, 0.0, -0.8), abs=0.15)
    assert fitted.temperature == pytest.approx(2.5, rel=0.1)


def test_the_ridge_draws_the_biases_to_nothing() -> None:
    logits, labels = overconfident(200, biases=(0.8, 0.0, -0.8))
    weak, strong = (calibration.fit_vector_scaling(logits, labels, ridge) for ridge in (1.0, 10000.0))
    assert np.abs(strong.biases).max() < 0.1 < np.abs(weak.biases).max()


def test_it_calibrates_inputs_that_it_was_not_fitted_on() -> None:
    fitted = calibration.fit(*overconfident())
    logits, labels = overconfident(seed=1)
    before = calibration.identity(3).apply(logits)
    after = fitted.apply(logits)
    assert measures.scores(after, labels).ece < 0.03 < measures.scores(before, labels).ece
    assert measures.log_loss(after, labels) < measures.log_loss(before, labels) - 0.1
    assert (after.argmax(axis=1) == before.argmax(axis=1)).mean() > 0.97
    assert after.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.slow
def test_it_takes_the_kind_that_cross_validation_prefers() -> None:
    assert calibration.fit(*overconfident(biases=(1.0, 0.0, -1.0))).method == "temperature and biases"
    assert np.abs(calibration.fit(*overconfident(400, seed=3)).biases).max() < 0.1
    small = calibration.fit(*overconfident(60, temperature=1.0))
    assert small.method == "identity" and small.n == 60 and small.log_loss is not None


@pytest.mark.parametrize(
    ("labels", "why"), [(np.arange(9) % 3, "9 inputs"), (np.arange(60) % 2, "every class")]
)
def test_too_little_leaves_the_probabilities_as_they_are_and_says_so(labels: np.ndarray, why: str) -> None:
    logits = np.random.default_rng(0).normal(size=(len(labels), 3))
    fitted = calibration.fit(logits, labels)
    assert (fitted.temperature, fitted.biases, fitted.n) == (1.0, (0.0, 0.0, 0.0), 0)
    assert why in fitted.note


def test_whole_persons_lie_in_one_fold_and_classes_are_spread_without_persons() -> None:
    persons = np.repeat(np.arange(12), 5)
    folds = calibration._folds(np.tile([0, 1, 2, 0, 1], 12), persons)
    assert all(len(set(folds[persons == person])) == 1 for person in range(12))
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    spread = calibration._folds(labels, None)
    assert all(np.ptp(np.bincount(spread[labels == label])) == 0 for label in range(3))


def test_log_probabilities_give_the_probabilities_back() -> None:
    probabilities = np.array([[0.7, 0.3, 0.0], [0.2, 0.5, 0.3]])
    again = calibration.identity(3).apply(calibration.log_probabilities(probabilities))
    assert again == pytest.approx(probabilities, abs=1e-5)


def test_it_comes_back_from_json_as_it_went() -> None:
    fitted = calibration.fit(*overconfident(300))
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    unfitted = calibration.identity(3, "why")
    assert Calibration.from_dict(unfitted.to_dict()) == unfitted


@pytest.mark.parametrize(
    "values",
    [{}, {"temperature": 0.0, "biases": [0, 0, 0]}, {"temperature": 1.0, "biases": ["x"]},
     {"temperature": float("nan"), "biases": [0]}],
)  # fmt: skip
def test_a_damaged_calibration_is_refused_with_the_command_that_mends_it(values: dict) -> None:
    with pytest.raises(AnalysisError, match="train_models") as refused:
        Calibration.from_dict(values)
    assert refused.value.code == "calibration_unreadable"
