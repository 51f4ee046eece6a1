"""What the candidate agreed to, and what follows when they take it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import transaction

from assessment.models import AuditEntry
from assessment.policy import Policy
from rooms import bounds
from rooms.consent_texts import ConsentText, current
from rooms.models import Alert, Consent, Participant, Reading, Room

Scope = Consent.Scope
ANALYSIS = (Scope.FACE, Scope.VOICE)


@dataclass(frozen=True)
class Granted:
    """What a candidate agrees to now."""

    call: bool = False
    recording: bool = False
    face: bool = False
    voice: bool = False


NOTHING = Granted()


def granted(participant: Participant) -> Granted:
    """The last answer to each scope; without one: no."""
    last: dict[str, bool] = dict(
        Consent.objects.filter(participant=participant).order_by("pk").values_list("scope", "granted")
    )
    return Granted(**{scope.value: last.get(scope.value, False) for scope in Scope})


def answer(
    participant: Participant, answers: Mapping[Scope, bool], text: ConsentText | None = None
) -> Granted:
    """Store answers, each with version and hash of the text that was read, and delete at once what is no longer
    agreed to; gives what is agreed to now. Nothing is deleted for who was never let in: there is nothing of theirs.
    After `bounds.MAX_ANSWERS` only what is taken back is stored."""
    text = text or current(participant.room, participant.language)
    with transaction.atomic():
        place = Participant.objects.select_for_update().get(pk=participant.pk)  # what is stored holds it, too
        before = granted(participant)
        if Consent.objects.filter(participant=participant).count() >= bounds.MAX_ANSWERS:
            answers = {scope: no for scope, no in answers.items() if not no and getattr(before, scope.value)}
            if not answers:
                return before
        Consent.objects.bulk_create(
            Consent(
                participant=participant,
                scope=scope,
                granted=given,
                text_version=text.version,
                text_hash=text.digest,
                language=text.language,
            )
            for scope, given in answers.items()
        )
        now = granted(participant)
        if place.admitted_at is not None:
            _delete_withdrawn(participant.room, before, now)
        AuditEntry.write(
            "room.consent",
            f"room:{participant.room.room_id}",
            None,
            **{scope.value: given for scope, given in answers.items()},
        )
    return now


def _delete_withdrawn(room: Room, before: Granted, now: Granted) -> None:
    from rooms import recording

    if (before.face and not now.face) or (before.voice and not now.voice):
        _delete_readings(room, face=not now.face, voice=not now.voice)
    if before.recording and not now.recording:
        recording.withdrawn(room)


def _delete_readings(room: Room, *, face: bool, voice: bool) -> None:
    """Everything that a withdrawn part took part in."""
    for model in (Reading, Alert):
        if face:
            model.objects.filter(room=room, from_face=True).delete()
        if voice:
            model.objects.filter(room=room, from_voice=True).delete()


@dataclass(frozen=True)
class MayAnalyse:
    """What may be done with the candidate's media right now. `emotion`: stress and candidate confidence too."""

    face: bool
    voice: bool
    emotion: bool
    recording: bool = False
    withdrawals: int = 0
    """How often face or voice analysis was taken back: giving it again does not bring back what was made before."""
    here: bool = field(default=True, compare=False)
    """Whether this browser is the one that is in, and the room live. Who let another in, or ended it, says so."""

    @property
    def anything(self) -> bool:
        return self.face or self.voice


NO_ANALYSIS = MayAnalyse(False, False, False)
NOT_HERE = MayAnalyse(False, False, False, here=False)


def may_analyse(room: Room, participant: Participant) -> MayAnalyse:
    """Read from the database in one query, since each room asks more than once a second: consent, place and policy.
    Nothing outside of a live room or for a browser that is not the one that was let in."""
    answers = list(
        Consent.objects.filter(
            participant=participant.pk,
            participant__state=Participant.State.ADMITTED,
            participant__room=room.pk,
            participant__room__status=Room.Status.LIVE,
        )
        .order_by("pk")
        .values_list("scope", "granted")
    )
    if not answers:
        return NOT_HERE
    last = dict(answers)
    return MayAnalyse(
        face=last.get(Scope.FACE, False),
        voice=last.get(Scope.VOICE, False),
        emotion=Policy.from_snapshot(room.policy).emotion_inference,
        recording=last.get(Scope.RECORDING, False) and room.recording_wanted,
        withdrawals=sum(scope in ANALYSIS and not given for scope, given in answers),
    )
