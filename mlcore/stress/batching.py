"""One thread that works for many: whatever waits is taken together, and nobody waits for a batch to fill."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mlcore.closing import Closing
from mlcore.errors import AnalysisError

MAX_WAITING = 64
"""Inputs of one kind that may wait: a video frame of 480×360 takes half a megabyte."""

Item = tuple[Any, "Future[Any]", float]
"""An input, its result to come, and since when it waits (monotonic seconds)."""


@dataclass
class Kind:
    """Inputs that can be taken together. `work` gives a result for each, in order. Those that have waited for more than
    `max_wait_s` fail as ``analysis_busy``: nobody wants them any more, and newer ones need not wait for them."""

    work: Callable[[Sequence[Any]], Sequence[Any]]
    max_batch: int = 16
    max_waiting: int = MAX_WAITING
    max_wait_s: float = float("inf")
    _waiting: deque[Item] = field(default_factory=deque)

    def take(self) -> list[Item]:
        """The oldest that wait, those left out that nobody waits for any more."""
        taken: list[Item] = []
        oldest_s = time.monotonic() - self.max_wait_s
        while self._waiting and len(taken) < self.max_batch:
            item = self._waiting.popleft()
            if not item[1].set_running_or_notify_cancel():
                continue
            if item[2] < oldest_s:
                item[1].set_exception(_busy(f"This has waited for more than {self.max_wait_s:g} s."))
            else:
                taken.append(item)
        return taken


class Batcher(Closing):
    """Runs the work of all kinds in one thread, a batch of each kind in turn.

    `prepare` is run in that thread before anything else. Close it; what still waits then fails by name.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], *, name: str, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self._kinds = dict(kinds)
        self._prepare = prepare
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, kind: str, value: Any) -> Future[Any]:
        """The result to come. `AnalysisError`: ``analysis_busy`` where too many wait, ``analysis_closed`` after
        `close`; a retry can help with both."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise _closed()
            waiting = self._kinds[kind]._waiting
            if len(waiting) >= self._kinds[kind].max_waiting:
                raise _busy(f"{len(waiting)} inputs wait already.")
            waiting.append((value, future, time.monotonic()))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Ends the thread after the batch it is at. May be called again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._prepare()
            while self._wait():
                self._turn()
        finally:
            with self._changed:
                self._closed = True
            self._fail_waiting()

    def _turn(self) -> None:
        for kind in self._kinds.values():
            with self._changed:
                taken = [] if self._closed else kind.take()
            if taken:
                _work(kind.work, taken)

    def _wait(self) -> bool:
        """Until there is something to do; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(k._waiting for k in self._kinds.values()))
            return not self._closed

    def _fail_waiting(self) -> None:
        for kind in self._kinds.values():
            while taken := kind.take():
                for _, future, _ in taken:
                    future.set_exception(_closed())


def _work(work: Callable[[Sequence[Any]], Sequence[Any]], taken: list[Item]) -> None:
    """A failing batch is tried again one by one, so that nobody fails for another's input."""
    try:
        results = work([value for value, _, _ in taken])
    except Exception as error:  # noqa: BLE001 (whatever it is goes to those who wait)
        if len(taken) == 1:
            taken[0][1].set_exception(error)
            return
        for item in taken:
            _work(work, [item])
        return
    for (_, future, _), result in zip(taken, results, strict=True):
        future.set_result(result)


def _busy(why: str) -> AnalysisError:
    return AnalysisError(
        "analysis_busy", f"{why} Send fewer a second, or run more processes.", permanent=False
    )


def _closed() -> AnalysisError:
    return AnalysisError("analysis_closed", "The analysis was ended; start it again.", permanent=False)
