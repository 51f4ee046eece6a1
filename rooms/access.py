"""Who may see which room."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone

from assessment.access import Caller
from assessment.errors import RequestError
from assessment.models import AuditEntry
from rooms.models import Participant, Room

ANOTHER_VISIT = timedelta(minutes=2)
"""*Assumption*: who is away for longer comes anew. Sockets show life every 30 s."""
CODE = re.compile(r"[a-z]{3}-[a-z]{4}-[a-z]{3}")


def not_found() -> RequestError:
    """The same for rooms that do not exist and rooms of others."""
    return RequestError("not_found", "There is no room with this code, or it is not yours to see.", 404)


def get_visible(user: Caller, code: str) -> Room:
    """The room named `code` if `user` may see it. Raises RequestError('not_found')."""
    if not CODE.fullmatch(code):
        raise not_found()
    found = Room.objects.visible_to(user).select_related("candidate", "owner").filter(code=code).first()
    if found is None:
        raise not_found()
    return found


def sits_in(user: Caller, room: Room) -> bool:
    """Whether `user` may take a seat as interviewer: owner and panel. HR admins see rooms, they do not join."""
    return user.pk is not None and (room.owner_id == user.pk or room.panel.filter(pk=user.pk).exists())


def watches(user: Caller, room: Room) -> bool:
    """Whether `user` sits in the interview that goes on, as the line `room.watch` tells."""
    return (
        room.status == Room.Status.LIVE
        and Participant.objects.filter(
            room=room,
            user=user.pk,
            role=Participant.Role.INTERVIEWER,
            seen_at__gte=timezone.now() - ANOTHER_VISIT,
        ).exists()
    )


def record(action: str, room: Room, actor: Caller | None, **details: Any) -> None:
    """Write the audit line of a read (`room.read_summary`, …) or change (`room.create`, …)."""
    AuditEntry.write(action, f"room:{room.room_id}", actor, **details)
