"""Who asks, what they may see, and the audit line that each look leaves."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from assessment.errors import RequestError
from assessment.models import ApiToken, Assessment, AuditEntry, hash_token

Caller = User | AnonymousUser
LAST_USED_EVERY = timedelta(minutes=1)


def not_found() -> RequestError:
    """The same for ids that do not exist and ids of others."""
    return RequestError("not_found", "There is no assessment with this id, or it is not yours to see.", 404)


def get_visible(user: Caller, session_id: str) -> Assessment:
    """The assessment named `session_id` (32 hex digits) if `user` may see it.

    Raises RequestError('not_found') with the same words for unknown, malformed and foreign ids.
    """
    if len(session_id) != 32:
        raise not_found()
    try:
        wanted = uuid.UUID(hex=session_id)
    except ValueError as error:
        raise not_found() from error
    found = Assessment.objects.visible_to(user).select_related("candidate").filter(uuid=wanted).first()
    if found is None:
        raise not_found()
    return found


def record(action: str, assessment: Assessment, actor: Caller | None, **details: Any) -> None:
    """Write the audit line of a read (`assessment.read_results`, …) or change (`assessment.create`, …)."""
    AuditEntry.write(action, f"assessment:{assessment.session_id}", actor, **details)


def bearer_token(request: HttpRequest) -> str | None:
    """The token of the `Authorization: Bearer` header; "" for a header that holds none; None without the
    header."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def token_owner(token: str) -> User | None:
    """The active user of a token that is not revoked; notes at most once a minute that it was used."""
    row = ApiToken.objects.select_related("user").filter(digest=hash_token(token), revoked_at=None).first()
    if row is None or not row.user.is_active:
        return None
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_EVERY)
    if row.last_used_at is None or row.last_used_at < now - LAST_USED_EVERY:
        ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    return row.user


def caller(request: HttpRequest) -> User | None:
    """Who makes the request: by bearer token where one is sent (a bad one is never made good by a session),
    else by session. The bearer's user becomes `request.user`."""
    token = bearer_token(request)
    if token is None:
        user = request.user
        return user if user.is_authenticated and user.is_active else None
    if getattr(request, "token_checked", None) == token:
        return request.user  # type: ignore[return-value]
    owner = token_owner(token) if token else None
    if owner is not None:
        request.user = owner  # type: ignore[assignment]
        request.token_checked = token  # type: ignore[attr-defined]
    return owner
