"""After the last socket of a participant closed: who does not come back is missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError

from rooms import lifecycle, messages
from rooms.consumers import records
from rooms.models import Participant, Room
from rooms.sockets import Visitor, in_database

logger = logging.getLogger(__name__)

LOST_AFTER_S = 8.0  # as docs/protocol.md says
FORGET_KNOCK_AFTER_S = 4.0  # Assumption: longer than a reload takes
ASK_AGAIN_S = 2.0  # Assumption: a database that is away is asked so often

LastSeen = Callable[[], datetime | None]
"""The last sign of life that a socket wrote: one that the database takes its time over counts once it is stored."""

_waiting: set[asyncio.Task[None]] = set()  # the loop alone would let them be collected


def miss(visitor: Visitor, last_seen: LastSeen) -> None:
    """Somebody who was in the call. `last_seen`: of the socket that closed."""
    _start(_miss(visitor, last_seen))


def miss_knock(room: Room, place: Participant, last_seen: LastSeen) -> None:
    """A candidate who waited to be let in."""
    _start(_miss_knock(room, place, last_seen))


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    _waiting.add(task)
    task.add_done_callback(_waiting.discard)


async def _miss(visitor: Visitor, last_seen: LastSeen) -> None:
    await asyncio.sleep(LOST_AFTER_S)
    room, place = visitor.room, visitor.place
    if await _came_back(place, last_seen):
        return
    lost = {"type": "peer-left", "peer": place.peer, "reason": "lost"}
    await messages.to_everyone(room, lost if await _may_come_back(visitor) else messages.put_out(place.peer))


async def _may_come_back(visitor: Visitor) -> bool:
    try:
        now = await in_database(records.look, visitor)
    except DatabaseError:
        return True
    return now is not None and not now.barred


async def _miss_knock(room: Room, place: Participant, last_seen: LastSeen) -> None:
    await asyncio.sleep(FORGET_KNOCK_AFTER_S)
    if await _came_back(place, last_seen):
        return
    try:
        await in_database(lifecycle.forget_knock, place)
    except DatabaseError as error:
        logger.warning("Room %s: a knock was not forgotten: %s", room.pk, type(error).__name__)
    await messages.to_panel(room, records.not_let_in(place.peer))
    try:
        again = await in_database(records.knock_again, place)
    except DatabaseError:  # the panel's next look finds it
        return
    if again is not None:  # just now: their knock came before our word
        await messages.to_panel(room, again)


async def _came_back(place: Participant, last_seen: LastSeen) -> bool:
    """Whoever is not known to be gone is not said to be: asked until the database answers."""
    while True:
        try:
            return await in_database(records.seen_since, place, last_seen())
        except DatabaseError:
            await asyncio.sleep(ASK_AGAIN_S)
