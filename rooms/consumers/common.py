"""What both sides can do: come, join the call, signal, chat, leave."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError

from rooms import bounds, groups, messages, signals
from rooms.consumers import absence, records
from rooms.consumers.transport import Message, RelayAway, SocketConsumer, refusal
from rooms.models import Participant, Room
from rooms.signals import Allowance
from rooms.sockets import (
    ENDED,
    NO_ROOM,
    NOT_ALLOWED,
    REPLACED,
    TOO_MANY,
    TRY_LATER,
    Refused,
    Visitor,
    in_database,
)

State = Participant.State
STANDING_S = 1.0  # for how long who is in the room is believed
MAX_STANDINGS = 64  # names that one socket asks about; far more than a room has people
TOUCH_EVERY_S = 30.0
STORE_PER_S, STORE_BURST = 1.0, 20.0  # Assumption: what a person stores by hand is slower

_FOR_THE_CALL = frozenset({"offer", "answer", "ice-candidate", "peer-here"})
_ENDINGS = {"end": ENDED, "put-out": REPLACED, "refused": NOT_ALLOWED}


def calls(place: Participant) -> str:
    """The group of a place's signalling sockets, in which a newer one tells the older ones to go."""
    return f"{groups.peer(place)}.calls"


class RoomConsumer(SocketConsumer, ABC):
    def __init__(self, visitor: Visitor) -> None:
        super().__init__(visitor)
        self.joined = False
        self.missed = True
        """Whether others are to be told when this socket is gone."""
        self.stored = Allowance(STORE_PER_S, STORE_BURST)
        self._older_told = True
        """Whether older sockets of this place, if there are any, got word of this one."""
        self._seen: datetime | None = None
        self._touched_s = 0.0
        self._standings: dict[str, tuple[float, bool]] = {}

    # -- Coming and going -----------------------------------------------------------------------

    def first_groups(self) -> tuple[str, ...]:
        return groups.peer(self.place), calls(self.place)

    @abstractmethod
    def arrive(self) -> Message:
        """In a database thread: the welcome. Raises Refused."""

    async def arrived(self) -> None:
        """After the welcome."""

    async def websocket_connect(self, _event: Message) -> None:
        await self.accept()
        if not bounds.calls.take(self.place.pk):
            await self.turn_away(TOO_MANY)
        self._since = [time.time_ns(), self.channel_name]
        try:
            for group in self.first_groups():  # before anything is read, so that no change falls in between
                await self.join(group)
            welcome = await in_database(self._arrive)
        except Refused as refused:
            await self.turn_away(refused.close_code)
        except ObjectDoesNotExist:  # erased meanwhile
            await self.turn_away(NO_ROOM)
        except (DatabaseError, RelayAway):
            await self.turn_away(TRY_LATER)
        await self._tell_older_sockets()
        await self.tell(welcome)
        await self.arrived()

    async def _tell_older_sockets(self) -> None:
        self._older_told = await messages.to_older_sockets(calls(self.place), self._since)

    def _arrive(self) -> Message:
        self.room.refresh_from_db()
        self.place.refresh_from_db()
        if self.room.ended:
            raise Refused(ENDED)
        welcome = self.arrive()
        self._touch()
        return welcome

    def _touch(self) -> None:
        self._seen = records.touch(self.place)
        self._touched_s = time.monotonic()

    async def turn_away(self, code: int) -> NoReturn:
        self.missed = False
        await self.close(code)

    async def newer_socket(self, event: Message) -> None:
        """Another socket took this place in the call, unless it is the older one of the two."""
        if event["since"] > self._since:
            await self.last_message({"type": "put-out"})

    async def last_message(self, message: Message) -> NoReturn:
        """Tell it and close; nobody misses this socket."""
        self.missed = False
        await self.tell(message)
        await self.close(_ENDINGS[message["type"]])

    async def gone(self) -> None:
        if self.missed and self.joined:
            absence.miss(self.visitor, lambda: self._seen)

    # -- From the channel layer -----------------------------------------------------------------

    async def room_message(self, event: Message) -> None:
        message = event["message"]
        if event.get("but") == self.place.peer:
            return
        if message["type"] in _FOR_THE_CALL and not self.joined:
            return
        if self._is_said_lost(message):
            await messages.to_everyone(self.room, messages.joined(self.place), but=self.place.peer)
            return
        await self.pass_on(message)

    def _is_said_lost(self, message: Message) -> bool:
        """Whether an older socket of this place, on another host perhaps, took us for gone: we came back just then."""
        lost = message["type"] == "peer-left" and message["reason"] == "lost"
        return lost and message["peer"] == self.place.peer

    async def pass_on(self, message: Message) -> None:
        if message["type"] in _ENDINGS:
            await self.last_message(message)
        await self.tell(message)

    # -- How things stand -----------------------------------------------------------------------

    async def look_around(self, _event: Message) -> None:
        """See what the relay may have lost, and show life."""
        if not self._older_told:
            await self._tell_older_sockets()
        try:
            now = await in_database(records.look, self.visitor)
            if time.monotonic() - self._touched_s >= TOUCH_EVERY_S:
                await in_database(self._touch)
        except DatabaseError:
            return
        if now is None:
            await self.turn_away(NO_ROOM)
        if now.barred:
            await self._bar(now.barred)
        if now.status == Room.Status.ENDED:
            await self.last_message({"type": "end"})
        self.room.status, self.room.admitted_at = now.status, now.admitted_at
        await self.look_at(now)

    async def _bar(self, code: int) -> NoReturn:
        """Who may not stay; the others hang up on them at once, whatever their browser does."""
        if self.joined:
            await messages.to_everyone(self.room, messages.put_out(self.place.peer), but=self.place.peer)
        await self.turn_away(code)

    async def refresh(self) -> None:
        """Read the room anew; where that fails, the next look does it."""
        with suppress(DatabaseError, ObjectDoesNotExist):
            await in_database(self.room.refresh_from_db)

    async def look_at(self, now: records.Look) -> None:
        """What else follows from it."""

    async def tell_how_it_stands(self) -> None:
        """The panel, after somebody else or nobody is in: that is stored and told already, and what cannot be read now
        the panel's next look finds."""
        with suppress(DatabaseError):
            for status in (records.analysis_status, records.recording_status):
                await messages.to_panel(self.room, await in_database(status, self.room))

    async def is_in(self, name: str) -> bool:
        """Whether somebody of this name is in the room; asked at most once a second."""
        now_s = time.monotonic()
        until_s, there = self._standings.get(name, (0.0, False))
        if now_s < until_s:
            return there
        if len(self._standings) >= MAX_STANDINGS:
            self._standings.clear()
        there = await in_database(records.in_room, self.room, name)
        self._standings[name] = (now_s + STANDING_S, there)
        return there

    async def must_be_in(self, *, joined: bool = True) -> None:
        if (joined and not self.joined) or not await self.is_in(self.place.peer):
            raise refusal("not_in_room")

    def may_store(self) -> None:
        if not self.stored.take():
            raise refusal("too_fast")

    def forget_standings(self) -> None:
        self._standings.clear()

    # -- From the browser -----------------------------------------------------------------------

    def signed(self, kind: str, **fields: Any) -> Message:
        return {"type": kind, "from": self.place.peer, **fields}

    async def on_join_room(self, _signal: signals.Bare) -> None:
        await self.must_be_in(joined=False)
        await self.join(groups.everyone(self.room))
        self.joined = True
        await self.deliver(messages.to_everyone(self.room, messages.joined(self.place), but=self.place.peer))

    async def _to(self, to: str, kind: str, **fields: Any) -> None:
        await self.must_be_in()
        if to == self.place.peer or not await self.is_in(to):
            raise refusal("not_in_room")
        await self.deliver(messages.to_peer(self.room, to, self.signed(kind, to=to, **fields)))

    async def on_peer_here(self, signal: signals.ToPeer) -> None:
        await self._to(signal.to, "peer-here", name=self.place.name, role=self.visitor.role)

    async def on_offer(self, signal: signals.OfferTo) -> None:
        await self._to(signal.to, "offer", description=signal.description.model_dump(exclude_unset=True))

    async def on_answer(self, signal: signals.AnswerTo) -> None:
        await self._to(signal.to, "answer", description=signal.description.model_dump(exclude_unset=True))

    async def on_ice_candidate(self, signal: signals.CandidateTo) -> None:
        found = signal.candidate
        await self._to(signal.to, "ice-candidate", candidate=found and found.model_dump(exclude_unset=True))

    async def on_chat(self, signal: signals.Chat) -> None:
        await self.must_be_in()
        message = self.signed(
            "chat",
            name=self.place.name,
            role=self.visitor.role,
            text=signal.text,
            t=round(self.room.seconds_at(), 3),
            id=uuid.uuid4().hex,
        )
        await self.deliver(messages.to_everyone(self.room, message))

    async def on_media_state(self, signal: signals.Media) -> None:
        await self.must_be_in()
        message = self.signed("media-state", **signal.model_dump())
        await self.deliver(messages.to_everyone(self.room, message, but=self.place.peer))

    async def on_leave(self, _signal: signals.Bare) -> None:
        await self.leaving()
        message = {"type": "peer-left", "peer": self.place.peer, "reason": "left"}
        if self.joined:
            await messages.to_everyone(self.room, message, but=self.place.peer)
        await self.turn_away(1000)

    async def leaving(self) -> None:
        """What else leaving means."""

    async def on_ping(self, signal: signals.Ping) -> None:
        await self.tell({"type": "pong", "id": signal.id})

    async def on_pong(self, _signal: signals.Bare) -> None:
        """Nothing follows."""
