"""The candidate's stream in chunks, and what becomes of it."""

from rooms.recording.chunks import MAX_CHUNK_BYTES, finish, receive
from rooms.recording.state import (
    LATE_S,
    Status,
    erase,
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
    "erase",
    "finish",
    "receive",
    "started",
    "status",
    "stop",
    "stopped_segment",
    "withdrawn",
]
