"""RAVDESS and what is wrong with copies of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mlcore.errors import AnalysisError
from mlcore.stress.datasets import ravdess
from mlcore.stress.labels import EMOTIONS
from tests.mlcore.sounds import SHARED, needs_shared_data, white_noise
from tests.mlcore.stress.spoken import file_name, write_clip

SOUND = white_noise(1.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for code, actor in ((2, 1), (5, 2), (8, 2)):
        write_clip(tmp_path, SOUND, file_name(code, actor))
    return tmp_path


def test_names_tell_emotion_actor_and_sex(folder: Path) -> None:
    clips = ravdess.load(folder)
    assert [EMOTIONS[emotion] for emotion in clips.emotions] == ["neutral", "angry", "surprise"]
    assert clips.levels.tolist() == [0, 2, 1]
    assert clips.actors.tolist() == [1, 2, 2]
    assert clips.sexes.tolist() == ["male", "female", "female"]
    assert not len(clips.skipped)


def test_flac_and_folders_of_any_depth_are_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "speech" / "unpacked", SOUND, file_name(3, 4, kind=".flac"))
    clips = ravdess.load(tmp_path)
    assert clips.names.tolist() == ["03-01-03-01-01-01-04"]
    assert np.allclose(clips.samples(0), SOUND, atol=1e-4)


def test_stereo_and_other_rates_come_out_as_16_khz_mono(tmp_path: Path) -> None:
    long = white_noise(4.5)
    write_clip(tmp_path, np.stack([long, long], axis=1), file_name(3, 4), rate=48000)
    samples = ravdess.load(tmp_path).samples(0)
    assert samples.shape == (len(SOUND),)
    assert samples.dtype == np.float32


def test_unusable_files_are_counted_and_named(folder: Path) -> None:
    write_clip(folder, SOUND, "03-01-09-01-01-01-02.wav")
    write_clip(folder, SOUND, "03-02-05-01-01-01-02.wav")
    write_clip(folder, SOUND * 1e-3, file_name(4, 2))
    write_clip(folder, SOUND[:4000], file_name(6, 2))
    write_clip(folder, np.full_like(SOUND, np.nan), file_name(7, 2)).rename(folder / "Actor_02" / "nan.wav")
    (folder / "Actor_01" / file_name(1, 1)).write_bytes(b"RIFF, but no sound")
    (folder / "Actor_01" / "notes.txt").write_text("not a sound")
    skipped = ravdess.load(folder).skipped
    assert skipped.counts() == {"misnamed": 3, "corrupt": 1, "almost silent": 1, "too short": 1}
    assert skipped.names["corrupt"] == ["Actor_01/03-01-01-01-01-01-01.wav"]


def test_a_clip_that_holds_nan_is_corrupt(folder: Path) -> None:
    broken = np.where(np.arange(len(SOUND)) == 99, np.nan, SOUND).astype(np.float32)
    soundfile.write(folder / file_name(7, 2), broken, 16000, subtype="FLOAT")
    assert ravdess.load(folder).skipped.counts() == {"corrupt": 1}


def test_a_missing_folder_says_where_to_get_the_data_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"1188976.*datasets/ravdess.*--ravdess_dir") as error:
        ravdess.load(tmp_path / "nowhere")
    assert error.value.code == "dataset_missing"


def test_a_folder_without_clips_says_so(tmp_path: Path) -> None:
    write_clip(tmp_path, SOUND, "03-01-x9-01-01-01-02.wav")
    with pytest.raises(AnalysisError, match="1 skipped, misnamed") as error:
        ravdess.load(tmp_path)
    assert error.value.code == "dataset_empty"


def test_actors_are_chosen_by_number(folder: Path) -> None:
    clips = ravdess.load(folder)
    assert set(clips.of_actors([2]).actors) == {2}
    with pytest.raises(AnalysisError, match="actor 9; actors found: 1, 2"):
        clips.of_actors([2, 9])


@needs_shared_data
@pytest.mark.slow
def test_the_shared_copy_is_read_but_for_its_almost_silent_clip() -> None:
    clips = ravdess.load(SHARED / "ravdess")
    assert len(clips) == 1198
    assert clips.skipped.names == {"almost silent": ["Actor_20/03-01-02-02-02-02-20.flac"]}
    assert sorted(set(clips.actors.tolist())) == list(range(1, 21))
