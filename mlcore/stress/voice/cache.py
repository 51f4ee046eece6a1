"""RAVDESS as the frames that the voice network reads, kept so that only the first training computes them.

Every clip in several copies: whole, its middle 3 s, and augmented ones, half of them cut to windows of 2 to 4 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.ravdess import VoiceClips
from mlcore.stress.keeping import written_whole
from mlcore.stress.labels import Floats
from mlcore.stress.voice.augmentation import augmented, middle, window
from mlcore.stress.voice.features import VERSION, VoiceFeatures, check_samples

COPIES = 8
WHOLE, MIDDLE = 0, 1
"""Copies that are not augmented: what is validated and tested on."""
MIDDLE_S = 3.0

Halves = npt.NDArray[np.float16]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class VoiceFrames:
    """Of each copy of each clip: frames of shape (t, 1031), in the order of the clips."""

    copies: tuple[tuple[Halves, ...], ...]

    def of(self, copy: int, row: int) -> Halves:
        return self.copies[copy][row]


def frames_of(
    clips: VoiceClips,
    whisper_folder: Path,
    folder: Path,
    *,
    seed: int,
    copies: int = COPIES,
    force: bool = False,
    only_kept: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> VoiceFrames:
    """The frames of `clips`, from `folder` where they were kept before (0.1 GB a copy of the whole data set).

    A killed run goes on at the copy it was at. `force` computes all anew; with `only_kept` AnalysisError
    (``not_preprocessed``) where a copy is missing. AnalysisError ``model_unavailable`` without Whisper base.
    """
    files = [folder / f"voices-{_fingerprint(clips, seed)}-{copy}.npz" for copy in range(copies)]
    missing = [copy for copy, file in enumerate(files) if force or not file.is_file()]
    if missing and only_kept:
        raise AnalysisError(
            "not_preprocessed",
            "The voices have not been preprocessed, or have changed since. Run once without --skip_preprocessing.",
        )
    if missing:
        features = VoiceFeatures(whisper_folder)
        for done, copy in enumerate(missing):
            on_progress(done, len(missing))
            _write(files[copy], [_frames(clips, row, copy, seed, features) for row in range(len(clips))])
        on_progress(len(missing), len(missing))
    return VoiceFrames(tuple(_read(file) for file in files))


def _frames(clips: VoiceClips, row: int, copy: int, seed: int, features: VoiceFeatures) -> Floats:
    samples = clips.samples(row)
    random = np.random.default_rng((seed, copy, row))
    if copy == MIDDLE:
        samples = middle(samples, MIDDLE_S)
    elif copy != WHOLE:
        samples = augmented(window(samples, random) if copy % 2 else samples, random)
    return features(check_samples(np.clip(samples, -1.0, 1.0)))


def _fingerprint(clips: VoiceClips, seed: int) -> str:
    """Of names, sizes and times of change."""
    digest = hashlib.sha256(f"{VERSION} {seed}".encode())
    for file in clips.files:
        state = file.stat()
        digest.update(f"{file.resolve()} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _write(path: Path, frames: list[Floats]) -> None:
    lengths = np.array([len(clip) for clip in frames])
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, frames=np.concatenate(frames).astype(np.float16), lengths=lengths)


def _read(path: Path) -> tuple[Halves, ...]:
    with np.load(path) as stored:
        return tuple(np.split(stored["frames"], np.cumsum(stored["lengths"])[:-1]))
