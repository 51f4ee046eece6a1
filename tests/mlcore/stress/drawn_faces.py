"""Faces drawn at test time, whose mouths and brows tell the emotion: something a network can learn in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.stress.labels import EMOTIONS

SIDE = 48
Pixels = npt.NDArray[np.uint8]


def draw(emotion: str, random: np.random.Generator) -> Pixels:
    """A grey 48×48 cartoon: happy smiles, sad the other way, surprise has a round mouth, angry has slanting brows."""
    face = np.full((SIDE, SIDE), random.integers(150, 220), np.uint8)
    x, y = (int(value) for value in random.integers(-2, 3, 2))
    dark = int(random.integers(10, 70))
    for side in (-1, 1):
        cv2.circle(face, (24 + side * 9 + x, 18 + y), 3, dark, -1)
        slant = {"angry": 4, "fear": -4}.get(emotion, 0)
        cv2.line(
            face, (24 + side * 14 + x, 11 - slant // 2 + y), (24 + side * 5 + x, 11 + slant + y), dark, 2
        )
    _mouth(face, emotion, (24 + x, 35 + y), dark)
    noisy = face + random.normal(0, 6, face.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _mouth(face: Pixels, emotion: str, middle: tuple[int, int], dark: int) -> None:
    if emotion == "surprise":
        cv2.circle(face, middle, 5, dark, -1)
    elif emotion in ("happy", "sad"):
        start, end = (0, 180) if emotion == "happy" else (180, 360)
        cv2.ellipse(face, middle, (9, 5), 0, start, end, dark, 2)
    elif emotion == "disgust":
        points = np.array([[middle[0] + dx, middle[1] + (dx % 6 - 3)] for dx in range(-9, 10, 3)])
        cv2.polylines(face, [points], False, dark, 2)
    else:
        cv2.line(face, (middle[0] - 8, middle[1]), (middle[0] + 8, middle[1]), dark, 2)


def draw_many(emotions: list[str], random: np.random.Generator) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Images (n, 48, 48) and their labels (n,)."""
    images = np.stack([draw(emotion, random) for emotion in emotions])
    return images, np.array([EMOTIONS.index(emotion) for emotion in emotions], dtype=np.int64)


def write_folder(folder: Path, per_emotion: dict[str, int], seed: int = 0) -> Path:
    """`folder/emotion/n.png`, the layout of the data set."""
    random = np.random.default_rng(seed)
    for emotion, count in per_emotion.items():
        (folder / emotion).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            cv2.imwrite(str(folder / emotion / f"{number}.png"), draw(emotion, random))
    return folder
