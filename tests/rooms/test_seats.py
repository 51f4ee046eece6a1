"""Who is deactivated is hung up on by the others in a call, whether a socket of theirs is open or not."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.test import Client

from rooms import groups, lifecycle
from rooms.models import Participant, Room
from tests.rooms.records import make_room, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def hr(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("hr", password="a long enough password"))
    return client


@pytest.fixture
def room() -> Room:
    return make_room()


@pytest.fixture
def member(room: Room) -> Participant:
    """Took a seat; their socket broke long ago."""
    user = make_user("member")
    room.panel.add(user)
    lifecycle.seat(room, room.owner)
    return lifecycle.seat(room, user)


class Others:
    """The sockets of who is in the call."""

    def __init__(self, room: Room) -> None:
        self._layer = get_channel_layer()
        self._name = async_to_sync(self._layer.new_channel)()
        async_to_sync(self._layer.group_add)(groups.everyone(room), self._name)

    def told(self) -> list[dict[str, Any]]:
        waiting = self._layer.channels.get(self._name)
        return [waiting.get_nowait()[1]["message"] for _ in range(waiting.qsize() if waiting else 0)]


def deactivate(hr: Client, user: User) -> None:
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert (
        hr.post(f"/admin/auth/user/{user.pk}/change/", {"username": user.username, **joined}).status_code
        == 302
    )
    user.refresh_from_db()
    assert not user.is_active


def test_the_others_hang_up_on_who_is_deactivated(
    hr: Client, room: Room, member: Participant, django_capture_on_commit_callbacks: Any
) -> None:
    others, elsewhere = Others(room), Others(make_room(owner=make_user("somebody")))
    with django_capture_on_commit_callbacks(execute=True):
        deactivate(hr, member.user)
    assert others.told() == [{"type": "peer-left", "peer": member.peer, "reason": "put_out"}]
    assert elsewhere.told() == []


def test_nobody_is_hung_up_on_by_another_change_or_after_the_end(
    hr: Client, room: Room, member: Participant, django_capture_on_commit_callbacks: Any
) -> None:
    others = Others(room)
    with django_capture_on_commit_callbacks(execute=True):
        member.user.save()
    Room.objects.filter(pk=room.pk).update(status=Room.Status.ENDED)
    with django_capture_on_commit_callbacks(execute=True):
        deactivate(hr, member.user)
    assert others.told() == []
