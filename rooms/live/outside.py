"""What an analyzer knows of the world around it: whom it asks, whom it tells, and where consent and readings are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rooms.inference.wire import Heard, Looked
from rooms.live.gate import Read
from rooms.live.store import Write

Message = dict[str, Any]


class Inference(Protocol):
    """A `rooms.inference.client.InferenceClient`."""

    async def look(self, session: str, t_s: float, jpeg: bytes, *, emotion: bool) -> Looked: ...

    async def listen(self, session: str, t_s: float, pcm_s16le: bytes, *, emotion: bool) -> Heard: ...

    async def reset(self, session: str) -> None: ...

    async def forget(self, session: str) -> None: ...


@dataclass(frozen=True)
class Outside:
    """Where messages go, and where the truth comes from."""

    panel: Callable[[Message], Awaitable[object]]
    candidate: Callable[[Message], None]
    read: Read
    write: Write
