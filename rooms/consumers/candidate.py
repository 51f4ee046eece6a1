"""The candidate's signalling socket. It joins no group of the panel and has no handler for its messages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError

from rooms import consent, groups, lifecycle, links, messages, recording, signals
from rooms.consumers import absence, records
from rooms.consumers.common import RoomConsumer
from rooms.consumers.transport import Message, RelayAway, refusal
from rooms.models import Participant
from rooms.sockets import ENDED, NOT_ALLOWED, REPLACED, TRY_LATER, Refused, Visitor, in_database
from rooms.turn import ice_servers

State = Participant.State


class CandidateConsumer(RoomConsumer):
    accepts = {**signals.EVERYONE, **signals.CANDIDATE}
    _knocks = 1  # how often the panel is still to be told of this candidate

    def __init__(self, visitor: Visitor) -> None:
        super().__init__(visitor)
        self._recording: Message | None = None
        """As this browser was told last."""

    # -- Coming, waiting, being let in ----------------------------------------------------------

    def first_groups(self) -> tuple[str, ...]:
        return *super().first_groups(), groups.candidates(self.room)

    def arrive(self) -> Message:
        if self.place.state == State.PUT_OUT:
            raise Refused(REPLACED)
        if self.place.state == State.REFUSED or not consent.granted(self.place).call:
            raise Refused(NOT_ALLOWED)
        if self.place.state != State.ADMITTED:
            self._wait()
        return records.candidate_welcome(self.visitor)

    def _wait(self) -> None:
        """Who has not been let in needs a link that is neither withdrawn nor replaced by another. Where the door is
        full they are here without waiting yet."""
        if not links.admits(self.room, self.place):
            raise Refused(NOT_ALLOWED)
        if not lifecycle.knock(self.place):
            self.room.refresh_from_db(fields=["status"])
            if self.room.ended:
                raise Refused(ENDED)

    @property
    def waits(self) -> bool:
        return self.place.state == State.WAITING

    async def arrived(self) -> None:
        await self._knock()

    async def _knock(self) -> None:
        """Once; where database or relay was away then, later, and once more, as the panel may come back after us."""
        if not self.waits or self._knocks == 0:
            return
        try:
            knock = {"type": "knock", **await in_database(records.knock_of, self.place)}
        except DatabaseError:
            return
        self._knocks = self._knocks - 1 if await messages.to_panel(self.room, knock) else 2
        with suppress(DatabaseError):  # then the panel's next look finds it
            ended = await in_database(records.knock_ended, self.room, self.place.peer)
            if ended is not None:  # just now: that came before our word
                await messages.to_panel(self.room, ended)

    async def _knock_anew(self) -> None:
        """The door was full; or the knock was given up for a socket before this one, just when this one came."""
        with suppress(DatabaseError, ObjectDoesNotExist):  # then at the next look
            if await in_database(lifecycle.knock, self.place):
                await self._knocked()

    async def _knocked(self) -> None:
        self._knocks = 1
        if not self.waits:
            self.place.state = State.WAITING
            await self.tell({"type": "waiting"})

    async def _turned_away(self) -> NoReturn:
        """The link was withdrawn or replaced while they waited."""
        await self._end_knock()
        await self.turn_away(NOT_ALLOWED)

    async def _end_knock(self) -> None:
        await messages.to_panel(self.room, records.not_let_in(self.place.peer))

    async def tell(self, message: Message) -> None:
        if message["type"] == "recording-status":
            self._recording = message
        await super().tell(message)

    async def look_at(self, now: records.Look) -> None:
        if now.state == State.LEFT:
            # By a word of an older socket that was stored late; who is back knocks.
            await self.turn_away(TRY_LATER)
        if now.state == State.PUT_OUT:
            await self.last_message({"type": "put-out"})
        if now.state == State.REFUSED:
            await self.last_message({"type": "refused"})
        if now.state == State.ADMITTED and self.place.state != State.ADMITTED:
            await self._let_in({"type": "admitted", "t": round(self.room.seconds_at(), 3)})
        if now.state == State.INVITED:
            if not now.link_admits:
                await self._turned_away()
            await self._knock_anew()
        if now.state == State.WAITING and self.place.state == State.INVITED:
            await self._knocked()  # by a knock that the database took its time over
        await self._knock()
        await self._look_at_recording()

    async def _look_at_recording(self) -> None:
        """Where the relay lost a question mark, the recorder has yet to begin a new segment."""
        if self._recording is None:
            return
        with suppress(DatabaseError):  # then at the next look
            now = await in_database(records.recording_for_candidate, self.room)
            if now != self._recording:
                await self.tell(now)

    async def pass_on(self, message: Message) -> None:
        if message["type"] == "admitted":
            await self._let_in(message)
        else:
            await super().pass_on(message)

    async def _let_in(self, message: Message) -> None:
        if self.place.state == State.ADMITTED:  # told already
            return
        self.place.state = State.ADMITTED
        self.forget_standings()
        await self.refresh()
        await self.tell({**message, "ice_servers": ice_servers(self.place)})

    async def gone(self) -> None:
        await super().gone()
        if self.missed and self.waits:
            absence.miss_knock(self.room, self.place, lambda: self._seen)

    async def leaving(self) -> None:
        await in_database(lifecycle.leave, self.place)
        if self.waits:
            await self._end_knock()
        await messages.to_analysis(self.room, {"type": "consent"})
        await self.tell_how_it_stands()

    # -- From the browser -----------------------------------------------------------------------

    async def on_join_room(self, signal: signals.Bare) -> None:
        await super().on_join_room(signal)
        await self.tell(await in_database(records.recording_for_candidate, self.room))

    async def on_capture_status(self, signal: signals.Capture) -> None:
        await self.must_be_in(joined=False)
        await self.deliver(messages.to_panel(self.room, self.signed("capture-status", **signal.model_dump())))

    async def on_consent(self, signal: signals.NewConsent) -> None:
        """Stored first; whoever analyses reads it there, message or not."""
        self.may_store()
        answers = {consent.Scope(name): given for name, given in signal.scopes.items()}
        if answers.get(consent.Scope.RECORDING) and not self.room.recording_wanted:
            raise signals.NotUnderstood("consent")  # a scope that this room's text does not ask about
        await in_database(self._answer, answers)
        analysis_told = await messages.to_analysis(self.room, {"type": "consent"})
        agreed = await in_database(records.consent_of, self.place)
        await self.tell({"type": "consent-changed", "consent": agreed})
        status = await in_database(records.analysis_status, self.room)
        told = [analysis_told, await messages.to_panel(self.room, status), await self._tell_recording()]
        if not all(told):
            raise RelayAway

    def _answer(self, answers: Mapping[consent.Scope, bool]) -> None:
        consent.answer(self.place, answers)

    async def on_recording_started(self, signal: signals.Recorded) -> None:
        self.may_store()
        await self.must_be_in(joined=False)
        begun = await in_database(
            recording.started, self.room, self.place, signal.segment, signal.content_type, signal.begun
        )
        if not begun:
            raise refusal("not_allowed")
        await self.deliver(self._tell_recording())

    async def on_recording_stopped(self, signal: signals.Recorded) -> None:
        self.may_store()
        await self.must_be_in(joined=False)
        await in_database(recording.stopped_segment, self.room, self.place, signal.segment)
        await self.deliver(self._tell_recording())

    async def _tell_recording(self) -> bool:
        """This browser, and the panel; whether that got out."""
        own = await in_database(records.recording_for_candidate, self.room)
        await self.tell(own)
        panel = {name: value for name, value in own.items() if name != "segment"}
        return await messages.to_panel(self.room, panel)
