"""The pages of a call: the interviewer's and the candidate's."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from rooms import access, call_page, consent, interviewer_page, links, panel_page
from rooms.models import Participant
from rooms.views.candidate import candidate_place, refused
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
    request.session.modified = (
        True  # renewed: where it ends sockets are closed, which must not be in mid-call
    )
    context = {
        "room": room,
        "candidate_link": interviewer_page.candidate_link(room, request),
        "data": interviewer_page.page_data(room, cast(User, request.user)),
        "strings": interviewer_page.interviewer_strings(),
        "panel_strings": panel_page.strings(),
    }
    return render(request, "rooms/call_interviewer.html", context)


@never_cache
@require_GET
def candidate_call(request: HttpRequest, code: str) -> HttpResponse:
    """The candidate's page: lobby, wait and call. Who was let in before goes straight back into the call."""
    place = candidate_place(request, code)
    if place is None or not consent.granted(place).call:
        return refused(request, links.refusal("link_unknown"))
    if place.room.ended or place.state in (Participant.State.PUT_OUT, Participant.State.REFUSED):
        return redirect("room_left", code=place.room.code)
    return render(request, "rooms/call_candidate.html", call_page.candidate_context(place))


urlpatterns: list[URLPattern] = [
    path("rooms/<str:code>/call/", room_call, name="room_call"),
    path("call/<slug:code>/", candidate_call, name="candidate_call"),
]
