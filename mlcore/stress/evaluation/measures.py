"""Figures of a classifier whose probabilities are known: how often it is right, and how well it knows when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlcore.stress.labels import Labels

Reals = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]

BINS = 15
SMALLEST_PROBABILITY = 1e-7
"""About the resolution of float32: log loss stays finite where a wrong class was called certain."""
INTERVAL = 0.95
DRAWS = 1000
WILSON_Z = 1.959964
"""97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Scores:
    """Of n inputs; all 0 to 1 but `log_loss` (natural logarithm) and `brier` (0 to 2). The first three are better the
    higher, the others the lower."""

    accuracy: float
    macro_f1: float
    uar: float
    ece: float
    brier: float
    log_loss: float


@dataclass(frozen=True)
class Bin:
    """Inputs of like confidence: mean confidence, share that is right and its 95 % Wilson interval."""

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class RiskCoverage:
    """Point k answers the k + 1 most confident inputs: `coverage` is their share of all, `risk` the share of wrong ones
    among them, `confidence` the lowest that is answered. `area` is the mean risk (AURC, Geifman & El-Yaniv 2017)."""

    coverage: Doubles
    risk: Doubles
    confidence: Doubles
    area: float


def confusion(labels: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Shape (classes, classes): rows are the true classes, columns the predicted ones."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return np.asarray(cells.reshape(classes, classes), dtype=np.int64)


def accuracy(table: npt.NDArray[np.int64]) -> float:
    """Share on the diagonal of a confusion table."""
    return float(np.trace(table) / table.sum())


def recalls(table: npt.NDArray[np.int64]) -> Doubles:
    """Shape (classes,); nan for a class that does not occur."""
    return _ratio(table.diagonal(), table.sum(axis=1))


def precisions(table: npt.NDArray[np.int64]) -> Doubles:
    """Shape (classes,); nan for a class that is never predicted."""
    return _ratio(table.diagonal(), table.sum(axis=0))


def f1s(table: npt.NDArray[np.int64]) -> Doubles:
    """Shape (classes,); nan for a class that neither occurs nor is predicted."""
    return _ratio(2 * table.diagonal(), table.sum(axis=0) + table.sum(axis=1))


def uar(table: npt.NDArray[np.int64]) -> float:
    """Unweighted average recall of the classes that occur."""
    return float(np.nanmean(recalls(table)))


def macro_f1(table: npt.NDArray[np.int64]) -> float:
    """Mean F1 of the classes that occur or are predicted."""
    return float(np.nanmean(f1s(table)))


def confidences(probabilities: Reals) -> Doubles:
    """Probability of the likeliest class, shape (n,)."""
    return np.asarray(probabilities, dtype=np.float64).max(axis=1)


def expected_calibration_error(probabilities: Reals, labels: Labels, bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy over bins of equally many inputs, sorted by the confidence of the top
    class (Nguyen & O'Connor 2015; equal mass as in Nixon et al. 2019). Fewer inputs than bins make a bin each."""
    confidence = confidences(probabilities)
    return _calibration_error(confidence, _right(probabilities, labels, confidence), bins)


def brier(probabilities: Reals, labels: Labels) -> float:
    """Mean squared distance to the true class, summed over the classes (Brier 1950): 0 to 2."""
    errors = np.asarray(probabilities, dtype=np.float64).copy()
    errors[np.arange(len(labels)), labels] -= 1.0
    return float(np.square(errors).sum(axis=1).mean())


def log_loss(probabilities: Reals, labels: Labels) -> float:
    """Mean negative logarithm of the true class's probability, in nats."""
    own = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, SMALLEST_PROBABILITY)).mean())


def scores(probabilities: Reals, labels: Labels) -> Scores:
    """All figures of `probabilities`, shape (n, classes), against `labels`, shape (n,)."""
    table = confusion(labels, np.asarray(probabilities.argmax(axis=1)), probabilities.shape[1])
    return Scores(
        accuracy(table),
        macro_f1(table),
        uar(table),
        expected_calibration_error(probabilities, labels),
        brier(probabilities, labels),
        log_loss(probabilities, labels),
    )


def reliability(probabilities: Reals, labels: Labels, bins: int = BINS) -> list[Bin]:
    """The bins of `expected_calibration_error`, lowest confidence first."""
    confidence = confidences(probabilities)
    right = _right(probabilities, labels, confidence)
    groups = _equal_mass(confidence, bins)
    return [_bin(confidence[group], right[group]) for group in groups]


def calibration_floor(probabilities: Reals, draws: int = 200, seed: int = 0) -> tuple[float, float]:
    """Mean and 95th percentile of the calibration error that these confidences show by chance alone when they are true
    (labels drawn from them: the consistency resampling of Bröcker & Smith 2007)."""
    rng = np.random.default_rng(seed)
    confidence = confidences(probabilities)
    errors = [
        _calibration_error(confidence, (rng.random(len(confidence)) < confidence).astype(float), BINS)
        for _ in range(draws)
    ]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def risk_coverage(probabilities: Reals, labels: Labels) -> RiskCoverage:
    """What answering only the most confident inputs gives; equally confident ones share their errors."""
    confidence = confidences(probabilities)
    order = np.argsort(-confidence, kind="stable")
    wrong = 1.0 - _right(probabilities, labels, confidence)
    count = np.arange(1, len(order) + 1)
    risk = np.cumsum(wrong[order]) / count
    return RiskCoverage(count / len(order), risk, confidence[order], float(risk.mean()))


def resamples(
    labels: Labels, units: Sequence[npt.NDArray] = (), *, draws: int = DRAWS, seed: int = 0
) -> Iterator[Indexes]:
    """Bootstrap samples as indexes into the n inputs (Efron & Tibshirani 1993).

    Without `units` each class keeps its size. With one array of ids, shape (n,), whole persons are drawn, since one
    person's inputs are alike; with several (persons and faces of pairs) each is drawn by itself and an input counts as
    often as the product of its draws (Owen 2007).
    """
    rng = np.random.default_rng(seed)
    if not units:
        rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        for _ in range(draws):
            yield np.concatenate([rng.choice(own, len(own)) for own in rows])
        return
    ids = [np.unique(unit, return_inverse=True)[1] for unit in units]
    for _ in range(draws):
        times = np.ones(len(labels), dtype=np.intp)
        for unit in ids:
            times *= _times_drawn(unit, rng)
        if times.any():
            yield np.repeat(np.arange(len(labels)), times)


def intervals(
    statistic: Callable[[Indexes], Sequence[float]], samples: Iterator[Indexes], share: float = INTERVAL
) -> list[tuple[float, float]]:
    """Percentile interval of each figure that `statistic` computes of a sample."""
    drawn = np.array([statistic(sample) for sample in samples], dtype=np.float64)
    edges = np.nanquantile(drawn, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return [(float(low), float(high)) for low, high in edges.T]


def calibration_interval(estimate: float, drawn: tuple[float, float]) -> tuple[float, float]:
    """Interval of a calibration error from the percentile interval `drawn`.

    A resample repeats inputs, so that its bins are noisier and the error comes out too high, as the estimate itself
    does; mirrored at the estimate (the basic bootstrap) this bias goes out. Stretched to hold the estimate.
    """
    low, high = 2 * estimate - drawn[1], 2 * estimate - drawn[0]
    return max(0.0, min(low, estimate)), max(high, estimate)


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Doubles:
    return np.divide(part, whole, out=np.full(len(whole), math.nan), where=whole > 0)


def _right(probabilities: Reals, labels: Labels, confidence: Doubles) -> Doubles:
    """One where the top class is the true one; inputs of the same confidence get their mean, so that no figure hangs on
    the order in which they come."""
    right = (np.asarray(probabilities).argmax(axis=1) == labels).astype(np.float64)
    _, group, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(group, weights=right) / sizes)[group])


def _equal_mass(confidence: Doubles, bins: int) -> list[Indexes]:
    order = np.argsort(confidence, kind="stable")
    return np.array_split(order, min(bins, len(order)))


def _calibration_error(confidence: Doubles, right: Doubles, bins: int) -> float:
    gaps = [abs(float((right[group] - confidence[group]).sum())) for group in _equal_mass(confidence, bins)]
    return sum(gaps) / len(confidence)


def _bin(confidence: Doubles, right: Doubles) -> Bin:
    n, share = len(right), float(right.mean())
    low, high = _wilson(share, n)
    return Bin(n, float(confidence.mean()), share, low, high)


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Interval of a share (Wilson 1927)."""
    square = WILSON_Z**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = WILSON_Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _times_drawn(unit: npt.NDArray[np.intp], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """How often each input's unit was drawn when as many units as there are were drawn with replacement."""
    count = int(unit.max()) + 1
    return np.asarray(np.bincount(rng.integers(0, count, count), minlength=count)[unit], dtype=np.intp)
