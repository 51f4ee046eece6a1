"""An interviewer's signalling socket: the call, the lobby, and everything of the panel."""

from __future__ import annotations

from rooms import access, groups, lifecycle, messages, signals
from rooms.consumers import records
from rooms.consumers.common import RoomConsumer
from rooms.consumers.transport import Message, RelayAway, refusal
from rooms.models import Participant
from rooms.sockets import in_database


class InterviewerConsumer(RoomConsumer):
    accepts = {**signals.EVERYONE, **signals.INTERVIEWER}

    def first_groups(self) -> tuple[str, ...]:
        return *super().first_groups(), groups.panel(self.room)

    def arrive(self) -> Message:
        records.note_visit(self.visitor)
        return records.interviewer_welcome(self.visitor)

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
        told = [await self._put_out(other) for other in admission.put_out]
        t = round(self.room.seconds_at(), 3)
        told.append(await messages.to_peer(self.room, signal.peer, {"type": "admitted", "t": t}))
        ended = {"type": "knock-ended", "peer": signal.peer, "admitted": True, "t": t}
        told.append(await messages.to_panel(self.room, ended))
        if not all(told):
            raise RelayAway

    async def _put_out(self, other: Participant) -> bool:
        """Another browser of the candidate lost its place."""
        told = [
            await messages.to_analysis(self.room, {"type": "put-out", "peer": other.peer}),
            await messages.to_peer(self.room, other.peer, {"type": "put-out"}),
            await messages.to_everyone(self.room, messages.put_out(other.peer)),
        ]
        return all(told)

    async def on_refuse(self, signal: signals.AboutPeer) -> None:
        refused = await in_database(lifecycle.refuse, self.room, signal.peer, self.visitor.user)
        if refused is None:
            raise refusal("not_waiting")
        await self.deliver(
            messages.to_peer(self.room, signal.peer, {"type": "refused"}),
            messages.to_panel(self.room, {"type": "knock-ended", "peer": signal.peer, "admitted": False}),
        )

    # -- The interview --------------------------------------------------------------------------

    async def on_question(self, signal: signals.NextQuestion) -> None:
        if self.room.questions and signal.number >= len(self.room.questions):
            raise signals.NotUnderstood("question")
        await self.must_be_in(joined=False)
        self.may_store()
        mark = await in_database(records.mark_question, self.visitor, signal.number)
        t = round(mark.t_s, 3)
        await self.deliver(
            messages.to_panel(self.room, {"type": "question", "number": mark.number, "t": t}),
        )
        await self._cut_recording()

    async def _cut_recording(self) -> None:
        status = await in_database(records.recording_for_candidate, self.room)
        candidate = await in_database(records.candidate_of, self.room)
        if status["active"] and candidate is not None:
            await self.deliver(messages.to_peer(self.room, candidate.peer, status))

    async def on_note(self, signal: signals.NewNote) -> None:
        await self.must_be_in(joined=False)
        self.may_store()
        note = await in_database(records.add_note, self.visitor, signal.text, signal.t)
        await self.deliver(messages.to_panel(self.room, note))

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
