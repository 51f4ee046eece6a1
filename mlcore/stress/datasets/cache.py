"""Decoded images of a data set kept as one file, so that a second training starts at once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from mlcore.errors import AnalysisError
from mlcore.stress.datasets import fer2013
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.keeping import written_whole

VERSION = 1
"""Goes up when the images are prepared in another way."""


def faces(source: Path, folder: Path, *, force: bool = False, only_kept: bool = False) -> FaceImages:
    """FER-2013 of `source`, from `folder` where it was kept before and has not changed since.

    `force` reads it anew. With `only_kept` AnalysisError (``not_preprocessed``) where nothing is kept; otherwise the
    errors of `fer2013.load`.
    """
    kept = folder / f"fer2013-{_fingerprint(source)}.npz"
    if kept.is_file() and not force:
        return _read(kept)
    if only_kept:
        raise AnalysisError(
            "not_preprocessed",
            f"{source} has not been preprocessed, or has changed since. Run once without --skip_preprocessing.",
        )
    found = fer2013.load(source)
    _write(kept, found)
    return found


def _fingerprint(source: Path) -> str:
    """Of names, sizes and times of change; cheap even for a folder of 30 000 images."""
    digest = hashlib.sha256(f"{VERSION} {source.resolve()}".encode())
    files = sorted(source.rglob("*")) if source.is_dir() else [source, source.parent / "labels.csv"]
    for file in files:
        if file.is_file():
            state = file.stat()
            digest.update(f"{file} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _write(kept: Path, found: FaceImages) -> None:
    with written_whole(kept) as unfinished, unfinished.open("wb") as file:
        np.savez(
            file,
            images=found.images,
            emotions=found.emotions,
            splits=found.splits,
            names=found.names,
            votes=found.votes,
            kept_back=found.kept_back,
            skipped=np.array(json.dumps(found.skipped.names)),
        )


def _read(kept: Path) -> FaceImages:
    with np.load(kept) as stored:
        return FaceImages(
            stored["images"],
            stored["emotions"],
            stored["splits"],
            stored["names"],
            stored["votes"],
            stored["kept_back"],
            SkippedFiles(json.loads(str(stored["skipped"]))),
        )
