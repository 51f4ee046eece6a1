"""What the sockets read and write in the database. All of it runs in a thread (`rooms.sockets.in_database`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from assessment.policy import Policy
from rooms import access, consent, lifecycle, links, recording
from rooms.models import Note, Participant, QuestionMark, Room
from rooms.sockets import ANONYMOUS, NOT_ALLOWED, Visitor
from rooms.turn import ice_servers

Role, State = Participant.Role, Participant.State

Message = dict[str, Any]


def touch(place: Participant) -> datetime:
    """Note that the place's socket is alive; the time that was written."""
    now = timezone.now()
    Participant.objects.filter(pk=place.pk).update(seen_at=now)
    return now


def seen_since(place: Participant, last: datetime | None) -> bool:
    """Whether another socket than the one that wrote `last` has come for this place."""
    return not Participant.objects.filter(pk=place.pk, seen_at=last).exists()


def in_room(room: Room, name: str) -> bool:
    """Whether somebody of this name is in the room, and the room is not over."""
    running = Room.objects.filter(pk=room.pk).exclude(status=Room.Status.ENDED).exists()
    return running and lifecycle.in_room(room, name) is not None


@dataclass(frozen=True)
class Look:
    """How room and place stand. `barred`: the close code for an interviewer who may not stay, 0 for all others.
    `link_admits`: as `links.admits`."""

    status: str
    admitted_at: datetime | None
    state: str
    barred: int
    link_admits: bool = True


def look(visitor: Visitor) -> Look | None:
    """None where the place is gone."""
    place = Participant.objects.select_related("room").filter(pk=visitor.place.pk).first()
    if place is None:
        return None
    room = place.room
    return Look(room.status, room.admitted_at, place.state, _barred(visitor, room), links.admits(room, place))


def _barred(visitor: Visitor, room: Room) -> int:
    """Asked again and again, since a socket outlives the session or token that opened it."""
    if visitor.user is None or visitor.signed_in is None:
        return 0
    user = visitor.signed_in()
    if user is None or user.pk != visitor.user.pk:
        return ANONYMOUS
    return 0 if access.sits_in(user, room) else NOT_ALLOWED


# -- Welcome ----------------------------------------------------------------------------------


def welcome(visitor: Visitor) -> Message:
    """What both sides get; reads room and place anew."""
    room, place = visitor.room, visitor.place
    room.refresh_from_db()
    place.refresh_from_db()
    return {
        "type": "welcome",
        "you": place.peer,
        "role": visitor.role,
        "name": place.name,
        "state": place.state,
        "status": room.status,
        "t": round(room.seconds_at(), 3),
        "ice_servers": ice_servers(place) if place.state == State.ADMITTED else [],
    }


def candidate_welcome(visitor: Visitor) -> Message:
    return {**welcome(visitor), "consent": consent_of(visitor.place)}


def consent_of(place: Participant) -> dict[str, bool]:
    agreed = consent.granted(place)
    return {scope.value: getattr(agreed, scope.value) for scope in consent.Scope}


def note_visit(visitor: Visitor) -> None:
    """An audit line for an interviewer who comes to watch: what is measured is a result of another person. Not for each
    socket of a line that breaks: only after nobody was there for a while."""
    seen_at = visitor.place.seen_at
    if seen_at is None or seen_at < timezone.now() - access.ANOTHER_VISIT:
        access.record("room.watch", visitor.room, visitor.user)


def interviewer_welcome(visitor: Visitor) -> Message:
    room = visitor.room
    policy = Policy.from_snapshot(room.policy)
    mark = QuestionMark.objects.filter(room=room).order_by("pk").last()
    return {
        **welcome(visitor),
        "questions": room.questions,
        "question": mark.number if mark is not None else None,
        "analysis": _without_type(analysis_status(room)),
        "recording": _without_type(recording_status(room)),
        "waiting": waiting(room),
        "notes": [note_message(note) for note in Note.objects.filter(room=room).select_related("author")],
        "policy": {"emotion_inference": policy.emotion_inference, "reason": policy.reason},
    }


def _without_type(message: Message) -> Message:
    return {name: value for name, value in message.items() if name != "type"}


def waiting(room: Room) -> list[Message]:
    """Who knocks, of those whose socket showed life lately."""
    return [knock_of(place) for place in lifecycle.waiting(room)]


def knock_of(place: Participant) -> Message:
    others = Participant.objects.filter(room_id=place.room_id, role=Role.CANDIDATE, state=State.ADMITTED)
    return {"peer": place.peer, "name": place.name, "again": others.exclude(pk=place.pk).exists()}


def not_let_in(peer: str) -> Message:
    return {"type": "knock-ended", "peer": peer, "admitted": False}


def knock_ended(room: Room, peer: str) -> Message | None:
    """That this browser of the candidate does not knock any more, and whether it was let in; None while it knocks."""
    place = Participant.objects.select_related("room").filter(room=room, uuid=peer).first()
    if place is None or place.state not in (State.WAITING, State.ADMITTED):
        return not_let_in(peer)
    if place.state == State.WAITING:
        return None
    return {**not_let_in(peer), "admitted": True, "t": round(place.room.seconds_at(), 3)}


def knock_again(place: Participant) -> Message | None:
    """The knock of who waits right now; None where they do not."""
    waits = Participant.objects.filter(pk=place.pk, state=State.WAITING).first()
    return {"type": "knock", **knock_of(waits)} if waits is not None else None


def left_message(room: Room, peer: str) -> Message:
    """Of a candidate's browser that is not in any more."""
    put_out = Participant.objects.filter(room=room, uuid=peer, state=State.PUT_OUT).exists()
    return {"type": "peer-left", "peer": peer, "reason": "put_out" if put_out else "left"}


def candidate_of(room: Room) -> Participant | None:
    """The candidate who is in."""
    return Participant.objects.filter(room=room, role=Role.CANDIDATE, state=State.ADMITTED).first()


def analysis_status(room: Room) -> Message:
    """As far as consent, place and policy tell; never why it is off."""
    return analysis_status_of(may_analyse(room, candidate_of(room)))


def may_analyse(room: Room, place: Participant | None) -> consent.MayAnalyse:
    """Of the candidate who is in, if there is one."""
    return consent.may_analyse(room, place) if place is not None else consent.NOT_HERE


def analysis_status_of(may: consent.MayAnalyse) -> Message:
    return {
        "type": "analysis-status",
        "state": "on" if may.anything else "off",
        "face": may.face,
        "voice": may.voice,
        "emotion": may.emotion and may.anything,
        "dropped": 0,
        "latency_ms": None,
    }


def recording_status(room: Room) -> Message:
    """For interviewers, who need not know of segments."""
    return {name: value for name, value in recording_for_candidate(room).items() if name != "segment"}


def recording_for_candidate(room: Room) -> Message:
    return {"type": "recording-status", **recording.status(room)}


# -- What interviewers write ------------------------------------------------------------------


def mark_question(visitor: Visitor, number: int) -> QuestionMark:
    room = visitor.room
    room.refresh_from_db(fields=["admitted_at", "status"])
    with transaction.atomic():
        mark = QuestionMark.objects.create(room=room, number=number, t_s=room.seconds_at())
        access.record("room.question", room, visitor.user, number=number)
    return mark


def question_message(mark: QuestionMark) -> Message:
    return {"type": "question", "number": mark.number, "t": round(mark.t_s, 3)}


def add_note(visitor: Visitor, text: str, t_s: float | None) -> Message:
    room = visitor.room
    room.refresh_from_db(fields=["admitted_at", "status"])
    now_s = room.seconds_at()
    with transaction.atomic():
        note = Note.objects.create(
            room=room, author=visitor.user, text=text, t_s=now_s if t_s is None else min(t_s, now_s)
        )
        access.record("room.note", room, visitor.user, note=note.pk)
    return {"type": "note", **note_message(note)}


def note_message(note: Note) -> Message:
    author = note.author
    name = "" if author is None else author.get_full_name() or author.get_username()
    return {"id": note.pk, "t": round(note.t_s, 3), "text": note.text, "author": name}
