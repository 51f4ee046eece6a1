"""The summary of an interview."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from assessment.errors import RequestError
from rooms import access, summary, summary_story
from rooms.models import Recording, Room


def _room(request: HttpRequest, code: str) -> Room:
    try:
        return access.get_visible(request.user, code)  # type: ignore[arg-type]
    except RequestError as error:
        raise Http404 from error


@login_required
@never_cache
@require_GET
def room_summary(request: HttpRequest, code: str) -> HttpResponse:
    room = _room(request, code)
    access.record("room.read_summary", room, request.user)  # type: ignore[arg-type]
    context = {
        "room": room,
        "story": summary_story.tell(summary.document(room)),
        "recording": Recording.objects.filter(room=room).first(),
        "states": Recording.State,
    }
    return render(request, "rooms/summary.html", context)


urlpatterns: list[URLPattern] = [path("rooms/<slug:code>/summary/", room_summary, name="room_summary")]
