"""From knocking to the end: every change of a room's and a participant's state, each by a conditional UPDATE."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from assessment import policy
from assessment.errors import RequestError
from assessment.models import Assessment, Candidate
from rooms import access, bounds, consent, links
from rooms.consent_texts import current
from rooms.models import Consent, Participant, Recording, Room

State, Status = Participant.State, Room.Status
_PEER = re.compile(r"[0-9a-f]{32}")
_NOBODY = uuid.UUID(int=0)


@dataclass(frozen=True)
class NewRoom:
    """What a form or a program asked for, checked (see `rooms.hand_in`)."""

    title: str
    candidate_name: str
    candidate_email: str = ""
    country: str = ""
    language: str = Assessment.Language.AUTO.value
    questions: tuple[str, ...] = ()
    recording: bool = False
    planned_at: datetime | None = None
    panel: tuple[User, ...] = ()


def create_room(wanted: NewRoom, owner: User) -> Room:
    """A scheduled room with its candidate, its policy as of now, and a link that is valid for ``LINK_DAYS``."""
    opens_until = links.new_expiry(wanted.planned_at)
    with transaction.atomic():
        candidate = Candidate.objects.create(name=wanted.candidate_name, email=wanted.candidate_email)
        room = Room.objects.create(
            title=wanted.title,
            candidate=candidate,
            owner=owner,
            country=wanted.country,
            language=wanted.language,
            questions=list(wanted.questions),
            recording_wanted=wanted.recording,
            planned_at=wanted.planned_at,
            policy=policy.decide(wanted.country).snapshot(),
            link_expires_at=opens_until,
            erase_at=links.kept_until(opens_until),
        )
        room.panel.set(wanted.panel)
        if wanted.recording:
            Recording.objects.create(room=room)
        access.record("room.create", room, owner, recording=wanted.recording, country=wanted.country)
    return room


# -- The candidate ----------------------------------------------------------------------------


def enter(
    room: Room, answers: Mapping[Consent.Scope, bool], language: str, key: str | None
) -> tuple[Participant, str]:
    """The candidate's place for the browser with `key` (None: a new one), with its answers to the consent page; and
    the key that it is to keep. A browser that was put out or refused, or left, knocks anew.

    Raises RequestError('room_ended', and 'link_used_up' where the link gave a place to too many browsers)."""
    if room.ended:
        raise links.refusal("room_ended")
    with transaction.atomic():
        place = links.candidate_with(room, key)
        if place is None or key is None:
            place, key = _new_place(room, language)
        else:
            Participant.objects.filter(pk=place.pk).update(language=language, link_serial=room.link_serial)
            Participant.objects.filter(
                pk=place.pk, state__in=(State.PUT_OUT, State.REFUSED, State.LEFT)
            ).update(state=State.INVITED)
            place.refresh_from_db()
        consent.answer(place, answers, current(room, language))
    return place, key


def _new_place(room: Room, language: str) -> tuple[Participant, str]:
    """In a transaction. Raises RequestError('link_used_up')."""
    _one_at_a_time(room.pk)  # two at once do not both get the last place
    if links.used_up(room):
        raise links.refusal("link_used_up")
    key, digest = links.new_key()
    place = Participant.objects.create(
        room=room,
        role=Participant.Role.CANDIDATE,
        name=room.candidate.name,
        key_digest=digest,
        link_serial=room.link_serial,
        language=language,
    )
    return place, key


def _one_at_a_time(room_pk: int) -> Room:
    """The room, held by this transaction; not against rows that name it, such as readings, whose transaction may hold
    a place that this one needs. Raises Room.DoesNotExist."""
    return Room.objects.select_for_update(no_key=True).get(pk=room_pk)


def knock(place: Participant) -> bool:
    """The candidate's socket is there and waits. False where they need not (they are in, or wait already) or must not
    (the room is over, the link was withdrawn or replaced, or too many wait: then the place is left `INVITED`)."""
    with transaction.atomic():
        room = _one_at_a_time(place.room_id)
        knocking = Participant.objects.filter(
            pk=place.pk,
            link_serial=room.link_serial,
            room__link_revoked_at=None,
            state__in=(State.INVITED, State.LEFT),
            room__status__in=(Status.SCHEDULED, Status.LOBBY, Status.LIVE),
        )
        full = waiting(place.room).exclude(pk=place.pk).count() >= bounds.MAX_WAITING
        changed = knocking.update(state=State.INVITED if full else State.WAITING)
        if full or not changed:
            return False
        Room.objects.filter(pk=place.room_id, status=Status.SCHEDULED).update(status=Status.LOBBY)
    return True


def waiting(room: Room) -> QuerySet[Participant]:
    """Who knocks, of those whose socket showed life lately."""
    return Participant.objects.filter(
        room=room,
        role=Participant.Role.CANDIDATE,
        state=State.WAITING,
        seen_at__gte=timezone.now() - bounds.KNOCK_LIVES,
    )


@dataclass(frozen=True)
class Admission:
    """Who is in now, and which other browsers of the candidate lost their place by it."""

    admitted: Participant
    put_out: tuple[Participant, ...]


def admit(room: Room, name: object, actor: User | None = None) -> Admission:
    """Let the waiting candidate with this peer name in; whoever held the place is put out.

    Raises RequestError('not_waiting', 'room_ended')."""
    from rooms import recording

    try:
        with transaction.atomic():
            _one_at_a_time(room.pk)
            waiting = Participant.objects.filter(
                room=room, role=Participant.Role.CANDIDATE, uuid=_uuid(name), state=State.WAITING
            ).first()
            if waiting is None:
                raise RequestError("not_waiting", "Nobody of this name waits any more.", 409)
            before = list(Participant.objects.filter(room=room, role=waiting.role, state=State.ADMITTED))
            Participant.objects.filter(pk__in=[one.pk for one in before]).update(state=State.PUT_OUT)
            now = timezone.now()
            live = Room.objects.filter(
                pk=room.pk, status__in=(Status.SCHEDULED, Status.LOBBY, Status.LIVE)
            ).update(status=Status.LIVE)
            if not live:
                raise links.refusal("room_ended")
            Room.objects.filter(pk=room.pk, admitted_at=None).update(admitted_at=now)
            Participant.objects.filter(pk=waiting.pk).update(state=State.ADMITTED, admitted_at=now)
            recording.begun_anew(room)
            access.record("room.admit", room, actor, participant=waiting.pk)
    except IntegrityError as error:
        raise RequestError("not_waiting", "Somebody else was let in at the same moment.", 409) from error
    waiting.refresh_from_db()
    room.refresh_from_db()
    return Admission(waiting, tuple(before))


def refuse(room: Room, name: object, actor: User | None = None) -> Participant | None:
    """Do not let the waiting candidate with this peer name in; None where nobody of that name waits."""
    with transaction.atomic():
        place = Participant.objects.filter(room=room, uuid=_uuid(name), state=State.WAITING).first()
        if place is None:
            return None
        if not Participant.objects.filter(pk=place.pk, state=State.WAITING).update(state=State.REFUSED):
            return None
        access.record("room.refuse", room, actor, participant=place.pk)
    return place


def leave(place: Participant) -> None:
    """The candidate pressed Leave: they may come back, by knocking again."""
    Participant.objects.filter(pk=place.pk, state__in=(State.WAITING, State.ADMITTED)).update(
        state=State.LEFT
    )


def forget_knock(place: Participant) -> None:
    """The waiting candidate's last socket closed."""
    Participant.objects.filter(pk=place.pk, state=State.WAITING).update(state=State.INVITED)


# -- The interviewers -------------------------------------------------------------------------


def seat(room: Room, user: User) -> Participant:
    """The place of an owner or panel member; the same one each time."""
    place, _made = Participant.objects.get_or_create(
        room=room,
        user=user,
        defaults={
            "role": Participant.Role.INTERVIEWER,
            "state": State.ADMITTED,
            "name": user.get_full_name() or user.get_username(),
        },
    )
    return place


def end(room: Room, actor: User | None) -> bool:
    """End the interview for everyone; False where it had ended already. What follows (the recording, the summary)
    starts after commit; telling the sockets is the caller's (`rooms.messages.tell_end`)."""
    from rooms import recording

    now = timezone.now()
    with transaction.atomic():
        ended = (
            Room.objects.exclude(status=Status.ENDED)
            .filter(pk=room.pk)
            .update(status=Status.ENDED, ended_at=now, erase_at=links.kept_until(now))
        )
        if ended:
            access.record("room.end", room, actor)
            recording.stop(room)
    room.refresh_from_db()
    return bool(ended)


def in_room(room: Room, name: object) -> Participant | None:
    """The admitted participant of `room` with this peer name, if there is one."""
    return Participant.objects.filter(room=room, uuid=_uuid(name), state=State.ADMITTED).first()


def _uuid(name: object) -> uuid.UUID:
    """A peer name as it came from a browser; the nil UUID, which nobody has, for what is none."""
    if not isinstance(name, str) or not _PEER.fullmatch(name):
        return _NOBODY
    return uuid.UUID(hex=name)
