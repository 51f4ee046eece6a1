"""Where browsers find a way to each other: STUN and TURN servers, with credentials that end by themselves.

The credentials are those of the "TURN REST API" (draft-uberti-behave-turn-rest-00), which coturn knows as
``use-auth-secret``; see docs/turn.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

from django.conf import settings

from rooms.models import Participant


def ice_servers(place: Participant) -> list[dict[str, Any]]:
    """For ``RTCPeerConnection``; empty where the site has none, then only browsers of one network reach each
    other."""
    servers: list[dict[str, Any]] = []
    if settings.STUN_URLS:
        servers.append({"urls": list(settings.STUN_URLS)})
    if settings.TURN_URLS:
        username, credential = _credentials(place.peer, int(time.time()) + settings.TURN_HOURS * 3600)
        servers.append({"urls": list(settings.TURN_URLS), "username": username, "credential": credential})
    return servers


def _credentials(peer: str, expires_at: int) -> tuple[str, str]:
    """User name and password, valid until `expires_at` (Unix seconds). SHA-1 is what the draft and coturn say."""
    username = f"{expires_at}:{peer}"
    digest = hmac.new(settings.TURN_SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()
