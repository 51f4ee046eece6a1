"""Assess recorded answers in this process: no server, no queue, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from assessment import jobs, policy, report
from assessment.countries import ISO_ALPHA2
from assessment.models import Answer, Assessment, Candidate, media_path
from assessment.progress_display import ProgressDisplay

WRONG_USAGE = 2


class Command(BaseCommand):
    help = "Runs the whole recorded pipeline on videos and writes the results as JSON or PDF."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("videos", nargs="*", metavar="VIDEO", help="recordings, one an answer")
        parser.add_argument(
            "--question", nargs="+", action="append", default=[], metavar="Q", help="the questions, in the videos' order"
        )
        parser.add_argument("--candidate", default="Candidate", metavar="N", help="the candidate's name")
        parser.add_argument("--language", default="auto", choices=Assessment.Language.values)
        parser.add_argument("--country", default="", metavar="CC", help="the candidate's country, ISO 3166, two letters")
        parser.add_argument("--json", metavar="FILE", help="write the results document; - for standard output")
        parser.add_argument("--pdf", metavar="FILE", help="write the report")

    def handle(self, *args: Any, **options: Any) -> None:
        videos, questions = _pair(options["videos"], options["question"])
        country = _checked_country(options["country"])
        _check_targets(options["json"], options["pdf"])
        with contextlib.redirect_stdout(sys.stderr), throwaway_database():
            assessment = _store(videos, questions, options["candidate"], options["language"], country)
            display = ProgressDisplay(sys.stderr, len(videos))
            jobs.process_inline(assessment, lambda answer, stage, share: display.update(answer.order, stage, share))
            display.close()
            document = assessment.results.document
        self._write(document, options["json"], options["pdf"])
        if document["metadata"]["failed_videos"]:
            raise SystemExit(1)

    def _write(self, document: dict[str, Any], json_target: str | None, pdf_target: str | None) -> None:
        text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
        if json_target == "-":
            self.stdout.write(text)
        elif json_target:
            Path(json_target).write_text(text + "\n", encoding="utf-8")
        if pdf_target:
            Path(pdf_target).write_bytes(report.render_pdf(document))
        if json_target != "-":
            self._say(document)

    def _say(self, document: dict[str, Any]) -> None:
        """The gist for a person at a terminal."""
        advice = document["recommendation"]
        score = "—" if advice["final_score"] is None else f"{advice['final_score']:g} of 100"
        self.stdout.write(f"Recommendation: {advice['value']} (score {score})")
        for reason in advice["reasons"]:
            self.stdout.write(f"  {reason['message']}")


def _pair(videos: list[str], groups: list[list[str]]) -> tuple[list[Path], list[str]]:
    """Videos and questions, as many of the one as of the other.

    ``--question "Why?" answer.mp4`` reads the file as a video, as whoever types it means.
    """
    paths, questions = list(videos), []
    for group in groups:
        for place, item in enumerate(group):
            (paths if place and Path(item).is_file() else questions).append(item)
    if not paths:
        raise CommandError("Name at least one video.", returncode=WRONG_USAGE)
    if len(paths) != len(questions):
        raise CommandError(
            f"{len(paths)} video(s) but {len(questions)} question(s): give --question once for each video.",
            returncode=WRONG_USAGE,
        )
    if not all(question.strip() for question in questions):
        raise CommandError("A question is empty.", returncode=WRONG_USAGE)
    absent = [path for path in paths if not Path(path).is_file()]
    if absent:
        raise CommandError(f"No such file: {', '.join(absent)}", returncode=WRONG_USAGE)
    return [Path(path).resolve() for path in paths], questions


def _checked_country(code: str) -> str:
    if code and code.upper() not in ISO_ALPHA2:
        raise CommandError(f"--country: {code!r} is not an ISO 3166 two-letter code.", returncode=WRONG_USAGE)
    return code.upper()


def _check_targets(*targets: str | None) -> None:
    for target in targets:
        if target and target != "-" and not Path(target).resolve().parent.is_dir():
            raise CommandError(f"No such folder: {Path(target).resolve().parent}", returncode=WRONG_USAGE)


@contextlib.contextmanager
def throwaway_database() -> Iterator[None]:
    """A SQLite database of this command's own: what is assessed here is nobody's record on the site."""
    with tempfile.TemporaryDirectory(prefix="wawancara-assess-") as folder:
        previous = connections.settings["default"]
        own = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(folder) / "db.sqlite3")}
        own["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}  # type: ignore[assignment]
        _use_database(connections.configure_settings({"default": own})["default"])
        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            _use_database(previous)


def _use_database(config: dict[str, Any]) -> None:
    connections.close_all()
    connections.settings["default"] = config
    with contextlib.suppress(AttributeError):  # none was opened in this thread
        del connections["default"]


def _store(videos: list[Path], questions: list[str], name: str, language: str, country: str) -> Assessment:
    assessment = Assessment.objects.create(
        candidate=Candidate.objects.create(name=name),
        language=language,
        source=Assessment.Source.COMMAND,
        country=country,
        policy=policy.decide(country).snapshot(),
        created_at=timezone.now(),
    )
    for number, (video, question) in enumerate(zip(videos, questions, strict=True), start=1):
        answer = Answer(assessment=assessment, position=number, order=number, question=question)
        answer.media.name = _lend(video, media_path(answer, video.name))
        answer.save()
    return assessment


def _lend(video: Path, name: str) -> str:
    """Put the file where media lies without copying it: a link there, which retention may remove."""
    try:
        target = Path(default_storage.path(name))
    except NotImplementedError:  # not a local storage
        with video.open("rb") as file:
            return default_storage.save(name, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(video)
    return name
