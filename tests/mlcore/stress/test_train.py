"""The whole way, small: raw data sets to weights that the models load, and figures of people who were held out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from django.core.management import CommandError, call_command

from mlcore.errors import AnalysisError
from mlcore.stress import train
from mlcore.stress.evaluation import held_out
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.training import FaceRecipe
from mlcore.stress.fusion.model import FusionModel
from mlcore.stress.fusion.training import FusionRecipe
from mlcore.stress.labels import EMOTIONS
from mlcore.stress.train import Job
from mlcore.stress.voice.member import VoiceRecipe
from mlcore.stress.voice.model import VoiceModel
from tests.mlcore.stress.drawn_faces import write_folder
from tests.mlcore.stress.small_models import RATE, tone

ACTORS = (2, 3, 10, 11)
"""Of two of the published folds, a man and a woman each."""
FACES = FaceRecipe(
    widths=(16, 32, 48), depths=(1, 1, 1), rounds=((1, 0.1), (1, 0.05)), batch=32, average_decay=0.5
)
VOICES = VoiceRecipe(epochs=3, members=1, fold_members=1, copies=2, batch=16)


def write_clips(folder: Path) -> Path:
    """Buzzes under the names of RAVDESS, two of each emotion and actor."""
    for actor in ACTORS:
        where = folder / f"Actor_{actor:02d}"
        where.mkdir(parents=True)
        for code in range(1, 9):
            for repetition in (1, 2):
                name = f"03-01-{code:02d}-01-01-{repetition:02d}-{actor:02d}.wav"
                soundfile.write(where / name, tone(code, actor + 30 * repetition), RATE)
    (folder / "Actor_02" / "03-01-01-01-01-01-02 (copy).wav").write_bytes(b"misnamed")
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory, whisper_folder: Path) -> Job:
    folder = tmp_path_factory.mktemp("train")
    write_folder(folder / "fer" / "train", dict.fromkeys(EMOTIONS, 20), seed=1)
    write_folder(folder / "fer" / "validation", dict.fromkeys(EMOTIONS, 30), seed=2)
    return Job(
        faces=folder / "fer",
        voices=write_clips(folder / "ravdess"),
        out=folder / "weights",
        log=folder / "log",
        work=folder / "work",
        whisper=whisper_folder,
        face_recipe=FACES,
        voice_recipe=VOICES,
        fusion_recipe=FusionRecipe(epochs=2, pairs=512),
    )


@pytest.fixture(scope="module")
def said(job: Job) -> list[str]:
    lines: list[str] = []
    train.run(job, train.preprocess(job, lines.append), lines.append)
    return lines


@pytest.mark.slow
class TestTheWholeWay:
    def test_it_leaves_weights_that_the_models_load(self, job: Job, said: list[str]) -> None:
        face, voice = FaceModel.load(job.out), VoiceModel.load(job.out, job.whisper)
        assert face.meta["split"]["train"] > 100
        assert voice.meta["actors"] == list(ACTORS)
        assert FusionModel.load(job.out).meta["method"] in ("network", "mean")

    def test_it_tells_its_progress_and_what_was_skipped(self, said: list[str]) -> None:
        text = "\n".join(said)
        assert "face, round 2/2, epoch 1/1" in text
        assert "min left" in text
        assert "(copy).wav" in text

    def test_histories_and_plots_are_kept(self, job: Job, said: list[str]) -> None:
        assert {file.name for file in job.log.iterdir()} >= {
            "face-stress-training.json",
            "face-stress-training.png",
            "voice-stress-training.json",
            "voice-stress-training.png",
            "fusion-stress-training.json",
        }

    def test_a_second_run_trains_nothing_anew(self, job: Job, said: list[str]) -> None:
        before = (job.out / "face.safetensors").stat().st_mtime_ns
        lines: list[str] = []
        train.run(replace(job, only=("face", "voice")), train.preprocess(job, lines.append), lines.append)
        assert not any("epoch" in line for line in lines)
        assert (job.out / "face.safetensors").stat().st_mtime_ns == before

    def test_held_out_people_are_measured_in_the_form_of_the_evaluation(
        self, job: Job, said: list[str]
    ) -> None:
        document = held_out.measure(job, train.preprocess(job, said.append), said.append, draws=20)
        assert list(document) == ["face", "voice", "fusion"]
        assert document["face"]["n"] == FaceModel.load(job.out).meta["split"]["report"]
        assert document["voice"]["n"] == 64
        assert document["voice"]["data"]["skipped"]["n"] == 1
        assert "--cross_validate" in document["voice"]["data"]["command"]
        json.dumps(document, allow_nan=False)

    def test_forcing_trains_again(self, job: Job, said: list[str], tmp_path: Path) -> None:
        lines: list[str] = []
        train.run(
            replace(job, only=("face",), force_training=True),
            train.preprocess(job, lines.append),
            lines.append,
        )
        assert any("epoch" in line for line in lines)


def test_a_folder_with_one_class_is_refused_before_the_first_epoch(job: Job, tmp_path: Path) -> None:
    write_folder(tmp_path / "fer" / "train", {"happy": 5})
    with pytest.raises(AnalysisError, match="at least two emotions") as refused:
        train.preprocess(replace(job, faces=tmp_path / "fer", only=("face",)), lambda line: None)
    assert refused.value.code == "one_class"


class TestCommand:
    def test_a_missing_data_set_says_where_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="Kaggle"):
            call_command("train_models", only="face", fer2013_dir=tmp_path / "nowhere", out=tmp_path)
        with pytest.raises(CommandError, match="Zenodo"):
            call_command("train_models", only="voice", ravdess_dir=tmp_path / "nowhere", out=tmp_path)

    def test_wrong_usage_ends_with_2(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="not ears") as refused:
            call_command("train_models", only="face,ears", out=tmp_path)
        assert refused.value.returncode == 2
        with pytest.raises(CommandError, match="nothing to do"):
            call_command("train_models", preprocessing_only=True, skip_preprocessing=True)

    def test_preprocessing_alone_trains_nothing(self, job: Job, tmp_path: Path, settings) -> None:
        settings.VAR_DIR = tmp_path / "var"
        call_command(
            "train_models", only="face", fer2013_dir=job.faces, out=tmp_path / "out", preprocessing_only=True
        )
        assert list((tmp_path / "var" / "stress" / "data").glob("fer2013-*.npz"))
        assert not (tmp_path / "out").exists()

    def test_skipping_the_preprocessing_without_a_cache_is_refused(
        self, job: Job, tmp_path: Path, settings
    ) -> None:
        settings.VAR_DIR = tmp_path / "var"
        with pytest.raises(CommandError, match="without --skip_preprocessing"):
            call_command(
                "train_models",
                only="face",
                fer2013_dir=job.faces,
                out=tmp_path / "out",
                skip_preprocessing=True,
            )
