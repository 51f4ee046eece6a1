"""A small RAVDESS of synthetic speech: emotions differ in rate and pitch, actors in voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from mlcore.media import SAMPLE_RATE
from mlcore.stress.labels import Floats
from tests.mlcore.sounds import say

SENTENCE = "Dogs are sitting by the door"
MANNERS = {1: (140, 45), 3: (190, 85), 5: (270, 20), 7: (95, 10)}
"""Words per minute and pitch of neutral, happy, angry and disgusted speech."""
VOICES = ("en-us+m1", "en-us+f2", "en-us+m3", "en-us+f4", "en-us+m5", "en-us+f1")


def spoken(code: int, actor: int) -> Floats:
    words_per_minute, pitch = MANNERS[code]
    return say(SENTENCE, VOICES[(actor - 1) % len(VOICES)], words_per_minute + actor, pitch + 2 * actor)


def file_name(code: int, actor: int, repetition: int = 1, kind: str = ".wav") -> str:
    return f"03-01-{code:02}-01-01-{repetition:02}-{actor:02}{kind}"


def write_clip(folder: Path, samples: Floats, name: str, rate: int = SAMPLE_RATE) -> Path:
    path = folder / f"Actor_{name[18:20]}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def write_corpus(folder: Path, actors: tuple[int, ...]) -> Path:
    """Each actor in each manner."""
    for actor in actors:
        for code in MANNERS:
            sound = spoken(code, actor)
            quiet = np.zeros(SAMPLE_RATE // 4, np.float32)
            write_clip(folder, np.concatenate([quiet, sound, quiet]), file_name(code, actor))
    return folder
