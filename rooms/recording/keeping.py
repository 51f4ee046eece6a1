"""What lets a candidate's browser keep chunks until they are here, without leaving anything readable behind.

The browser encrypts what it keeps (static/js/rooms/chunk-store.js) with a key that only its page is given, and only as
long as chunks are taken: what stays on a shared computer nobody can read once that is over.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TypedDict

from django.utils import timezone
from django.utils.crypto import salted_hmac

from rooms import consent
from rooms.models import Participant, Recording
from rooms.recording.limits import LATE_S


class Keeping(TypedDict):
    """`who` names the place (no other place's chunks are kept beside it), `key` is AES-GCM's, 32 bytes in base64."""

    who: str
    key: str


def open_for(place: Participant) -> bool:
    """Whether chunks of this place may be taken now, or later in this interview, should they agree to it."""
    if not place.room.recording_wanted:
        return False
    state = Recording.State
    recording = Recording.objects.filter(room=place.room_id).first()
    if recording is None:
        return False
    if recording.state == state.STOPPED:
        late_since = timezone.now() - timedelta(seconds=LATE_S)
        return recording.stopped_at is not None and recording.stopped_at > late_since
    return recording.state in (state.INITIATED, state.ACTIVE)


def during(place: Participant) -> Keeping | None:
    """For the page of the call, on which consent to the recording may still come."""
    return _keeping(place) if open_for(place) else None


def afterwards(place: Participant) -> Keeping | None:
    """For the pages around the call: while what is left may be sent."""
    return during(place) if consent.granted(place).recording else None


def _keeping(place: Participant) -> Keeping:
    of = f"{place.pk}.{place.key_digest}"
    secret = salted_hmac("rooms.recording.keeping.key", of, algorithm="sha256").digest()
    who = salted_hmac("rooms.recording.keeping.who", of, algorithm="sha256").hexdigest()
    return Keeping(who=who[:16], key=base64.b64encode(secret).decode())
