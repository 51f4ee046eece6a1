import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.metrics import log_loss as sklearn_log_loss

from mlcore.stress.evaluation import measures


def sample(n: int = 600, seed: int = 0, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels drawn from them; sharpened by `sharpness` afterwards."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([0.5, 0.3, 0.7], n)
    labels = (rng.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    sharp = true**sharpness
    return (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_the_rows_of_the_confusion_are_the_true_classes() -> None:
    table = measures.confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 1]), 3)
    assert table.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert measures.accuracy(table) == 0.5
    assert measures.recalls(table).tolist() == [0.5, 1.0, 0.0]
    assert measures.precisions(table).tolist() == [1.0, 0.5, 0.0]
    assert measures.uar(table) == 0.5


def test_recall_and_precision_of_what_does_not_occur_are_unknown_and_left_out_of_the_mean() -> None:
    table = measures.confusion(np.array([0, 0, 2]), np.array([0, 0, 0]), 3)
    assert np.isnan(measures.recalls(table)[1]) and np.isnan(measures.precisions(table)[2])
    assert np.isnan(measures.f1s(table)[1])
    assert measures.uar(table) == 0.5
    assert measures.macro_f1(table) == pytest.approx(0.4)


def test_the_figures_are_those_of_scikit_learn() -> None:
    probabilities, labels = sample()
    found = measures.scores(probabilities, labels)
    exact = probabilities.astype(float) / probabilities.astype(float).sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    assert found.accuracy == pytest.approx((predicted == labels).mean())
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found.log_loss == pytest.approx(sklearn_log_loss(labels, exact), rel=1e-5)
    assert found.brier == pytest.approx(((probabilities - np.eye(3)[labels]) ** 2).sum(axis=1).mean())


def test_calibration_error_of_four_inputs_by_hand() -> None:
    probabilities = np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
    labels = np.array([0, 1, 1, 1])
    assert measures.expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(
        0.5 * abs(0.5 - 0.65) + 0.5 * abs(1.0 - 0.85)
    )


def test_calibration_error_is_small_where_probabilities_are_true_and_large_where_they_boast() -> None:
    honest = measures.scores(*sample(6000)).ece
    assert honest < 0.03
    assert measures.scores(*sample(6000, sharpness=3.0)).ece > honest + 0.1


def test_equal_confidences_give_the_same_figures_in_any_order() -> None:
    probabilities = np.tile(np.array([[0.8, 0.1, 0.1]], dtype=np.float32), (30, 1))
    labels = np.repeat([0, 1], [24, 6])
    shuffled = np.random.default_rng(1).permutation(labels)
    for order in (labels, shuffled):
        assert measures.scores(probabilities, order).ece == pytest.approx(0.0, abs=1e-6)
        assert measures.risk_coverage(probabilities, order).area == pytest.approx(0.2)


def test_more_bins_than_inputs_do_not_matter() -> None:
    probabilities, labels = sample(4)
    assert 0 <= measures.scores(probabilities, labels).ece <= 1
    assert sum(one.n for one in measures.reliability(probabilities, labels)) == 4


def test_reliability_bins_add_up_to_the_calibration_error() -> None:
    probabilities, labels = sample()
    bins = measures.reliability(probabilities, labels)
    assert len(bins) == measures.BINS and {one.n for one in bins} == {40}
    error = sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / 600
    assert error == pytest.approx(measures.scores(probabilities, labels).ece)
    assert all(one.low <= one.accuracy <= one.high for one in bins)
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)


def test_chance_alone_makes_a_calibration_error_that_shrinks_with_more_inputs() -> None:
    few, many = sample(60)[0], sample(6000)[0]
    few_mean, few_high = measures.calibration_floor(few)
    assert few_high > few_mean > measures.calibration_floor(many)[0] * 3
    assert measures.calibration_floor(few) == (few_mean, few_high)


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    assert 10 < measures.log_loss(np.array([[1.0, 0.0]]), np.array([1])) < 20


def test_risk_falls_as_the_uncertain_are_left_out() -> None:
    curve = measures.risk_coverage(*sample(3000))
    assert curve.coverage[-1] == 1.0 and curve.risk[-1] == pytest.approx(
        1 - measures.scores(*sample(3000)).accuracy
    )
    half = int(np.searchsorted(curve.coverage, 0.5))
    assert curve.risk[half] < curve.risk[-1] - 0.1
    assert (np.diff(curve.confidence) <= 0).all()
    assert curve.area == pytest.approx(curve.risk.mean())


def test_resamples_keep_the_size_of_each_class() -> None:
    labels = np.array([0] * 5 + [1] * 3 + [2])
    for rows in measures.resamples(labels, draws=20):
        assert np.bincount(labels[rows]).tolist() == [5, 3, 1]


def test_resamples_draw_whole_persons() -> None:
    persons = np.repeat(["ana", "budi", "citra", "dewi"], 3)
    for rows in measures.resamples(np.zeros(12, int), [persons], draws=20):
        times = np.bincount(rows, minlength=12).reshape(4, 3)
        assert (times == times[:, :1]).all() and times[:, 0].sum() == 4


def test_resamples_of_pairs_draw_both_sides() -> None:
    persons, faces = np.repeat([0, 1, 2], 4), np.tile([0, 1, 2, 3], 3)
    for rows in measures.resamples(np.zeros(12, int), [persons, faces], draws=20):
        times = np.bincount(rows, minlength=12).reshape(3, 4)
        assert np.linalg.matrix_rank(times) == 1 and times.sum() == 12


def test_resamples_are_those_of_the_seed() -> None:
    labels = np.repeat([0, 1], 10)
    first, again, other = (
        [rows.tolist() for rows in measures.resamples(labels, draws=3, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_intervals_hold_the_figure_and_narrow_with_more_inputs() -> None:
    def width(n: int) -> float:
        probabilities, labels = sample(n)
        right = (probabilities.argmax(axis=1) == labels).astype(float)
        ((low, high),) = measures.intervals(
            lambda rows: [right[rows].mean()], measures.resamples(labels, draws=300)
        )
        assert low <= right.mean() <= high
        return high - low

    assert width(2000) < width(100) / 3


def test_one_persons_inputs_being_alike_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(12), 40)
    right = (rng.random(480) < np.repeat(rng.uniform(0.3, 1.0, 12), 40)).astype(float)
    labels = np.tile([0, 1], 240)

    def width(units: list[np.ndarray]) -> float:
        samples = measures.resamples(labels, units, draws=300)
        ((low, high),) = measures.intervals(lambda rows: [right[rows].mean()], samples)
        return high - low

    assert width([persons]) > 1.5 * width([])


def test_the_interval_of_a_calibration_error_is_freed_of_the_resamples_noise() -> None:
    assert measures.calibration_interval(0.06, (0.07, 0.11)) == pytest.approx((0.01, 0.06))
    assert measures.calibration_interval(0.06, (0.04, 0.15)) == pytest.approx((0.0, 0.08))
