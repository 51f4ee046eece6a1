"""The first two users of a new site."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str

    def __str__(self) -> str:
        return f"username={self.username} password={self.password}"


def create_initial_users() -> list[Credentials]:
    """On a site without users: `hr` (administrator) and `interviewer`, with ``INITIAL_PASSWORD`` or random
    passwords.

    Returns the passwords, which are stored only as hashes; an empty list where there is a user already.
    """
    users = get_user_model().objects
    if users.exists():
        return []
    made = [
        Credentials(name, settings.INITIAL_PASSWORD or secrets.token_urlsafe(12))
        for name in ("hr", "interviewer")
    ]
    users.create_superuser(username="hr", password=made[0].password)
    users.create_user(username="interviewer", password=made[1].password)
    return made
