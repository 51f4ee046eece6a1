"""Training of the fusion on faces and voices that neither model was trained on, strangers put together by emotion.

Every epoch draws new pairs; in some a modality is left out. Folds hold whole actors, and faces of their own; the epoch
is chosen on one fold and the figures come from another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from mlcore.errors import AnalysisError
from mlcore.stress import calibration
from mlcore.stress.calibration import Calibration
from mlcore.stress.evaluation import measures
from mlcore.stress.fusion.model import (
    BOTH,
    FACE,
    MEAN,
    NETWORK,
    VOICE,
    FusionNetwork,
    Inputs,
    emotion_probabilities,
    mean_of_logits,
)
from mlcore.stress.labels import EMOTION_LEVEL, Floats, Labels, level_labels, stress_of

MOST_FOLDS, LEAST_FOLDS = 5, 3
"""One tests, one chooses the epoch, the others are learned from."""
UNSHARED = -1
"""In place of the emotion of pairs whose halves have different ones."""
TESTED_PAIRS = 2000
"""A fold; each clip and face then stands in several."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FusionRecipe:
    """How the fusion is trained. *Assumptions*: values that are usual for so small a network."""

    epochs: int = 30
    pairs: int = 8192
    """An epoch."""
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    by_level: float = 0.5
    """Share of pairs that share no more than the level, as people do who show one thing and sound another."""
    dropped: float = 0.15
    """Share of pairs without the face; as many come without the voice."""


@dataclass(frozen=True)
class Modality:
    """n faces or clips with what their model, which has not seen them, says of them."""

    emotions: Labels
    logs: Floats
    """(n, 7): log probabilities of the emotions."""
    levels: Floats
    """(n, 3): calibrated probabilities of the levels."""
    embeddings: Floats
    quality: Floats
    """(n,): over 0 to 1."""
    persons: Labels
    """(n,): who; each face counts as a person of its own, since FER-2013 names none."""

    def __len__(self) -> int:
        return len(self.emotions)

    def folds(self, count: int, seed: int) -> Labels:
        """(n,): which of `count` folds each belongs to; whole persons."""
        known = np.unique(self.persons)
        order = np.random.default_rng(seed).permutation(len(known))
        return np.asarray((order % count)[np.searchsorted(known, self.persons)], dtype=np.int64)


@dataclass(frozen=True)
class FusionTraining:
    network: FusionNetwork
    method: str
    """``network``, or ``mean`` where the plain mean of the logits was not beaten."""
    calibrations: dict[str, Calibration]
    figures: dict[str, Any]
    """Cross-validated, by JSON types."""
    history: list[dict[str, float]]
    folds: tuple[FoldModel, ...]
    """Of the cross-validation, to measure more with."""


@dataclass(frozen=True)
class FoldModel:
    """What was trained without some actors, and calibrated without them too."""

    persons: Labels
    """The actors that it does not know."""
    network: FusionNetwork
    calibrations: dict[str, Calibration]


@dataclass(frozen=True)
class _Pairs:
    faces: Rows
    voices: Rows
    emotions: Labels

    def __len__(self) -> int:
        return len(self.emotions)


def train(
    faces: Modality,
    voices: Modality,
    *,
    seed: int,
    recipe: FusionRecipe = FusionRecipe(),
    on_progress: Callable[[str], None] = lambda line: None,
) -> FusionTraining:
    """Cross-validate, then train on everything for as many epochs as the folds chose in the middle.

    AnalysisError ``one_class`` where fewer than two emotions stand in both, ``too_few_people`` with less than three."""
    shared = sorted(set(faces.emotions.tolist()) & set(voices.emotions.tolist()))
    if len(shared) < 2:
        raise AnalysisError("one_class", "Fusion needs faces and voices of at least two emotions in common.")
    runs, tested, history = [], [], []
    count = min(MOST_FOLDS, len(np.unique(voices.persons)), len(np.unique(faces.persons)))
    if count < LEAST_FOLDS:
        raise AnalysisError(
            "too_few_people", "Fusion needs voices of three people at least, and three faces."
        )
    face_folds, voice_folds = faces.folds(count, seed), voices.folds(count, seed)
    for fold in range(count):
        run = _Fold(faces, voices, face_folds, voice_folds, fold, seed, recipe)
        runs.append(run)
        tested.append(run.test())
        history.append({"fold": float(fold), "epochs": float(run.epochs), "log_loss": run.log_loss})
        on_progress(f"fusion fold {fold + 1}/{count}: best after {run.epochs} epochs")
    epochs = int(np.median([row["epochs"] for row in history]))
    everyone = np.arange(len(faces)), np.arange(len(voices))
    network = _fitted(faces, voices, *everyone, seed, replace(recipe, epochs=max(epochs, 1)))[0]
    without = [_calibrations([other for other in tested if other is not one], NETWORK) for one in tested]
    figures = _figures(tested, without)
    method = NETWORK if figures["network"]["uar"] > figures["mean_of_logits"]["uar"] else MEAN
    folds = tuple(
        FoldModel(np.unique(voices.persons[voice_folds == fold]), run.network, without[fold])
        for fold, run in enumerate(runs)
    )
    return FusionTraining(network, method, _calibrations(tested, method), figures, history, folds)


@dataclass(frozen=True)
class _Tested:
    """What a fold's network, and the plain rules, say of pairs of its test people."""

    labels: Labels
    persons: Labels
    face: Floats
    voice: Floats
    mean: Floats
    ours: dict[str, Floats]
    """By the case: both modalities, or one; uncalibrated."""


class _Fold:
    def __init__(
        self,
        faces: Modality,
        voices: Modality,
        face_folds: Labels,
        voice_folds: Labels,
        fold: int,
        seed: int,
        recipe: FusionRecipe,
    ) -> None:
        choosing = (fold + 1) % (int(voice_folds.max()) + 1)
        self._faces, self._voices = faces, voices
        self._test = np.flatnonzero(face_folds == fold), np.flatnonzero(voice_folds == fold)
        choose = np.flatnonzero(face_folds == choosing), np.flatnonzero(voice_folds == choosing)
        kept = [np.flatnonzero((folds != fold) & (folds != choosing)) for folds in (face_folds, voice_folds)]
        self._random = np.random.default_rng((seed, fold))
        self.network, self.epochs, self.log_loss = _fitted(
            faces, voices, kept[0], kept[1], seed + fold, recipe, choose
        )

    def test(self) -> _Tested:
        faces, voices = self._faces, self._voices
        pairs = _drawn(faces, voices, *self._test, TESTED_PAIRS, self._random)
        whole = _inputs(faces, voices, pairs)
        cases = {
            BOTH: whole,
            FACE: _without(whole, voice=np.ones(len(pairs), bool)),
            VOICE: _without(whole, face=np.ones(len(pairs), bool)),
        }
        face, voice = faces.levels[pairs.faces], voices.levels[pairs.voices]
        return _Tested(
            level_labels(pairs.emotions),
            voices.persons[pairs.voices],
            face,
            voice,
            mean_of_logits(face, voice),
            {case: stress_of(emotion_probabilities(self.network, inputs)) for case, inputs in cases.items()},
        )


def _fitted(
    faces: Modality,
    voices: Modality,
    face_rows: Rows,
    voice_rows: Rows,
    seed: int,
    recipe: FusionRecipe,
    choose: tuple[Rows, Rows] | None = None,
) -> tuple[FusionNetwork, int, float]:
    """The network, its epochs and its log loss on what chooses; without that, the last epoch's."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = FusionNetwork()
    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    held = _mixed(faces, voices, *choose, recipe, random) if choose else None
    best = copy.deepcopy(network), 0, _log_loss(network, faces, voices, held)
    for epoch in range(1, recipe.epochs + 1):
        _epoch(network.train(), optimizer, faces, voices, face_rows, voice_rows, random, recipe)
        loss = _log_loss(network.eval(), faces, voices, held)
        if held is None or loss < best[2]:
            best = copy.deepcopy(network), epoch, loss
    return best[0].eval(), best[1], best[2]


def _epoch(
    network: FusionNetwork,
    optimizer: torch.optim.Optimizer,
    faces: Modality,
    voices: Modality,
    face_rows: Rows,
    voice_rows: Rows,
    random: np.random.Generator,
    recipe: FusionRecipe,
) -> None:
    pairs = _mixed(faces, voices, face_rows, voice_rows, recipe, random)
    chance = random.random(len(pairs))
    inputs = _without(
        _inputs(faces, voices, pairs), face=chance < recipe.dropped, voice=chance > 1 - recipe.dropped
    )
    tensors = inputs.tensors()
    emotions = torch.from_numpy(
        np.where(faces.emotions[pairs.faces] == pairs.emotions, pairs.emotions, UNSHARED)
    )
    to_level = torch.from_numpy(EMOTION_LEVEL)
    levels = torch.from_numpy(level_labels(pairs.emotions))
    for rows in torch.arange(len(pairs)).split(recipe.batch):
        logits = network(*(values[rows] for values in tensors))
        told = (logits.softmax(dim=1) @ to_level).clamp_min(1e-6).log()
        loss = functional.nll_loss(told, levels[rows])
        loss = loss + functional.cross_entropy(
            logits, emotions[rows], ignore_index=UNSHARED, reduction="sum"
        ) / len(rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _drawn(
    faces: Modality,
    voices: Modality,
    face_rows: Rows,
    voice_rows: Rows,
    count: int,
    random: np.random.Generator,
) -> _Pairs:
    """Pairs that share an emotion, the emotions equally often."""
    of_face, of_voice = faces.emotions[face_rows], voices.emotions[voice_rows]
    shared = sorted(set(of_face.tolist()) & set(of_voice.tolist()))
    emotions = random.choice(np.array(shared, dtype=np.int64), count)
    face, voice = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    for emotion in shared:
        here = emotions == emotion
        face[here] = random.choice(face_rows[of_face == emotion], here.sum())
        voice[here] = random.choice(voice_rows[of_voice == emotion], here.sum())
    return _Pairs(face, voice, emotions)


def _mixed(
    faces: Modality,
    voices: Modality,
    face_rows: Rows,
    voice_rows: Rows,
    recipe: FusionRecipe,
    random: np.random.Generator,
) -> _Pairs:
    """Pairs by emotion; in some the face is another one of the voice's level."""
    pairs = _drawn(faces, voices, face_rows, voice_rows, recipe.pairs, random)
    other = random.random(len(pairs)) < recipe.by_level
    levels, of_face = level_labels(pairs.emotions), level_labels(faces.emotions[face_rows])
    for level in np.unique(levels):
        here = other & (levels == level)
        pairs.faces[here] = random.choice(face_rows[of_face == level], here.sum())
    return pairs


def _inputs(faces: Modality, voices: Modality, pairs: _Pairs) -> Inputs:
    return Inputs(
        faces.logs[pairs.faces],
        faces.embeddings[pairs.faces],
        faces.quality[pairs.faces],
        voices.logs[pairs.voices],
        voices.embeddings[pairs.voices],
        voices.quality[pairs.voices],
    )


def _without(
    inputs: Inputs,
    *,
    face: npt.NDArray[np.bool_] | None = None,
    voice: npt.NDArray[np.bool_] | None = None,
) -> Inputs:
    """The inputs, a modality left out of the rows named."""
    if face is not None:
        kept = (~face).astype(np.float32)
        inputs = replace(
            inputs,
            face_logs=inputs.face_logs * kept[:, None],
            face_embeddings=inputs.face_embeddings * kept[:, None],
            face_quality=inputs.face_quality * kept,
        )
    if voice is not None:
        kept = (~voice).astype(np.float32)
        inputs = replace(
            inputs,
            voice_logs=inputs.voice_logs * kept[:, None],
            voice_embeddings=inputs.voice_embeddings * kept[:, None],
            voice_quality=inputs.voice_quality * kept,
        )
    return inputs


def _log_loss(network: FusionNetwork, faces: Modality, voices: Modality, pairs: _Pairs | None) -> float:
    if pairs is None:
        return float("inf")
    said = stress_of(emotion_probabilities(network.eval(), _inputs(faces, voices, pairs)))
    return measures.log_loss(said, level_labels(pairs.emotions))


def _calibrations(tested: list[_Tested], method: str) -> dict[str, Calibration]:
    labels = np.concatenate([fold.labels for fold in tested])
    persons = np.concatenate([fold.persons for fold in tested])
    said = {case: np.concatenate([fold.ours[case] for fold in tested]) for case in (BOTH, FACE, VOICE)}
    if method == MEAN:
        said = {BOTH: np.concatenate([fold.mean for fold in tested])}
    return {
        case: calibration.fit(calibration.log_probabilities(values), labels, persons)
        for case, values in said.items()
    }


def _figures(tested: list[_Tested], without: list[dict[str, Calibration]]) -> dict[str, Any]:
    """Of the test pairs of all folds, those of our network calibrated on the other folds."""
    labels = np.concatenate([fold.labels for fold in tested])
    ways = {
        "face": [fold.face for fold in tested],
        "voice": [fold.voice for fold in tested],
        "mean_of_logits": [fold.mean for fold in tested],
        "network": _calibrated(tested, without, BOTH),
        "network_face_only": _calibrated(tested, without, FACE),
        "network_voice_only": _calibrated(tested, without, VOICE),
    }
    return {"pairs": len(labels)} | {
        way: _summary(np.concatenate(values), labels) for way, values in ways.items()
    }


def _calibrated(tested: list[_Tested], without: list[dict[str, Calibration]], case: str) -> list[Floats]:
    """Each fold's pairs by the calibration that the others gave."""
    return [
        fitted[case].apply(calibration.log_probabilities(fold.ours[case]))
        for fold, fitted in zip(tested, without, strict=True)
    ]


def _summary(said: Floats, labels: Labels) -> dict[str, float]:
    guessed = said.argmax(axis=1)
    table = measures.confusion(labels, guessed, said.shape[1])
    return {
        "accuracy": float((guessed == labels).mean()),
        "uar": measures.uar(table),
        "macro_f1": measures.macro_f1(table),
        "ece": measures.expected_calibration_error(said, labels),
        "log_loss": measures.log_loss(said, labels),
    }
