"""Write the model cards from what `evaluate_models` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlcore.errors import AnalysisError

WRONG_USAGE = 2
MODELS = ("face", "voice", "fusion")
Document = dict[str, dict[str, Any]]


class Command(BaseCommand):
    help = "Writes a card and its pictures for each model that the evaluations measure."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "evaluations",
            nargs="+",
            metavar="JSON",
            help="output of evaluate_models --json, or of what adds to it; later files win",
        )
        parser.add_argument("--crop_gap", metavar="JSON", help="output of python -m tests.bench.crop_gap")
        parser.add_argument(
            "--weights", metavar="DIR", help="where weights and cards lie, by default the shipped ones"
        )
        parser.add_argument("--pictures", metavar="DIR", help="by default docs/models")

    def handle(self, *args: Any, **options: Any) -> None:
        from mlcore.stress import weights
        from mlcore.stress.evaluation import cards

        folder = Path(options["weights"] or weights.WEIGHTS)
        pictures = Path(options["pictures"] or Path(settings.BASE_DIR) / "docs" / "models")
        document = _merged(options["evaluations"])
        if options["crop_gap"] and "face" in document:
            document["face"].setdefault("tables", []).extend(_crop_gap(options["crop_gap"]))
        try:
            for name, block in document.items():
                meta = weights.load(folder, name)[1]
                self.stderr.write(f"{cards.write(folder, pictures, name, block, meta)}")
        except AnalysisError as error:
            raise CommandError(error.message) from error


def _merged(files: list[str]) -> Document:
    """The blocks of all files, key by key."""
    document: Document = {}
    for file in files:
        try:
            found = json.loads(Path(file).read_text(encoding="utf-8"))
            for name in found.keys() & set(MODELS):
                document.setdefault(name, {}).update(found[name])
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CommandError(f"{file} is no evaluation: {error}", returncode=WRONG_USAGE) from error
    if not document:
        message = "The files measure no model: make one by python manage.py evaluate_models … --json > FILE"
        raise CommandError(message, returncode=WRONG_USAGE)
    return {name: document[name] for name in MODELS if name in document}


def _crop_gap(file: str) -> list[dict[str, Any]]:
    from mlcore.stress.evaluation import cards_crop_gap

    try:
        return cards_crop_gap.tables(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} is no report of the crop gap: {error}", returncode=WRONG_USAGE) from error
