"""A worker process: takes jobs one after another, keeps its models loaded, outlives the queue, never forks.

Django must be set up before this is imported.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from assessment import claims, interruption, work_queue
from interviewsite.serving import presence
from mlcore.errors import AnalysisError

logger = logging.getLogger(__name__)

RECONNECT_AFTER_S = 1.0
ORPHAN_GRACE_S = 5.0


class QueueWorker(SimpleWorker):
    """RQ's worker without what we do otherwise: remote commands (a thread and a connection that need care
    when the queue restarts), its scheduler, and its way to stop, which waits for the end of the job.
    """

    max_connection_wait_time = 2.0

    def subscribe(self) -> None:
        """No remote commands."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed."""

    def _install_signal_handlers(self) -> None:
        """`stop_on_signals` has installed ours."""

    def stop(self) -> None:
        """Called in a signal handler: break the job off, or leave the loop if there is none.

        Raises:
            WorkInterrupted, StopRequested: in whatever the main thread is doing.
        """
        self._stop_requested = True
        interruption.request()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested


class Presence(threading.Thread):
    """Tells the queue, and so `/health`, that this worker is alive; where it is to die with its parent, ends
    the process if the signal for that got stuck in native code.
    """

    def __init__(self, name: str, *, dies_with_parent: bool) -> None:
        super().__init__(name="presence", daemon=True)
        self._name = name
        self._dies_with_parent = dies_with_parent
        self._parent_pid = os.getppid()
        self._done = threading.Event()

    def run(self) -> None:
        while True:
            try:
                with work_queue.connection() as client:
                    presence.say_present(client, self._name)
            except work_queue.QueueAway as error:
                logger.debug("No sign of life given: %s", error)
            if self._done.wait(presence.SAID_EVERY_S):
                return
            if self._dies_with_parent and os.getppid() != self._parent_pid:
                self._end_orphan()

    def _end_orphan(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._done.wait(ORPHAN_GRACE_S):
            logger.error("The process that started this worker is gone, and so is this worker.")
            os._exit(1)

    def leave(self) -> None:
        self._done.set()
        try:
            with work_queue.connection() as client:
                presence.say_gone(client, self._name)
        except work_queue.QueueAway as error:
            logger.debug("Not signed off: %s", error)


def warm_up() -> None:
    """Load the models; without them the worker runs all the same, and its jobs say what is missing."""
    from assessment import pipeline

    started = time.monotonic()
    try:
        pipeline.warm_up()
    except (AnalysisError, OSError) as error:
        logger.warning("The models could not be loaded: %s", error)
        return
    logger.info("Models loaded in %.1f s.", time.monotonic() - started)


class _Stop(BaseException):
    """The process was told to stop while it had no job."""


class WorkLoop:
    """Runs RQ's worker again and again until told to stop: RQ's leaves its loop when the queue goes away
    mid-job.
    """

    def __init__(self, *, lazy: bool, dies_with_parent: bool) -> None:
        self._lazy = lazy
        self._dies_with_parent = dies_with_parent
        self._name = claims.worker_name()
        self._worker: QueueWorker | None = None

    def stop_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if interruption.requested():
            return
        if self._worker is not None:
            self._worker.stop()
        else:
            interruption.request()
            raise _Stop

    def run(self) -> None:
        signs = Presence(self._name, dies_with_parent=self._dies_with_parent)
        try:
            self.stop_on_signals()
            signs.start()
            if not self._lazy:
                warm_up()
            logger.info("Worker %s is ready.", self._name)
            while not interruption.requested():
                self._work_once()
        except _Stop:
            logger.debug("Stopped between two jobs.")
        finally:
            signs.leave()
        logger.info("Worker %s stops.", self._name)

    def _work_once(self) -> None:
        try:
            url = work_queue.address()
            if url:
                self._worker = self._new_worker(url)
                self._worker.work(logging_level=None)
        except (RedisError, OSError) as error:
            logger.warning("The queue is away (%s); this worker waits for it.", type(error).__name__)
        except StopRequested:
            logger.debug("Stopped while the queue was away.")
        finally:
            self._worker = None
        if not interruption.requested():
            time.sleep(RECONNECT_AFTER_S)

    def _new_worker(self, url: str) -> QueueWorker:
        client = Redis.from_url(url, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0))
        name: Any = f"{self._name}.{time.time_ns()}"
        return QueueWorker([settings.QUEUE_NAME], name=name, connection=client, serializer=JSONSerializer)
