"""Emotions of the two data sets, and the stress level each stands for: a proxy by expression, no feeling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the order of FER-2013's numbers, 0 to 6."""

LEVELS = ("low", "medium", "high")

LEVEL_OF_EMOTION = {
    "happy": "low",
    "neutral": "low",
    "surprise": "medium",
    "disgust": "medium",
    "angry": "high",
    "fear": "high",
    "sad": "high",
}
"""The mapping of the earlier system (references/stress-analyser.md); its calm is counted as neutral here."""

RAVDESS_EMOTIONS = {
    1: "neutral",
    2: "neutral",  # calm, which FER-2013 does not tell from neutral; the same level
    3: "happy",
    4: "sad",
    5: "angry",
    6: "fear",
    7: "disgust",
    8: "surprise",
}
"""Third number of a RAVDESS file name (Livingstone & Russo 2018)."""

FOLDER_NAMES = {name: name for name in EMOTIONS} | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "calm": "neutral",
}
"""What copies of the data sets call the emotions."""

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The columns that ten people voted for in FER+ (Barsoum et al. 2016)."""

EMOTION_LEVEL: Floats = np.array(
    [[LEVEL_OF_EMOTION[emotion] == level for level in LEVELS] for emotion in EMOTIONS], dtype=np.float32
)
"""Shape (7, 3): one where the emotion stands for the level."""


def stress_of(emotions: Floats) -> Floats:
    """Probabilities of the levels, shape (n, 3), from those of the emotions, shape (n, 7)."""
    return np.asarray(emotions @ EMOTION_LEVEL, dtype=np.float32)


def level_labels(emotions: Labels) -> Labels:
    """Index into `LEVELS` of each index into `EMOTIONS`."""
    return np.asarray(EMOTION_LEVEL.argmax(axis=1)[emotions], dtype=np.int64)
