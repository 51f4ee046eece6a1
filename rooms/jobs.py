"""The work on a finished recording as a job: claimed by one UPDATE, safe to run twice, found again by the sweep."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from assessment import work_queue
from assessment.errors import RequestError
from assessment.heartbeats import Heartbeat
from assessment.interruption import ClaimLost, WorkInterrupted, interruptible
from assessment.jobs import register_sweeper
from assessment.models import Assessment, AuditEntry
from assessment.work_queue import QueueAway, Ticket
from mlcore.errors import AnalysisError
from rooms.models import Chunk, Recording, Room, Segment
from rooms.recording.limits import LATE_S

logger = logging.getLogger(__name__)

State = Recording.State

SETTLE_S = 5.0
"""After the end at least so long, since the last segment may not have begun to arrive. Assumption."""
WAIT_S = 60.0
"""So long where nothing says that something is missing, or that it still comes. Assumption."""
LIMIT_S = 1800
"""Assumption: more than preparing four hours of recording takes."""
PAUSE_S = 10.0
"""Between two attempts. Assumption."""


def enqueue(room: Room) -> None:
    """Have the room's recording prepared, once the surrounding transaction is committed. The row is the truth: what is
    not ready then, or finds no queue, the sweep brings in."""
    transaction.on_commit(partial(_offer, room.pk))


def _offer(room_pk: int) -> None:
    work_queue.offer([_ticket(room_pk)])


def _ticket(room_pk: int) -> Ticket:
    return Ticket(f"recording-{room_pk}", "rooms.jobs.hand_over", (room_pk,), LIMIT_S)


def ready(recording: Recording) -> bool:
    """Whether all has come that will come."""
    if recording.state != State.STOPPED:
        return False
    now = timezone.now()
    if recording.claimed_at is not None and now - recording.claimed_at < timedelta(seconds=PAUSE_S):
        return False
    waited_s = (now - (recording.stopped_at or recording.created_at)).total_seconds()
    return waited_s >= LATE_S or waited_s >= _expected_s(recording, now)


def _expected_s(recording: Recording, now: datetime) -> float:
    """How long after the end something may come yet. A browser that died before its last segment was whole may be
    started again, and has the rest (`LATE_S`: then nothing is taken any more). Earlier segments that are not whole are
    those of a browser that could keep nothing, unless chunks come right now."""
    segments = Segment.objects.filter(recording=recording).order_by("started_s", "pk")
    last = segments.last()
    if last is None:
        return WAIT_S
    if not last.ended:
        return LATE_S
    if not segments.filter(ended=False).exists():
        return SETTLE_S
    lately = Chunk.objects.filter(
        segment__recording=recording, created_at__gte=now - timedelta(seconds=WAIT_S)
    )
    return LATE_S if lately.exists() else WAIT_S


# -- The claim ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """The right to prepare a recording, as long as its row says so. `attempt` is nobody else's."""

    recording_id: int
    room_id: int
    attempt: int

    def change(self, **values: object) -> bool:
        """False where the claim is lost: taken over, withdrawn, or erased."""
        row = Recording.objects.filter(pk=self.recording_id, state=State.PROCESSING, attempts=self.attempt)
        return bool(row.update(**values))

    def beat(self) -> bool:
        return self.change(claimed_at=timezone.now())


def take(room_pk: int) -> Claim | None:
    """Claim a recording that is ready; None where there is nothing to do."""
    recording = Recording.objects.filter(room_id=room_pk).first()
    if recording is None or not ready(recording):
        return None
    taken = Recording.objects.filter(
        pk=recording.pk, state=State.STOPPED, attempts=recording.attempts
    ).update(state=State.PROCESSING, attempts=F("attempts") + 1, claimed_at=timezone.now())
    return Claim(recording.pk, room_pk, recording.attempts + 1) if taken else None


# -- The job ------------------------------------------------------------------------------------


def hand_over(room_pk: int) -> None:
    """The job: prepare the recording and hand it to the assessment, unless it is not ready, or somebody has it.

    Afterwards it is handed over, erased (consent was taken back), failed, or stopped again for another attempt."""
    _drop_stale_connections()
    claim = take(room_pk)
    if claim is None:
        logger.info("Recording of room %s: nothing to do.", room_pk)
        return
    _work(claim)
    _drop_stale_connections()


def _drop_stale_connections() -> None:
    if not connection.in_atomic_block:
        close_old_connections()


def _work(claim: Claim) -> None:
    with Heartbeat(f"recording-{claim.room_id}", claim.beat) as heartbeat:
        try:
            with interruptible():
                _prepare(claim, heartbeat)
        except ClaimLost:
            logger.warning("The recording of room %s is no longer this worker's.", claim.room_id)
        except WorkInterrupted:
            logger.info("The recording of room %s is given back.", claim.room_id)
            _give_back(claim)
        except AnalysisError as error:
            _settle(claim, error.code, error.message, permanent=error.permanent)
        except RequestError as error:  # of the intake
            _settle(claim, error.code, error.message, permanent=error.status < 500)
        except JobTimeoutException:
            _settle(claim, "time_limit", "Preparing the recording took too long.", permanent=False)
        except Exception as error:  # noqa: BLE001 - a defect must end as a failed attempt, never as a dead worker
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error(
                "The recording of room %s failed with %s at\n%s", claim.room_id, type(error).__name__, frames
            )
            _settle(claim, "internal_error", "An internal error; it was logged.", permanent=False)


def _prepare(claim: Claim, heartbeat: Heartbeat) -> None:
    from rooms import recording
    from rooms.recording import handing_over, state

    room = Room.objects.select_related("candidate", "owner").get(pk=claim.room_id)
    agreed = state.agreed(room)
    if Chunk.objects.filter(segment__recording=claim.recording_id).exists() and not agreed.recording:
        recording.withdrawn(room)
        return

    def within(assessment: Assessment) -> None:
        if not claim.change(state=State.HANDED_OVER, error_code="", error_message=""):
            raise ClaimLost
        Room.objects.filter(pk=room.pk).update(assessment=assessment)
        AuditEntry.write("room.hand_over", f"room:{room.room_id}", None, assessment=assessment.session_id)

    handing_over.prepare_and_create(room, agreed, within, heartbeat.check)
    recording.erase(room)


def _give_back(claim: Claim) -> None:
    if not connection.in_atomic_block:
        connection.close()  # the signal may have come in the middle of a conversation with the database
    claim.change(state=State.STOPPED, attempts=F("attempts") - 1, claimed_at=None)


def _settle(claim: Claim, code: str, message: str, *, permanent: bool) -> None:
    last = permanent or claim.attempt >= settings.MAX_ATTEMPTS
    logger.warning("The recording of room %s: %s%s.", claim.room_id, code, "" if last else ", tried again")
    claim.change(
        state=State.FAILED if last else State.STOPPED,
        error_code=code[:40],
        error_message=message,
        claimed_at=timezone.now(),
    )


# -- What was lost ------------------------------------------------------------------------------


@register_sweeper
def sweep() -> int:
    """Take recordings back from silent workers, have those prepared that are ready, and erase the chunks of those that
    were handed over by a worker that died over erasing them; how many there were."""
    count = _release_stalled()
    stopped = Recording.objects.filter(state=State.STOPPED).order_by("pk")
    due = [_ticket(one.room_id) for one in stopped if ready(one)]
    try:
        # A job that a worker took and died with is known to the queue still: the claim tells who has it.
        count += len(work_queue.push_lost(due, also_if_started=frozenset(one.job_id for one in due)))
    except QueueAway:
        logger.debug("%d recordings wait for the queue.", len(due))
    return count + _erase_handed_over()


def _release_stalled() -> int:
    silent_since = timezone.now() - timedelta(seconds=settings.STALLED_AFTER_S)
    stalled = Recording.objects.filter(
        Q(claimed_at__lt=silent_since) | Q(claimed_at=None), state=State.PROCESSING
    )
    given_up = stalled.filter(attempts__gte=settings.MAX_ATTEMPTS).update(
        state=State.FAILED,
        error_code="worker_lost",
        error_message="Preparing the recording broke off repeatedly.",
    )
    return given_up + stalled.update(state=State.STOPPED)


def _erase_handed_over() -> int:
    from rooms import recording

    settled = timezone.now() - timedelta(seconds=settings.STALLED_AFTER_S)
    left = Chunk.objects.filter(
        segment__recording__state=State.HANDED_OVER, segment__recording__claimed_at__lt=settled
    ).values("segment__recording__room")
    return sum(bool(recording.erase(room)) for room in Room.objects.filter(pk__in=left))
