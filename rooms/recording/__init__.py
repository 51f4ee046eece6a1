"""The candidate's stream in chunks, and what becomes of it."""

from rooms.recording.chunks import MAX_CHUNK_BYTES, finish, receive
from rooms.recording.limits import LATE_S
from rooms.recording.state import (
    Status,
    begun_anew,
    erase,
    erase_for_good,
    runs,
    started,
    status,
    stop,
    stopped_segment,
    withdrawn,
)

__all__ = [
    "LATE_S",
    "MAX_CHUNK_BYTES",
    "Status",
    "begun_anew",
    "erase",
    "erase_for_good",
    "finish",
    "receive",
    "runs",
    "started",
    "status",
    "stop",
    "stopped_segment",
    "withdrawn",
]
