"""How far the voice of a window is from the one that the session began with (Resemblyzer's embeddings)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlcore.media import SAMPLE_RATE
from mlcore.voice_activity import Interval, total_s

Floats = npt.NDArray[np.float32]

REFERENCE_WINDOWS = 2
EVERY = 3
"""Windows between two looks: a window costs about 8 ms, and another voice that speaks for less than six seconds is
hardly somebody who helps. *Assumption*."""
MIN_SPEECH_S = 1.6
"""Of a window whose voice is compared: Resemblyzer was trained on 1.6 s (Wan et al. 2018)."""


class OwnVoice:
    """The reference of one session: the mean of its first windows. Not for several threads at once."""

    def __init__(self) -> None:
        self._reference: list[Floats] = []
        self._windows = 0

    def wants(self, speech: Sequence[Interval]) -> bool:
        """Whether this window is to be embedded; counts it."""
        if total_s(speech) < MIN_SPEECH_S:
            return False
        self._windows += 1
        return len(self._reference) < REFERENCE_WINDOWS or self._windows % EVERY == 0

    def distance(self, embedding: Floats) -> float | None:
        """Cosine distance to the reference, 0 to 1; None while this window becomes part of it."""
        if len(self._reference) < REFERENCE_WINDOWS:
            self._reference.append(embedding)
            return None
        mean = np.mean(self._reference, axis=0)
        return max(0.0, 1.0 - float(embedding @ mean / max(float(np.linalg.norm(mean)), 1e-6)))


def spoken_part(samples: Floats, speech: Sequence[Interval]) -> Floats:
    """What is speech of the samples, put together."""
    parts = [samples[int(one.start_s * SAMPLE_RATE) : int(one.end_s * SAMPLE_RATE)] for one in speech]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def embedding(spoken: Floats) -> Floats:
    """Of length 1, shape (256,)."""
    from mlcore.voice_embedding import embed_windows, quick_type

    whole = [Interval(0.0, len(spoken) / SAMPLE_RATE)]
    row: Floats = embed_windows(spoken, whole, dtype=quick_type())[0]
    return row
