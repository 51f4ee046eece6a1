"""How views ask the inference process: a connection for each question."""

from __future__ import annotations

import socket
import time
from typing import Any

from django.conf import settings

from rooms.inference import wire
from rooms.inference.wire import BadMessage, Looked, Message


def look_once(session: str, picture: bytes, *, emotion: bool) -> Looked:
    """What a JPEG or PNG shows; its reading goes into the smoothing of `session`. Raises InferenceError."""
    if len(picture) > wire.MAX_PAYLOAD_BYTES:
        raise wire.too_large("bad_frame")
    # The clock of the machine, so that the calls of several web processes follow each other.
    header = wire.look_header(session, time.monotonic(), emotion=emotion, still=True)
    return wire.looked(_ask(header, picture))


def reset_now(session: str) -> None:
    """Clear the smoothing of `session`. Raises InferenceError."""
    wire.acknowledged(_ask({"kind": "reset", "session": session}, b""))


def is_there(timeout_s: float = 1.0) -> bool:
    """Whether the process takes connections."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(settings.INFERENCE_SOCKET))
    except OSError:
        return False
    return True


def _ask(header: dict[str, Any], payload: bytes) -> dict[str, Any]:
    deadline_s = time.monotonic() + wire.TIMEOUT_S
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(wire.TIMEOUT_S)
            connection.connect(str(settings.INFERENCE_SOCKET))
            connection.sendall(Message(header, payload).encoded())
            lengths = wire.lengths_of(_read(connection, wire.LENGTHS.size, deadline_s))
            return wire.header_of(_read(connection, lengths[0], deadline_s))
    except TimeoutError as error:
        raise wire.slow() from error
    except (OSError, BadMessage) as error:
        raise wire.away() from error


def _read(connection: socket.socket, count: int, deadline_s: float) -> bytes:
    """Raises TimeoutError, OSError."""
    parts = bytearray()
    while len(parts) < count:
        connection.settimeout(max(0.01, deadline_s - time.monotonic()))
        got = connection.recv(count - len(parts))
        if not got:
            raise ConnectionResetError
        parts += got
    return bytes(parts)
