"""Faces and voices of strangers put together by label, to measure what fusion gains.

No data set at hand has both of one person. A pair shares the emotion, or only the stress level; nothing else makes its
two halves belong together, so that fusion may gain more here than on real people, whose face and voice err together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError
from mlcore.stress.evaluation import measures
from mlcore.stress.evaluation.figures import Figures, Outcome, Range, figures, samples_of
from mlcore.stress.evaluation.measures import Indexes, Scores
from mlcore.stress.fusion.model import mean_of_logits
from mlcore.stress.labels import Floats, Labels, level_labels
from mlcore.stress.predictions import Predictions

PAIRS = 6000
"""As many at least, as far as `MOST_DRAWS` allows."""
FEWEST_DRAWS, MOST_DRAWS = 5, 100
"""Faces drawn for each clip: a few pairs would hang on luck."""

Shared = Literal["emotion", "level"]
Join = Callable[[Predictions, Predictions], Floats]
"""Probabilities of the levels, (n, 3), of n faces and n voices."""


@dataclass(frozen=True)
class Labelled:
    """Predictions of n inputs with their true emotions, and of whom they are."""

    predictions: Predictions
    emotions: Labels
    persons: npt.NDArray[np.generic] | None = None
    """(n,); None where no one knows."""
    sexes: npt.NDArray[np.str_] | None = None

    def outcome(self) -> Outcome:
        """Of the model by itself."""
        units = {} if self.persons is None else {"persons": self.persons}
        groups = {} if self.sexes is None else {"sex": self.sexes}
        return Outcome(
            self.predictions.probabilities, self.emotions, self.predictions.emotions, units, groups
        )


@dataclass(frozen=True)
class Pairs:
    """Row numbers of faces and voices, shape (pairs,) each."""

    faces: Indexes
    voices: Indexes
    draws: int
    """Faces for each voice."""


Fuse = Callable[["Labelled", "Labelled", Pairs], Floats]
"""The same of pairs, for whom it matters whose the halves are."""


def whoever(join: Join) -> Fuse:
    """One way to join them, whosever the halves are."""
    return lambda face, voice, pairs: join(
        rows_of(face.predictions, pairs.faces), rows_of(voice.predictions, pairs.voices)
    )


@dataclass(frozen=True)
class Gain:
    """Of fusion over an opponent on the same pairs, with 95 % intervals."""

    uar: float
    uar_interval: Range
    accuracy: float
    accuracy_interval: Range


@dataclass(frozen=True)
class PairFigures:
    """How the pairs were made, and what others reach on the same ones."""

    explanation: str
    share: str
    n: int
    faces: int
    voices: int
    faces_for_each_voice: int
    fusion: Scores
    face_alone: Scores
    voice_alone: Scores
    mean_of_logits: Scores
    """The honest opponent: the mean of the two calibrated models' log probabilities."""
    better_alone: str
    gain_over_better_alone: Gain
    gain_over_mean_of_logits: Gain


@dataclass(frozen=True)
class FusionFigures:
    """`figures` are those of pairs that share the emotion."""

    figures: Figures
    pairs: PairFigures
    pairs_by_level: PairFigures
    """The same for pairs that share no more than the level."""


def fusion_figures(
    face: Labelled, voice: Labelled, fuse: Fuse, *, draws: int = measures.DRAWS, seed: int = 0
) -> FusionFigures:
    """Fusion against each model alone and against the mean of their logits, on pairs drawn by `seed`.

    Raises AnalysisError (``no_pairs``) where faces and voices have fewer than two levels in common.
    """
    by_emotion = pair(face.emotions, voice.emotions, seed=seed)
    by_level = pair(level_labels(face.emotions), level_labels(voice.emotions), seed=seed)
    outcome, compared = _compared(face, voice, fuse, by_emotion, "emotion", draws, seed)
    _, compared_by_level = _compared(face, voice, fuse, by_level, "level", draws, seed)
    return FusionFigures(figures(outcome, draws=draws, seed=seed), compared, compared_by_level)


def pair(faces: Labels, voices: Labels, *, seed: int = 0) -> Pairs:
    """For each voice as many random faces of its label; voices whose label no face has are left out."""
    rng = np.random.default_rng(seed)
    usable = np.flatnonzero(np.isin(voices, faces))
    draws = int(np.clip(math.ceil(PAIRS / max(1, len(usable))), FEWEST_DRAWS, MOST_DRAWS))
    paired_voices = np.repeat(usable, draws)
    paired_faces = np.empty(len(paired_voices), dtype=np.intp)
    for label in np.unique(voices[usable]):
        rows = voices[paired_voices] == label
        paired_faces[rows] = rng.choice(np.flatnonzero(faces == label), int(rows.sum()))
    return Pairs(paired_faces, paired_voices, draws)


def rows_of(predictions: Predictions, rows: Indexes) -> Predictions:
    return Predictions(
        predictions.probabilities[rows], predictions.emotions[rows], predictions.embeddings[rows]
    )


def _compared(
    face: Labelled, voice: Labelled, fuse: Fuse, pairs: Pairs, share: Shared, draws: int, seed: int
) -> tuple[Outcome, PairFigures]:
    emotions = voice.emotions[pairs.voices]
    if len(np.unique(level_labels(emotions))) < 2:
        raise AnalysisError(
            "no_pairs",
            "Faces and voices have fewer than two levels in common: fusion cannot be measured. Name more of either.",
        )
    faces, voices = (
        rows_of(face.predictions, pairs.faces),
        rows_of(voice.predictions, pairs.voices),
    )
    fused = fuse(face, voice, pairs)
    outcome = _outcome(fused, emotions, pairs, voice)
    alone = {"face": faces.probabilities, "voice": voices.probabilities}
    scores = {name: measures.scores(one, outcome.levels) for name, one in alone.items()}
    better = max(scores, key=lambda name: scores[name].uar)
    mean = mean_of_logits(faces.probabilities, voices.probabilities)
    over_better, over_mean = _gains(outcome, [alone[better], mean], draws, seed)
    return outcome, PairFigures(
        _explanation(share),
        share,
        len(emotions),
        len(np.unique(pairs.faces)),
        len(np.unique(pairs.voices)),
        pairs.draws,
        measures.scores(fused, outcome.levels),
        scores["face"],
        scores["voice"],
        measures.scores(mean, outcome.levels),
        better,
        over_better,
        over_mean,
    )


def _explanation(share: Shared) -> str:
    what = "the emotion (calm counts as neutral)" if share == "emotion" else "no more than the stress level"
    return (
        f"A clip and a face of strangers that share {what}, each clip with several faces drawn at random; "
        "no data set at hand has both of one person, whose face and voice may err together."
    )


def _outcome(fused: Floats, emotions: Labels, pairs: Pairs, voice: Labelled) -> Outcome:
    """Persons (or clips) and faces are drawn each by themselves in the intervals."""
    persons = {"clips": pairs.voices} if voice.persons is None else {"persons": voice.persons[pairs.voices]}
    groups = {} if voice.sexes is None else {"sex": voice.sexes[pairs.voices]}
    return Outcome(fused, emotions, None, {**persons, "faces": pairs.faces}, groups)


def _gains(outcome: Outcome, opponents: Sequence[Floats], draws: int, seed: int) -> list[Gain]:
    """Differences on the same resamples, so that what is hard for both goes out."""
    samples = samples_of(outcome, draws, seed)
    ours = _recognised(outcome.probabilities, outcome.levels, samples)
    found = []
    for opponent in opponents:
        differences = ours - _recognised(opponent, outcome.levels, samples)
        low, high = np.quantile(
            differences[1:], [(1 - measures.INTERVAL) / 2, (1 + measures.INTERVAL) / 2], axis=0
        )
        uar, accuracy = differences[0]
        found.append(
            Gain(
                float(uar), (float(low[0]), float(high[0])), float(accuracy), (float(low[1]), float(high[1]))
            )
        )
    return found


def _recognised(probabilities: Floats, levels: Labels, samples: Sequence[Indexes]) -> npt.NDArray[np.float64]:
    """UAR and accuracy, of all first, then of each sample: shape (1 + samples, 2)."""
    predicted, classes = np.asarray(probabilities.argmax(axis=1)), probabilities.shape[1]
    tables = [
        measures.confusion(levels[rows], predicted[rows], classes)
        for rows in (np.arange(len(levels)), *samples)
    ]
    return np.array([(measures.uar(table), measures.accuracy(table)) for table in tables])
