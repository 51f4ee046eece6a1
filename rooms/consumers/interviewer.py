"""An interviewer's signalling socket: the call, the lobby, and everything of the panel."""

from __future__ import annotations

from contextlib import suppress

from django.db import Error as DatabaseError

from rooms import access, groups, lifecycle, messages, signals
from rooms.consumers import records, standing
from rooms.consumers.common import RoomConsumer
from rooms.consumers.transport import Message, refusal
from rooms.models import Participant
from rooms.sockets import Visitor, in_database


class InterviewerConsumer(RoomConsumer):
    accepts = {**signals.EVERYONE, **signals.INTERVIEWER}

    def __init__(self, visitor: Visitor) -> None:
        super().__init__(visitor)
        self.shown = standing.Shown()

    def first_groups(self) -> tuple[str, ...]:
        return *super().first_groups(), groups.panel(self.room)

    def arrive(self) -> Message:
        records.note_visit(self.visitor)
        return records.interviewer_welcome(self.visitor)

    async def tell(self, message: Message) -> None:
        if self.shown.note(message):
            await super().tell(message)

    async def look_at(self, now: records.Look) -> None:
        """What the relay lost, or brought in another order than it happened, does not stay on the page."""
        with suppress(DatabaseError):  # then at the next look
            for message in await in_database(standing.differences, self.room, self.shown):
                await self.tell(message)
                if message["type"] == "knock":
                    self.shown.found.add(message["peer"])

    async def panel_message(self, event: Message) -> None:
        message = event["message"]
        if message["type"] == "knock-ended" and message.get("admitted"):
            self.forget_standings()
            await self.refresh()
        await self.pass_on(message)

    # -- The lobby ------------------------------------------------------------------------------

    async def on_admit(self, signal: signals.AboutPeer) -> None:
        admission = await in_database(lifecycle.admit, self.room, signal.peer, self.visitor.user)
        self.forget_standings()
        for other in admission.put_out:
            await self._put_out(other)
        t = round(self.room.seconds_at(), 3)
        await messages.to_peer(self.room, signal.peer, {"type": "admitted", "t": t})
        await self._say_stored({"type": "knock-ended", "peer": signal.peer, "admitted": True, "t": t})
        if admission.put_out:
            await self.tell_how_it_stands()

    async def _put_out(self, other: Participant) -> None:
        """Another browser of the candidate lost its place."""
        await messages.to_analysis(self.room, {"type": "put-out", "peer": other.peer})
        await messages.to_peer(self.room, other.peer, {"type": "put-out"})
        await messages.to_everyone(self.room, messages.put_out(other.peer))

    async def on_refuse(self, signal: signals.AboutPeer) -> None:
        refused = await in_database(lifecycle.refuse, self.room, signal.peer, self.visitor.user)
        if refused is None:
            raise refusal("not_waiting")
        await messages.to_peer(self.room, signal.peer, {"type": "refused"})
        await self._say_stored(records.not_let_in(signal.peer))

    # -- The interview --------------------------------------------------------------------------

    async def on_question(self, signal: signals.NextQuestion) -> None:
        if self.room.questions and signal.number >= len(self.room.questions):
            raise signals.NotUnderstood("question")
        await self.must_be_in(joined=False)
        self.may_store()
        mark = await in_database(records.mark_question, self.visitor, signal.number)
        await self._say_stored(records.question_message(mark))
        await self._cut_recording()

    async def _say_stored(self, message: Message) -> None:
        """To the panel; where the relay is away to this page alone, and the others find it at their next look. It is
        stored already: an error would have it sent, and stored, again."""
        if not await messages.to_panel(self.room, message):
            await self.tell(message)

    async def _cut_recording(self) -> None:
        """Where the relay is away, the candidate's socket finds it out at its next look."""
        status = await in_database(records.recording_for_candidate, self.room)
        candidate = await in_database(records.candidate_of, self.room)
        if status["active"] and candidate is not None:
            await messages.to_peer(self.room, candidate.peer, status)

    async def on_note(self, signal: signals.NewNote) -> None:
        await self.must_be_in(joined=False)
        self.may_store()
        note = await in_database(records.add_note, self.visitor, signal.text, signal.t)
        await self._say_stored(note)

    async def on_reset_analysis(self, _signal: signals.Bare) -> None:
        await self.must_be_in(joined=False)
        self.may_store()
        await in_database(access.record, "room.reset_analysis", self.room, self.visitor.user)
        await self.deliver(
            messages.to_analysis(self.room, {"type": "reset"}),
            messages.to_panel(self.room, {"type": "analysis-reset", "by": self.place.name}),
        )

    async def on_end(self, _signal: signals.Bare) -> None:
        await in_database(lifecycle.end, self.room, self.visitor.user)
        await messages.tell_end(self.room)
