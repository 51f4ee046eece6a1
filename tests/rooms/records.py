"""Rooms and people for tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from rooms import consent, lifecycle, links
from rooms.models import Consent, Participant, Room

Scope = Consent.Scope
EVERYTHING = dict.fromkeys(Scope, True)


def make_user(name: str = "interviewer") -> User:
    return User.objects.filter(username=name).first() or User.objects.create_user(
        name, password="a long enough password"
    )


def make_room(owner: User | None = None, **wanted: Any) -> Room:
    """A scheduled room; country ID (analysis allowed) unless told otherwise."""
    values = {"title": "Backend engineer", "candidate_name": "Sari Wulandari", "country": "ID", **wanted}
    return lifecycle.create_room(lifecycle.NewRoom(**values), owner or make_user())


def enter(
    room: Room, answers: dict[Scope, bool] | None = None, key: str | None = None
) -> tuple[Participant, str]:
    """The candidate in a browser, past the consent page; everything agreed to unless told otherwise."""
    return lifecycle.enter(room, EVERYTHING if answers is None else answers, "en", key)


def let_in(room: Room, answers: dict[Scope, bool] | None = None) -> tuple[Participant, str]:
    """The candidate in the live room, and the key of their browser."""
    place, key = enter(room, answers)
    assert lifecycle.knock(place)
    admitted = lifecycle.admit(room, place.peer).admitted
    return admitted, key


def cookie(room: Room, key: str) -> str:
    """The Cookie header of the candidate's browser."""
    return f"{links.cookie_name(room)}={key}"


__all__ = ["EVERYTHING", "Scope", "consent", "cookie", "enter", "let_in", "make_room", "make_user"]
