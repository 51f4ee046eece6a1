"""The queue of jobs: an RQ queue in Valkey or Redis, a hint that may be away or lose everything."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.0
REST_AFTER_FAILURE_S = 2.0
"""So that a hand-in with fifty answers waits for a queue that is away once, not fifty times. *Assumption.*"""


class QueueAway(Exception):
    """There is no queue, or it does not answer. The rows stay queued and the sweep brings them in later."""


@dataclass(frozen=True)
class Ticket:
    """A job to be: `function` is a dotted name, `limit_s` the most seconds it may take (-1: no limit)."""

    job_id: str
    function: str
    arguments: tuple[int, ...]
    limit_s: int = -1


def address() -> str:
    """``REDIS_URL``, or where a running `serve` has its embedded Valkey; empty when there is neither."""
    if settings.REDIS_URL:
        return settings.REDIS_URL
    try:
        return Path(settings.QUEUE_URL_FILE).read_text().strip()
    except FileNotFoundError:
        return ""


@contextmanager
def connection() -> Iterator[Redis]:
    """A connection that gives up within about a second.

    Raises:
        QueueAway: no address, or any failure of the queue inside the block.
    """
    url = address()
    if not url:
        raise QueueAway("no queue is running (REDIS_URL is unset and `serve` is not running)")
    client = Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    except (RedisError, OSError) as error:
        raise QueueAway(f"the queue does not answer ({type(error).__name__})") from error
    finally:
        client.close()


def queue(client: Redis) -> Queue:
    """JSON, not pickle: whoever can write to the queue must not be able to run code of their own."""
    return Queue(settings.QUEUE_NAME, connection=client, serializer=JSONSerializer)


def _add(jobs: Queue, ticket: Ticket) -> bool:
    try:
        jobs.enqueue_call(
            ticket.function,
            args=ticket.arguments,
            job_id=ticket.job_id,
            timeout=ticket.limit_s,
            result_ttl=0,
            failure_ttl=3600,
            unique=True,
        )
    except DuplicateJobError:
        return False
    return True


def push(tickets: Iterable[Ticket]) -> int:
    """Enqueue what is not enqueued yet; the number of new jobs.

    Raises:
        QueueAway: see `connection`.
    """
    with connection() as client:
        return sum(_add(queue(client), ticket) for ticket in tickets)


def push_lost(tickets: Iterable[Ticket], *, also_if_started: frozenset[str]) -> list[Ticket]:
    """Enqueue again the `tickets` whose job is gone from the queue; those that were.

    A job that the queue knows but no longer lists has been taken by a worker a moment ago, or by one that
    died before it claimed the row: only the job ids in `also_if_started`, old enough for the latter, are
    enqueued anew.

    Raises:
        QueueAway: see `connection`.
    """
    with connection() as client:
        jobs = queue(client)
        waiting = set(jobs.job_ids)
        added = []
        for ticket in tickets:
            if ticket.job_id in waiting:
                continue
            if ticket.job_id in also_if_started:
                _forget(ticket.job_id, client)
            if _add(jobs, ticket):
                added.append(ticket)
        return added


def _forget(job_id: str, client: Redis) -> None:
    try:
        Job.fetch(job_id, connection=client, serializer=JSONSerializer).delete()
    except NoSuchJobError:
        logger.debug("Job %s was gone already.", job_id)


class _Outage:
    """Remembers that the queue is away: said once an outage, and not tried again at once."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._rest_until_s = 0.0

    def resting(self) -> bool:
        return time.monotonic() < self._rest_until_s

    def begin(self, error: QueueAway) -> None:
        if self._since_s is None:
            self._since_s = time.monotonic()
            logger.warning("Work waits in the database: %s. The sweep will enqueue it.", error)
        self._rest_until_s = time.monotonic() + REST_AFTER_FAILURE_S

    def end(self) -> None:
        if self._since_s is not None:
            logger.info("The queue is back.")
        self._since_s, self._rest_until_s = None, 0.0


_outage = _Outage()


def offer(tickets: Iterable[Ticket]) -> bool:
    """Enqueue if the queue is there; whether it was. A queue that is away is logged once, never raised."""
    if _outage.resting():
        return False
    try:
        push(tickets)
    except QueueAway as error:
        _outage.begin(error)
        return False
    _outage.end()
    return True
