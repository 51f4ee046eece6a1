"""What is erased when, and proof of it: media after processing, records in the end, a candidate on request.

Files go first, then the rows that name them: whatever breaks in between is found again by the next `purge`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from assessment import leftovers
from assessment.models import Answer, Assessment, AuditEntry, Candidate, IdempotencyKey

logger = logging.getLogger(__name__)

LEFTOVER_AFTER_H = 24
"""Idempotency keys, and files of broken uploads that belong to nothing, are kept this long."""
ERASED_CODE = "erased"

Eraser = Callable[[Candidate], dict[str, int]]
"""Erases what one app holds of a candidate; how many things of each kind it erased. May be called again."""

Guard = Callable[[Candidate], None]
"""Raises `ErasureRefused` while an app cannot let go of a candidate. Asked before anything is erased."""
Purger = Callable[[datetime], dict[str, int]]
"""Erases what is due in one app at the given time; how many things of each kind. May be called again."""

_erasers: list[Eraser] = []
_guards: list[Guard] = []
_purgers: list[Purger] = []


class ErasureRefused(Exception):
    """Erasing has to wait; the message says for what."""


@dataclass(frozen=True)
class PurgeReport:
    """How much was erased, by kind."""

    media: int = 0
    records: int = 0
    idempotency_keys: int = 0
    leftover_files: int = 0
    others: dict[str, int] = field(default_factory=dict)
    """Of other apps, by what they call it."""

    def __str__(self) -> str:
        others = "".join(f", {count} {kind.replace('_', ' ')}" for kind, count in self.others.items())
        return (
            f"{self.media} media files, {self.records} assessments, "
            f"{self.idempotency_keys} idempotency keys, {self.leftover_files} leftover files{others} erased"
        )


def register_eraser(eraser: Eraser) -> Eraser:
    """Have `eraser` called for each candidate that is erased; usable as a decorator, once an app (in its
    `ready`).
    """
    if eraser not in _erasers:
        _erasers.append(eraser)
    return eraser


def register_guard(guard: Guard) -> Guard:
    """Have `guard` asked before a candidate is erased; as `register_eraser`."""
    if guard not in _guards:
        _guards.append(guard)
    return guard


def register_purger(purger: Purger) -> Purger:
    """Have `purger` called by each `purge`; as `register_eraser`."""
    if purger not in _purgers:
        _purgers.append(purger)
    return purger


# -- Media ------------------------------------------------------------------------------------


def erase_media(answers: Iterable[Answer]) -> int:
    """Erase the recordings of these answers, and their folders once empty; how many there were."""
    erased = 0
    for answer in answers:
        if not answer.media:
            continue
        folder = _folder_of(answer)
        answer.media.delete(save=False)
        Answer.objects.filter(pk=answer.pk).update(media="")
        erased += 1
        if folder is not None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return erased


def _folder_of(answer: Answer) -> Path | None:
    try:
        return Path(answer.media.path).parent
    except NotImplementedError:  # storages that are not folders have no paths
        return None


def _kept_days(answer: Answer) -> int:
    succeeded = answer.status == Answer.Status.COMPLETED
    return settings.RETENTION_DAYS if succeeded else settings.FAILED_RETENTION_DAYS


def _erase_due_media(assessment: Assessment, now: datetime) -> int:
    """Erase what is due of a finished assessment, and note when the rest will be."""
    ended_at = assessment.completed_at or now
    kept = [answer for answer in assessment.answers.all() if answer.media]
    due_at = {answer: ended_at + timedelta(days=_kept_days(answer)) for answer in kept}
    erased = erase_media(answer for answer in kept if due_at[answer] <= now)
    later = [when for when in due_at.values() if when > now]
    Assessment.objects.filter(pk=assessment.pk, finalized_run=F("run")).update(
        erase_media_at=min(later) if later else None
    )
    if erased:
        AuditEntry.write("media_erased", f"assessment:{assessment.session_id}", files=erased)
    return erased


def apply_to_finished(assessment: Assessment) -> None:
    """What retention asks for once an assessment is finished: media of answers that succeeded goes at once
    (or after ``RETENTION_DAYS``), that of failed ones after ``FAILED_RETENTION_DAYS``, the record after
    ``RECORD_RETENTION_DAYS`` (0: it stays until somebody erases it).
    """
    now = timezone.now()
    _erase_due_media(assessment, now)
    days = settings.RECORD_RETENTION_DAYS
    Assessment.objects.filter(pk=assessment.pk).update(
        erase_record_at=now + timedelta(days=days) if days else None
    )
    assessment.refresh_from_db()


# -- Records ----------------------------------------------------------------------------------


def _close(assessments: QuerySet[Assessment]) -> None:
    """Make sure that no worker has, or takes, an answer of these.

    Raises:
        ErasureRefused: one is being worked on.
    """
    with transaction.atomic():
        answers = Answer.objects.select_for_update().filter(assessment__in=assessments)
        if any(answer.status in Answer.ACTIVE for answer in answers):
            raise ErasureRefused(
                "An answer is being analysed right now. Try again when its analysis has ended."
            )
        Answer.objects.filter(assessment__in=assessments, status=Answer.Status.QUEUED).update(
            status=Answer.Status.ERROR, error_code=ERASED_CODE, finished_at=timezone.now()
        )


def _erase_assessments(assessments: QuerySet[Assessment]) -> dict[str, int]:
    _close(assessments)
    files = erase_media(Answer.objects.select_related("assessment").filter(assessment__in=assessments))
    count = assessments.count()
    assessments.delete()
    return {"assessments": count, "files": files}


@register_eraser
def _erase_own(candidate: Candidate) -> dict[str, int]:
    return _erase_assessments(Assessment.objects.filter(candidate=candidate))


def erase_candidate(candidate: Candidate, actor: Any = None) -> dict[str, int]:
    """Erase a person and everything derived, in every app; what was erased, by kind, goes to the audit log.

    Raises:
        ErasureRefused: an answer of theirs is being analysed, or an app still needs them; nothing was erased.
    """
    for guard in _guards:
        guard(candidate)
    _close(Assessment.objects.filter(candidate=candidate))
    counts: dict[str, int] = {}
    for eraser in _erasers:
        for kind, count in eraser(candidate).items():
            counts[kind] = counts.get(kind, 0) + count
    subject = f"candidate:{candidate.pk}"
    _mask_admin_log(candidate, subject)
    candidate.delete()
    AuditEntry.write("candidate_erased", subject, actor, **counts)
    return counts


def _mask_admin_log(candidate: Candidate, subject: str) -> None:
    """The admin's own log keeps the name of whatever was changed there: the lines stay, without it."""
    kind = ContentType.objects.get_for_model(Candidate)
    LogEntry.objects.filter(content_type=kind, object_id=str(candidate.pk)).update(object_repr=subject)


def unused(candidate: Candidate) -> bool:
    """Whether no record of any app refers to this person."""
    relations = [relation.get_accessor_name() for relation in Candidate._meta.related_objects]
    return not any(getattr(candidate, name).exists() for name in relations if name)


def _erase_expired_records(now: datetime) -> int:
    erased = 0
    known_before = now - timedelta(days=settings.RECORD_RETENTION_DAYS)
    for assessment in Assessment.objects.filter(erase_record_at__lte=now).select_related("candidate"):
        try:
            counts = _erase_assessments(Assessment.objects.filter(pk=assessment.pk))
        except ErasureRefused:
            logger.info("Assessment %s is being run again; its record is erased later.", assessment.pk)
            continue
        AuditEntry.write("record_erased", f"assessment:{assessment.session_id}", **counts)
        erased += 1
        candidate = assessment.candidate
        if candidate.created_at <= known_before and unused(candidate):
            erase_candidate(candidate)
    return erased


# -- Purge ------------------------------------------------------------------------------------


def _old_files(folder: Path, now: datetime) -> list[Path]:
    """Everything directly in `folder` that was last changed longer ago than leftovers are kept."""
    limit = now.timestamp() - LEFTOVER_AFTER_H * 3600
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.stat().st_mtime < limit]


def _erase_leftovers(now: datetime) -> int:
    """Temporary uploads that were never stored, and media that no answer names."""
    uploads = _old_files(Path(settings.FILE_UPLOAD_TEMP_DIR), now)
    for path in uploads:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(uploads) + leftovers.erase(now - timedelta(hours=LEFTOVER_AFTER_H))


def _purge_others(now: datetime) -> dict[str, int]:
    counts: dict[str, int] = {}
    for purger in _purgers:
        for kind, count in purger(now).items():
            counts[kind] = counts.get(kind, 0) + count
    return counts


def purge(now: datetime | None = None) -> PurgeReport:
    """Erase everything whose time has come; safe to call at any time and twice."""
    now = now or timezone.now()
    started = time.monotonic()
    finished = Assessment.objects.filter(finalized_run=F("run"))
    media = sum(_erase_due_media(assessment, now) for assessment in finished.filter(erase_media_at__lte=now))
    old_keys = IdempotencyKey.objects.filter(created_at__lt=now - timedelta(hours=LEFTOVER_AFTER_H))
    report = PurgeReport(
        media=media,
        records=_erase_expired_records(now),
        idempotency_keys=old_keys.delete()[0],
        others=_purge_others(now),
        leftover_files=_erase_leftovers(now),
    )
    logger.debug("Purged in %.1f s.", time.monotonic() - started)
    return report
