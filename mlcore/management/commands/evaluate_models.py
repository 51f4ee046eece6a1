"""Measure the stress models on labelled faces and voices."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlcore.errors import AnalysisError

if TYPE_CHECKING:
    from mlcore.stress.datasets.fer2013 import FaceImages
    from mlcore.stress.datasets.ravdess import VoiceClips
    from mlcore.stress.datasets.report import SkippedFiles
    from mlcore.stress.evaluation.evaluate import Source
    from mlcore.stress.evaluation.pairs import Labelled

WRONG_USAGE = 2
USAGE_ERRORS = {"no_such_actor", "no_such_split", "no_unseen"}
"""Of what was typed rather than of the data."""
ACTORS = range(1, 25)
USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
"""Of fer2013.csv, in small letters, and the splits they are."""
SAID_EVERY_S = 5.0
CHOSEN_ON = (
    "half of these validation images chose the epoch and the calibration of the shipped weights; "
    "--unseen leaves them out"
)
TRAINED_ON = "the model was trained on these: nothing here tells how it does on others"


@dataclass(frozen=True)
class Request:
    """What was typed, checked."""

    faces: Path | None
    usage: str | None
    voices: Path | None
    actors: list[int] | None
    weights: Path
    unseen: bool
    command: str


class Command(BaseCommand):
    help = "Measures the stress models on labelled faces (FER-2013) and voices (RAVDESS)."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--fer2013_dir",
            metavar="DIR",
            help="emotion folders, or splits of which test, else validation, is taken; or a zip of them",
        )
        parser.add_argument("--fer2013_csv", metavar="FILE", help="Kaggle's fer2013.csv")
        parser.add_argument(
            "--usage",
            metavar="U",
            help="rows of the csv: PrivateTest (the default where there are any), PublicTest …",
        )
        parser.add_argument("--ravdess_dir", metavar="DIR", help="folder of Actor_01 …, wav or flac")
        parser.add_argument("--actors", metavar="1,2", help="only these actors")
        parser.add_argument("--weights", metavar="DIR", help="weights other than the shipped ones")
        parser.add_argument(
            "--unseen", action="store_true", help="only what the shipped weights' training made no use of"
        )
        parser.add_argument("--json", action="store_true", help="JSON, and nothing else, to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        request = _request(options)
        with contextlib.redirect_stdout(sys.stderr):
            try:
                document = _Evaluation(request, self.progress(), self.say).document()
            except AnalysisError as error:
                code = WRONG_USAGE if error.code in USAGE_ERRORS else 1
                raise CommandError(error.message, returncode=code) from error
        if options["json"]:
            self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))
            return
        from mlcore.stress.evaluation import table as evaluation_table

        for line in evaluation_table.lines(document):
            self.stdout.write(line)

    def say(self, line: str) -> None:
        self.stderr.write(line)

    def progress(self) -> Callable[[str, int, int], None]:
        """A line every few seconds: model, how many, the time left."""
        began: dict[str, float] = {}
        said: dict[str, float] = {}

        def show(model: str, done: int, total: int) -> None:
            now = time.monotonic()
            began.setdefault(model, now)
            if done < total and now - said.get(model, began[model]) < SAID_EVERY_S:
                return
            said[model] = now
            spent = now - began[model]
            left = f", about {spent * (total - done) / done:.0f} s left" if done < total else ""
            self.stderr.write(f"  {model}: {done} of {total}{left}")

        return show


class _Evaluation:
    """Reads all data before any model is loaded, so that what is wrong with it is said at once."""

    def __init__(
        self, request: Request, progress: Callable[[str, int, int], None], say: Callable[[str], None]
    ) -> None:
        self._request, self._progress, self._say = request, progress, say
        self._sources: dict[str, Source] = {}

    def document(self) -> dict[str, Any]:
        from mlcore.stress.evaluation import evaluate

        faces, clips = self._faces(), self._clips()
        face = None if faces is None else self._judged_faces(faces)
        voice = None if clips is None else self._judged_voices(clips)
        fuse = None
        if face is not None and voice is not None:
            from mlcore.stress.evaluation.pairs import whoever
            from mlcore.stress.fusion.model import FusionModel

            fuse = whoever(FusionModel.load(self._request.weights).predict)
            self._sources["fusion"] = self._of_both()
        self._say("computing figures and intervals")
        return evaluate.with_sources(evaluate.document_of(face, voice, fuse), self._sources)

    def _faces(self) -> FaceImages | None:
        path, unseen = self._request.faces, self._request.unseen
        if path is None:
            return None
        from mlcore.stress.datasets import fer2013
        from mlcore.stress.evaluation import evaluate

        self._say(f"reading {path}")
        loaded = fer2013.load(path)
        split, faces = evaluate.faces_to_judge(loaded, self._request.usage)
        if unseen:
            faces = evaluate.unseen_faces(loaded, split, faces)
        notes = {"validation": () if unseen else (CHOSEN_ON,), "train": (TRAINED_ON,)}.get(split, ())
        part = ", the half that training makes no use of" if unseen and split == "validation" else ""
        description = f"FER-2013, split {split or 'not named'}{part}"
        self._source("face", str(path), description, notes, faces.skipped)
        return faces

    def _clips(self) -> VoiceClips | None:
        path = self._request.voices
        if path is None:
            return None
        from mlcore.stress.datasets import ravdess
        from mlcore.stress.evaluation import evaluate

        self._say(f"reading {path}")
        return evaluate.clips_to_judge(ravdess.load(path), self._request.actors)

    def _judged_faces(self, faces: FaceImages) -> Labelled:
        from mlcore.stress.evaluation import evaluate
        from mlcore.stress.face.model import FaceModel

        return evaluate.judge_faces(FaceModel.load(self._request.weights), faces, self._progress)

    def _judged_voices(self, clips: VoiceClips) -> Labelled:
        from mlcore.stress.evaluation import evaluate
        from mlcore.stress.voice.model import VoiceModel

        model = VoiceModel.load(self._request.weights, Path(settings.MODELS_DIR) / "whisper-base")
        known = set(model.meta.get("actors", ()))
        actors = sorted(set(clips.actors.tolist()))
        if self._request.unseen:
            actors = [actor for actor in actors if actor not in known]
            if not actors:
                message = (
                    "--unseen: the voice model was trained on all of these actors. Name others by --actors."
                )
                raise AnalysisError("no_unseen", message)
            clips = evaluate.clips_to_judge(clips, actors)
        labelled, skipped = evaluate.judge_voices(model, clips, self._progress)
        notes = (f"actors {_listed(known & set(actors))}: {TRAINED_ON}",) if known & set(actors) else ()
        description = f"RAVDESS, actors {_listed(set(actors))}"
        self._source("voice", str(self._request.voices), description, notes, skipped)
        return labelled

    def _source(
        self, model: str, path: str, description: str, notes: tuple[str, ...], skipped: SkippedFiles
    ) -> None:
        from mlcore.stress.evaluation.evaluate import Source

        self._sources[model] = Source(path, description, self._request.command, notes, skipped)

    def _of_both(self) -> Source:
        """What was skipped stands with face and voice."""
        from mlcore.stress.evaluation.evaluate import Source

        face, voice = self._sources["face"], self._sources["voice"]
        both = f"{face.description}; {voice.description}"
        return Source(f"{face.path} and {voice.path}", both, self._request.command, face.notes + voice.notes)


def _request(options: dict[str, Any]) -> Request:
    """Checked before anything is read; CommandError of return code 2."""
    faces = _faces_path(options)
    voices = None if options["ravdess_dir"] is None else Path(options["ravdess_dir"])
    if faces is None and voices is None:
        raise _wrong("Name what to measure on: --fer2013_dir, --fer2013_csv or --ravdess_dir.")
    if voices is not None and not voices.is_dir():
        raise _wrong(f"--ravdess_dir: there is no folder {voices}.")
    if options["actors"] is not None and voices is None:
        raise _wrong("--actors goes with --ravdess_dir.")
    actors = None if options["actors"] is None else _actors(options["actors"])
    usage, weights = _usage(options), _weights(options)
    return Request(faces, usage, voices, actors, weights, options["unseen"], _typed(options))


def _faces_path(options: dict[str, Any]) -> Path | None:
    folder, table = options["fer2013_dir"], options["fer2013_csv"]
    if folder is not None and table is not None:
        raise _wrong("Name either --fer2013_dir or --fer2013_csv.")
    if folder is not None and not (
        Path(folder).is_dir() or (Path(folder).is_file() and folder.endswith(".zip"))
    ):
        raise _wrong(f"--fer2013_dir: there is no folder (or zip) {folder}.")
    if table is not None and not Path(table).is_file():
        raise _wrong(f"--fer2013_csv: there is no file {table}.")
    chosen = folder if folder is not None else table
    return None if chosen is None else Path(chosen)


def _usage(options: dict[str, Any]) -> str | None:
    """The split that a csv's Usage stands for."""
    usage = options["usage"]
    if usage is None:
        return None
    if options["fer2013_csv"] is None:
        raise _wrong("--usage goes with --fer2013_csv; in folders test, else validation, is taken.")
    if usage.lower() not in USAGES:
        raise _wrong(f"--usage: {usage!r} is none of Training, PublicTest and PrivateTest.")
    return USAGES[usage.lower()]


def _weights(options: dict[str, Any]) -> Path:
    from mlcore.stress.weights import WEIGHTS

    if options["weights"] is not None and not Path(options["weights"]).is_dir():
        raise _wrong(f"--weights: there is no folder {options['weights']}.")
    return WEIGHTS if options["weights"] is None else Path(options["weights"])


def _actors(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) in ACTORS for part in parts):
        raise _wrong(f"--actors: {text!r} is no list of numbers from 1 to 24, as 21,22,23,24.")
    return sorted({int(part) for part in parts})


def _typed(options: dict[str, Any]) -> str:
    """The command that gives the same figures."""
    names = ("fer2013_dir", "fer2013_csv", "usage", "ravdess_dir", "actors", "weights")
    given = [part for name in names if options[name] is not None for part in (f"--{name}", options[name])]
    flags = ["--unseen"] if options["unseen"] else []
    return shlex.join(["python", "manage.py", "evaluate_models", *map(str, given), *flags, "--json"])


def _listed(actors: set[int]) -> str:
    """As 1–4, 7."""
    runs: list[list[int]] = []
    for actor in sorted(actors):
        if runs and actor == runs[-1][-1] + 1:
            runs[-1].append(actor)
        else:
            runs.append([actor])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _wrong(message: str) -> CommandError:
    return CommandError(message, returncode=WRONG_USAGE)
