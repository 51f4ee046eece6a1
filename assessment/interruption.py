"""How the work on an answer is stopped from outside: by a signal, or because somebody else took the answer
over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class WorkInterrupted(BaseException):
    """The process must stop. Not an `Exception`: stages must not turn it into a failure."""


class ClaimLost(BaseException):
    """The answer belongs to somebody else by now; whatever is being done about it here is void."""


class _Gate:
    def __init__(self) -> None:
        self.requested = threading.Event()
        self.open = False


_gate = _Gate()


def request() -> None:
    """Stop the work: at once if it is going on in this (main) thread, else as soon as it begins.

    Called by signal handlers, which Python runs in the main thread between two steps of whatever goes on
    there.

    Raises:
        WorkInterrupted: inside an `interruptible` block.
    """
    _gate.requested.set()
    if _gate.open:
        _gate.open = False
        raise WorkInterrupted


def requested() -> bool:
    return _gate.requested.is_set()


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which `request` raises; outside of it the bookkeeping that follows is left in peace.

    Raises:
        WorkInterrupted: also on entry, when the request came earlier.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if requested():
        raise WorkInterrupted
    _gate.open = True
    try:
        yield
    finally:
        _gate.open = False
