"""What rooms hold of people: erased with the candidate, and when its time has come (docs/operations.md, Retention)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _

from assessment import retention
from assessment.models import AuditEntry, Candidate
from rooms import lifecycle, recording
from rooms.models import Participant, Recording, Room
from rooms.recording import leftovers

logger = logging.getLogger(__name__)

SEEN_WITHIN = timedelta(hours=1)
"""Assumption: a live room in which nobody was for so long was left without pressing End."""
ABANDONED_AFTER = timedelta(days=1)
"""Assumption: no interview goes on for a day, or is taken up again after one."""
WORK_TAKES = timedelta(days=1)
"""Assumption: no recording is prepared for longer; one that was claimed earlier was given up."""


# -- With the candidate -----------------------------------------------------------------------


@retention.register_guard
def refuse_while_in_use(candidate: Candidate) -> None:
    """Raises ErasureRefused during an interview, and while its recording is being prepared."""
    rooms = Room.objects.filter(candidate=candidate)
    if rooms.filter(status=Room.Status.LIVE).exists():
        raise retention.ErasureRefused(
            _("An interview with this person is live. End it first, then try again.")
        )
    if rooms.filter(recording__state=Recording.State.PROCESSING).exists():
        raise retention.ErasureRefused(
            _("The recording of an interview is being prepared right now. Try again when that has ended.")
        )


@retention.register_eraser
def erase_rooms(candidate: Candidate) -> dict[str, int]:
    """Rooms with everything in them; recordings' chunks go first, as files do everywhere."""
    rooms = list(Room.objects.filter(candidate=candidate))
    chunks = sum(_erase_room(room) for room in rooms)
    return {"rooms": len(rooms), "recording_chunks": chunks}


def _erase_room(room: Room) -> int:
    """The room, and how many chunks of recording it had."""
    chunks = recording.erase_for_good(room)
    room.delete()
    return chunks


# -- When its time has come -------------------------------------------------------------------


@retention.register_purger
def purge(now: datetime) -> dict[str, int]:
    """Rooms whose time has come, recordings that nobody took over, files that nothing names."""
    _end_abandoned(now)
    chunks = _erase_forgotten_recordings(now)
    rooms, more_chunks = _erase_expired_rooms(now)
    return {
        "rooms": rooms,
        "recording_chunks": chunks + more_chunks,
        "leftover_chunks": leftovers.erase(now),
    }


def _end_abandoned(now: datetime) -> None:
    """End the interviews that everybody left a day ago without ending them, so that what follows can follow."""
    seen = Participant.objects.filter(seen_at__gt=now - ABANDONED_AFTER).values("room_id")
    left = Room.objects.filter(status=Room.Status.LIVE, admitted_at__lte=now - ABANDONED_AFTER)
    for room in left.exclude(pk__in=seen):
        lifecycle.end(room, None)
        logger.info("Room %s was left without an end; it is ended now.", room.pk)


def _in_use(room: Room, now: datetime) -> bool:
    if room.status != Room.Status.LIVE:
        return Recording.objects.filter(
            room=room, state=Recording.State.PROCESSING, claimed_at__gt=now - WORK_TAKES
        ).exists()
    return Participant.objects.filter(room=room, seen_at__gt=now - SEEN_WITHIN).exists()


def _erase_expired_rooms(now: datetime) -> tuple[int, int]:
    """How many rooms and chunks; each room with its candidate, where nothing else refers to them."""
    rooms = chunks = 0
    for room in Room.objects.filter(erase_at__lte=now).select_related("candidate"):
        if _in_use(room, now):
            logger.info("Room %s is in use; it is erased later.", room.pk)
            continue
        subject, candidate, erased = f"room:{room.room_id}", room.candidate, _erase_room(room)
        AuditEntry.write("room_erased", subject, recording_chunks=erased)
        rooms, chunks = rooms + 1, chunks + erased
        if retention.unused(candidate):
            retention.erase_candidate(candidate)
    return rooms, chunks


def _erase_forgotten_recordings(now: datetime) -> int:
    """Chunks of interviews that ended ``FAILED_RETENTION_DAYS`` ago and were never handed over, or are still there
    after they were."""
    states = Recording.State
    given_up = Q(state=states.PROCESSING) & (Q(claimed_at=None) | Q(claimed_at__lte=now - WORK_TAKES))
    ended_before = now - timedelta(days=settings.FAILED_RETENTION_DAYS)
    due = Recording.objects.filter(room__ended_at__lte=ended_before).exclude(state=states.ERASED)
    erased = 0
    for one in due.filter(~Q(state=states.PROCESSING) | given_up).select_related("room"):
        chunks = recording.erase(one.room)
        if one.state != states.HANDED_OVER:
            Recording.objects.filter(pk=one.pk, state=one.state).update(state=states.ERASED)
        if chunks:
            AuditEntry.write("recording_erased", f"room:{one.room.room_id}", chunks=chunks)
        erased += chunks
    return erased
