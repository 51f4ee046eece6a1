"""`Idempotency-Key`: the same request sent twice is done once.

A key is claimed by inserting its row: the unique constraint lets one of several concurrent requests win. The
answer is stored in the transaction that makes what it speaks of, so that no crash can part the two.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from assessment.errors import RequestError
from assessment.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)
ABANDONED_AFTER = timedelta(minutes=10)  # assumption: no request is worked on for longer once its body is in
WAIT_S = 5.0
POLL_S = 0.1
MAX_KEY_LENGTH = 200

Response = dict[str, Any]
Settle = Callable[[Response], None]


def checked_key(raw: str | None) -> str | None:
    """The header's value, or None without one. Raises RequestError('invalid_idempotency_key')."""
    if raw is None:
        return None
    if not 1 <= len(raw) <= MAX_KEY_LENGTH or not raw.isascii() or not raw.isprintable():
        raise RequestError(
            "invalid_idempotency_key",
            f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable ASCII characters.",
            details={"header": "Idempotency-Key"},
        )
    return raw


def fingerprint(call: str, content: Any) -> str:
    """SHA-256 over the call's name and its JSON-ready content (fields, and files by their digests)."""
    text = json.dumps([call, content], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_once(
    user: User,
    key: str | None,
    digest: str,
    action: Callable[[Settle], Response],
    wait_s: float = WAIT_S,
) -> Response:
    """Do `action` unless this user's `key` has been answered already; then give that answer.

    `action` gets `settle`, to be called with the response inside the transaction that stores its work;
    without a key it does nothing. When `action` raises, the key is free again. Raises
    RequestError('idempotency_conflict' or 'in_progress', 409).
    """
    if key is None:
        return action(lambda response: None)
    deadline = time.monotonic() + wait_s
    while True:
        claimed = _claim(user, key, digest)
        if claimed is not None:
            return _work(claimed, action)
        earlier = IdempotencyKey.objects.filter(user_id=user.pk, key=key).first()
        if earlier is not None and earlier.fingerprint != digest:
            raise RequestError(
                "idempotency_conflict",
                "This Idempotency-Key was used for another request. Use a new key.",
                409,
            )
        if earlier is not None and earlier.status_code is not None:
            return dict(earlier.response or {})
        if time.monotonic() >= deadline:
            raise RequestError(
                "in_progress",
                "The first request with this Idempotency-Key is still being worked on. Ask again.",
                409,
            )
        time.sleep(POLL_S)


def check_same(user: User, key: str | None, digest: str) -> None:
    """For calls that may be done again as they are: `key` is noted with what it stands for.

    Raises RequestError('idempotency_conflict') where it stands for something else."""
    run_once(user, key, digest, _nothing)


def _nothing(settle: Settle) -> Response:
    settle({})
    return {}


def _claim(user: User, key: str, digest: str) -> IdempotencyKey | None:
    now = timezone.now()
    rows = IdempotencyKey.objects.filter(user_id=user.pk, key=key)
    rows.filter(created_at__lt=now - KEPT_FOR).delete()
    rows.filter(status_code=None, created_at__lt=now - ABANDONED_AFTER).delete()
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(user_id=user.pk, key=key, fingerprint=digest)
    except IntegrityError:
        return None


def _work(claimed: IdempotencyKey, action: Callable[[Settle], Response]) -> Response:
    rows = IdempotencyKey.objects.filter(pk=claimed.pk)

    def settle(response: Response) -> None:
        if not rows.update(status_code=200, response=response):
            raise RequestError(
                "in_progress", "Another request took over this Idempotency-Key. Ask again.", 409
            )

    try:
        return action(settle)
    finally:
        rows.filter(status_code=None).delete()
