"""Taking in what the candidate's browser recorded: each chunk once, only while they agree to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from assessment.errors import RequestError, is_disk_full, storage_full
from rooms import consent
from rooms.models import Chunk, Participant, Recording, Room, Segment
from rooms.recording import state
from rooms.recording.limits import MAX_CHUNK_BYTES
from rooms.recording.state import State

MAX_SEQUENCE = 1_000_000
__all__ = ["MAX_CHUNK_BYTES", "MAX_SEQUENCE", "Address", "Received", "check", "finish", "receive"]

RECORDINGS_PER_ROOM = 4
"""A room's chunks together may be so many times ``MAX_UPLOAD_MB``, and come for so many times ``MAX_DURATION_S``: with
the defaults 2 GB and four hours. Assumption, three times what an hour at 1 Mbit/s has."""


@dataclass(frozen=True)
class Address:
    """Where a chunk belongs, from the request's path."""

    room: Room
    key: uuid.UUID
    sequence: int


@dataclass(frozen=True)
class Received:
    """What of the segment is there. `begun`: the recording was not told to run before this chunk came."""

    sequences: tuple[int, ...]
    begun: bool = False


def _not_agreed() -> RequestError:
    return RequestError("not_allowed", _("There is no consent to recording."), 403)


def _over() -> RequestError:
    return RequestError("recording_over", _("The recording is over; nothing more is taken."), 409)


def _full() -> RequestError:
    return RequestError("recording_full", _("The recording is longer than this server takes."), 413)


def check(room: Room, place: Participant, key: uuid.UUID) -> None:
    """Before anything of the body is read. Raises RequestError (403, 409, 413)."""
    if not consent.granted(place).recording or not room.recording_wanted:
        raise _not_agreed()
    recording = Recording.objects.filter(room=room).first()
    if recording is None:
        raise _not_agreed()
    _check_open(recording, place, key)
    if room.seconds_at() > RECORDINGS_PER_ROOM * settings.MAX_DURATION_S + state.LATE_S:
        raise _full()


def _check_open(recording: Recording, place: Participant, key: uuid.UUID) -> None:
    """While the interview goes on, from the browser that is in; what is left of a segment that was begun, also from
    one that has left, for `state.LATE_S` after its last sign of life; after the end, for as long."""
    late_since = timezone.now() - timedelta(seconds=state.LATE_S)
    if recording.state == State.STOPPED:
        if (recording.stopped_at or timezone.now()) < late_since:
            raise _over()
    elif recording.state not in (State.INITIATED, State.ACTIVE):
        raise _over()
    if Participant.objects.filter(pk=place.pk, state=Participant.State.ADMITTED).exists():
        return
    was_in = (
        Participant.objects.annotate(last=Coalesce("seen_at", "admitted_at"))
        .filter(pk=place.pk, admitted_at__isnull=False, last__gte=late_since)
        .exclude(state=Participant.State.REFUSED)
    )
    if not (was_in.exists() and Segment.objects.filter(recording=recording, key=key).exists()):
        raise _not_agreed()


def receive(address: Address, place: Participant, content_type: str, content: bytes) -> Received:
    """Store a chunk. The same chunk again is fine, another in its place is not.

    Raises RequestError (400 invalid_request, 403 not_allowed, 409 recording_over or other_content, 413 recording_full,
    415 unknown_type, 507 storage_full)."""
    _check_form(address, content_type, content)
    check(address.room, place, address.key)
    known = _stored(address)
    if known is not None:
        _check_same(known, content)
        return Received(_sequences(known.segment))
    try:
        return _store(address, place, content_type, content)
    except IntegrityError:  # the same chunk, sent twice at the same moment
        known = _stored(address)
        if known is None:
            raise
        _check_same(known, content)
        return Received(_sequences(known.segment))
    except (OSError, OperationalError) as error:
        if not is_disk_full(error):
            raise
        raise storage_full() from error


def _check_form(address: Address, content_type: str, content: bytes) -> None:
    if not state.known_type(content_type):
        raise RequestError("unknown_type", "A chunk is video/webm, video/mp4, audio/webm or audio/mp4.", 415)
    if not content or not 0 <= address.sequence <= MAX_SEQUENCE:
        raise RequestError("invalid_request", "A chunk has content, and a number up to a million.")


def _stored(address: Address) -> Chunk | None:
    return (
        Chunk.objects.select_related("segment")
        .filter(segment__recording__room=address.room, segment__key=address.key, sequence=address.sequence)
        .first()
    )


def _check_same(chunk: Chunk, content: bytes) -> None:
    if chunk.size_bytes == len(content):
        with chunk.file.open("rb") as file:
            if file.read() == content:
                return
    raise RequestError("other_content", "Another chunk is in this place already.", 409)


def _store(address: Address, place: Participant, content_type: str, content: bytes) -> Received:
    """File and row; with the recording's row held, so that a withdrawal comes before or after it, never between."""
    chunk: Chunk | None = None
    try:
        with transaction.atomic():
            recording = Recording.objects.select_for_update().get(room=address.room)
            if not consent.granted(place).recording:
                raise _not_agreed()
            _check_open(recording, place, address.key)
            _check_room_for(recording, len(content))
            segment = state.begin(recording, address.key, content_type)
            if segment is None:
                raise _full()
            chunk = Chunk(segment=segment, sequence=address.sequence, size_bytes=len(content))
            chunk.file.save("chunk", ContentFile(content), save=False)
            chunk.save()
    except BaseException:
        if chunk is not None and chunk.file.name:
            chunk.file.storage.delete(chunk.file.name)
        raise
    begun = recording.state == State.INITIATED and address.sequence == 0
    return Received(_sequences(segment), begun)


def _check_room_for(recording: Recording, size_bytes: int) -> None:
    stored = Chunk.objects.filter(segment__recording=recording).aggregate(bytes=Sum("size_bytes"))["bytes"]
    if (stored or 0) + size_bytes > RECORDINGS_PER_ROOM * settings.MAX_UPLOAD_MB * 1024 * 1024:
        raise _full()


def _sequences(segment: Segment) -> tuple[int, ...]:
    return tuple(Chunk.objects.filter(segment=segment).values_list("sequence", flat=True))


def finish(room: Room, place: Participant, key: uuid.UUID, chunks: int) -> tuple[Received, bool]:
    """The browser says that a segment has so many chunks; whether all of them are here. Raises RequestError."""
    from rooms import jobs

    check(room, place, key)
    segment = Segment.objects.filter(recording__room=room, key=key).first()
    if segment is None:
        return Received(()), chunks == 0
    received = Received(_sequences(segment))
    whole = received.sequences == tuple(range(chunks))
    if whole:
        Segment.objects.filter(pk=segment.pk).update(ended=True)
        if Recording.objects.filter(room=room, state=State.STOPPED).exists():
            jobs.enqueue(room)
    return received, whole
