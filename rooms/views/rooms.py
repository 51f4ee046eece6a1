"""The interviewers' pages around the call: list, new room, one room."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.urls import URLPattern

from assessment.errors import RequestError
from rooms import access
from rooms.models import Room


def visible_room(request: HttpRequest, code: str) -> Room:
    """The room named `code` if the user may see it (owner, panel, HR admins). Raises Http404."""
    try:
        return access.get_visible(request.user, code)
    except RequestError as error:
        raise Http404 from error


def room_for(request: HttpRequest, code: str) -> Room:
    """The room named `code` if the user may take a seat in it (owner and panel). Raises Http404 for everybody else,
    HR admins too: they see rooms, they do not join."""
    room = visible_room(request, code)
    if not access.sits_in(request.user, room):
        raise Http404
    return room


urlpatterns: list[URLPattern] = []
