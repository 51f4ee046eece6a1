"""What a model says about labelled faces or clips -> its figures, with intervals, calibration and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mlcore.stress.evaluation import measures
from mlcore.stress.evaluation.measures import Indexes, Scores
from mlcore.stress.labels import EMOTIONS, LEVELS, Floats, Labels, level_labels
from mlcore.stress.smoothing import UNSURE_BELOW

COVERAGES = tuple(share / 20 for share in range(1, 21))
SCORES = tuple(one.name for one in fields(Scores))

Range = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What was said of n labelled inputs."""

    probabilities: Floats
    """(n, 3) of `LEVELS`."""
    emotions: Labels
    """(n,) true ones, index into `EMOTIONS`."""
    said: Floats | None = None
    """(n, 7) of `EMOTIONS`; None where the model names none."""
    units: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Arrays (n,) of ids by what they are the ids of: inputs of one id are alike, intervals heed it."""
    groups: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Arrays (n,) of names by what they tell apart, as ``{"sex": …}``."""

    @property
    def levels(self) -> Labels:
        """(n,) true ones, index into `LEVELS`."""
        return level_labels(self.emotions)

    def take(self, rows: npt.NDArray[Any]) -> Outcome:
        said = None if self.said is None else self.said[rows]
        units = {name: ids[rows] for name, ids in self.units.items()}
        groups = {name: names[rows] for name, names in self.groups.items()}
        return Outcome(self.probabilities[rows], self.emotions[rows], said, units, groups)


@dataclass(frozen=True)
class LevelFigures:
    """Of one level; None where nothing is to divide by."""

    n: int
    recall: float | None
    precision: float | None
    f1: float | None


@dataclass(frozen=True)
class EmotionFigures:
    """Of the seven emotions; rows of `confusion` are the true ones."""

    labels: tuple[str, ...]
    accuracy: float
    macro_f1: float
    uar: float
    confusion: list[list[int]]


@dataclass(frozen=True)
class CoveragePoint:
    """Share of inputs answered, share of wrong ones among them, the lowest confidence that is answered."""

    coverage: float
    risk: float
    confidence: float


@dataclass(frozen=True)
class Unsure:
    """Answering only from the confidence `below` on: share answered, and how often that is right."""

    below: float
    coverage: float
    accuracy: float | None
    uar: float | None
    accuracy_of_unsure: float | None


@dataclass(frozen=True)
class GroupFigures(Scores):
    n: int


@dataclass(frozen=True)
class Groups:
    """Figures of each group, and how far the first of `between` (the one of higher UAR) is ahead of the last."""

    of: dict[str, GroupFigures]
    between: tuple[str, str]
    gap: dict[str, float]
    gap_intervals: dict[str, Range]


@dataclass(frozen=True)
class Figures(Scores):
    """Everything that is measured of one model; its names are those of the JSON."""

    n: int
    labels: tuple[str, ...]
    confusion: list[list[int]]
    emotion_accuracy: float | None
    intervals: dict[str, Range]
    interval_method: str
    ece_of_true_probabilities: dict[str, float]
    """What the calibration error would be by chance if the probabilities were exactly true."""
    by_level: dict[str, LevelFigures]
    emotions: EmotionFigures | None
    reliability: list[measures.Bin]
    risk_coverage: list[CoveragePoint]
    risk_coverage_area: float
    unsure: Unsure
    groups: dict[str, Groups]


def figures(outcome: Outcome, *, draws: int = measures.DRAWS, seed: int = 0) -> Figures:
    """The figures of one model with bootstrap intervals of `draws` resamples."""
    levels, probabilities = outcome.levels, outcome.probabilities
    table = _table(probabilities, levels)
    curve = measures.risk_coverage(probabilities, levels)
    emotions = _emotions(outcome)
    chance = measures.calibration_floor(probabilities, seed=seed)
    return Figures(
        n=len(levels),
        **asdict(measures.scores(probabilities, levels)),
        labels=LEVELS,
        confusion=table.tolist(),
        emotion_accuracy=None if emotions is None else emotions.accuracy,
        intervals=_intervals(outcome, draws, seed),
        interval_method=_method(outcome, draws),
        ece_of_true_probabilities={"mean": chance[0], "95th_percentile": chance[1]},
        by_level=_by_level(table),
        emotions=emotions,
        reliability=measures.reliability(probabilities, levels),
        risk_coverage=_coverage_points(curve),
        risk_coverage_area=curve.area,
        unsure=_unsure(probabilities, levels),
        groups=_groups(outcome, draws, seed),
    )


def samples_of(outcome: Outcome, draws: int, seed: int) -> list[Indexes]:
    """Bootstrap samples: whole persons where they are known and more than one, else within each level."""
    units = [ids for ids in outcome.units.values() if len(np.unique(ids)) > 1]
    return list(measures.resamples(outcome.levels, units, draws=draws, seed=seed))


def as_json(value: Any) -> Any:
    """Dataclasses, tuples and numpy numbers as what JSON has; floats to six digits; what is no number as null."""
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: as_json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 6) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _table(probabilities: Floats, levels: Labels) -> npt.NDArray[np.int64]:
    return measures.confusion(levels, np.asarray(probabilities.argmax(axis=1)), len(LEVELS))


def _intervals(outcome: Outcome, draws: int, seed: int) -> dict[str, Range]:
    """Of each score, and of the accuracy by emotions where there is one."""
    levels, probabilities = outcome.levels, outcome.probabilities
    right = None if outcome.said is None else outcome.said.argmax(axis=1) == outcome.emotions

    def statistic(rows: Indexes) -> list[float]:
        scores = measures.scores(probabilities[rows], levels[rows])
        return [*asdict(scores).values(), float(right[rows].mean()) if right is not None else 0.0]

    drawn = measures.intervals(statistic, iter(samples_of(outcome, draws, seed)))
    found = dict(zip((*SCORES, "emotion_accuracy"), drawn, strict=True))
    ece = measures.scores(probabilities, levels).ece
    found["ece"] = measures.calibration_interval(ece, found["ece"])
    if right is None:
        del found["emotion_accuracy"]
    return found


def _method(outcome: Outcome, draws: int) -> str:
    known = [name for name, ids in outcome.units.items() if len(np.unique(ids)) > 1]
    drawn = " and ".join(known) if known else "single inputs within each level"
    return (
        f"95 %, bootstrap of {draws} draws, drawn: {drawn}; percentiles, for ece mirrored (basic bootstrap)"
    )


def _by_level(table: npt.NDArray[np.int64]) -> dict[str, LevelFigures]:
    columns = [measures.recalls(table), measures.precisions(table), measures.f1s(table)]
    numbers = [[None if np.isnan(value) else float(value) for value in column] for column in columns]
    return {
        level: LevelFigures(int(table[place].sum()), *(column[place] for column in numbers))
        for place, level in enumerate(LEVELS)
    }


def _emotions(outcome: Outcome) -> EmotionFigures | None:
    if outcome.said is None:
        return None
    said = np.asarray(outcome.said.argmax(axis=1))
    table = measures.confusion(outcome.emotions, said, len(EMOTIONS))
    return EmotionFigures(
        EMOTIONS, measures.accuracy(table), measures.macro_f1(table), measures.uar(table), table.tolist()
    )


def _coverage_points(curve: measures.RiskCoverage) -> list[CoveragePoint]:
    last = len(curve.coverage) - 1
    places = [min(last, int(np.searchsorted(curve.coverage, share - 1e-9))) for share in COVERAGES]
    return [
        CoveragePoint(float(curve.coverage[at]), float(curve.risk[at]), float(curve.confidence[at]))
        for at in dict.fromkeys(places)
    ]


def _unsure(probabilities: Floats, levels: Labels) -> Unsure:
    answered = measures.confidences(probabilities) >= UNSURE_BELOW
    right = probabilities.argmax(axis=1) == levels
    return Unsure(
        UNSURE_BELOW,
        float(answered.mean()),
        float(right[answered].mean()) if answered.any() else None,
        measures.uar(_table(probabilities[answered], levels[answered])) if answered.any() else None,
        float(right[~answered].mean()) if not answered.all() else None,
    )


def _groups(outcome: Outcome, draws: int, seed: int) -> dict[str, Groups]:
    return {
        name: _group(outcome, names, draws, seed)
        for name, names in outcome.groups.items()
        if len(np.unique(names)) > 1
    }


def _group(outcome: Outcome, names: npt.NDArray[Any], draws: int, seed: int) -> Groups:
    parts = {str(name): outcome.take(names == name) for name in np.unique(names)}
    of = {
        name: GroupFigures(n=len(part.emotions), **asdict(measures.scores(part.probabilities, part.levels)))
        for name, part in parts.items()
    }
    last, *_, first = sorted(of, key=lambda name: of[name].uar)
    gap = {score: getattr(of[first], score) - getattr(of[last], score) for score in SCORES}
    return Groups(of, (first, last), gap, _gap_intervals(parts[first], parts[last], draws, seed))


def _gap_intervals(first: Outcome, last: Outcome, draws: int, seed: int) -> dict[str, Range]:
    """Of the differences in accuracy and UAR, each group resampled by itself."""
    ahead, behind = (_drawn(part, draws, seed + number) for number, part in enumerate((first, last)))
    edges = np.quantile(ahead - behind, [(1 - measures.INTERVAL) / 2, (1 + measures.INTERVAL) / 2], axis=0)
    return {name: (float(edges[0, at]), float(edges[1, at])) for at, name in enumerate(("accuracy", "uar"))}


def _drawn(part: Outcome, draws: int, seed: int) -> npt.NDArray[np.float64]:
    levels = part.levels
    tables = [_table(part.probabilities[rows], levels[rows]) for rows in samples_of(part, draws, seed)]
    return np.array([(measures.accuracy(table), measures.uar(table)) for table in tables])
