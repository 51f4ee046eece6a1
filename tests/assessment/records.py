"""Records for tests of jobs, claims and retention."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.core.files.base import ContentFile, File
from django.utils import timezone

from assessment.models import Answer, Assessment, Candidate


def make_assessment(
    answers: int = 1, media: bytes | Path | None = b"not decoded here", **fields
) -> Assessment:
    """A queued assessment with `answers` queued answers, each with `media`."""
    candidate = fields.pop("candidate", None) or Candidate.objects.create(name="Sari Wibowo")
    assessment = Assessment.objects.create(candidate=candidate, **fields)
    for index in range(answers):
        answer = Answer.objects.create(
            assessment=assessment, position=index + 1, order=index, question="What did you build?"
        )
        if isinstance(media, Path):
            with media.open("rb") as file:
                answer.media.save("x", File(file))
        elif media is not None:
            answer.media.save("x", ContentFile(media))
    return assessment


def only_answer(assessment: Assessment) -> Answer:
    return assessment.answers.get()


def be_silent(answer: Answer, seconds: float = 3600) -> None:
    """Make the last heartbeat of an answer look old."""
    Answer.objects.filter(pk=answer.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))
