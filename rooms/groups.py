"""Names of the channel groups. Every one holds the room's key, so that nothing of one room reaches another."""

from __future__ import annotations

from rooms.models import Participant, Room


def everyone(room: Room) -> str:
    """All who were let in: signalling, chat, the end."""
    return f"room.{room.pk}.everyone"


def panel(room: Room) -> str:
    """Interviewers alone: readings, alerts, who waits. `CandidateConsumer` never joins it."""
    return f"room.{room.pk}.panel"


def candidates(room: Room) -> str:
    """All browsers of the candidate, those that wait too: the end."""
    return f"room.{room.pk}.candidates"


def peer(participant: Participant) -> str:
    """One participant, in all of their sockets."""
    return f"room.{participant.room_id}.peer.{participant.peer}"


def peer_named(room: Room, name: str) -> str:
    """As `peer`, for a name that has been checked to be of `room`."""
    return f"room.{room.pk}.peer.{name}"


def analysis(room: Room) -> str:
    """Sockets that take the candidate's media: withdrawals, resets, the end."""
    return f"room.{room.pk}.analysis"
