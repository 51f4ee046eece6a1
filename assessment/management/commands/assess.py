"""Assess recorded answers in this process: no server, no queue, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from assessment import jobs, report
from assessment.countries import ISO_ALPHA2
from assessment.models import Assessment
from assessment.progress_display import ProgressDisplay
from assessment.throwaway import store, throwaway_database
from mlcore.native_logs import native_chatter_dropped

WRONG_USAGE = 2


class Command(BaseCommand):
    help = "Runs the whole recorded pipeline on videos and writes the results as JSON or PDF."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("videos", nargs="*", metavar="VIDEO", help="recordings, one an answer")
        parser.add_argument(
            "--question",
            nargs="+",
            action="append",
            default=[],
            metavar="Q",
            help="the questions, in the videos' order",
        )
        parser.add_argument("--candidate", default="Candidate", metavar="N", help="the candidate's name")
        parser.add_argument("--language", default="auto", choices=Assessment.Language.values)
        parser.add_argument(
            "--country", default="", metavar="CC", help="the candidate's country, ISO 3166, two letters"
        )
        parser.add_argument(
            "--json", metavar="FILE", help="write the results document; - for standard output"
        )
        parser.add_argument("--pdf", metavar="FILE", help="write the report")

    def handle(self, *args: Any, **options: Any) -> None:
        videos, questions = _pair(options["videos"], options["question"])
        country = _checked_country(options["country"])
        _check_targets(options["json"], options["pdf"])
        with native_chatter_dropped(), contextlib.redirect_stdout(sys.stderr), throwaway_database():
            assessment = store(videos, questions, options["candidate"], options["language"], country)
            display = ProgressDisplay(sys.stderr, len(videos))
            jobs.process_inline(
                assessment, lambda answer, stage, share: display.update(answer.order, stage, share)
            )
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
    paths: list[str] = list(videos)
    questions: list[str] = []
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
