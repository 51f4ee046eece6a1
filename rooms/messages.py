"""Messages to the sockets of a room, over the channel layer. See docs/protocol.md.

Three kinds, each with a handler of its own in the consumers: ``room.message`` for whoever is in the group,
``panel.message``, which only `InterviewerConsumer` can take, and ``analysis.message`` for the sockets that take media.
"""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from rooms import groups
from rooms.models import Participant, Room

logger = logging.getLogger(__name__)

Message = dict[str, Any]


def put_out(peer: str) -> Message:
    """Tells the others to hang up: of somebody who is only `lost` they keep the line as long as it holds."""
    return {"type": "peer-left", "peer": peer, "reason": "put_out"}


def joined(place: Participant) -> Message:
    """Tells the others that somebody is in the call."""
    return {"type": "peer-joined", "peer": place.peer, "role": str(place.role), "name": place.name}


async def _send(group: str, kind: str, message: Message, **more: Any) -> bool:
    """False where the relay (Redis) is away; nothing is raised then, and nothing kept: the sockets agree anew."""
    return await _publish(group, {"type": kind, "message": message, **more})


async def _publish(group: str, event: Message) -> bool:
    try:
        await get_channel_layer().group_send(group, event)
    except (RedisError, OSError) as error:
        logger.warning("A %s did not get out: %s", event["type"], type(error).__name__)
        return False
    return True


async def to_everyone(room: Room, message: Message, but: str = "") -> bool:
    """To all who are in; `but` is the peer name of the one who need not get it."""
    return await _send(groups.everyone(room), "room.message", message, but=but)


async def to_peer(room: Room, name: str, message: Message) -> bool:
    """To one participant, whose name was checked to be of this room."""
    return await _send(groups.peer_named(room, name), "room.message", message)


async def to_panel(room: Room, message: Message) -> bool:
    """To the interviewers alone."""
    return await _send(groups.panel(room), "panel.message", message)


async def to_analysis(room: Room, message: Message) -> bool:
    """To the sockets that take the candidate's media."""
    return await _send(groups.analysis(room), "analysis.message", message)


async def to_older_sockets(group: str, since: list[int | str]) -> bool:
    """A socket that opened at `since` (nanoseconds, and its name for equal ones) takes the place of older ones."""
    return await _publish(group, {"type": "newer.socket", "since": since})


async def tell_end(room: Room) -> None:
    """The interview is over, for everyone in every socket of the room, waiting browsers too."""
    message = {"type": "end"}
    await to_everyone(room, message)
    await to_panel(room, message)
    await to_analysis(room, message)
    await _send(groups.candidates(room), "room.message", message)


tell_end_now = async_to_sync(tell_end)
to_analysis_now = async_to_sync(to_analysis)
to_panel_now = async_to_sync(to_panel)
to_everyone_now = async_to_sync(to_everyone)
to_peer_now = async_to_sync(to_peer)
