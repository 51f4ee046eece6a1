import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mlcore.errors import AnalysisError
from mlcore.stress.datasets import ravdess
from mlcore.stress.datasets.fer2013 import FaceImages
from mlcore.stress.datasets.report import SkippedFiles
from mlcore.stress.evaluation import evaluate
from mlcore.stress.evaluation.pairs import whoever
from mlcore.stress.labels import Floats
from mlcore.stress.predictions import Predictions
from tests.mlcore.stress import small_models
from tests.mlcore.stress.small_models import drawn


def together(*parts: FaceImages, skipped: SkippedFiles | None = None) -> FaceImages:
    arrays = ("images", "emotions", "splits", "names", "votes", "kept_back")
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in arrays]
    return FaceImages(*joined, skipped or SkippedFiles())


def code_of(error: pytest.ExceptionInfo[AnalysisError]) -> str:
    return error.value.code


def test_test_images_come_before_validation_images_and_those_of_no_split() -> None:
    train, validation, test, rest = (drawn(14, split) for split in ("train", "validation", "test", ""))
    assert evaluate.faces_to_judge(together(train, validation, test))[0] == "test"
    split, judged = evaluate.faces_to_judge(together(train, validation))
    assert split == "validation" and set(judged.splits) == {"validation"} and len(judged) == 14
    assert evaluate.faces_to_judge(rest)[0] == ""


def test_the_split_that_was_asked_for_is_taken() -> None:
    both = together(drawn(14, "train"), drawn(14, "test"))
    assert evaluate.faces_to_judge(both, "train")[0] == "train"
    with pytest.raises(AnalysisError, match="no validation images; splits found: test, train") as refused:
        evaluate.faces_to_judge(both, "validation")
    assert code_of(refused) == "no_such_split"


def test_training_images_alone_are_not_measured_by_accident() -> None:
    with pytest.raises(AnalysisError, match="Name a folder with a test or validation folder"):
        evaluate.faces_to_judge(drawn(14, "train"))


def test_what_was_skipped_in_other_splits_is_not_counted() -> None:
    skipped = SkippedFiles({"blank": ["train/sad/a.png", "test/sad/b.png"], "odd": ["train/x/c.png"]})
    _, judged = evaluate.faces_to_judge(together(drawn(14, "train"), drawn(14, "test"), skipped=skipped))
    assert judged.skipped.names == {"blank": ["test/sad/b.png"]}


def test_one_level_alone_is_refused() -> None:
    faces = drawn(28)
    with pytest.raises(AnalysisError, match="stand for one level \\(high\\)") as refused:
        evaluate.faces_to_judge(faces.take(np.isin(faces.emotions, [0, 2, 4])))
    assert code_of(refused) == "one_class"


def test_the_unseen_of_the_validation_images_are_the_half_that_reports() -> None:
    faces = together(drawn(28, "train"), drawn(140, "validation", seed=1))
    split, judged = evaluate.faces_to_judge(faces)
    unseen = evaluate.unseen_faces(faces, split, judged)
    assert 40 < len(unseen) < 100 and set(unseen.names) < set(judged.names)


def test_all_test_images_are_unseen_and_training_images_never() -> None:
    faces = together(drawn(28, "train"), drawn(28, "test", seed=1))
    judged = faces.of_split("test")
    assert evaluate.unseen_faces(faces, "test", judged) is judged
    with pytest.raises(AnalysisError) as refused:
        evaluate.unseen_faces(faces, "train", faces.of_split("train"))
    assert code_of(refused) == "no_unseen"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ravdess.VoiceClips:
    folder = small_models.write_ravdess(tmp_path_factory.mktemp("ravdess"), range(1, 7))
    (folder / "Actor_01" / "notes.wav").write_bytes(b"nothing")
    (folder / "Actor_02" / "03-01-01-01-01-02-02.wav").write_bytes(b"broken")
    flat = np.sign(np.sin(np.arange(32000) / 20)).astype(np.float32)
    soundfile.write(folder / "Actor_01" / "03-01-01-01-01-02-01.wav", flat, 16000)
    return ravdess.load(folder)


def test_only_the_actors_asked_for_and_what_was_skipped_of_them(clips: ravdess.VoiceClips) -> None:
    one = evaluate.clips_to_judge(clips, [1])
    assert set(one.actors) == {1} and set(one.sexes) == {"male"}
    assert one.skipped.names == {"misnamed": ["Actor_01/notes.wav"]}
    assert evaluate.clips_to_judge(clips, [2]).skipped.counts() == {"corrupt": 1}
    assert len(evaluate.clips_to_judge(clips)) == len(clips)


def test_an_actor_without_clips_is_refused(clips: ravdess.VoiceClips) -> None:
    with pytest.raises(AnalysisError, match="actor 24") as refused:
        evaluate.clips_to_judge(clips, [1, 24])
    assert code_of(refused) == "no_such_actor"


def test_a_clip_that_cannot_be_used_is_named_and_the_others_are_measured(clips: ravdess.VoiceClips) -> None:
    seen: list[tuple[str, int, int]] = []
    labelled, skipped = evaluate.judge_voices(
        small_models.voice_regression(), clips, lambda *state: seen.append(state)
    )
    assert skipped.names["audio_clipped"] == ["03-01-01-01-01-02-01.wav"]
    assert skipped.counts() == {"misnamed": 1, "corrupt": 1, "audio_clipped": 1}
    assert clips.skipped.counts() == {"misnamed": 1, "corrupt": 1}
    assert len(labelled.predictions) == len(labelled.emotions) == 48 == len(clips) - 1
    assert seen[-1] == ("voice", 49, 49)


def test_everything_skipped_is_refused(tmp_path: Path) -> None:
    clips = ravdess.load(small_models.write_ravdess(tmp_path, [1]))
    for file in clips.files:
        file.write_bytes(b"gone bad since")
    with pytest.raises(AnalysisError, match="were skipped") as refused:
        evaluate.judge_voices(small_models.voice_regression(), clips)
    assert code_of(refused) == "one_class"


def test_faces_voices_and_their_fusion_are_measured_in_one_document(clips: ravdess.VoiceClips) -> None:
    def fuse(face: Predictions, voice: Predictions) -> Floats:
        both = face.probabilities * voice.probabilities
        return both / both.sum(axis=1, keepdims=True)

    face = evaluate.judge_faces(small_models.face_regression(), drawn(140))
    voice, _ = evaluate.judge_voices(small_models.voice_regression(), clips)
    document = evaluate.document_of(face, voice, whoever(fuse), draws=20)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == ["face", "voice", "fusion"]
    for block in document.values():
        assert {
            "n", "accuracy", "macro_f1", "uar", "ece", "confusion", "labels", "emotion_accuracy",
        } <= set(block)  # fmt: skip
        assert np.sum(block["confusion"]) == block["n"]
        assert block["uar"] > 0.6
    assert document["voice"]["groups"]["sex"]["of"]["male"]["n"] == 24
    assert document["fusion"]["pairs"]["share"] == "emotion"
    assert document["fusion"]["pairs_by_level"]["share"] == "level"


def test_models_without_data_are_left_out() -> None:
    face = evaluate.judge_faces(small_models.face_regression(), drawn(70))
    assert list(evaluate.document_of(face, None, None, draws=5)) == ["face"]
    assert list(evaluate.document_of(None, face, None, draws=5)) == ["voice"]
    assert evaluate.document_of(None, None, None) == {}


@pytest.mark.slow
def test_batches_make_no_difference() -> None:
    faces, model = drawn(evaluate.FACES_AT_ONCE + 3), small_models.face_regression()
    assert evaluate.judge_faces(model, faces).predictions.probabilities == pytest.approx(
        model.predict(faces.images).probabilities
    )


def test_skipped_files_are_counted_all_and_named_up_to_a_limit() -> None:
    many = SkippedFiles({"blank": [f"{number}.png" for number in range(80)]})
    document = evaluate.skipped_document(many)
    assert document["n"] == document["counts"]["blank"] == 80
    assert len(document["names"]["blank"]) == evaluate.NAMED_FILES


@pytest.mark.slow
def test_the_same_document_comes_out_twice() -> None:
    face = evaluate.judge_faces(small_models.face_regression(), drawn(70))
    again = replace(face)
    assert evaluate.document_of(face, None, None, draws=20) == evaluate.document_of(
        again, None, None, draws=20
    )
