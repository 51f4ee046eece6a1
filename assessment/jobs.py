"""The work on an answer and on an assessment as jobs: idempotent, by primary key, resumed by the sweep when
lost.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from assessment import claims, retention, work_queue
from assessment.claims import Claim
from assessment.heartbeats import Heartbeat
from assessment.interruption import ClaimLost, WorkInterrupted, interruptible
from assessment.models import Answer, Assessment, ResultsDocument
from assessment.work_queue import QueueAway, Ticket
from mlcore.errors import AnalysisError

logger = logging.getLogger(__name__)

Watch = Callable[[Answer, str, float], None]
"""Told of progress: the answer, the stage (or ``download``), the share done, 0..1."""

BACKOFF_S = 5.0
"""Before the second attempt; four times as long before each further one. *Assumption.*"""
LIMIT_BASE_S = 900
LIMIT_PER_MEDIA_S = 10
"""A job may take this long in all, per second of media, before it is broken off. *Assumption*, far above
DESIGN §7.
"""
FINALIZE_AFTER_S = 60.0
"""The sweep leaves a just finished assessment to the worker that finished it for so long."""
FINALIZE_AGAIN_AFTER_S = 300.0
"""After so long a worker that took the job for it has died: building takes a language model's minute at most."""
GIVE_UP_FINALIZING_AFTER_S = 3600.0
POLL_S = 0.5


def _log_failure(what: str, error: BaseException) -> None:
    """The place of a failure without its message, which may quote what a candidate said."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed with %s at\n%s", what, type(error).__name__, frames)


# -- Enqueueing -------------------------------------------------------------------------------


def _limit_s(answer: Answer) -> int:
    duration_s = answer.media_info.get("duration_s") or settings.MAX_DURATION_S
    return int(LIMIT_BASE_S + LIMIT_PER_MEDIA_S * duration_s)


def _ticket(answer: Answer) -> Ticket:
    run = answer.assessment.run
    return Ticket(
        job_id=f"answer-{answer.pk}-{run}-{answer.attempts}",
        function="assessment.jobs.process_answer",
        arguments=(answer.pk, run),
        limit_s=_limit_s(answer),
    )


def _offer(answer: Answer) -> None:
    if work_queue.offer([_ticket(answer)]):
        Answer.objects.filter(pk=answer.pk, status=Answer.Status.QUEUED).update(enqueued_at=timezone.now())


def enqueue(answer: Answer) -> None:
    """Have a queued answer processed, once the surrounding transaction is committed.

    The row is the truth, the queue a hint: when the queue is away, the sweep enqueues later. Answers of a
    command are processed by that command and are never enqueued.
    """
    if answer.assessment.source != Assessment.Source.COMMAND:
        transaction.on_commit(partial(_offer, answer))


def enqueue_finalize(assessment: Assessment) -> None:
    """For an assessment none of whose answers can be processed; after the commit, as above."""
    transaction.on_commit(partial(_offer_finalize, assessment))


def _finalize_ticket(assessment: Assessment) -> Ticket:
    return Ticket(
        job_id=f"finalize-{assessment.pk}-{assessment.run}",
        function="assessment.jobs.finalize",
        arguments=(assessment.pk, assessment.run),
    )


def _offer_finalize(assessment: Assessment) -> None:
    work_queue.offer([_finalize_ticket(assessment)])


# -- One answer -------------------------------------------------------------------------------


def _run_stages(claim: Claim, heartbeat: Heartbeat, watch: Watch | None) -> None:
    from assessment import intake, pipeline

    answer = Answer.objects.select_related("assessment").get(pk=claim.answer_id)

    def on_progress(stage: str, share: float) -> None:
        heartbeat.check()
        if watch:
            watch(answer, stage, share)

    if answer.source_url and not answer.media:
        claims.set_status(claim, Answer.Status.DOWNLOADING)
        intake.fetch_media(answer, partial(on_progress, "download"))
        claims.set_status(claim, Answer.Status.PROCESSING)
    pipeline.run_answer(answer, attempt=claim.attempt, on_progress=on_progress)


def _settle_failure(claim: Claim, code: str, message: str, *, permanent: bool) -> None:
    if permanent or claim.attempt >= settings.MAX_ATTEMPTS:
        claims.fail(claim, code, message)
        return
    pause_s = BACKOFF_S * 4 ** (claim.attempt - 1)
    logger.warning("Answer %s: %s; tried again in %.0f s.", claim.answer_id, code, pause_s)
    claims.retry_at(claim, timezone.now() + timedelta(seconds=pause_s))


def _drop_stale_connections() -> None:
    """What Django does around requests; a worker lives for weeks, its database may have been restarted."""
    if not connection.in_atomic_block:
        close_old_connections()


def _give_back(claim: Claim) -> None:
    if not connection.in_atomic_block:
        connection.close()  # the signal may have come in the middle of a conversation with the database
    claims.give_back(claim)


def _work(claim: Claim, watch: Watch | None) -> None:
    with claims.heartbeat(claim) as heartbeat:
        try:
            with interruptible():
                _run_stages(claim, heartbeat, watch)
            claims.complete(claim)
        except ClaimLost:
            logger.warning("Answer %s was taken over by another worker; stopped here.", claim.answer_id)
        except WorkInterrupted:
            logger.info("Answer %s is given back: this worker was told to stop.", claim.answer_id)
            _give_back(claim)
        except AnalysisError as error:
            _settle_failure(claim, error.code, error.message, permanent=error.permanent)
        except JobTimeoutException:
            _settle_failure(
                claim, "time_limit", "The analysis took too long and was broken off.", permanent=False
            )
        except Exception as error:  # noqa: BLE001 - a defect must end as a failed attempt, never as a dead worker
            _log_failure(f"Answer {claim.answer_id}", error)
            message = "An internal error; the administrators find it in the log."
            _settle_failure(claim, "internal_error", message, permanent=False)


def process_answer(answer_id: int, run: int) -> None:
    """The job: do the work on one answer unless somebody has done it or is doing it.

    Afterwards the answer is completed, failed, or queued again; whoever ends the last answer finalizes.
    """
    _drop_stale_connections()
    claim = claims.take(answer_id, run)
    if claim is None:
        logger.info("Answer %s: nothing to do.", answer_id)
        return
    _work(claim, None)
    _finalize_if_done(claim.assessment_id, run)
    _drop_stale_connections()


# -- The whole assessment ---------------------------------------------------------------------


def _unfinished(assessment_id: int) -> QuerySet[Answer]:
    return Answer.objects.filter(assessment_id=assessment_id).exclude(status__in=Answer.TERMINAL)


def _finalize_if_done(assessment_id: int, run: int) -> None:
    if _unfinished(assessment_id).exists():
        return
    try:
        with interruptible():
            finalize(assessment_id, run)
    except WorkInterrupted:
        logger.info("Assessment %s is left to the sweep: this worker was told to stop.", assessment_id)


def finalize(assessment_id: int, run: int) -> bool:
    """Build and store the results document, once for each run; True for the caller that did.

    The document is built before the claim and outside of the transaction, since building may wait for a
    language model: whoever dies meanwhile leaves nothing behind, and of two who build, one stores.
    """
    assessment = Assessment.objects.filter(pk=assessment_id, run=run, finalized_run__lt=run).first()
    if assessment is None or _unfinished(assessment_id).exists():
        return False
    try:
        from assessment import results

        document = results.build_document(assessment)
    except Exception as error:  # noqa: BLE001 - the sweep tries again, and gives up after an hour
        _log_failure(f"Results of assessment {assessment_id}", error)
        return False
    if not _store(assessment, run, document):
        return False
    retention.apply_to_finished(assessment)
    return True


def _store(assessment: Assessment, run: int, document: dict) -> bool:
    succeeded = assessment.answers.filter(status=Answer.Status.COMPLETED).exists()
    with transaction.atomic():
        now = timezone.now()
        claimed = Assessment.objects.filter(pk=assessment.pk, run=run, finalized_run__lt=run).update(
            finalized_run=run,
            status=Assessment.Status.COMPLETED if succeeded else Assessment.Status.ERROR,
            completed_at=now,
            erase_media_at=now,  # retention postpones it, unless we die in between
        )
        if not claimed:
            return False
        ResultsDocument.objects.update_or_create(
            assessment_id=assessment.pk, defaults={"run": run, "document": document}
        )
    assessment.refresh_from_db()
    return True


def rerun(assessment: Assessment, *, every: bool = False) -> int:
    """Start a new run of a finished assessment over its failed answers (or over every one whose media is
    still there).

    Returns the number of answers queued again; 0 when the assessment is not finished or nothing can be run
    again.
    """
    repeatable = ~Q(media="") | ~Q(source_url="")
    chosen = assessment.answers.filter(repeatable, status__in=Answer.TERMINAL)
    if not every:
        chosen = chosen.filter(status=Answer.Status.ERROR)
    with transaction.atomic():
        answers = list(chosen)
        if not answers or not _begin_run(assessment):
            return 0
        chosen.filter(pk__in=[answer.pk for answer in answers]).update(
            status=Answer.Status.QUEUED,
            attempts=0,
            error_code="",
            error_message="",
            started_at=None,
            finished_at=None,
            not_before=None,
            enqueued_at=None,
        )
        for answer in assessment.answers.filter(pk__in=[answer.pk for answer in answers]):
            enqueue(answer)
    return len(answers)


def _begin_run(assessment: Assessment) -> bool:
    begun = Assessment.objects.filter(pk=assessment.pk, run=assessment.run, finalized_run=F("run")).update(
        run=F("run") + 1, status=Assessment.Status.QUEUED, completed_at=None, erase_media_at=None
    )
    assessment.refresh_from_db()
    return bool(begun)


def process_inline(assessment: Assessment, on_progress: Watch) -> None:
    """Process every answer and finalize in this process and thread, without a queue; for `manage.py assess`.

    Afterwards all answers are completed or failed. Attempts and pauses are those of the jobs.
    """
    run = assessment.run
    while pending := _unfinished(assessment.pk).order_by("order", "pk").first():
        claim = claims.take(pending.pk, run)
        if claim is None:
            time.sleep(POLL_S)
            continue
        _work(claim, on_progress)
    finalize(assessment.pk, run)
    assessment.refresh_from_db()


# -- What was lost ----------------------------------------------------------------------------

Sweeper = Callable[[], int]
"""Brings back what another app's work lost; how many things. May be called at any time."""
_sweepers: list[Sweeper] = []


def register_sweeper(sweeper: Sweeper) -> Sweeper:
    """Have `sweeper` called by each `sweep`; usable as a decorator, once an app (in its `ready`)."""
    if sweeper not in _sweepers:
        _sweepers.append(sweeper)
    return sweeper


def _sweep_others() -> int:
    count = 0
    for sweeper in _sweepers:
        try:
            count += sweeper()
        except Exception as error:  # noqa: BLE001 - one app's defect must not keep the rest from being swept
            _log_failure("A sweep", error)
    return count


@dataclass(frozen=True)
class SweepReport:
    """How many answers were taken from silent workers (`requeued`, or `failed` for good), how many jobs had
    got lost and were `enqueued` again, and for how many assessments
    the forgotten results were asked for (`finalized`). `others`: what the registered sweepers brought back.
    """

    requeued: int = 0
    failed: int = 0
    enqueued: int = 0
    finalized: int = 0
    queue_away: bool = False
    others: int = 0

    def __str__(self) -> str:
        line = (
            f"{self.requeued} requeued, {self.failed} failed, {self.enqueued} enqueued again, "
            f"{self.finalized} finalized"
        )
        line += f", {self.others} of other work" if self.others else ""
        return f"{line}; the queue is away" if self.queue_away else line

    def __bool__(self) -> bool:
        return any((self.requeued, self.failed, self.enqueued, self.finalized, self.others))


def _commanded(cutoff_s: float) -> Combinable | Q:
    """Answers of a command that still runs: it has no job, its sign of life is the heartbeat of a sibling."""
    cutoff = timezone.now() - timedelta(seconds=cutoff_s)
    siblings = Answer.objects.filter(assessment=OuterRef("assessment"), heartbeat_at__gte=cutoff)
    young = Q(assessment__created_at__gte=cutoff)
    return Q(assessment__source=Assessment.Source.COMMAND) & (young | Exists(siblings))


def enqueue_lost() -> int:
    """Enqueue the queued answers whose job is not in the queue (it was away, or was restarted and forgot).

    Raises:
        QueueAway: nothing is enqueued.
    """
    now = timezone.now()
    old = now - timedelta(seconds=settings.STALLED_AFTER_S)
    due = Answer.objects.filter(status=Answer.Status.QUEUED).exclude(not_before__gt=now)
    due = due.exclude(_commanded(settings.STALLED_AFTER_S)).select_related("assessment")
    answers = {_ticket(answer): answer for answer in due.order_by("pk")}
    stale = frozenset(
        ticket.job_id
        for ticket, answer in answers.items()
        if answer.enqueued_at is None or answer.enqueued_at < old
    )
    added = work_queue.push_lost(answers, also_if_started=stale)
    Answer.objects.filter(pk__in=[answers[ticket].pk for ticket in added]).update(enqueued_at=timezone.now())
    return len(added)


def _finalize_forgotten() -> int:
    """Have the results built whose worker died over them, by a worker: building needs the analysis in memory, which the
    process that sweeps does without, unless the queue is away."""
    unfinished = Answer.objects.filter(assessment=OuterRef("pk")).exclude(status__in=Answer.TERMINAL)
    now = timezone.now()
    forgotten = list(
        Assessment.objects.filter(~Exists(unfinished), finalized_run__lt=F("run"), answers__isnull=False)
        .annotate(ended_at=Coalesce(Max("answers__finished_at"), F("created_at")))
        .filter(ended_at__lt=now - timedelta(seconds=FINALIZE_AFTER_S))
    )
    hopeless = [
        one for one in forgotten if now - one.ended_at > timedelta(seconds=GIVE_UP_FINALIZING_AFTER_S)
    ]
    for assessment in hopeless:
        if not finalize(assessment.pk, assessment.run):
            _give_up_finalizing(assessment)
    young = [one for one in forgotten if one not in hopeless]
    stale = [one for one in young if now - one.ended_at > timedelta(seconds=FINALIZE_AGAIN_AFTER_S)]
    try:
        again = frozenset(_finalize_ticket(one).job_id for one in stale)
        return len(work_queue.push_lost([_finalize_ticket(one) for one in young], also_if_started=again))
    except QueueAway:
        return sum(finalize(one.pk, one.run) for one in young)


def _give_up_finalizing(assessment: Assessment) -> None:
    now = timezone.now()
    keep_until = now + timedelta(days=settings.FAILED_RETENTION_DAYS)
    given_up = Assessment.objects.filter(
        pk=assessment.pk, run=assessment.run, finalized_run__lt=F("run")
    ).update(
        finalized_run=F("run"), status=Assessment.Status.ERROR, completed_at=now, erase_media_at=keep_until
    )
    if given_up:
        logger.error("Assessment %s: its results could not be built for an hour; given up.", assessment.pk)


def sweep() -> SweepReport:
    """Bring back what was lost: answers of dead workers, jobs that the queue forgot, assessments left
    unfinalized.
    """
    released = claims.release_stalled()
    enqueued, away = 0, False
    try:
        enqueued = enqueue_lost()
    except QueueAway:
        away = True
    return SweepReport(
        requeued=len(released.requeued),
        failed=len(released.failed),
        enqueued=enqueued,
        finalized=_finalize_forgotten(),
        queue_away=away,
        others=_sweep_others(),
    )


def release_claims(worker_name: str) -> int:
    """Take back, at once, what a worker that is known to be dead held; the number of its answers."""
    released = claims.release_worker(worker_name)
    for answer in Answer.objects.filter(pk__in=released.requeued).select_related("assessment"):
        _offer(answer)
    for assessment in Assessment.objects.filter(pk__in=released.assessments if released.failed else ()):
        _offer_finalize(assessment)
    return len(released.requeued) + len(released.failed)
