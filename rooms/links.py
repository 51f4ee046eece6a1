"""The candidate's link: signed, expiring, revocable, and a key for the first browser that uses it."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from assessment.errors import RequestError
from assessment.models import hash_token
from rooms import bounds
from rooms.models import Participant, Room

_SALT = "rooms.link"
_STATUSES = {"link_unknown": 404, "link_used_up": 429}
COOKIE_PREFIX = "candidate-"
COOKIE_AGE_S = 2 * 24 * 3600
"""After the link's end: an interview that began in time goes on, reloads and late chunks too. *Assumption*."""
AFTER_PLANNED = timedelta(days=1)
"""So long a link stays open after the planned time: an interview may be put off to the next day. Assumption."""


def token_of(room: Room) -> str:
    """What stands in the address: the room and the number of its link, signed."""
    return signing.Signer(salt=_SALT).sign(f"{room.code}.{room.link_serial}").replace(":", "~")


def link_of(room: Room, request: HttpRequest | None = None) -> str:
    """The whole address, to be sent to the candidate."""
    path = reverse("join", args=[token_of(room)])
    if settings.PUBLIC_URL:
        return f"{settings.PUBLIC_URL}{path}"
    return request.build_absolute_uri(path) if request is not None else path


def refusal(code: str) -> RequestError:
    """What a candidate reads whose link does not open a room. `code`: ``link_unknown``, ``link_expired``,
    ``link_revoked``, ``link_used_up``, ``room_ended``."""
    messages = {
        "link_unknown": _(
            "This link is not complete. Open it again from the message you got, or ask for a new one."
        ),
        "link_expired": _("This link has expired. Ask the person who invited you for a new one."),
        "link_revoked": _("This link was withdrawn. Ask the person who invited you for a new one."),
        "link_used_up": _(
            "This link was opened in too many browsers already. Open it in the browser that you used first, or ask the "
            "person who invited you for a new one."
        ),
        "room_ended": _(
            "This interview has ended. If that is a surprise, write to the person who invited you."
        ),
    }
    return RequestError(code, messages[code], _STATUSES.get(code, 410))


def named_by(token: str) -> tuple[Room, int]:
    """The room whose link `token` is or was, whether it opens it or not, and the number of the link. Raises
    RequestError('link_unknown')."""
    try:
        signed = signing.Signer(salt=_SALT).unsign(token.replace("~", ":"))
    except signing.BadSignature as error:
        raise refusal("link_unknown") from error
    code, _dot, serial = signed.rpartition(".")
    room = Room.objects.select_related("candidate", "owner").filter(code=code).first()
    if room is None:
        raise refusal("link_unknown")
    return room, int(serial)


def room_of(token: str) -> Room:
    """The room that `token` opens. Raises RequestError, see `refusal`."""
    room, serial = named_by(token)
    if room.ended:
        raise refusal("room_ended")
    if room.link_revoked_at is not None or serial != room.link_serial:
        raise refusal("link_revoked")
    if room.link_expires_at <= timezone.now():
        raise refusal("link_expired")
    return room


def new_expiry(planned_at: datetime | None = None) -> datetime:
    """``LINK_DAYS`` from now; where the interview is planned for later, a day after it."""
    regular = timezone.now() + timedelta(days=settings.LINK_DAYS)
    return max(regular, planned_at + AFTER_PLANNED) if planned_at else regular


def kept_until(over: datetime) -> datetime | None:
    """When the room is erased whose interview was, or can at the latest begin, at `over`; None: when somebody does."""
    days = settings.RECORD_RETENTION_DAYS
    return over + timedelta(days=days) if days else None


def used_up(room: Room) -> bool:
    """Whether the link gave a place to as many browsers as it may."""
    places = Participant.objects.filter(
        room=room, role=Participant.Role.CANDIDATE, link_serial=room.link_serial
    )
    return places.count() >= bounds.MAX_PLACES


def revoke(room: Room) -> None:
    """Close the link. Who is in the room already stays in it; who waits to be let in does not wait any more."""
    with transaction.atomic():
        Room.objects.filter(pk=room.pk, link_revoked_at=None).update(link_revoked_at=timezone.now())
        _end_waiting(room)
    room.refresh_from_db(fields=["link_revoked_at"])


def _end_waiting(room: Room) -> None:
    """Their sockets find it out at their next look (`rooms.consumers.candidate`)."""
    Participant.objects.filter(
        room=room, role=Participant.Role.CANDIDATE, state=Participant.State.WAITING
    ).update(state=Participant.State.INVITED)


def renew(room: Room) -> None:
    """A new link; the old one opens nothing any more, and who waits by it does not wait any more."""
    opens_until = new_expiry(room.planned_at)
    with transaction.atomic():
        Room.objects.filter(pk=room.pk).update(
            link_serial=F("link_serial") + 1,
            link_revoked_at=None,
            link_expires_at=opens_until,
            erase_at=kept_until(opens_until),
        )
        _end_waiting(room)
    room.refresh_from_db(fields=["link_serial", "link_revoked_at", "link_expires_at", "erase_at"])


def admits(room: Room, place: Participant) -> bool:
    """Whether the link that `place` came by still lets somebody in who waits."""
    return room.link_revoked_at is None and place.link_serial == room.link_serial


# -- The browser's key ------------------------------------------------------------------------


def new_key() -> tuple[str, str]:
    """A secret for one browser, and its digest, which alone is stored."""
    key = secrets.token_urlsafe(32)
    return key, hash_token(key)


def cookie_name(room: Room) -> str:
    return f"{COOKIE_PREFIX}{room.code}"


def set_cookie(response: HttpResponse, room: Room, key: str) -> None:
    response.set_cookie(
        cookie_name(room),
        key,
        max_age=COOKIE_AGE_S + max(0, int((room.link_expires_at - timezone.now()).total_seconds())),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def candidate_with(room: Room, key: str | None) -> Participant | None:
    """The candidate's place in `room` that the browser with this key has, whatever its state."""
    if not key:
        return None
    return Participant.objects.filter(
        room=room, role=Participant.Role.CANDIDATE, key_digest=hash_token(key)
    ).first()
