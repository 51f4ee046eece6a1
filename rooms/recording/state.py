"""Whether a room is recorded now, and by whose leave."""

from __future__ import annotations

import re
import uuid
from functools import partial
from typing import TypedDict

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from rooms import consent
from rooms.models import Chunk, Consent, Participant, QuestionMark, Recording, Room, Segment
from rooms.recording import files

State = Recording.State

MAX_SEGMENTS = 500
"""A room's recorder starts so often at most: at each question and reload. Assumption, far above an interview."""
TOLD_LATE_S = 2.0
"""What comes sooner after it began is dated by its coming. Assumption: the browser's own idea of the room's time is
wrong by as long as the welcome took to it."""
_TYPES = re.compile(r"(video|audio)/(webm|mp4)(\s*;\s*codecs\s*=\s*[\w.,\"' \-]{0,60})?", re.IGNORECASE)
"""What browsers' recorders make: WebM in Chromium and Firefox, MP4 in Safari."""


class Status(TypedDict):
    """Of the message `recording-status`. `segment`: question marks so far; the recorder starts anew when it grows."""

    active: bool
    wanted: bool
    segment: int


def known_type(content_type: str) -> bool:
    return len(content_type) <= 100 and _TYPES.fullmatch(content_type.strip()) is not None


def parse_key(key: object) -> uuid.UUID | None:
    """A segment's name as a browser chose it; None for what is none."""
    try:
        return uuid.UUID(str(key))
    except ValueError:
        return None


def status(room: Room) -> Status:
    """What the people in the room are told of the recording."""
    admitted = Participant.objects.filter(
        room=room, role=Participant.Role.CANDIDATE, state=Participant.State.ADMITTED
    ).first()
    return Status(
        active=admitted is not None and runs(room, consent.may_analyse(room, admitted)),
        wanted=room.recording_wanted,
        segment=QuestionMark.objects.filter(room=room).count(),
    )


def runs(room: Room, may: consent.MayAnalyse) -> bool:
    """Whether the browser that is in, which `may` is about, is recorded right now."""
    return may.recording and Recording.objects.filter(room=room, state=State.ACTIVE).exists()


def started(
    room: Room, place: Participant, key: object, content_type: str, begun_s: float | None = None
) -> bool:
    """The browser's recorder began a segment (again: nothing changes). False where it may not: no consent, not the
    browser that is in, not a type that is taken, too many segments."""
    name = parse_key(key)
    if name is None or not known_type(content_type) or place.room_id != room.pk:
        return False
    with transaction.atomic():
        recording = Recording.objects.select_for_update().filter(room=room).first()
        if recording is None or recording.state not in (State.INITIATED, State.ACTIVE):
            return False
        # With the row held, so that a withdrawal comes before or after it, never between.
        if not consent.may_analyse(room, place).recording:
            return False
        return begin(recording, name, content_type, begun_s) is not None


def begin(
    recording: Recording, name: uuid.UUID, content_type: str, begun_s: float | None = None
) -> Segment | None:
    """The segment of this name, made where there is none yet; None where there are too many. Within a transaction that
    holds the recording's row. `begun_s`: when it began, as the browser has it; counts where word of it comes late."""
    started_s = recording.room.seconds_at()
    if begun_s is not None and begun_s < started_s - TOLD_LATE_S:
        started_s = begun_s
    known = Segment.objects.filter(recording=recording, key=name).first()
    if known is not None:
        if started_s < known.started_s - TOLD_LATE_S:
            known.started_s = started_s
            known.save(update_fields=["started_s"])
        return known
    if Segment.objects.filter(recording=recording).count() >= MAX_SEGMENTS:
        return None
    Recording.objects.filter(pk=recording.pk, state=State.INITIATED).update(state=State.ACTIVE)
    return Segment.objects.create(
        recording=recording,
        key=name,
        content_type=content_type.strip(),
        started_s=started_s,
    )


def stopped_segment(room: Room, place: Participant, key: object) -> bool:
    """The browser's recorder ended a segment; what it holds still comes. Whether nothing is recorded any more."""
    segments = Segment.objects.filter(recording__room=room)
    name = parse_key(key)
    own = segments.filter(key=name).first() if name is not None else None
    if own is None or place.room_id != room.pk:
        return False
    # By when they began; those of which word came within `TOLD_LATE_S` stand that much too late, at most.
    after = Q(started_s__gt=own.started_s + TOLD_LATE_S)
    after |= Q(pk__gt=own.pk, started_s__gte=own.started_s - TOLD_LATE_S)
    if segments.filter(after).exists():
        return False
    return bool(
        Recording.objects.filter(room=room, state=State.ACTIVE).update(state=State.INITIATED),
    )


def begun_anew(room: Room) -> None:
    """Another browser, or the same one after it had left, is let in: it has yet to say that it records. In the
    transaction that admits it."""
    Recording.objects.filter(room=room, state=State.ACTIVE).update(state=State.INITIATED)


def stop(room: Room) -> None:
    """The interview is over: what the browser still holds may come for a while, then the job takes over. In the
    transaction that ends the room."""
    from rooms import jobs

    stopped = Recording.objects.filter(room=room, state__in=(State.INITIATED, State.ACTIVE)).update(
        state=State.STOPPED, stopped_at=timezone.now()
    )
    if stopped:
        jobs.enqueue(room)


def agreed(room: Room) -> consent.Granted:
    """What the candidate agreed to last, in whichever browser they were let in with."""
    last: dict[str, bool] = dict(
        Consent.objects.filter(participant__room=room, participant__admitted_at__isnull=False)
        .order_by("pk")
        .values_list("scope", "granted")
    )
    return consent.Granted(**{scope.value: last.get(scope.value, False) for scope in Consent.Scope})


def withdrawn(room: Room) -> int:
    """Consent to recording was taken back: what was recorded is erased, and nothing more is taken; how many chunks
    there were. While the interview goes on they may agree again, and are recorded from then on.

    The rows go within the transaction; the files, which nothing names any more, as soon as it is committed."""
    with transaction.atomic():
        rows = Recording.objects.filter(room=room)
        rows.select_for_update().first()  # a chunk that is being booked is there before what follows, or not at all
        rows.filter(state=State.ACTIVE).update(state=State.INITIATED)
        rows.filter(state__in=(State.STOPPED, State.PROCESSING, State.FAILED)).update(
            state=State.ERASED, attempts=F("attempts") + 1
        )
        names = _files_of(room)
        Segment.objects.filter(recording__room=room).delete()
        transaction.on_commit(partial(files.remove_soon, names))
    return len(names)


def erase(room: Room) -> int:
    """Erase all chunks of a room's recording, files first; how many there were. Outside of transactions.

    Raises OSError, StorageAway; may be called again."""
    chunks = list(Chunk.objects.filter(segment__recording__room=room).values_list("pk", "file"))
    files.remove([name for _pk, name in chunks])
    Chunk.objects.filter(pk__in=[pk for pk, _name in chunks]).delete()
    return len(chunks)


def erase_for_good(room: Room) -> int:
    """As `erase`, for a room that is erased too: nothing more is taken, and what was never booked goes as well."""
    Recording.objects.filter(room=room).exclude(state=State.HANDED_OVER).update(
        state=State.ERASED, attempts=F("attempts") + 1
    )
    count = erase(room)
    files.remove(files.of_room(room.room_id))
    files.prune_room(room.room_id)
    return count


def _files_of(room: Room) -> list[str]:
    return list(Chunk.objects.filter(segment__recording__room=room).values_list("file", flat=True))
