"""Signs of life of a long piece of work, so that the sweep leaves it to who has claimed it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection

from assessment.interruption import ClaimLost

logger = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """Calls `beat` every ``HEARTBEAT_S`` while the work goes on, on a database connection of its own; `beat` says
    whether the claim still holds. `name` is for the logs: the kind and number of what is worked on."""

    def __init__(self, name: str, beat: Callable[[], bool]) -> None:
        super().__init__(name=f"heartbeat-{name}", daemon=True)
        self.lost = threading.Event()
        self._beat_once = beat
        self._done = threading.Event()

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join(timeout=settings.HEARTBEAT_S + 5)

    def run(self) -> None:
        try:
            while not self._done.wait(settings.HEARTBEAT_S) and not self.lost.is_set():
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        try:
            if not self._beat_once() and not self._done.is_set():
                self.lost.set()
        except DatabaseError as error:
            logger.warning("%s missed: %s", self.name, type(error).__name__)
            connection.close()

    def check(self) -> None:
        """Raises ClaimLost."""
        if self.lost.is_set():
            raise ClaimLost
