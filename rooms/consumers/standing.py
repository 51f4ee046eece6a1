"""What an interviewer's page shows of the room, beside how the room is. Messages may be lost with the relay, and of two
that come from different processes the older may arrive last: each look of the socket finds what is left standing wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from rooms import lifecycle, recording
from rooms.consent import MayAnalyse
from rooms.consumers import records
from rooms.models import Note, Participant, QuestionMark, Room

Message = dict[str, Any]

SILENT_AFTER_S = 12.0
"""An analysis says how it stands every 5 s; one that was not heard of for longer than twice that is gone.
*Assumption*."""
_MEASURED = frozenset({"stress_analysis", "speech_metrics", "real_time_alert"})


@dataclass
class Shown:
    """What the page was told last; see `note`."""

    state: str = ""
    parts: tuple[bool, ...] = (False, False, False)
    said_s: float = 0.0
    recording: tuple[bool, bool] = (False, False)
    question: int | None = None
    waiting: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    """Of those who wait, whom a look found before word of them came."""
    notes: set[int] = field(default_factory=set)
    candidates: set[str] = field(default_factory=set)
    """The candidate's browsers that are on the page as somebody in the call: one, unless word of its end was lost."""

    def note(self, message: Message) -> bool:
        """Before the page is told. False for what it is not to be told: what was measured before a withdrawal and comes
        after word of it, and word of somebody whom a look found just before."""
        kind = message["type"]
        if kind in _MEASURED:
            return any(self.parts)
        if kind == "knock" and message["peer"] in self.found:
            self.found.discard(message["peer"])
            return False
        taker = getattr(self, f"_{kind.replace('-', '_')}", None)
        if taker is not None:
            taker(message)
        return True

    def _welcome(self, message: Message) -> None:
        self._analysis_status(message["analysis"])
        self._recording_status(message["recording"])
        self.question = message["question"]
        self.waiting = {one["peer"] for one in message["waiting"]}
        self.notes = {one["id"] for one in message["notes"]}

    def _analysis_status(self, message: Message) -> None:
        self.state, self.parts, self.said_s = message["state"], _parts(message), time.monotonic()

    def _recording_status(self, message: Message) -> None:
        self.recording = message["active"], message["wanted"]

    def _question(self, message: Message) -> None:
        self.question = message["number"]

    def _knock(self, message: Message) -> None:
        self.waiting.add(message["peer"])

    def _knock_ended(self, message: Message) -> None:
        self.waiting.discard(message["peer"])
        self.found.discard(message["peer"])

    def _note(self, message: Message) -> None:
        self.notes.add(message["id"])

    def _peer_joined(self, message: Message) -> None:
        if message["role"] == Participant.Role.CANDIDATE:
            self.candidates.add(message["peer"])

    def _peer_here(self, message: Message) -> None:
        self._peer_joined({**message, "peer": message["from"]})

    def _peer_left(self, message: Message) -> None:
        if message["reason"] != "lost":  # a page keeps who is lost for as long as the line between them holds
            self.candidates.discard(message["peer"])


def _parts(status: Message) -> tuple[bool, ...]:
    return status["face"], status["voice"], status["emotion"]


# -- How it is ----------------------------------------------------------------------------------


def differences(room: Room, shown: Shown) -> list[Message]:
    """In a database thread, with few queries, as every page asks every 5 s: what is to be told so that it shows the
    room as it is."""
    place = records.candidate_of(room)
    may = records.may_analyse(room, place)
    return [
        *_analysis(may, shown),
        *_recording(room, may, shown),
        *_question(room, shown),
        *_waiting(room, shown),
        *_notes(room, shown),
        *_candidates(room, place, shown),
    ]


def _analysis(may: MayAnalyse, shown: Shown) -> list[Message]:
    """Only what consent, place and policy tell is known here; whether media comes, the analysis says itself."""
    now = records.analysis_status_of(may)
    if _parts(now) != shown.parts:
        return [now]
    silent = time.monotonic() - shown.said_s >= SILENT_AFTER_S
    return [{**now, "state": "paused"}] if silent and shown.state in ("on", "delayed") else []


def _recording(room: Room, may: MayAnalyse, shown: Shown) -> list[Message]:
    active, wanted = recording.runs(room, may), room.recording_wanted
    if (active, wanted) == shown.recording:
        return []
    return [{"type": "recording-status", "active": active, "wanted": wanted}]


def _question(room: Room, shown: Shown) -> list[Message]:
    mark = QuestionMark.objects.filter(room=room).order_by("pk").last()
    if mark is None or mark.number == shown.question:
        return []
    return [records.question_message(mark)]


def _waiting(room: Room, shown: Shown) -> list[Message]:
    now = {place.peer: place for place in lifecycle.waiting(room)}
    new = [{"type": "knock", **records.knock_of(now[peer])} for peer in now.keys() - shown.waiting]
    over = shown.waiting - now.keys()
    return [*new, *(records.knock_ended(room, peer) or records.not_let_in(peer) for peer in over)]


def _notes(room: Room, shown: Shown) -> list[Message]:
    there = set(Note.objects.filter(room=room).values_list("pk", flat=True))
    if there <= shown.notes:
        return []
    missed = Note.objects.filter(pk__in=there - shown.notes).select_related("author")
    return [{"type": "note", **records.note_message(note)} for note in missed]


def _candidates(room: Room, place: Participant | None, shown: Shown) -> list[Message]:
    """Who left or was put out hangs on the page as if their line were to come back."""
    gone = shown.candidates - ({place.peer} if place is not None else set())
    return [records.left_message(room, peer) for peer in gone]
