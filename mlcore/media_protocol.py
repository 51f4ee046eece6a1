"""The messages between `mlcore.media` and its child: a header (kind, payload length), then the payload.

The child's stdin brings the request as one JSON line, then a byte for each ring slot that is free again.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mlcore.media_types import MediaLimits

HEADER = struct.Struct("<cI")
FRAME = struct.Struct("<IIId")
INFO, AUDIO, AUDIO_END, PICTURE, TOTALS, FAILURE = b"I", b"A", b"E", b"P", b"T", b"X"
STDIN, STDOUT = 0, 1

RING_SLOTS = 4
PARENT_CHECK_S = 1.0


@dataclass(frozen=True)
class DecodeRequest:
    """What `mlcore.media.open_media` asks for; `ring_fd` is the shared memory, with slots of `slot_bytes`."""

    path: Path
    limits: MediaLimits
    frames_per_second: float
    max_side_px: int
    want_audio: bool
    want_video: bool
    ring_fd: int
    slot_bytes: int


class ParentLink:
    """Messages to the parent, free slots from it."""

    def __init__(self, parent_pid: int) -> None:
        self.waited_s = 0.0
        self._parent_pid = parent_pid
        self._free = threading.Semaphore(RING_SLOTS)
        self._taken = 0

    def watch(self) -> None:
        threading.Thread(target=self._read_releases, daemon=True).start()
        threading.Thread(target=self._end_with_parent, daemon=True).start()

    def _read_releases(self) -> None:
        while released := os.read(STDIN, 64):
            self._free.release(len(released))
        leave()

    def _end_with_parent(self) -> None:
        """A process forked by the parent may hold stdin open, so that its end alone is no proof."""
        while os.getppid() == self._parent_pid:
            time.sleep(PARENT_CHECK_S)
        leave()

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        started = time.perf_counter()
        data = memoryview(HEADER.pack(kind, len(payload)) + payload)
        while data:
            data = data[os.write(STDOUT, data) :]
        self.waited_s += time.perf_counter() - started

    def send_json(self, kind: bytes, value: dict[str, Any]) -> None:
        self.send(kind, json.dumps(value).encode())

    def take_slot(self) -> int:
        """The index of a free slot, waited for: this is the back-pressure."""
        started = time.perf_counter()
        self._free.acquire()
        self.waited_s += time.perf_counter() - started
        slot = self._taken % RING_SLOTS
        self._taken += 1
        return slot


def leave() -> NoReturn:
    """Ends at once, from any thread, whatever the decoder is doing."""
    os._exit(0)


def open_ring(request: DecodeRequest) -> mmap.mmap:
    """The shared memory made by the parent."""
    return mmap.mmap(request.ring_fd, request.slot_bytes * RING_SLOTS)
