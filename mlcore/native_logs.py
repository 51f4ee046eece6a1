"""Keeps the chatter of MediaPipe's native code off standard error; everything else passes.

It writes to file descriptor 2 itself and knows no setting for it, so the descriptor is led through a pipe.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_CHATTER = re.compile(
    rb"^((INFO|WARNING): .*(\.cc:\d+\]|InitGoogle|TensorFlow Lite)|[IW]\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\])"
)


@contextmanager
def native_chatter_dropped() -> Iterator[None]:
    """While it lasts, informational lines of native libraries are dropped from standard error, errors are not.

    Python's own `sys.stderr` writes past the filter, straight to where it went before.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 2)
    os.close(writer)
    previous, sys.stderr = sys.stderr, os.fdopen(os.dup(kept), "w", buffering=1)
    with os.fdopen(os.dup(kept), "wb", buffering=0) as out, os.fdopen(reader, "rb") as lines:
        thread = threading.Thread(target=_pass_on, args=(lines, out), name="native-logs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            sys.stderr.close()
            sys.stderr = previous
            os.dup2(kept, 2)
            os.close(kept)
            thread.join(timeout=1.0)


def _pass_on(lines: BinaryIO, out: BinaryIO) -> None:
    for line in lines:
        if not _CHATTER.match(line):
            out.write(line)
