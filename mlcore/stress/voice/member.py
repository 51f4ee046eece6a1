"""Training of one voice network: learned from some actors, stopped at the epoch that is best on others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mlcore.stress.datasets.ravdess import CODES, VoiceClips
from mlcore.stress.labels import EMOTIONS, RAVDESS_EMOTIONS, Floats, stress_of
from mlcore.stress.voice.cache import COPIES, MIDDLE, WHOLE, VoiceFrames
from mlcore.stress.voice.folds import Parts
from mlcore.stress.voice.network import VoiceEnsemble, VoiceNetwork, padded

CODE_EMOTION: Floats = np.eye(len(EMOTIONS), dtype=np.float32)[
    [EMOTIONS.index(RAVDESS_EMOTIONS[code]) for code in range(1, len(CODES) + 1)]
]
"""(8, 7): one where the data set's emotion is that of `labels.EMOTIONS`; calm and neutral are one."""
CODE_LEVEL: Floats = stress_of(CODE_EMOTION)
"""(8, 3)."""
TESTED_AT_ONCE = 64
LEAST_DEVIATION = 1e-3
LEAST_PROBABILITY = 1e-8

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VoiceRecipe:
    """How the voice networks are trained. What was tried instead is in docs/models/voice-stress.md."""

    epochs: int = 24
    members: int = 5
    """Networks that are shipped together."""
    fold_members: int = 3
    """Networks of each fold of the cross-validation."""
    copies: int = COPIES
    batch: int = 48
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up_share: float = 0.2
    label_smoothing: float = 0.1
    level_weight: float = 0.5
    """Of the loss of the three levels beside that of the eight emotions."""
    average_decay: float = 0.98
    masks: int = 2
    masked_frames: int = 6
    """Stretches of each clip that are blanked out, and their greatest length (Park et al. 2019, in time only)."""
    mixed_share: float = 0.5
    """Of the batches."""
    mix_alpha: float = 1.0
    first_choice: float = 0.4
    """Share of the epochs after which the best one is looked for."""


RECIPE = VoiceRecipe()
"""What the shipped weights were trained by."""


@dataclass(frozen=True)
class VoiceEpoch:
    """One epoch's result on the actors that choose."""

    run: int
    runs: int
    """Networks trained one after the other, those of the cross-validation first."""
    fold: int
    member: int
    number: int
    of: int
    loss: float
    log_loss: float
    """Of the levels, nats; the best epoch has the least."""
    uar: float
    seconds: float


OnProgress = Callable[[VoiceEpoch], None]


def emotion_probabilities(logits: Floats) -> Floats:
    """(n, 7) in the order of `labels.EMOTIONS`, of logits (n, 8)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True) @ CODE_EMOTION, dtype=np.float32)


def outputs(
    network: VoiceNetwork | VoiceEnsemble, frames: VoiceFrames, rows: Rows, copy: int
) -> tuple[Floats, Floats]:
    """Logits (n, 8) and embeddings (n, 32) of one copy of the clips `rows`."""
    logits, embeddings = [], []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), TESTED_AT_ONCE):
            output = network(
                *padded([_tensor(frames, copy, row) for row in rows[start : start + TESTED_AT_ONCE]])
            )
            logits.append(output.logits.numpy())
            embeddings.append(output.embeddings.numpy())
    return np.concatenate(logits), np.concatenate(embeddings)


class Member:
    """One network from its first epoch to its last."""

    def __init__(
        self, clips: VoiceClips, frames: VoiceFrames, chosen: Parts, seed: int, recipe: VoiceRecipe
    ) -> None:
        torch.manual_seed(seed)
        self._random = np.random.default_rng(seed)
        self._frames, self._recipe = frames, recipe
        self._codes, self._levels = torch.from_numpy(clips.codes), clips.levels
        self._learn = np.flatnonzero(np.isin(clips.actors, chosen.learn))
        self._choose = np.flatnonzero(np.isin(clips.actors, chosen.choose))
        self._network = VoiceNetwork()
        self._standardise()
        average = get_ema_multi_avg_fn(recipe.average_decay)
        self._average = AveragedModel(self._network, multi_avg_fn=average, use_buffers=True)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._code_level = torch.from_numpy(CODE_LEVEL)
        self._steps = math.ceil(len(self._learn) / recipe.batch)

    def run(self, place: VoiceEpoch, on_progress: OnProgress) -> dict[str, Any]:
        """The best epoch's state, averaged over the last steps, as ``network``, and ``history``; `place` tells which
        network this is among all."""
        history: list[VoiceEpoch] = []
        best: tuple[float, dict[str, Tensor]] = (math.inf, {})
        for number in range(self._recipe.epochs):
            started = time.perf_counter()
            loss = self._epoch(number)
            log_loss, uar = self._measured()
            if log_loss < best[0] and number + 1 >= self._recipe.first_choice * self._recipe.epochs:
                best = (log_loss, {k: v.clone() for k, v in self._average.module.state_dict().items()})
            seconds = time.perf_counter() - started
            history.append(
                replace(place, number=number, loss=loss, log_loss=log_loss, uar=uar, seconds=seconds)
            )
            on_progress(history[-1])
        return {"network": best[1], "history": [asdict(epoch) for epoch in history]}

    def _standardise(self) -> None:
        """By the frames of those who are learned from, and nobody else's."""
        heard = torch.cat([_tensor(self._frames, WHOLE, row) for row in self._learn.tolist()])
        self._network.mean.copy_(heard.mean(dim=0))
        self._network.deviation.copy_(heard.std(dim=0) + LEAST_DEVIATION)

    def _epoch(self, number: int) -> float:
        self._network.train()
        total = 0.0
        for step, rows in enumerate(self._batches()):
            self._set_rate((number + (step + 1) / self._steps) / self._recipe.epochs)
            loss = self._loss(rows)
            self._optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            self._optimizer.step()
            self._average.update_parameters(self._network)
            total += float(loss.detach())
        return total / self._steps

    def _batches(self) -> Iterator[Rows]:
        """Every clip once, in an order drawn anew."""
        order = self._random.permutation(self._learn)
        return iter(np.array_split(order, self._steps))

    def _loss(self, rows: Rows) -> Tensor:
        copies = self._random.integers(0, len(self._frames.copies), len(rows))
        frames, lengths = padded(
            [
                self._masked(_tensor(self._frames, int(copy), int(row)))
                for copy, row in zip(copies, rows, strict=True)
            ]
        )
        codes = functional.one_hot(self._codes[rows], len(CODES)).float()
        frames, lengths, codes = self._mixed(frames, lengths, codes)
        logits = self._network(frames, lengths).logits
        loss = functional.cross_entropy(logits, codes, label_smoothing=self._recipe.label_smoothing)
        levels = (logits.softmax(dim=1) @ self._code_level + LEAST_PROBABILITY).log()
        return loss - self._recipe.level_weight * (codes @ self._code_level * levels).sum(dim=1).mean()

    def _mixed(self, frames: Tensor, lengths: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Every clip with another one of its batch, frames and labels in the same shares (Zhang et al. 2018)."""
        if self._random.random() >= self._recipe.mixed_share:
            return frames, lengths, codes
        share = float(self._random.beta(self._recipe.mix_alpha, self._recipe.mix_alpha))
        others = torch.from_numpy(self._random.permutation(len(codes)))
        mixed = share * frames + (1 - share) * frames[others]
        return mixed, torch.maximum(lengths, lengths[others]), share * codes + (1 - share) * codes[others]

    def _masked(self, clip: Tensor) -> Tensor:
        """With some stretches at the mean of all frames."""
        clip = clip.clone()
        for _ in range(self._recipe.masks):
            length = int(self._random.integers(0, self._recipe.masked_frames + 1))
            if length and len(clip) > 2 * length:
                start = int(self._random.integers(0, len(clip) - length))
                clip[start : start + length] = self._network.mean
        return clip

    def _set_rate(self, done: float) -> None:
        """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017)."""
        warm_up = self._recipe.warm_up_share
        falling = (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
        share = done / warm_up if done < warm_up else falling
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * share

    def _measured(self) -> tuple[float, float]:
        """Log loss and UAR of the levels, of whole clips and their middles."""
        network = self._average.module
        assert isinstance(network, VoiceNetwork)
        logits = np.concatenate(
            [outputs(network, self._frames, self._choose, copy)[0] for copy in (WHOLE, MIDDLE)]
        )
        said = stress_of(emotion_probabilities(logits))
        levels = np.tile(self._levels[self._choose], 2)
        log_loss = -np.log(said[np.arange(len(said)), levels] + LEAST_PROBABILITY).mean()
        recalls = [(said[levels == level].argmax(axis=1) == level).mean() for level in np.unique(levels)]
        return float(log_loss), float(np.mean(recalls))


def _tensor(frames: VoiceFrames, copy: int, row: int) -> Tensor:
    return torch.from_numpy(frames.of(int(copy), int(row))).float()
