"""Training of the voice model: several small networks, each stopped by other actors; and by cross-validation what they
say of actors that none of them has heard.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.ravdess import CODES, VoiceClips
from mlcore.stress.keeping import load_checkpoint, save_checkpoint
from mlcore.stress.labels import LEVELS, Floats, Labels
from mlcore.stress.voice.cache import MIDDLE, WHOLE, VoiceFrames
from mlcore.stress.voice.folds import folds_of, parts
from mlcore.stress.voice.member import RECIPE, Member, OnProgress, VoiceEpoch, VoiceRecipe, outputs
from mlcore.stress.voice.network import EMBEDDING, VoiceEnsemble, VoiceNetwork

ALL = -1
"""In place of a fold's number: the networks that are shipped, which test nobody."""


@dataclass(frozen=True)
class OutOfFold:
    """What networks say of n clips of actors that they have not heard, neither to learn nor to choose the epoch."""

    folds: Labels
    """(n,)."""
    logits: Floats
    """(n, 8), by `ravdess.CODES`, of whole clips."""
    embeddings: Floats
    """(n, 32)."""
    middle_logits: Floats
    """(n, 8), of the middle 3 s."""


@dataclass(frozen=True)
class VoiceTraining:
    members: tuple[VoiceNetwork, ...]
    out_of_fold: OutOfFold
    history: tuple[VoiceEpoch, ...]
    recipe: VoiceRecipe

    @property
    def network(self) -> VoiceEnsemble:
        return VoiceEnsemble(self.members).eval()


def train(
    clips: VoiceClips,
    frames: VoiceFrames,
    *,
    seed: int,
    checkpoint_dir: Path,
    recipe: VoiceRecipe = RECIPE,
    on_progress: OnProgress = lambda epoch: None,
) -> VoiceTraining:
    """Cross-validate, then train what is shipped; a killed run goes on at the network that it was at.

    Reproducible by `seed` on one machine. AnalysisError ``one_class``, ``too_few_people`` before the first epoch."""
    work = _Work(clips, frames, seed, checkpoint_dir, recipe, on_progress)
    out_of_fold = work.cross_validated()
    members = tuple(work.member(ALL, member) for member in range(recipe.members))
    return VoiceTraining(members, out_of_fold, tuple(work.history), recipe)


def cross_validate(
    clips: VoiceClips,
    frames: VoiceFrames,
    *,
    seed: int,
    checkpoint_dir: Path,
    recipe: VoiceRecipe = RECIPE,
    on_progress: OnProgress = lambda epoch: None,
) -> OutOfFold:
    """The first half of `train`: actors in published folds, each tested by networks that know none of its actors."""
    return _Work(clips, frames, seed, checkpoint_dir, recipe, on_progress).cross_validated()


class _Work:
    """All networks of one training."""

    def __init__(
        self,
        clips: VoiceClips,
        frames: VoiceFrames,
        seed: int,
        folder: Path,
        recipe: VoiceRecipe,
        on_progress: OnProgress,
    ) -> None:
        _check(clips)
        self.folds = folds_of(clips.actors.tolist())
        self.history: list[VoiceEpoch] = []
        self._clips, self._frames, self._seed, self._recipe = clips, frames, seed, recipe
        self._folder, self._on_progress = folder, on_progress
        self._runs = len(self.folds) * recipe.fold_members + recipe.members
        self._plan = {"seed": seed, "data": _fingerprint(clips, frames), **asdict(recipe)}

    def cross_validated(self) -> OutOfFold:
        count = len(self._clips)
        numbers = np.zeros(count, dtype=np.int64)
        logits, middle_logits = np.zeros((2, count, len(CODES)), dtype=np.float32)
        embeddings = np.zeros((count, EMBEDDING), dtype=np.float32)
        for number, fold in enumerate(self.folds):
            rows = np.flatnonzero(np.isin(self._clips.actors, fold))
            network = VoiceEnsemble([self.member(number, m) for m in range(self._recipe.fold_members)]).eval()
            numbers[rows] = number
            logits[rows], embeddings[rows] = outputs(network, self._frames, rows, WHOLE)
            middle_logits[rows], _ = outputs(network, self._frames, rows, MIDDLE)
        return OutOfFold(numbers, logits, embeddings, middle_logits)

    def member(self, fold: int, number: int) -> VoiceNetwork:
        """From its checkpoint where it was trained before by the same plan."""
        run = (
            fold * self._recipe.fold_members + number
            if fold != ALL
            else self._runs - self._recipe.members + number
        )
        test = () if fold == ALL else self.folds[fold]
        chosen = parts(self._clips.actors.tolist(), test, number, self._seed + fold + 1)
        file = self._folder / f"voice-{'all' if fold == ALL else fold}-{number}.pt"
        plan = self._plan | {"learn": list(chosen.learn), "choose": list(chosen.choose)}
        kept = load_checkpoint(file, plan)
        if kept is None:
            place = VoiceEpoch(run, self._runs, fold, number, 0, self._recipe.epochs, 0.0, 0.0, 0.0, 0.0)
            member = Member(self._clips, self._frames, chosen, self._seed * 1000 + run, self._recipe)
            kept = member.run(place, self._on_progress)
            save_checkpoint(file, plan, kept)
        self.history += [VoiceEpoch(**epoch) for epoch in kept["history"]]
        network = VoiceNetwork()
        network.load_state_dict(kept["network"])
        return network.eval()


def _check(clips: VoiceClips) -> None:
    found = np.unique(clips.levels)
    if len(found) < len(LEVELS):
        names = ", ".join(LEVELS[int(level)] for level in found) or "none"
        raise AnalysisError(
            "one_class",
            f"Training needs clips of all three levels; found: {names}. The emotion is the third number of a file's "
            "name: unpack all of RAVDESS.",
        )


def _fingerprint(clips: VoiceClips, frames: VoiceFrames) -> str:
    digest = hashlib.sha256("\n".join(clips.names.tolist()).encode())
    for copy in frames.copies:
        for clip in copy:
            digest.update(np.ascontiguousarray(clip).tobytes())
    return digest.hexdigest()
