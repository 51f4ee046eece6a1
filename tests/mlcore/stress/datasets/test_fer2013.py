"""FER-2013 in its layouts, and what is wrong with copies of it."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mlcore.errors import AnalysisError
from mlcore.stress.datasets import cache, fer2013
from mlcore.stress.labels import EMOTIONS
from tests.mlcore.stress.drawn_faces import draw, write_folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_folder(tmp_path / "fer" / "train", {"happy": 3, "sad": 2}, seed=1)
    write_folder(tmp_path / "fer" / "validation", {"angry": 2}, seed=2)
    return tmp_path / "fer"


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["emotion", "pixels", "Usage"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def csv_row(emotion: str = "3", usage: str = "Training", seed: int = 0) -> dict[str, str]:
    pixels = draw("happy", np.random.default_rng(seed)).flatten()
    return {"emotion": emotion, "pixels": " ".join(map(str, pixels)), "Usage": usage}


def test_folders_of_splits_and_emotions_are_read(images: Path) -> None:
    found = fer2013.load(images)
    assert found.images.shape == (7, 48, 48)
    assert sorted(found.splits.tolist()) == ["train"] * 5 + ["validation"] * 2
    assert np.bincount(found.of_split("train").emotions, minlength=7)[EMOTIONS.index("happy")] == 3


def test_a_zip_gives_the_same_as_its_folder(images: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for file in sorted(images.rglob("*.png")):
            archive.write(file, file.relative_to(images))
    from_zip, from_folder = fer2013.load(tmp_path / "images.zip"), fer2013.load(images)
    assert from_zip.names.tolist() == from_folder.names.tolist()
    assert np.array_equal(from_zip.images, from_folder.images)


def test_the_challenges_csv_is_read_with_its_usages(tmp_path: Path) -> None:
    usages = ("Training", "PublicTest", "PrivateTest")
    path = write_csv(
        tmp_path / "fer2013.csv", [csv_row(usage=usage, seed=n) for n, usage in enumerate(usages)]
    )
    found = fer2013.load(tmp_path)
    assert found.splits.tolist() == ["train", "validation", "test"]
    assert np.array_equal(found.images[1], draw("happy", np.random.default_rng(1)))
    assert len(fer2013.load(path)) == 3


def test_bad_rows_of_a_csv_are_counted_and_named(tmp_path: Path) -> None:
    rows = [csv_row(), csv_row(emotion="7"), csv_row() | {"pixels": "1 2 3"}, csv_row() | {"pixels": "a b"}]
    found = fer2013.load(write_csv(tmp_path / "fer2013.csv", rows))
    assert len(found) == 1
    assert found.skipped.counts() == {"no emotion from 0 to 6": 1, "not 2304 grey levels": 2}
    assert "row 00001" in "\n".join(found.skipped.lines())


def test_bad_images_are_counted_and_named_and_the_rest_is_used(images: Path) -> None:
    (images / "train" / "happy" / "broken.png").write_bytes(b"no image")
    (images / "train" / "happy" / "empty.png").write_bytes(b"")
    (images / "train" / "elsewhere").mkdir()
    cv2.imwrite(str(images / "train" / "elsewhere" / "x.png"), draw("sad", np.random.default_rng(0)))
    cv2.imwrite(str(images / "train" / "sad" / "blank.png"), np.zeros((48, 48), np.uint8))
    found = fer2013.load(images)
    assert len(found) == 7
    assert found.skipped.counts() == {"no readable image": 2, "no emotion's folder": 1, "blank": 1}
    assert "train/happy/broken.png" in found.skipped.names["no readable image"]


def test_images_of_another_size_are_scaled(images: Path) -> None:
    large = cv2.resize(draw("sad", np.random.default_rng(0)), (96, 96))
    cv2.imwrite(str(images / "train" / "sad" / "large.jpg"), large)
    assert fer2013.load(images).images.shape == (8, 48, 48)


def test_votes_and_what_is_kept_back_come_from_the_table_beside(images: Path) -> None:
    columns = ["path", "neutral", "happiness", "sadness", "dup_of_path"]
    with (images / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerow(dict(zip(columns, ["train/happy/0.png", "2", "8", "0", ""], strict=True)))
        writer.writerow(dict(zip(columns, ["train/happy/1.png", "1", "0", "0", "kept-back"], strict=True)))
    found = fer2013.load(images)
    votes = dict(zip(found.names.tolist(), found.votes, strict=True))
    assert votes["train/happy/0.png"][:2] == pytest.approx([0.2, 0.8])
    assert not votes["train/happy/1.png"].any(), "one vote says too little"
    assert found.names[found.kept_back].tolist() == ["train/happy/1.png"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: folder / "nowhere", "dataset_missing"),
        (lambda folder: folder, "dataset_empty"),
        (lambda folder: write_csv(folder / "a.csv", []), "dataset_empty"),
        (lambda folder: (folder / "b.zip").write_bytes(b"PK") and folder / "b.zip", "dataset_unreadable"),
        (
            lambda folder: (folder / "c.csv").write_text("x,y\n1,2\n") and folder / "c.csv",
            "dataset_unreadable",
        ),
    ],
)
def test_what_is_no_data_set_says_where_to_get_it(tmp_path: Path, make, code: str) -> None:
    with pytest.raises(AnalysisError, match="Kaggle") as refused:
        fer2013.load(make(tmp_path))
    assert refused.value.code == code


class TestCache:
    def test_the_second_reading_comes_from_the_cache(self, images: Path, tmp_path: Path, monkeypatch) -> None:
        (images / "train" / "happy" / "broken.png").write_bytes(b"no image")
        first = cache.faces(images, tmp_path / "kept")
        monkeypatch.setattr(fer2013, "load", lambda path: pytest.fail("read again"))
        second = cache.faces(images, tmp_path / "kept")
        assert np.array_equal(first.images, second.images)
        assert second.skipped.counts() == {"no readable image": 1}

    def test_a_changed_data_set_is_read_again(self, images: Path, tmp_path: Path) -> None:
        cache.faces(images, tmp_path / "kept")
        cv2.imwrite(str(images / "train" / "sad" / "new.png"), draw("sad", np.random.default_rng(9)))
        assert len(cache.faces(images, tmp_path / "kept")) == 8

    def test_without_a_cache_skipping_the_preprocessing_is_refused(
        self, images: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(AnalysisError, match="--skip_preprocessing"):
            cache.faces(images, tmp_path / "kept", only_kept=True)
