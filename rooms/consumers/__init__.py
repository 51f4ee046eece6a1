"""The signalling sockets of a room: one class for each side, and who gets which."""

from __future__ import annotations

from typing import Any

from rooms.consumers.candidate import CandidateConsumer
from rooms.consumers.common import RoomConsumer
from rooms.consumers.interviewer import InterviewerConsumer
from rooms.models import Participant
from rooms.sockets import Refused, identify, turn_away

__all__ = ["CandidateConsumer", "InterviewerConsumer", "signalling"]

_CONSUMERS: dict[str, type[RoomConsumer]] = {
    Participant.Role.CANDIDATE.value: CandidateConsumer,
    Participant.Role.INTERVIEWER.value: InterviewerConsumer,
}


async def signalling(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI application of ``/ws/rooms/{code}/``."""
    try:
        visitor = await identify(scope)
    except Refused as refused:
        await turn_away(receive, send, refused.close_code)
        return
    await _CONSUMERS[visitor.role](visitor)(scope, receive, send)
