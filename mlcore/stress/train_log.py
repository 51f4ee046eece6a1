"""What a training says and leaves behind beside the weights: lines with the time left, histories, plots."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.stress.evaluation import plots
from mlcore.stress.face.training import Epoch, FaceRecipe
from mlcore.stress.voice.member import VoiceEpoch

SAID_EVERY_S = 5.0
Say = Callable[[str], None]
Document = dict[str, Any]


def write_log(folder: Path, name: str, document: Document) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / f"{name}-stress-training.json").write_text(text, encoding="utf-8")


def plot_face(folder: Path, epochs: Sequence[Epoch], chosen: Epoch) -> None:
    panels = {
        "loss": {"training": [epoch.loss for epoch in epochs]},
        "on the images that choose": {
            "emotions, accuracy": [epoch.emotion_accuracy for epoch in epochs],
            "levels, accuracy": [epoch.accuracy for epoch in epochs],
            "levels, macro-F1": [epoch.macro_f1 for epoch in epochs],
        },
    }
    plots.history(folder / "face-stress-training.png", panels, chosen=list(epochs).index(chosen))


def plot_voice(folder: Path, epochs: Sequence[VoiceEpoch]) -> None:
    """The mean over all networks."""
    numbers = range(max(epoch.number for epoch in epochs) + 1)

    def mean(value: str) -> list[float]:
        return [
            float(np.mean([getattr(epoch, value) for epoch in epochs if epoch.number == number]))
            for number in numbers
        ]

    panels = {
        "loss, mean of all networks": {
            "training": mean("loss"),
            "levels, actors that choose": mean("log_loss"),
        },
        "on the actors that choose": {"levels, UAR": mean("uar")},
    }
    plots.history(folder / "voice-stress-training.png", panels)


def face_line(epoch: Epoch, clock: Clock, recipe: FaceRecipe) -> str:
    later = sum(epochs for epochs, _ in recipe.rounds[epoch.generation + 1 :])
    left = clock.left(epoch.of - epoch.number - 1 + later)
    return (
        f"face, round {epoch.generation + 1}/{len(recipe.rounds)}, epoch {epoch.number + 1}/{epoch.of}: "
        f"loss {epoch.loss:.3f}, emotions {epoch.emotion_accuracy:.3f}, levels {epoch.accuracy:.3f}, "
        f"macro-F1 {epoch.macro_f1:.3f}; {epoch.seconds:.0f} s, {left}"
    )


def voice_line(epoch: VoiceEpoch, clock: Clock) -> str:
    left = (epoch.runs - epoch.run) * epoch.of - epoch.number - 1
    return (
        f"voice, network {epoch.run + 1}/{epoch.runs}, epoch {epoch.number + 1}/{epoch.of}: loss {epoch.loss:.3f}, "
        f"UAR of the actors that choose {epoch.uar:.3f}; {epoch.seconds:.0f} s, {clock.left(left)}"
    )


class Clock:
    """The time that is left, from the pace of the last steps."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._last = self._said = time.perf_counter()

    def left(self, steps: int) -> str:
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now
        return f"about {steps * float(np.median(self._seconds[-5:])) / 60:.0f} min left"

    def now_and_then(self, say: Say, what: str, done: int, total: int) -> None:
        """A line every few seconds."""
        line = f"{what}: {done}/{total}, {self.left(total - done)}"
        if done == total or time.perf_counter() - self._said >= SAID_EVERY_S:
            self._said = time.perf_counter()
            say(line)
