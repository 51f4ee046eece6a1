"""`/api/rooms`: list, create, end. Who asks is settled before these functions are called. Whoever sees a room may end
it, HR admins too: somebody must, if the interviewer cannot."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Status

from assessment import idempotency
from assessment.api import IDEMPOTENCY_HEADER, error_responses
from assessment.hand_in import parse_json
from rooms import access, hand_in, lifecycle, links, messages, schemas
from rooms.models import Participant, Room

router = Router(tags=["rooms"])

CONNECTED_WITHIN = timedelta(seconds=60)
"""Sockets say every few seconds that they are there (`Participant.seen_at`); as docs/api.md tells."""
LISTED_AT_MOST = 1000
_KEY_OF_ROOMS = {
    **IDEMPOTENCY_HEADER,
    "description": "The same key and body give the same room; with another body 409.",
}
REPEATABLE_KEY = {
    **IDEMPOTENCY_HEADER,
    "description": "The same key with another body is 409; the call itself can be repeated as it is.",
}


def _user(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User), "the API's authentication lets nobody else through"
    return user


def check_key(request: HttpRequest, call: str, content: Any) -> None:
    """The `Idempotency-Key` of a call that can be repeated. Raises RequestError (400, 409)."""
    key = idempotency.checked_key(request.headers.get("Idempotency-Key"))
    idempotency.check_same(_user(request), key, idempotency.fingerprint(call, content))


def _connected(rooms: list[Room]) -> Counter[tuple[int, str]]:
    """How many people are in the call of each room now, by its key and their role."""
    there = Participant.objects.filter(
        room__in=rooms, state=Participant.State.ADMITTED, seen_at__gt=timezone.now() - CONNECTED_WITHIN
    )
    return Counter(there.values_list("room_id", "role"))


@router.get(
    "/api/rooms",
    response={200: list[schemas.RoomOut], **error_responses(400, 401)},
    summary="The rooms that you own or sit on the panel of, newest first",
)
def rooms(
    request: HttpRequest,
    limit: int = Query(200, ge=1, le=LISTED_AT_MOST),
    offset: int = Query(0, ge=0, le=10**6),
) -> list[dict[str, Any]]:
    rows = list(Room.objects.visible_to(_user(request))[offset : offset + limit])
    connected = _connected(rows)
    return [_listed(room, connected) for room in rows]


def _listed(room: Room, connected: Counter[tuple[int, str]]) -> dict[str, Any]:
    interviewers = connected[room.pk, Participant.Role.INTERVIEWER]
    candidates = connected[room.pk, Participant.Role.CANDIDATE]
    return {
        "roomId": room.room_id,
        "code": room.code,
        "title": room.title,
        "status": room.status,
        "participantCount": interviewers + candidates,
        "interviewerCount": interviewers,
        "intervieweeCount": candidates,
        "created_at": room.created_at,
    }


@router.post(
    "/api/rooms/create",
    response={201: schemas.RoomCreated, **error_responses(400, 401, 403, 404, 409, 413)},
    openapi_extra={
        "parameters": [_KEY_OF_ROOMS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schemas.RoomIn.model_json_schema()}},
        },
    },
    summary="Create a room, and get the candidate's link",
)
def create(request: HttpRequest) -> Status[dict[str, Any]]:
    document = parse_json(request.body or b"{}")
    user = _user(request)
    wanted = hand_in.from_json(document, user)
    key = idempotency.checked_key(request.headers.get("Idempotency-Key"))
    room = hand_in.create_once(wanted, user, key, idempotency.fingerprint("rooms", document))
    made = {
        "success": True,
        "roomId": room.room_id,
        "code": room.code,
        "candidate_link": links.link_of(room, request),
    }
    return Status(201, made)


@router.post(
    "/api/rooms/{code}/end",
    response={200: schemas.RoomEnded, **error_responses(400, 401, 403, 404, 409)},
    openapi_extra={"parameters": [REPEATABLE_KEY]},
    summary="End an interview for everyone; again changes nothing",
)
def end(request: HttpRequest, code: str) -> dict[str, Any]:
    room = access.get_visible(_user(request), code)
    check_key(request, "rooms end", room.code)
    if lifecycle.end(room, _user(request)):
        messages.tell_end_now(room)
    return {"success": True, "code": room.code, "status": room.status, "ended_at": room.ended_at}
