"""What a model says about a batch of faces or clips."""

from __future__ import annotations

from dataclasses import dataclass

from mlcore.stress.labels import Floats


@dataclass(frozen=True)
class Predictions:
    """Of n inputs. Rows of `probabilities` and of `emotions` sum to one."""

    probabilities: Floats
    """(n, 3), calibrated: low, medium, high."""
    emotions: Floats
    """(n, 7), in the order of `labels.EMOTIONS`."""
    embeddings: Floats
    """(n, 64) for faces, (n, 32) for voices."""

    def __len__(self) -> int:
        return len(self.probabilities)
