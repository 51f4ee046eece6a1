"""Taking in what the candidate's browser recorded: each chunk once, only while they agree to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from assessment.errors import RequestError, is_disk_full, storage_full
from rooms import consent
from rooms.models import Chunk, Participant, Recording, Room, Segment
from rooms.recording import files, state
from rooms.recording.limits import LATE_S, MAX_CHUNK_BYTES
from rooms.recording.state import State

MAX_SEQUENCE = 1_000_000
__all__ = ["MAX_CHUNK_BYTES", "MAX_SEQUENCE", "Address", "Received", "check", "finish", "receive"]

RECORDINGS_PER_ROOM = 4
"""A room's chunks together may be so many times ``MAX_UPLOAD_MB``, and come for so many times ``MAX_DURATION_S``: with
the defaults 2 GB and four hours. Assumption, three times what an hour at 1 Mbit/s has."""
MAX_CHUNKS = 20_000
"""In a room. Browsers make one in 2 s, which is 7200 in four hours."""
BURST_CHUNKS = 500
BURST_S = 10.0
"""No more chunks of a room in so many seconds. Assumption: after an outage of a quarter of an hour a browser sends 450,
one after another."""


@dataclass(frozen=True)
class Address:
    """Where a chunk belongs, from the request's path. `begun_s`: when its segment began, as the browser has it."""

    room: Room
    key: uuid.UUID
    sequence: int
    begun_s: float | None = None


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


def _too_fast() -> RequestError:
    return RequestError("too_fast", _("This is faster than anybody records. Wait a moment and go on."), 429)


def _away() -> RequestError:
    return RequestError("storage_away", _("The server cannot store anything right now. Send it again."), 503)


def check(room: Room, place: Participant, key: uuid.UUID) -> None:
    """Before anything of the body is read. Raises RequestError (403, 409, 413)."""
    if not consent.granted(place).recording or not room.recording_wanted:
        raise _not_agreed()
    recording = Recording.objects.filter(room=room).first()
    if recording is None:
        raise _not_agreed()
    _check_open(recording, place, key)
    _check_capacity(recording)
    if room.seconds_at() > RECORDINGS_PER_ROOM * settings.MAX_DURATION_S + LATE_S:
        raise _full()


def _check_open(recording: Recording, place: Participant, key: uuid.UUID) -> None:
    """While the interview goes on, from the browser that is in; what is left of a segment that was begun, also from
    one that has left, for `LATE_S` after its last sign of life; after the end, for as long."""
    late_since = timezone.now() - timedelta(seconds=LATE_S)
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
    415 unknown_type, 429 too_fast, 503 storage_away, 507 storage_full)."""
    _check_form(address, content_type, content)
    check(address.room, place, address.key)
    try:
        known = _stored(address)
        if known is None:
            try:
                return _store(address, place, content_type, content)
            except IntegrityError:  # the same chunk, sent twice at the same moment
                known = _stored(address)
                if known is None:
                    raise
        _check_same(known, content)
        return Received(_sequences(known.segment))
    except files.StorageAway as error:
        raise _away() from error
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
    if chunk.size_bytes != len(content) or not files.same(chunk.file.name or "", content):
        raise RequestError("other_content", "Another chunk is in this place already.", 409)


def _store(address: Address, place: Participant, content_type: str, content: bytes) -> Received:
    """The file first, which may take its time, under a name of its own; then the row, in a short transaction that
    looks at everything again. A chunk without its row is nobody's, and goes."""
    name = files.write(address.room.room_id, address.key, address.sequence, content)
    try:
        return _book(address, place, content_type, name, len(content))
    except BaseException:
        _drop(address, name)
        raise


def _book(address: Address, place: Participant, content_type: str, name: str, size_bytes: int) -> Received:
    """With the recording's row held, so that a withdrawal comes before or after it, never between."""
    with transaction.atomic():
        recording = Recording.objects.select_for_update().filter(room=address.room).first()
        if recording is None or not consent.granted(place).recording:
            raise _not_agreed()
        _check_open(recording, place, address.key)
        _check_capacity(recording, size_bytes)
        segment = state.begin(recording, address.key, content_type, address.begun_s)
        if segment is None:
            raise _full()
        Chunk.objects.create(segment=segment, sequence=address.sequence, size_bytes=size_bytes, file=name)
    begun = recording.state == State.INITIATED and address.sequence == 0
    return Received(_sequences(segment), begun)


def _drop(address: Address, name: str) -> None:
    """Unless it is booked after all: a connection that breaks over the commit does not say. Where even that cannot be
    asked, `leftovers` finds the file later."""
    try:
        booked = Chunk.objects.filter(
            segment__recording__room=address.room, segment__key=address.key, file=name
        ).exists()
    except DatabaseError:
        return
    if not booked:
        files.remove_soon([name])


def _check_capacity(recording: Recording, size_bytes: int = 0) -> None:
    """Whether `size_bytes` more may come now. Raises RequestError (413, 429)."""
    since = timezone.now() - timedelta(seconds=BURST_S)
    here = Chunk.objects.filter(segment__recording=recording).aggregate(
        bytes=Sum("size_bytes"), chunks=Count("pk"), lately=Count("pk", filter=Q(created_at__gte=since))
    )
    most_bytes = RECORDINGS_PER_ROOM * settings.MAX_UPLOAD_MB * 1024 * 1024
    if here["chunks"] >= MAX_CHUNKS or (here["bytes"] or 0) + size_bytes > most_bytes:
        raise _full()
    if here["lately"] >= BURST_CHUNKS:
        raise _too_fast()


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
    here = len(received.sequences)  # may be more: a closing page sent a chunk that it had not kept yet
    whole = here >= chunks and received.sequences == tuple(range(here))
    if whole:
        Segment.objects.filter(pk=segment.pk).update(ended=True)
        if Recording.objects.filter(room=room, state=State.STOPPED).exists():
            jobs.enqueue(room)
    return received, whole
