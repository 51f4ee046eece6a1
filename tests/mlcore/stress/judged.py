"""Predictions of made-up inputs whose truth is known: Bayes' rule on a noisy sign of the emotion."""

import numpy as np
from scipy.special import softmax

from mlcore.stress.evaluation.pairs import Labelled
from mlcore.stress.labels import EMOTIONS, stress_of
from mlcore.stress.predictions import Predictions


def labelled(
    n: int = 300, *, seed: int = 0, width: int = 64, persons: int = 0, certainty: float = 2.0
) -> Labelled:
    """`n` inputs of as many as seven emotions; with `persons` they have names and a sex."""
    rng = np.random.default_rng(seed)
    emotions = np.arange(n) % len(EMOTIONS)
    signs = rng.normal(0, 1, (n, len(EMOTIONS)))
    signs[np.arange(n), emotions] += certainty
    said = softmax(certainty * signs, axis=1).astype(np.float32)
    predictions = Predictions(stress_of(said), said, rng.normal(size=(n, width)).astype(np.float32))
    if not persons:
        return Labelled(predictions, emotions)
    person = rng.integers(1, persons + 1, n)
    return Labelled(predictions, emotions, person, np.where(person % 2, "male", "female"))
