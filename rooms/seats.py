"""Interviewers whose account is deactivated: the others in a call hang up on them at once.

A socket of theirs that is open says so itself (`rooms.consumers.records.look`). Of one that broke before nobody would
be told, and their browsers would go on sending picture and sound as long as the line between them holds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from rooms import messages
from rooms.models import Participant, Room


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def _hang_up_on_deactivated(instance: User, raw: bool = False, **_: Any) -> None:
    """After commit, in every room that is not over. Who took a seat cannot be deleted in the admin."""
    if instance.is_active or raw:
        return
    places = Participant.objects.filter(user=instance, role=Participant.Role.INTERVIEWER).select_related(
        "room"
    )
    for place in places.exclude(room__status=Room.Status.ENDED):
        transaction.on_commit(
            partial(messages.to_everyone_now, place.room, messages.put_out(place.peer)), robust=True
        )
