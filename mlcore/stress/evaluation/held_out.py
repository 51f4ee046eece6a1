"""The figures of the model cards: on faces kept for it, and on actors whom the networks that judge them have not heard.

The voice networks that are shipped have heard every actor of the data set at hand, so their like are measured: networks
of a cross-validation, each with the calibration, and the fusion, of the other folds.
"""

from __future__ import annotations

import shlex

import numpy as np

from mlcore.stress import train
from mlcore.stress.evaluation import evaluate
from mlcore.stress.evaluation.evaluate import Source
from mlcore.stress.evaluation.measures import DRAWS
from mlcore.stress.evaluation.pairs import Fuse, Labelled, Pairs, rows_of
from mlcore.stress.face.model import FaceModel
from mlcore.stress.fusion.model import NETWORK, FusionModel
from mlcore.stress.fusion.training import FusionTraining
from mlcore.stress.labels import LEVELS, Floats
from mlcore.stress.train import Data, Job
from mlcore.stress.train_log import Document, Say


def measure(job: Job, data: Data, say: Say, *, draws: int = DRAWS) -> Document:
    """Face, voice and fusion, in the form of `evaluate_models --json`; voice networks are trained where missing.

    AnalysisError where a data set or the face weights are missing."""
    splits, clips = data.splits, data.clips
    heard = train.heard_voices(job, data, say)
    model = FaceModel.load(job.out)
    said = train.out_of_fold_predictions(heard, clips)
    fused = train.fitted_fusion(job, model, splits.choose, said, clips, say)
    say("computing figures and intervals")
    face = evaluate.judge_faces(model, splits.report)
    voice = Labelled(said, clips.emotions, clips.actors, clips.sexes)
    document = evaluate.document_of(face, voice, by_fold(fused), draws=draws)
    images = f"FER-2013, {len(splits.report)} validation images that training makes no use of"
    count = len(set(clips.actors.tolist()))
    actors = f"RAVDESS, {count} actors in published folds, each judged by networks that know none of its fold"
    sources = {
        "face": Source(str(job.faces), images, _command(job)),
        "voice": Source(str(job.voices), actors, _command(job), (LIKE,), clips.skipped),
        "fusion": Source(f"{job.faces} and {job.voices}", f"{images}; {actors}", _command(job), (LIKE,)),
    }
    return evaluate.with_sources(document, sources)


LIKE = (
    "the voice networks that are shipped are more, and have heard all of these actors; measured are networks of the "
    "same recipe that have not"
)


def by_fold(trained: FusionTraining) -> Fuse:
    """Each pair by the fusion that was trained and calibrated without its voice's actor."""
    models = [
        FusionModel(
            fold.network, fold.calibrations if trained.method == NETWORK else {}, {"method": trained.method}
        )
        for fold in trained.folds
    ]

    def fuse(face: Labelled, voice: Labelled, pairs: Pairs) -> Floats:
        assert voice.persons is not None
        actors = voice.persons[pairs.voices]
        result = np.zeros((len(actors), len(LEVELS)), dtype=np.float32)
        for fold, model in zip(trained.folds, models, strict=True):
            rows = np.flatnonzero(np.isin(actors, fold.persons))
            if len(rows):
                faces = rows_of(face.predictions, pairs.faces[rows])
                result[rows] = model.predict(faces, rows_of(voice.predictions, pairs.voices[rows]))
        return result

    return fuse


def _command(job: Job) -> str:
    faces = "--fer2013_csv" if job.faces.suffix == ".csv" else "--fer2013_dir"
    parts = ["python", "manage.py", "train_models", faces, str(job.faces), "--ravdess_dir", str(job.voices)]
    return shlex.join([*parts, "--seed", str(job.seed), "--cross_validate"])
