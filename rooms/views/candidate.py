"""The candidate's pages around the call: the consent page behind the link, and the page after leaving."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import URLPattern

from rooms import links
from rooms.access import CODE
from rooms.models import Participant, Room


def candidate_place(request: HttpRequest, code: str) -> Participant | None:
    """The place in the room named `code` that this browser has by its cookie, whatever state place and room are in
    (with `room`, its `candidate` and `owner`); None for a browser without one, and where there is no such room."""
    if not CODE.fullmatch(code):
        return None
    room = Room.objects.select_related("candidate", "owner").filter(code=code).first()
    if room is None:
        return None
    place = links.candidate_with(room, request.COOKIES.get(links.cookie_name(room)))
    if place is not None:
        place.room = room
    return place


urlpatterns: list[URLPattern] = []
