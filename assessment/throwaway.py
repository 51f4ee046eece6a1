"""Assessments outside of the site's own database: for the `assess` command and the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from assessment import policy, retention
from assessment.models import Answer, Assessment, Candidate, media_path
from assessment.stored import local_path


@contextmanager
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
            retention.erase_media(Answer.objects.select_related("assessment").all())
        finally:
            _use_database(previous)


def _use_database(config: dict[str, Any]) -> None:
    connections.close_all()
    connections.settings["default"] = config
    with suppress(AttributeError):  # none was opened in this thread
        del connections["default"]


def store(videos: list[Path], questions: list[str], name: str, language: str, country: str) -> Assessment:
    """An assessment of files where they lie, one answer each, owned by nobody."""
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
    target = local_path(name)
    if target is None:
        with video.open("rb") as file:
            return default_storage.save(name, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(video)
    return name
