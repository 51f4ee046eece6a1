"""FER-2013 (Goodfellow et al. 2013): 48×48 grey faces, seven emotions; as Kaggle's csv, as image folders, or zipped.

Beside the images or the csv a ``labels.csv`` may give FER+ votes and the images that stand in a test set too.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import numpy.typing as npt

from mlcore.errors import AnalysisError
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.labels import EMOTIONS, FERPLUS, FOLDER_NAMES, Floats, Labels

SIDE = 48
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "publictest": "validation",
    "test": "test",
    "privatetest": "test",
}
"""Names of folders and of the csv's Usage, in small letters."""
IMAGE_TYPES = {".png", ".jpg", ".jpeg", ".bmp"}
BLANK_DEVIATION = 2.0
"""Grey levels: the 13 blank images of the set are one colour, real faces deviate by more than ten."""
MIN_VOTES = 4
"""Assumption: fewer of the ten people who saw an expression say too little."""

Pixels = npt.NDArray[np.uint8]
Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class FaceImages:
    """n faces. `votes` are the shares of FER+ votes by `labels.FERPLUS`, rows of zeros where there are none."""

    images: Pixels
    """(n, 48, 48)."""
    emotions: Labels
    """(n,), index into `labels.EMOTIONS`."""
    splits: Names
    """(n,): train, validation, test, or empty."""
    names: Names
    votes: Floats
    """(n, 8)."""
    kept_back: npt.NDArray[np.bool_]
    """(n,): the same image stands in the test set, by ``labels.csv``."""
    skipped: SkippedFiles = field(default_factory=SkippedFiles, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> FaceImages:
        return FaceImages(
            self.images[rows],
            self.emotions[rows],
            self.splits[rows],
            self.names[rows],
            self.votes[rows],
            self.kept_back[rows],
            self.skipped,
        )

    def of_split(self, split: str) -> FaceImages:
        return self.take(self.splits == split)

    def digests(self) -> list[str]:
        """SHA-256 of each image's pixels; equal for exact duplicates."""
        return [hashlib.sha256(image.tobytes()).hexdigest() for image in self.images]


@dataclass(frozen=True)
class _Row:
    image: Pixels
    emotion: int
    split: str
    name: str


def load(path: Path) -> FaceImages:
    """Every usable image of a csv file, a folder (`emotion/*` or `split/emotion/*`, or one holding ``images.zip`` or
    ``fer2013.csv``) or a zip of such folders.

    Unusable files are counted and named in `skipped`. AnalysisError: ``dataset_missing`` where there is no such
    path, ``dataset_empty`` where it holds no usable image.
    """
    path = _source(path)
    skipped = SkippedFiles()
    rows = sorted(_rows(path, skipped), key=lambda row: row.name)
    if not rows:
        raise AnalysisError("dataset_empty", f"{path} holds no FER-2013 image. {_where_from()}")
    votes, kept_back = _extra_labels(path, [row.name for row in rows])
    return FaceImages(
        np.stack([row.image for row in rows]),
        np.array([row.emotion for row in rows], dtype=np.int64),
        np.array([row.split for row in rows]),
        np.array([row.name for row in rows]),
        votes,
        kept_back,
        skipped,
    )


def _where_from() -> str:
    return (
        "Get FER-2013 from Kaggle (msambare/fer2013, or the challenge's fer2013.csv) and put it into "
        "datasets/fer2013/, or name it by --fer2013_dir or --fer2013_csv."
    )


def _source(path: Path) -> Path:
    if not path.exists():
        raise AnalysisError("dataset_missing", f"There is no {path}. {_where_from()}")
    if path.is_dir():
        for name in ("images.zip", "fer2013.csv"):
            if (path / name).is_file():
                return path / name
    return path


def _rows(path: Path, skipped: SkippedFiles) -> Iterator[_Row]:
    if path.is_dir():
        yield from _folder_rows(path, skipped)
    elif path.suffix == ".zip":
        yield from _zip_rows(path, skipped)
    else:
        yield from _csv_rows(path, skipped)


def _folder_rows(path: Path, skipped: SkippedFiles) -> Iterator[_Row]:
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in IMAGE_TYPES:
            name = file.relative_to(path).as_posix()
            yield from _image_row(name, file.read_bytes(), skipped)


def _zip_rows(path: Path, skipped: SkippedFiles) -> Iterator[_Row]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if PurePosixPath(name).suffix.lower() in IMAGE_TYPES:
                    yield from _image_row(name, archive.read(name), skipped)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError) as error:
        raise AnalysisError(
            "dataset_unreadable", f"{path} cannot be read ({error}). {_where_from()}"
        ) from error


def _image_row(name: str, content: bytes, skipped: SkippedFiles) -> Iterator[_Row]:
    parts = PurePosixPath(name).parts
    emotion = FOLDER_NAMES.get(parts[-2].lower()) if len(parts) > 1 else None
    if emotion is None:
        skipped.add("no emotion's folder", name)
        return
    split = SPLITS.get(parts[-3].lower(), "") if len(parts) > 2 else ""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    if image is None:
        skipped.add("no readable image", name)
        return
    if image.shape != (SIDE, SIDE):
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    yield from _checked(np.asarray(image, dtype=np.uint8), EMOTIONS.index(emotion), split, name, skipped)


def _checked(image: Pixels, emotion: int, split: str, name: str, skipped: SkippedFiles) -> Iterator[_Row]:
    if image.std() < BLANK_DEVIATION:
        skipped.add("blank", name)
    else:
        yield _Row(image, emotion, split, name)


def _csv_rows(path: Path, skipped: SkippedFiles) -> Iterator[_Row]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if not {"emotion", "pixels"} <= set(columns):
            raise AnalysisError(
                "dataset_unreadable", f"{path} has no columns emotion and pixels. {_where_from()}"
            )
        for number, row in enumerate(reader):
            name = f"row {number:05d}"
            usage = (row.get(columns.get("usage", ""), "") or "").strip()
            yield from _csv_row(name, row[columns["emotion"]], row[columns["pixels"]] or "", usage, skipped)


def _csv_row(
    name: str, emotion: str | None, pixels: str, usage: str, skipped: SkippedFiles
) -> Iterator[_Row]:
    if emotion is None or not emotion.strip().isdigit() or int(emotion) >= len(EMOTIONS):
        skipped.add("no emotion from 0 to 6", name)
        return
    try:
        values = np.array(pixels.split(), dtype=np.int64)
    except ValueError:
        values = np.empty(0, dtype=np.int64)
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        skipped.add("not 2304 grey levels", name)
        return
    image = values.astype(np.uint8).reshape(SIDE, SIDE)
    yield from _checked(image, int(emotion), SPLITS.get(usage.lower(), ""), name, skipped)


def _extra_labels(path: Path, names: list[str]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """FER+ votes and what is kept back, from a ``labels.csv`` beside or in `path`."""
    votes = np.zeros((len(names), len(FERPLUS)), dtype=np.float32)
    kept_back = np.zeros(len(names), dtype=bool)
    table = (path if path.is_dir() else path.parent) / "labels.csv"
    if not table.is_file():
        return votes, kept_back
    with table.open(newline="", encoding="utf-8") as file:
        by_name = {row.get("path", ""): row for row in csv.DictReader(file)}
    for number, name in enumerate(names):
        if row := by_name.get(name):
            votes[number] = _vote_shares(row)
            kept_back[number] = (row.get("dup_of_path") or "").startswith("kept-back")
    return votes, kept_back


def _vote_shares(row: dict[str, str]) -> Floats:
    counts = np.array([float(row.get(column) or 0) for column in FERPLUS], dtype=np.float32)
    total = counts.sum()
    return counts / total if total >= MIN_VOTES else np.zeros_like(counts)
