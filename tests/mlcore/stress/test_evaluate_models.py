"""`manage.py evaluate_models` as it is typed."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from mlcore.management.commands import evaluate_models
from mlcore.stress.datasets import fer2013
from mlcore.stress.labels import EMOTIONS
from tests.mlcore.stress import small_models
from tests.mlcore.stress.drawn_faces import write_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SEVEN = dict.fromkeys(EMOTIONS, 6)


def evaluated(*arguments: object) -> dict:
    out = io.StringIO()
    call_command("evaluate_models", *map(str, arguments), "--json", stdout=out, stderr=io.StringIO())
    return json.loads(out.getvalue())


def refused(*arguments: object) -> CommandError:
    with pytest.raises(CommandError) as error:
        evaluated(*arguments)
    return error.value


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.trained_face_weights(tmp_path_factory.mktemp("weights")).parent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, validation and test, and files that are no images."""
    folder = tmp_path_factory.mktemp("fer")
    for number, name in enumerate(("train", "validation", "test")):
        write_folder(folder / name, SEVEN, seed=number)
    (folder / "test" / "happy" / "broken.png").write_bytes(b"no png")
    (folder / "train" / "happy" / "broken.png").write_bytes(b"no png")
    return folder


@pytest.fixture(scope="module")
def table(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as Kaggle's csv, without the test images."""
    faces = fer2013.load(data)
    path = tmp_path_factory.mktemp("csv") / "fer2013.csv"
    usages = {"train": "Training", "validation": "PublicTest"}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for image, emotion, split in zip(faces.images, faces.emotions, faces.splits, strict=True):
            if split in usages:
                writer.writerow([emotion, " ".join(map(str, image.ravel())), usages[split]])
    return path


def test_the_test_images_of_a_folder_are_measured(weights: Path, data: Path) -> None:
    face = evaluated("--fer2013_dir", data, "--weights", weights)["face"]
    assert face["n"] == 42 and np.sum(face["confusion"]) == 42
    assert face["labels"] == ["low", "medium", "high"]
    assert face["uar"] > 0.5 and face["emotion_accuracy"] > 0.4
    assert face["data"]["skipped"] == {
        "n": 1, "counts": {"no readable image": 1}, "names": {"no readable image": ["test/happy/broken.png"]},
    }  # fmt: skip
    assert face["data"]["command"] == (
        f"python manage.py evaluate_models --fer2013_dir {data} --weights {weights} --json"
    )


def test_models_without_data_are_left_out(weights: Path, data: Path) -> None:
    assert list(evaluated("--fer2013_dir", data, "--weights", weights)) == ["face"]


def test_emotion_folders_in_other_spellings_and_zips_give_the_same(
    weights: Path, data: Path, tmp_path: Path
) -> None:
    spellings = {"angry": "Anger", "happy": "happiness", "sad": "Sadness", "surprise": "surprised"}
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for image in sorted((data / "test").glob("*/*.png")):
            file.write(image, f"{spellings.get(image.parent.name, image.parent.name)}/{image.name}")
    whole = evaluated("--fer2013_dir", data, "--weights", weights)["face"]
    zipped = evaluated("--fer2013_dir", archive, "--weights", weights)["face"]
    assert zipped["confusion"] == whole["confusion"] and zipped["log_loss"] == whole["log_loss"]
    assert "not named" in zipped["data"]["description"]


def test_validation_images_are_marked_as_those_that_chose_the_epoch(weights: Path, table: Path) -> None:
    face = evaluated("--fer2013_csv", table, "--weights", weights)["face"]
    assert face["n"] == 42 and "--unseen" in face["data"]["notes"][0]
    half = evaluated("--fer2013_csv", table, "--weights", weights, "--unseen")["face"]
    assert 5 < half["n"] < 37 and half["data"]["notes"] == []
    assert "half" in half["data"]["description"]


def test_training_images_are_measured_when_asked_for_and_marked(weights: Path, table: Path) -> None:
    face = evaluated("--fer2013_csv", table, "--usage", "training", "--weights", weights)["face"]
    assert face["n"] == 42 and "trained on these" in face["data"]["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Name what to measure on"),
        (["--fer2013_dir", "nowhere"], "no folder (or zip) nowhere"),
        (["--fer2013_csv", "nowhere.csv"], "no file nowhere.csv"),
        (["--ravdess_dir", "nowhere"], "no folder nowhere"),
        (["--fer2013_dir", ".", "--fer2013_csv", "manage.py"], "either"),
        (["--fer2013_dir", ".", "--usage", "PublicTest"], "--usage goes with --fer2013_csv"),
        (["--fer2013_csv", "manage.py", "--usage", "Final"], "'Final' is none of Training"),
        (["--fer2013_dir", ".", "--actors", "1"], "--actors goes with --ravdess_dir"),
        (["--ravdess_dir", ".", "--actors", "1,25"], "numbers from 1 to 24"),
        (["--ravdess_dir", ".", "--actors", "one"], "numbers from 1 to 24"),
        (["--ravdess_dir", ".", "--weights", "nowhere"], "--weights: there is no folder"),
    ],
)
def test_wrong_usage_is_told_apart_before_anything_is_read(arguments: list[str], why: str) -> None:
    error = refused(*arguments)
    assert why in str(error) and error.returncode == 2


def test_a_usage_that_the_csv_does_not_have_is_wrong_usage(weights: Path, table: Path) -> None:
    error = refused("--fer2013_csv", table, "--usage", "PrivateTest", "--weights", weights)
    assert "splits found: train, validation" in str(error) and error.returncode == 2


def test_an_actor_that_is_not_there_is_wrong_usage(weights: Path, tmp_path: Path) -> None:
    folder = small_models.write_ravdess(tmp_path, [1])
    error = refused("--ravdess_dir", folder, "--actors", "2", "--weights", weights)
    assert "no clip of actor 2" in str(error) and error.returncode == 2


def test_a_folder_without_images_is_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    error = refused("--fer2013_dir", tmp_path, "--weights", weights)
    assert "holds no FER-2013 image" in str(error) and error.returncode == 1


def test_one_level_alone_is_refused(weights: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {"happy": 3, "neutral": 3})
    error = refused("--fer2013_dir", tmp_path, "--weights", weights)
    assert "one level (low)" in str(error) and error.returncode == 1


def test_absent_weights_are_refused_with_what_mends_them(data: Path, tmp_path: Path) -> None:
    error = refused("--fer2013_dir", data, "--weights", tmp_path)
    assert "train_models" in str(error) and error.returncode == 1


def test_without_json_a_table_is_printed(weights: Path, data: Path) -> None:
    out = io.StringIO()
    call_command(
        "evaluate_models", fer2013_dir=str(data), weights=str(weights), stdout=out, stderr=io.StringIO()
    )
    text = out.getvalue()
    assert "face: 42 images, FER-2013, split test" in text
    assert "UAR (mean recall)" in text and "recall  precision" in text
    assert "skipped, no readable image: 1 (test/happy/broken.png)" in text


def test_actors_are_listed_in_runs() -> None:
    assert evaluate_models._listed({4, 1, 2, 3, 7}) == "1–4, 7"


@pytest.fixture(scope="module")
def all_weights(weights: Path) -> Path:
    """The voice's as if trained on actors 1 and 2."""
    small_models.untrained_voice_and_fusion_weights(weights, [1, 2])
    return weights


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.write_ravdess(tmp_path_factory.mktemp("ravdess"), [1, 2, 3, 4])


def test_voices_are_measured_by_sex_and_fusion_where_there_are_both(
    all_weights: Path, data: Path, voices: Path
) -> None:
    document = evaluated("--fer2013_dir", data, "--ravdess_dir", voices, "--weights", all_weights)
    assert list(document) == ["face", "voice", "fusion"]
    voice, fusion = document["voice"], document["fusion"]
    assert voice["n"] == 32 and "actors 1–4" in voice["data"]["description"]
    assert {name: group["n"] for name, group in voice["groups"]["sex"]["of"].items()} == {
        "female": 16,
        "male": 16,
    }
    assert "persons" in voice["interval_method"] and voice["emotion_accuracy"] is not None
    assert fusion["n"] == fusion["pairs"]["n"] == np.sum(fusion["confusion"])
    assert fusion["emotion_accuracy"] is None and fusion["data"]["skipped"]["n"] == 0
    assert document["face"]["data"]["command"] == fusion["data"]["command"]


def test_actors_that_the_model_was_trained_on_are_marked_and_left_out_when_asked(
    all_weights: Path, voices: Path
) -> None:
    voice = evaluated("--ravdess_dir", voices, "--actors", "2,3", "--weights", all_weights)["voice"]
    assert voice["n"] == 16
    assert voice["data"]["notes"] == [f"actors 2: {evaluate_models.TRAINED_ON}"]
    unseen = evaluated("--ravdess_dir", voices, "--unseen", "--weights", all_weights)["voice"]
    assert (
        unseen["n"] == 16 and unseen["data"]["notes"] == [] and "actors 3–4" in unseen["data"]["description"]
    )
    error = refused("--ravdess_dir", voices, "--actors", "1,2", "--unseen", "--weights", all_weights)
    assert "Name others by --actors" in str(error) and error.returncode == 2


def test_everything_is_in_the_table(all_weights: Path, data: Path, voices: Path) -> None:
    out = io.StringIO()
    call_command(
        "evaluate_models", fer2013_dir=str(data), ravdess_dir=str(voices), weights=str(all_weights),
        stdout=out, stderr=io.StringIO(),
    )  # fmt: skip
    text = out.getvalue()
    assert "voice: 32 clips" in text and "sex female: 16" in text and "gap, " in text
    assert "mean of logits" in text and "gain over the mean: UAR" in text


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, str(ROOT / "manage.py"), "evaluate_models", *map(str, arguments)]
    return subprocess.run(typed, capture_output=True, text=True, timeout=600, cwd=ROOT, check=False)


@pytest.mark.slow
def test_json_alone_on_standard_output_and_progress_on_standard_error(weights: Path, data: Path) -> None:
    done = command("--fer2013_dir", data, "--weights", weights, "--json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)) == ["face"]
    assert "face: 42 of 42" in done.stderr


@pytest.mark.slow
def test_exit_codes(data: Path, tmp_path: Path) -> None:
    assert command("--fer2013_dir", "nowhere").returncode == 2
    assert command("--no_such_flag").returncode == 2
    failed = command("--fer2013_dir", data, "--weights", tmp_path, "--json")
    assert failed.returncode == 1 and failed.stdout == "" and "train_models" in failed.stderr
