"""Train the stress models from their raw data sets to the weights that are shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlcore import assets
from mlcore.errors import AnalysisError

DATASETS = Path("datasets")
FER2013 = DATASETS / "fer2013"
RAVDESS = DATASETS / "ravdess" / "audio_speech_actors_01-24"
"""Where the earlier system kept them; taken where nothing else is named."""


class Command(BaseCommand):
    help = (
        "Trains the stress models (face: FER-2013; voice: RAVDESS; fusion: both). What is preprocessed or trained "
        "already is skipped; a killed training goes on at its last epoch when the command is given again."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        faces = parser.add_mutually_exclusive_group()
        faces.add_argument("--fer2013_csv", type=Path, help="the challenge's fer2013.csv")
        faces.add_argument(
            "--fer2013_dir", type=Path, help="image folders, or a folder with images.zip or fer2013.csv"
        )
        parser.add_argument("--ravdess_dir", type=Path, help="folder with Actor_01, Actor_02, …")
        parser.add_argument("--only", help="comma-separated: face, voice, fusion")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--out", type=Path, help="folder for the weights (mlcore/weights)")
        preprocessing = parser.add_mutually_exclusive_group()
        preprocessing.add_argument(
            "--force_preprocessing", action="store_true", help="read the data sets anew"
        )
        preprocessing.add_argument(
            "--skip_preprocessing", action="store_true", help="only what is preprocessed already"
        )
        parser.add_argument("--preprocessing_only", action="store_true", help="stop after the preprocessing")
        parser.add_argument(
            "--force_training", action="store_true", help="train anew what is trained already"
        )
        parser.add_argument(
            "--cross_validate",
            action="store_true",
            help="only measure on held-out people, voices in folds of whole actors: printed, and written for the cards",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from mlcore.stress import train

        if options["preprocessing_only"] and options["skip_preprocessing"]:
            raise CommandError(
                "--preprocessing_only and --skip_preprocessing leave nothing to do.", returncode=2
            )
        job = self._job(options)
        try:
            data = train.preprocess(job, self._say)
            if options["cross_validate"]:
                self._cross_validate(job, data)
            elif not options["preprocessing_only"]:
                train.run(job, data, self._say)
        except AnalysisError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on at the last whole epoch.") from None

    def _cross_validate(self, job: Any, data: Any) -> None:
        from mlcore.stress.evaluation import held_out
        from mlcore.stress.evaluation import table as evaluation_table

        document = held_out.measure(job, data, self._say)
        job.log.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (job.log / "stress-held-out.json").write_text(text, encoding="utf-8")
        for line in evaluation_table.lines(document):
            self.stdout.write(line)

    def _job(self, options: dict[str, Any]) -> Any:
        from mlcore.stress import train, weights

        only = tuple((options["only"] or ",".join(train.MODELS)).replace(" ", "").split(","))
        if unknown := sorted(set(only) - set(train.MODELS)):
            raise CommandError(
                f"--only knows face, voice and fusion, not {', '.join(unknown)}.", returncode=2
            )
        out = options["out"] or weights.WEIGHTS
        shipped = out.resolve() == weights.WEIGHTS
        return train.Job(
            faces=options["fer2013_csv"] or options["fer2013_dir"] or FER2013,
            voices=options["ravdess_dir"] or RAVDESS,
            out=out,
            log=Path(settings.BASE_DIR) / "docs" / "models" if shipped else out,
            work=Path(settings.VAR_DIR) / "stress",
            whisper=assets.whisper_folder(Path(settings.MODELS_DIR), "base"),
            seed=options["seed"],
            only=only,
            force_preprocessing=options["force_preprocessing"],
            skip_preprocessing=options["skip_preprocessing"],
            force_training=options["force_training"],
        )

    def _say(self, line: str) -> None:
        self.stderr.write(line)
