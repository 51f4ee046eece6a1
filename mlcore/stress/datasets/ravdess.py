"""RAVDESS speech (Livingstone & Russo 2018): acted emotions, 24 actors, two sentences; file names tell the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.signal import resample_poly

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.labels import EMOTIONS, RAVDESS_EMOTIONS, Floats, Labels, level_labels

AUDIO_TYPES = {".wav", ".flac"}
CODES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""The third number of a file name is the place in this list, from 1; calm and neutral are one of `labels.EMOTIONS`."""
SPEECH_AUDIO = ("03", "01")
"""The first two numbers: audio only, speech (songs and videos are other parts of the data set)."""
NUMBERS = 7
SHORTEST_S = 1.0
"""Assumption: the shortest clip of the set lasts 2.9 s."""
SILENT_PEAK = 0.005
"""Of full scale. The quietest acted clips reach 0.006, the one that is almost silent (Actor_20) 0.0045."""

Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class VoiceClips:
    """n clips in order of their names; samples are read when asked for."""

    files: tuple[Path, ...]
    codes: Labels
    """(n,): index into `CODES`."""
    actors: Labels
    """(n,): 1 to 24."""
    skipped: SkippedFiles = field(default_factory=SkippedFiles, compare=False)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def emotions(self) -> Labels:
        """(n,): index into `labels.EMOTIONS`."""
        return np.array(
            [EMOTIONS.index(RAVDESS_EMOTIONS[int(code) + 1]) for code in self.codes], dtype=np.int64
        )

    @property
    def levels(self) -> Labels:
        """(n,): index into `labels.LEVELS`."""
        return level_labels(self.emotions)

    @property
    def sexes(self) -> Names:
        """(n,): ``male`` or ``female``; odd actors are male."""
        return np.where(self.actors % 2 == 1, "male", "female")

    @property
    def names(self) -> Names:
        return np.array([file.stem for file in self.files])

    def samples(self, row: int) -> Floats:
        """16 kHz mono, shape (n,), -1..1."""
        return read(self.files[row])

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> VoiceClips:
        kept = np.arange(len(self))[rows]
        return VoiceClips(
            tuple(self.files[row] for row in kept), self.codes[kept], self.actors[kept], self.skipped
        )

    def of_actors(self, actors: Sequence[int]) -> VoiceClips:
        """AnalysisError ``no_such_actor`` where one of them has no clip."""
        if absent := sorted(set(actors) - set(self.actors.tolist())):
            there = ", ".join(map(str, np.unique(self.actors)))
            raise AnalysisError(
                "no_such_actor", f"There is no clip of actor {absent[0]}; actors found: {there}."
            )
        return self.take(np.isin(self.actors, list(actors)))


def load(folder: Path) -> VoiceClips:
    """Every usable clip below `folder`, whatever the folders between.

    Files that cannot be used are counted and named in `skipped`; each is read once for that. AnalysisError:
    ``dataset_missing`` where there is no such folder, ``dataset_empty`` where it holds no usable clip.
    """
    if not folder.is_dir():
        raise AnalysisError("dataset_missing", f"There is no folder {folder}. {_where_from()}")
    skipped = SkippedFiles()
    found = [(path, labels) for path in _audio_files(folder) if (labels := _usable(path, folder, skipped))]
    if not found:
        lines = "; ".join(skipped.lines())
        raise AnalysisError(
            "dataset_empty", f"{folder} holds no RAVDESS speech clip ({lines}). {_where_from()}"
        )
    codes, actors = np.array([labels for _, labels in found], dtype=np.int64).T
    return VoiceClips(tuple(path for path, _ in found), codes, actors, skipped)


def read(path: Path) -> Floats:
    """16 kHz mono samples, shape (n,); the channels of stereo are averaged. OSError where the file cannot be read."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise OSError(str(error)) from error
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        common = gcd(rate, SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // common, rate // common)
    return mono.astype(np.float32)


def _where_from() -> str:
    return (
        "Get Audio_Speech_Actors_01-24.zip of RAVDESS from Zenodo (record 1188976), unpack it into datasets/ravdess/ "
        "so that Actor_01 to Actor_24 lie there, or name its folder by --ravdess_dir."
    )


def _audio_files(folder: Path) -> list[Path]:
    """In order of their names, so that results do not depend on the disk."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_TYPES and path.is_file())
    return sorted(found, key=lambda path: (path.stem, str(path)))


def _usable(path: Path, folder: Path, skipped: SkippedFiles) -> tuple[int, int] | None:
    """Code and actor, from 0 and 1 on; None for a file that is skipped."""
    labels = _labels_of(path.stem)
    reason = _flaw(path) if labels else "misnamed"
    if reason:
        skipped.add(reason, str(path.relative_to(folder)))
        return None
    return labels


def _labels_of(stem: str) -> tuple[int, int] | None:
    parts = stem.split("-")
    if len(parts) != NUMBERS or not all(part.isdecimal() and len(part) == 2 for part in parts):
        return None
    code, actor = int(parts[2]), int(parts[6])
    known = tuple(parts[:2]) == SPEECH_AUDIO and code in RAVDESS_EMOTIONS and 1 <= actor <= 24
    return (code - 1, actor) if known else None


def _flaw(path: Path) -> str:
    """Empty for a clip that can be used."""
    try:
        samples = read(path)
    except OSError:
        return "corrupt"
    if len(samples) < SHORTEST_S * SAMPLE_RATE:
        return "too short"
    if not np.isfinite(samples).all():
        return "corrupt"
    return "almost silent" if np.abs(samples).max() < SILENT_PEAK else ""
