"""Training of the face network in rounds; each starts from the one before and learns from labels and from it.

A network taught by its like does better than its teacher (Furlanello et al. 2018), above all where labels are noisy:
FER-2013's agree with the majority of ten people for 63 %. The learning rate is warmed up and comes down again in every
round (Loshchilov & Hutter 2017).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.fer2013_splits import FaceSplits
from mlcore.stress.face.augmentation import augmented
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.network import DEPTHS, WIDTHS, FaceNetwork, fused, normalise
from mlcore.stress.keeping import load_checkpoint, save_checkpoint
from mlcore.stress.labels import EMOTIONS, LEVELS, Floats, level_labels

OnProgress = Callable[["Epoch"], None]


@dataclass(frozen=True)
class FaceRecipe:
    """How the face network is trained. The values were set by common practice, not searched for."""

    widths: tuple[int, ...] = WIDTHS
    depths: tuple[int, ...] = DEPTHS
    rounds: tuple[tuple[int, float], ...] = ((32, 0.1), (26, 0.05), (14, 0.03))
    """Epochs and highest learning rate of each."""
    batch: int = 128
    warm_up_epochs: float = 3.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    vote_weight: float = 0.4
    """Of the FER+ votes, where the data set has them."""
    teacher_weight: float = 0.5
    mixed_share: float = 0.5
    mix_alpha: float = 0.2
    """Mixup (Zhang et al. 2018): of half of the batches."""
    rare_power: float = 0.25
    """An emotion is drawn in proportion to its images to the power of 1 less this."""
    average_decay: float = 0.999
    """Of the exponential moving average of the weights, which is what is kept."""


@dataclass(frozen=True)
class Epoch:
    """One epoch's result, on the images that choose."""

    generation: int
    """The round, from 0."""
    number: int
    of: int
    loss: float
    emotion_accuracy: float
    accuracy: float
    macro_f1: float
    seconds: float

    @property
    def score(self) -> float:
        """What the best epoch is chosen by."""
        return (self.emotion_accuracy + self.macro_f1) / 2


@dataclass(frozen=True)
class FaceTraining:
    network: FaceNetwork
    history: list[Epoch]
    chosen: Epoch


def train(
    splits: FaceSplits,
    *,
    seed: int,
    folder: Path,
    recipe: FaceRecipe = FaceRecipe(),
    on_progress: OnProgress = lambda epoch: None,
) -> FaceTraining:
    """All rounds, of which the best is kept; what a killed run left in `folder` goes on at its last whole epoch.

    Reproducible by `seed` on one machine with one number of threads."""
    folder.mkdir(parents=True, exist_ok=True)
    done: list[FaceTraining] = []
    for number in range(len(recipe.rounds)):
        before = done[-1].network if done else None
        done.append(_Round(number, splits, recipe, seed, folder, before).run(on_progress))
    best = max(done, key=lambda trained: trained.chosen.score)
    return FaceTraining(best.network, [epoch for trained in done for epoch in trained.history], best.chosen)


class _Round:
    """One network from its first epoch to its last, with a checkpoint after each."""

    def __init__(
        self,
        number: int,
        splits: FaceSplits,
        recipe: FaceRecipe,
        seed: int,
        folder: Path,
        teacher: FaceNetwork | None,
    ) -> None:
        torch.manual_seed(seed + number)
        self._number, self._splits, self._recipe = number, splits, recipe
        self._teacher = fused(teacher) if teacher is not None else None
        self._checkpoint = folder / f"face-{number}.pt"
        self._epochs, self._highest_rate = recipe.rounds[number]
        rounds = recipe.rounds[: number + 1]
        self._plan = asdict(recipe) | {"rounds": rounds, "seed": seed, "images": len(splits.train)}
        self._random = torch.Generator().manual_seed(seed + number)
        self._network = FaceNetwork(recipe.widths, recipe.depths).to(memory_format=torch.channels_last)
        if teacher is not None:
            self._network.load_state_dict(teacher.state_dict())
        average = get_ema_multi_avg_fn(recipe.average_decay)
        self._average = AveragedModel(self._network, multi_avg_fn=average, use_buffers=True)
        self._optimizer = _optimizer(self._network, recipe)
        self._steps = math.ceil(len(splits.train) / recipe.batch)
        self._images = torch.from_numpy(splits.train.images)
        self._targets = torch.from_numpy(splits.targets)
        self._votes = torch.from_numpy(splits.train.votes)
        self._weights = _drawing_weights(splits.targets, recipe.rare_power)
        self._history: list[Epoch] = []
        self._best: dict[str, Tensor] = {}

    def run(self, on_progress: OnProgress) -> FaceTraining:
        self._resume()
        while len(self._history) < self._epochs:
            started = time.perf_counter()
            loss = self._epoch(len(self._history))
            epoch = self._measured(loss, time.perf_counter() - started)
            if epoch.score >= max((e.score for e in self._history), default=0.0):
                self._best = {k: v.clone() for k, v in self._average.module.state_dict().items()}
            self._history.append(epoch)
            self._save()
            on_progress(epoch)
        network = FaceNetwork(self._recipe.widths, self._recipe.depths)
        network.load_state_dict(self._best)
        chosen = max(self._history, key=lambda epoch: (epoch.score, epoch.number))
        return FaceTraining(network.eval(), list(self._history), chosen)

    def _epoch(self, number: int) -> float:
        self._network.train()
        order = torch.multinomial(
            self._weights, self._steps * self._recipe.batch, True, generator=self._random
        )
        total = 0.0
        for step, rows in enumerate(order.split(self._recipe.batch)):
            _set_rate(self._optimizer, self._rate(number + step / self._steps))
            loss = self._loss(rows)
            self._optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
            self._optimizer.step()
            self._average.update_parameters(self._network)
            total += float(loss.detach())
        return total / self._steps

    def _rate(self, epoch: float) -> float:
        """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017)."""
        warm_up = min(self._recipe.warm_up_epochs, self._epochs / 4)
        if epoch < warm_up:
            return self._highest_rate * (epoch + 0.05) / warm_up
        done = (epoch - warm_up) / (self._epochs - warm_up)
        return self._highest_rate * (1 + math.cos(math.pi * done)) / 2

    def _loss(self, rows: Tensor) -> Tensor:
        recipe = self._recipe
        faces = normalise(augmented(self._images[rows], self._random))
        targets, votes = self._targets[rows], self._votes[rows]
        faces, targets, votes = self._mixed(faces, targets, votes)
        with torch.autocast("cpu", torch.bfloat16):
            output = self._network(faces)
        smooth = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(EMOTIONS)
        loss = functional.cross_entropy(output.emotion_logits.float(), smooth)
        if self._teacher is not None:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                taught = self._teacher(faces).emotion_logits.float().softmax(dim=1)
            learnt = functional.cross_entropy(output.emotion_logits.float(), taught)
            loss = (1 - recipe.teacher_weight) * loss + recipe.teacher_weight * learnt
        logs = output.vote_logits.float().log_softmax(dim=1)
        return loss - recipe.vote_weight * (votes * logs).sum(dim=1).mean()

    def _mixed(self, faces: Tensor, *labels: Tensor) -> tuple[Tensor, ...]:
        """Every face with another one of its batch, in one batch of two; images and labels in the same shares."""
        if torch.rand((), generator=self._random) >= self._recipe.mixed_share:
            return faces, *labels
        seed = int(torch.randint(2**31, (), generator=self._random))
        share = float(np.random.default_rng(seed).beta(self._recipe.mix_alpha, self._recipe.mix_alpha))
        others = torch.randperm(len(faces), generator=self._random)
        return tuple(share * values + (1 - share) * values[others] for values in (faces, *labels))

    def _measured(self, loss: float, seconds: float) -> Epoch:
        choose = self._splits.choose
        network = self._average.module
        assert isinstance(network, FaceNetwork)
        said = FaceModel(network).predict(choose.images)
        levels = level_labels(choose.emotions)
        guessed = said.probabilities.argmax(axis=1)
        return Epoch(
            self._number,
            len(self._history),
            self._epochs,
            loss,
            float((said.emotions.argmax(axis=1) == choose.emotions).mean()),
            float((guessed == levels).mean()),
            float(f1_score(levels, guessed, labels=range(len(LEVELS)), average="macro", zero_division=0)),
            seconds,
        )

    def _save(self) -> None:
        state = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": self._random.get_state(),
            "dropout_random": torch.get_rng_state(),
            "history": [asdict(epoch) for epoch in self._history],
            "best": self._best,
        }
        save_checkpoint(self._checkpoint, self._plan, state)

    def _resume(self) -> None:
        """From the last whole epoch, where the checkpoint is of the same plan."""
        state = load_checkpoint(self._checkpoint, self._plan)
        if state is None:
            return
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._random.set_state(state["random"])
        torch.set_rng_state(state["dropout_random"])
        self._history = [Epoch(**epoch) for epoch in state["history"]]
        self._best = state["best"]


def _optimizer(network: FaceNetwork, recipe: FaceRecipe) -> torch.optim.SGD:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, momentum=recipe.momentum, nesterov=True)


def _set_rate(optimizer: torch.optim.SGD, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _drawing_weights(targets: Floats, power: float) -> Tensor:
    counts = np.maximum(targets.sum(axis=0), 1.0)
    return torch.from_numpy((targets * counts**-power).sum(axis=1).astype(np.float64))


__all__ = ["Epoch", "FaceImages", "FaceRecipe", "FaceTraining", "train"]
