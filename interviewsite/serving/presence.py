"""Which workers are alive, as they say themselves in the queue."""

from __future__ import annotations

import time

from redis import Redis

WORKERS_KEY = "wawancara:workers"
"""A sorted set: names of workers by the time of their last sign of life."""
SAID_EVERY_S = 2.0
PRESENT_FOR_S = 10.0
FORGOTTEN_AFTER_S = 60.0


def say_present(client: Redis, name: str) -> None:
    now = time.time()
    client.zadd(WORKERS_KEY, {name: now})
    client.zremrangebyscore(WORKERS_KEY, 0, now - FORGOTTEN_AFTER_S)


def say_gone(client: Redis, name: str) -> None:
    client.zrem(WORKERS_KEY, name)


def present_workers(client: Redis) -> int:
    """How many workers gave a sign of life lately."""
    return int(client.zcount(WORKERS_KEY, time.time() - PRESENT_FOR_S, "+inf"))  # type: ignore[arg-type]
