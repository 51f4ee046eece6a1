"""Who works on which answer: every change of an answer's state is one conditional UPDATE.

The database row is the truth. A claim is a name nobody else has, written into the row while it was queued;
who finds the row changed since has lost the claim and stops. No step holds a transaction open.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from assessment.heartbeats import Heartbeat
from assessment.models import Answer, Assessment, StageRun

logger = logging.getLogger(__name__)

LOST_CODE = "worker_lost"
LOST_MESSAGE = (
    "The work on this answer broke off repeatedly. Its file may be too large for this machine; try again."
)


@dataclass(frozen=True)
class Claim:
    """The right to work on an answer, as long as the row says so."""

    answer_id: int
    assessment_id: int
    run: int
    attempt: int
    holder: str

    def row(self) -> QuerySet[Answer]:
        return Answer.objects.filter(pk=self.answer_id, claimed_by=self.holder, status__in=Answer.ACTIVE)


def worker_name(pid: int | None = None) -> str:
    """What the process `pid` of this host (this one by default) is called in claims."""
    return f"{socket.gethostname()[:60]}.{pid or os.getpid()}"


def take(answer_id: int, run: int) -> Claim | None:
    """Claim a queued answer of the assessment's present `run`; None when it is not to be had.

    ``assessment__in`` with a subquery, not a join: a join would make Django move every condition into the
    subquery, and PostgreSQL would not look at the status again after waiting for the row.
    """
    now = timezone.now()
    holder = f"{worker_name()}/{uuid.uuid4().hex[:12]}"
    taken = (
        Answer.objects.filter(pk=answer_id, status=Answer.Status.QUEUED)
        .filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
        .filter(assessment__in=Assessment.objects.filter(run=run))
        .update(
            status=Answer.Status.PROCESSING,
            claimed_by=holder,
            attempts=F("attempts") + 1,
            heartbeat_at=now,
            started_at=now,
            finished_at=None,
            not_before=None,
            error_code="",
            error_message="",
        )
    )
    if not taken:
        return None
    answer = Answer.objects.only("attempts", "assessment_id").get(pk=answer_id)
    refresh_status(answer.assessment_id)
    return Claim(answer_id, answer.assessment_id, run, answer.attempts, holder)


def beat(claim: Claim) -> bool:
    """Say that the work goes on; False when the claim is lost."""
    return bool(claim.row().update(heartbeat_at=timezone.now()))


def _change(row: QuerySet[Answer], assessment_id: int, **fields: object) -> bool:
    changed = bool(row.update(**fields))
    if changed:
        refresh_status(assessment_id)
    return changed


def _end(row: QuerySet[Answer], assessment_id: int, code: str, message: str) -> bool:
    return _change(
        row,
        assessment_id,
        status=Answer.Status.ERROR,
        claimed_by="",
        finished_at=timezone.now(),
        error_code=code[:40],
        error_message=message,
    )


def _requeue(
    row: QuerySet[Answer], assessment_id: int, not_before: datetime | None, **fields: object
) -> bool:
    return _change(
        row,
        assessment_id,
        status=Answer.Status.QUEUED,
        claimed_by="",
        not_before=not_before,
        enqueued_at=None,
        **fields,
    )


def set_status(claim: Claim, status: Answer.Status) -> bool:
    """Between downloading and processing."""
    return _change(claim.row(), claim.assessment_id, status=status, heartbeat_at=timezone.now())


def complete(claim: Claim) -> bool:
    return _change(
        claim.row(),
        claim.assessment_id,
        status=Answer.Status.COMPLETED,
        claimed_by="",
        finished_at=timezone.now(),
    )


def fail(claim: Claim, code: str, message: str) -> bool:
    """The last word on this answer in this run."""
    return _end(claim.row(), claim.assessment_id, code, message)


def retry_at(claim: Claim, not_before: datetime) -> bool:
    """Queued again, not to be taken before that time."""
    return _requeue(claim.row(), claim.assessment_id, not_before)


def give_back(claim: Claim) -> bool:
    """Queued again as if never taken: the attempt does not count.

    Its unfinished stage runs go, so that the next attempt, which has the same number, can write its own.
    """
    given = _requeue(claim.row(), claim.assessment_id, None, attempts=F("attempts") - 1)
    if given:
        unfinished = StageRun.objects.filter(answer_id=claim.answer_id, run=claim.run, attempt=claim.attempt)
        unfinished.exclude(status=StageRun.Status.COMPLETED).delete()
    return given


@dataclass(frozen=True)
class Released:
    """Answers taken from dead workers: `requeued` can be tried again, `failed` were out of attempts."""

    requeued: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    assessments: frozenset[int] = frozenset()


def _release(abandoned: QuerySet[Answer]) -> Released:
    requeued, failed, assessments = [], [], set()
    for answer in abandoned.only("pk", "attempts", "claimed_by", "assessment_id"):
        row = abandoned.filter(pk=answer.pk, claimed_by=answer.claimed_by)
        if answer.attempts >= settings.MAX_ATTEMPTS:
            changed = _end(row, answer.assessment_id, LOST_CODE, LOST_MESSAGE)
            failed += [answer.pk] * changed
        else:
            changed = _requeue(row, answer.assessment_id, None)
            requeued += [answer.pk] * changed
        if changed:
            assessments.add(answer.assessment_id)
    return Released(tuple(requeued), tuple(failed), frozenset(assessments))


def release_worker(name: str) -> Released:
    """Take back what a worker that is known to be dead held."""
    return _release(Answer.objects.filter(status__in=Answer.ACTIVE, claimed_by__startswith=f"{name}/"))


def release_stalled() -> Released:
    """Take back what has had no heartbeat for ``STALLED_AFTER_S``."""
    cutoff = timezone.now() - timedelta(seconds=settings.STALLED_AFTER_S)
    silent = Q(heartbeat_at__lt=cutoff) | Q(heartbeat_at__isnull=True)
    return _release(Answer.objects.filter(silent, status__in=Answer.ACTIVE))


def derived_status(statuses: Iterable[str]) -> Assessment.Status:
    """What an assessment that is not finished is doing, from what its answers are."""
    seen = set(statuses)
    if Answer.Status.PROCESSING in seen:
        return Assessment.Status.PROCESSING
    if Answer.Status.DOWNLOADING in seen:
        return Assessment.Status.DOWNLOADING
    if seen <= {Answer.Status.QUEUED}:
        return Assessment.Status.QUEUED
    return Assessment.Status.PROCESSING


def refresh_status(assessment_id: int) -> None:
    """Bring an unfinished assessment's status in line with its answers; a finished one is left alone."""
    statuses = Answer.objects.filter(assessment_id=assessment_id).values_list("status", flat=True)
    status = derived_status(statuses)
    unfinished = Assessment.objects.filter(pk=assessment_id, finalized_run__lt=F("run"))
    unfinished.exclude(status=status).update(status=status)


def heartbeat(claim: Claim) -> Heartbeat:
    """Signs of life for a claim, in a `with` block."""
    return Heartbeat(f"answer-{claim.answer_id}", partial(beat, claim))
