"""The addresses that take what the candidate's browser records."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from assessment.errors import RequestError, UploadTooLarge
from rooms import access, links, messages, recording
from rooms.models import Participant, Room
from rooms.recording import chunks
from rooms.signals import MAX_T_S

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def _told(view: View[P]) -> View[P]:
    """Refusals as JSON, whatever the browser says it prefers."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except RequestError as error:
            return JsonResponse(error.document(), status=error.status)

    return wrapped


def _place(request: HttpRequest, code: str) -> tuple[Room, Participant]:
    """The room, and the candidate's place in it that this browser has. Raises RequestError('not_found')."""
    room = Room.objects.filter(code=code).first()
    place = links.candidate_with(room, request.COOKIES.get(links.cookie_name(room))) if room else None
    if room is None or place is None:
        raise access.not_found()
    return room, place


def _too_large() -> RequestError:
    limit = chunks.MAX_CHUNK_BYTES
    return RequestError("too_large", "A chunk has 8 MB at most.", 413, {"limit_bytes": limit})


def _read(request: HttpRequest) -> bytes:
    """The body, of which no more is read than is taken. Raises RequestError."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if str(declared).isdecimal() and int(declared) > chunks.MAX_CHUNK_BYTES:
        raise _too_large()
    try:
        content = request.read(chunks.MAX_CHUNK_BYTES + 1)
    except UploadTooLarge as error:
        raise _too_large() from error
    except UnreadablePostError as error:
        raise RequestError("upload_broken", "The chunk broke off. Send it again.") from error
    if len(content) > chunks.MAX_CHUNK_BYTES:
        raise _too_large()
    return content


def _tell_status(room: Room) -> None:
    """And once more where it changed meanwhile: a withdrawal that the candidate's socket told before this arrived must
    not seem undone."""
    said = None
    while (now := recording.status(room)) != said:
        messages.to_everyone_now(room, {"type": "recording-status", **now})
        said = now


def _begun_s(request: HttpRequest) -> float | None:
    """When the chunk's segment began, as the browser has it; None for what is no time of an interview."""
    try:
        begun_s = float(request.headers.get("X-Segment-Begun", ""))
    except ValueError:
        return None
    return begun_s if 0 <= begun_s <= MAX_T_S else None


@never_cache
@require_POST
@_told
def recording_chunk(request: HttpRequest, code: str, key: uuid.UUID, sequence: int) -> HttpResponse:
    """Take one chunk; see docs/protocol.md, Recording."""
    room, place = _place(request, code)
    chunks.check(room, place, key)
    content = _read(request)
    address = chunks.Address(room, key, sequence, _begun_s(request))
    received = recording.receive(address, place, request.META.get("CONTENT_TYPE", ""), content)
    if received.begun:
        _tell_status(room)
    return JsonResponse({"success": True, "received": received.sequences})


@never_cache
@require_POST
@_told
def recording_end(request: HttpRequest, code: str, key: uuid.UUID) -> HttpResponse:
    """A segment is whole. `complete` is false where chunks are missing: send those, then this again."""
    room, place = _place(request, code)
    try:
        count = json.loads(request.body)["chunks"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError("invalid_request", "Send JSON with the number of chunks.") from error
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= chunks.MAX_SEQUENCE + 1:
        raise RequestError("invalid_request", "The number of chunks is a whole number.")
    received, whole = recording.finish(room, place, key, count)
    return JsonResponse({"success": True, "received": received.sequences, "complete": whole})


_BASE = "rooms/<slug:code>/recording/<uuid:key>/"
urlpatterns: list[URLPattern] = [
    path(f"{_BASE}end", recording_end, name="recording_end"),
    path(f"{_BASE}<int:sequence>", recording_chunk, name="recording_chunk"),
]
