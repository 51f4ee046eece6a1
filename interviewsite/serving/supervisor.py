"""Keeps child processes running until told to stop, then stops them all within a bounded time."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from interviewsite.serving.processes import Child

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
STOP_WITHIN_S = 7.0
"""For children to end by themselves; with what follows, all is over in less than ten seconds."""
LOOK_EVERY_S = 0.2
QUICK_DEATH_S = 10.0
LONGEST_PAUSE_S = 30.0


@dataclass
class Watched:
    """A child, what to do once it has died, and the pause before starting one again that dies at once."""

    child: Child
    on_death: Callable[[int], None]
    pause_s: float = 0.0
    start_at_s: float | None = None


@dataclass
class Supervisor:
    """Must live in the main thread; see `Child`."""

    say: Say
    stopping: threading.Event = field(default_factory=threading.Event)
    _watched: list[Watched] = field(default_factory=list)

    def stop_on_signals(self) -> None:
        """One Ctrl-C, SIGTERM or hang-up asks to stop; further ones change nothing."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.stopping.set()

    def watch(self, child: Child, on_death: Callable[[int], None] = lambda pid: None) -> None:
        """Start `child`, unless it is running, and start it again whenever it dies; `on_death` is given its
        old pid.
        """
        if not child.running():
            child.start()
        self._watched.append(Watched(child, on_death))

    def tend(self) -> None:
        """One look at every child."""
        for watched in self._watched:
            if watched.start_at_s is not None:
                self._start_if_due(watched)
            elif not watched.child.running():
                self._bury(watched)

    def _bury(self, watched: Watched) -> None:
        child = watched.child
        pid, lived_s = child.pid, time.monotonic() - child.started_s
        self.say(f"The {child.name} (process {pid}) {child.ending()}; starting it again.")
        child.kill()
        watched.pause_s = (
            min(max(1.0, 2 * watched.pause_s), LONGEST_PAUSE_S) if lived_s < QUICK_DEATH_S else 0.0
        )
        watched.start_at_s = time.monotonic() + watched.pause_s
        try:
            watched.on_death(pid)
        except Exception as error:
            logger.exception("After the end of the %s: %s", child.name, type(error).__name__)
        self._start_if_due(watched)

    def _start_if_due(self, watched: Watched) -> None:
        if watched.start_at_s is not None and time.monotonic() >= watched.start_at_s:
            watched.start_at_s = None
            watched.child.start()

    def run(self) -> None:
        """Until asked to stop."""
        while not self.stopping.wait(LOOK_EVERY_S):
            self.tend()

    def stop(self) -> list[Child]:
        """End all children, those that were started last first to be asked; the ones that had to be killed.

        The first child watched is asked only when the others have ended: they may still need it.
        """
        until_s = time.monotonic() + STOP_WITHIN_S
        children = [watched.child for watched in self._watched]
        first, others = children[:1], children[1:]
        killed = []
        for group, limit_s in ((others, until_s), (first, until_s + 1)):
            for child in reversed(group):
                child.ask_to_stop()
            for child in group:
                if not child.wait(limit_s):
                    killed.append(child)
                child.kill()
        return killed
