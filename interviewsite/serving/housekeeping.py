"""The sweep every few seconds and the purge every hour, in a thread of `serve`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import close_old_connections, connection

logger = logging.getLogger(__name__)

PURGE_EVERY_S = 3600.0


class Housekeeping(threading.Thread):
    def __init__(self, stopping: threading.Event) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._stopping = stopping
        self._purge_at_s = time.monotonic()

    def run(self) -> None:
        try:
            while not self._stopping.wait(settings.SWEEP_EVERY_S):
                self._guarded(self._sweep)
                if time.monotonic() >= self._purge_at_s:
                    self._purge_at_s = time.monotonic() + PURGE_EVERY_S
                    self._guarded(self._purge)
        finally:
            connection.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        close_old_connections()
        try:
            work()
        except Exception:  # whatever it is, there must be a next time
            logger.exception("Housekeeping failed; it is tried again next time.")

    def _sweep(self) -> None:
        from assessment import jobs

        report = jobs.sweep()
        if report:
            logger.info("Sweep: %s.", report)

    def _purge(self) -> None:
        from assessment import retention

        logger.info("Purge: %s.", retention.purge())
