"""The database before anybody is served from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

from interviewsite import first_run
from interviewsite.first_run import Credentials

LOCK = 0x776177616E636172
"""PostgreSQL's advisory locks have numbers; this one spells "wawancar" in ASCII."""


def prepare_database() -> list[Credentials]:
    """Migrate, and make the first users of a new site; their passwords.

    Raises:
        DatabaseError: it is away, or cannot be migrated.
    """
    with _one_host_at_a_time():
        call_command("migrate", verbosity=0, interactive=False)
        return first_run.create_initial_users()


@contextmanager
def _one_host_at_a_time() -> Iterator[None]:
    """Hosts that start together would make the same tables side by side, and all but one fail. SQLite serves one host,
    where `serve` holds a lock of its own."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    yield
    with (
        connection.cursor() as cursor
    ):  # where this is not reached, the lock ends with the connection: so does `serve`
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
