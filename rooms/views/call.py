"""The pages of a call: the interviewer's and the candidate's."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from rooms import access, interviewer_page, panel_page
from rooms.views.rooms import visible_room


@login_required
@never_cache
@require_GET
def room_call(request: HttpRequest, code: str) -> HttpResponse:
    """The interviewer's page. Who may look at the room but has no seat in it (HR) is told so with 403."""
    room = visible_room(request, code)
    if not access.sits_in(request.user, room):
        owner = room.owner.get_full_name() or room.owner.get_username()
        return render(request, "rooms/no_seat.html", {"room": room, "owner": owner}, status=403)
    if room.ended:
        return redirect("room_summary", code=room.code)
    context = {
        "room": room,
        "candidate_link": interviewer_page.candidate_link(room, request),
        "data": interviewer_page.page_data(room),
        "strings": interviewer_page.interviewer_strings(),
        "panel_strings": panel_page.strings(),
    }
    return render(request, "rooms/call_interviewer.html", context)


urlpatterns: list[URLPattern] = [path("rooms/<str:code>/call/", room_call, name="room_call")]
