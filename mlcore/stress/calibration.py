"""Logits -> probabilities that mean what they say, fitted on inputs that the model was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from mlcore.errors import AnalysisError
from mlcore.stress.evaluation.measures import SMALLEST_PROBABILITY, Doubles, Reals
from mlcore.stress.labels import Floats, Labels

MIN_INPUTS = 20
"""Assumption: fewer say too little to correct a model by."""
TEMPERATURES = (0.05, 20.0)
"""Assumption: beyond these a model is broken rather than badly calibrated."""
RIDGES = (3.0, 30.0, 300.0)
"""Weights of the biases' squares against the summed log loss, tried in cross-validation. Assumption."""
FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """softmax(logits / temperature + biases): temperature scaling, and with biases the vector scaling of Guo et al.
    2017 with one scale for all classes."""

    temperature: float
    biases: tuple[float, ...]
    """One for each class; their sum is 0."""
    method: str = "identity"
    """identity, temperature, or temperature and biases."""
    n: int = 0
    """Inputs that it was fitted on."""
    log_loss: float | None = None
    """In cross-validation on those, in nats; None where nothing was fitted."""
    note: str = ""
    """Why nothing was fitted, where nothing was."""

    def apply(self, logits: Reals) -> Floats:
        """Probabilities, shape (n, classes), of logits or log probabilities of that shape."""
        return np.asarray(softmax(_scaled(self.temperature, self.biases, logits), axis=1), dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold, and `from_dict` reads."""
        return {
            "temperature": self.temperature,
            "biases": list(self.biases),
            "method": self.method,
            "n": self.n,
            "log_loss": self.log_loss,
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """AnalysisError ``calibration_unreadable`` where the temperature or the biases are missing or no numbers."""
        try:
            temperature = float(values["temperature"])
            biases = tuple(float(bias) for bias in values["biases"])
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(str(error)) from error
        if not (temperature > 0 and np.isfinite([temperature, *biases]).all()):
            raise _unreadable(f"temperature {temperature}, biases {biases}")
        log_loss = values.get("log_loss")
        return cls(
            temperature,
            biases,
            str(values.get("method", "identity")),
            int(values.get("n", 0)),
            None if log_loss is None else float(log_loss),
            str(values.get("note", "")),
        )


def identity(classes: int, note: str = "") -> Calibration:
    """Probabilities as the model gives them."""
    return Calibration(1.0, (0.0,) * classes, note=note)


def log_probabilities(probabilities: Reals) -> Doubles:
    """Logits that give `probabilities` back, shape kept; for classes whose probabilities are sums of others."""
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST_PROBABILITY))


def fit_temperature(logits: Reals, labels: Labels) -> float:
    """The temperature of least log loss (Guo et al. 2017); `logits` (n, classes), `labels` (n,)."""
    return _fitted(logits, labels, ridge=None)[0]


def fit_vector_scaling(logits: Reals, labels: Labels, ridge: float = RIDGES[1]) -> Calibration:
    """Temperature and a bias a class, the biases drawn to 0 by `ridge` × their squares / 2."""
    temperature, biases = _fitted(logits, labels, ridge)
    return Calibration(temperature, biases, "temperature and biases", len(labels))


def fit(logits: Reals, labels: Labels, persons: npt.NDArray | None = None) -> Calibration:
    """The kind with the least log loss in cross-validation (the simpler one when equal), fitted on everything.

    `logits` (n, classes) of inputs kept back from training, `labels` (n,), `persons` (n,): who is in one fold is in no
    other. Identity, with a note, where there are fewer than 20 inputs or a class is missing.
    """
    classes = logits.shape[1]
    if len(labels) < MIN_INPUTS:
        return identity(classes, f"not fitted: {len(labels)} inputs are fewer than {MIN_INPUTS}")
    if len(np.unique(labels)) < classes:
        return identity(classes, "not fitted: not every class occurs")
    folds = _folds(labels, persons)
    losses = [_cross_validated(kind, logits, labels, folds) for kind in _KINDS]
    best = int(np.argmin(losses))
    return replace(_KINDS[best](logits, labels), n=len(labels), log_loss=float(losses[best]))


def _temperature_only(logits: Reals, labels: Labels) -> Calibration:
    return Calibration(fit_temperature(logits, labels), (0.0,) * logits.shape[1], "temperature", len(labels))


def _with_ridge(ridge: float) -> Callable[[Reals, Labels], Calibration]:
    return lambda logits, labels: fit_vector_scaling(logits, labels, ridge)


_KINDS: Sequence[Callable[[Reals, Labels], Calibration]] = (
    lambda logits, labels: identity(logits.shape[1]),
    _temperature_only,
    *(_with_ridge(ridge) for ridge in sorted(RIDGES, reverse=True)),
)
"""The simplest first."""


def _scaled(temperature: float, biases: Sequence[float], logits: Reals) -> Doubles:
    return np.asarray(logits, dtype=np.float64) / temperature + np.asarray(biases)


def _fitted(logits: Reals, labels: Labels, ridge: float | None) -> tuple[float, tuple[float, ...]]:
    """Temperature and biases of least log loss; without a ridge the biases stay 0."""
    classes = logits.shape[1]
    bounds = [(-np.log(TEMPERATURES[1]), -np.log(TEMPERATURES[0]))]
    bounds += [(None, None) if ridge is not None else (0.0, 0.0)] * classes
    found = minimize(
        _loss, np.zeros(1 + classes), (np.asarray(logits, dtype=np.float64), labels, ridge or 0.0), "L-BFGS-B",
        jac=True, bounds=bounds, options={"gtol": 1e-8, "ftol": 1e-13},
    )  # fmt: skip
    biases = found.x[1:] - found.x[1:].mean()
    return float(np.exp(-found.x[0])), tuple(float(bias) for bias in biases)


def _loss(values: Doubles, logits: Doubles, labels: Labels, ridge: float) -> tuple[float, Doubles]:
    """Mean log loss and its gradient by the logarithm of the scale (1 / temperature) and the biases."""
    scale, biases, n = np.exp(values[0]), values[1:], len(labels)
    logs = log_softmax(scale * logits + biases, axis=1)
    errors = np.exp(logs)
    errors[np.arange(n), labels] -= 1.0
    loss = -logs[np.arange(n), labels].mean() + ridge / 2 * np.square(biases).sum() / n
    by_scale = scale * (errors * logits).sum() / n
    return float(loss), np.concatenate([[by_scale], errors.mean(axis=0) + ridge * biases / n])


def _folds(labels: Labels, persons: npt.NDArray | None) -> npt.NDArray[np.intp]:
    """A fold for each input: whole persons, else every fifth of each class in a fixed random order."""
    rng = np.random.default_rng(0)
    if persons is not None and len(np.unique(persons)) >= FOLDS:
        ids = np.unique(persons, return_inverse=True)[1]
        return np.asarray(rng.permutation(int(ids.max()) + 1)[ids] % FOLDS)
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), dtype=np.intp)
    folds[order] = np.arange(len(labels)) % FOLDS
    return folds


def _cross_validated(
    kind: Callable[[Reals, Labels], Calibration], logits: Reals, labels: Labels, folds: npt.NDArray[np.intp]
) -> float:
    """Mean log loss, each fold by what was fitted on the others."""
    total = 0.0
    for fold in range(FOLDS):
        held = folds == fold
        fitted = kind(logits[~held], labels[~held])
        logs = log_softmax(_scaled(fitted.temperature, fitted.biases, logits[held]), axis=1)
        total -= float(logs[np.arange(int(held.sum())), labels[held]].sum())
    return total / len(labels)


def _unreadable(reason: str) -> AnalysisError:
    return AnalysisError(
        "calibration_unreadable",
        f"The calibration kept with the weights cannot be read ({reason}); run: git checkout -- mlcore/weights, "
        "or python manage.py train_models",
    )
