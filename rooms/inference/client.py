"""How consumers ask the inference process: one connection, many questions at a time."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from rooms.inference import wire
from rooms.inference.wire import BadMessage, Heard, InferenceError, Looked, Message


class _Connection:
    """Open until the other side closes it; then whoever waits is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.closed = False
        self._task = asyncio.create_task(self._read(reader))

    async def ask(self, header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(Message(header | {"id": number}, payload).encoded())
            await self._writer.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (message := await wire.read_message(reader)) is not None:
                waiting = self._waiting.get(message.header.get("id", -1))
                if waiting is not None and not waiting.done():
                    waiting.set_result(message.header)
        except (BadMessage, OSError):
            return  # as when it is closed
        finally:
            self._end()

    def _end(self) -> None:
        self.closed = True
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(wire.away("The analysis process went away."))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class InferenceClient:
    """For one event loop. Every call raises InferenceError: ``inference_away`` at once while the process is not there,
    ``inference_slow`` after `wire.TIMEOUT_S`. Connects by itself, and again after the process was started again."""

    _of_loops: ClassVar[dict[asyncio.AbstractEventLoop, InferenceClient]] = {}

    def __init__(self, path: Path | None = None, *, timeout_s: float = wire.TIMEOUT_S) -> None:
        """`path` of the socket; INFERENCE_SOCKET unless told otherwise."""
        self._path = path or Path(settings.INFERENCE_SOCKET)
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    @classmethod
    def shared(cls) -> InferenceClient:
        """The one of the running loop."""
        for loop in [one for one in cls._of_loops if one.is_closed()]:
            del cls._of_loops[loop]
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    async def look(self, session: str, t_s: float, jpeg: bytes, *, emotion: bool) -> Looked:
        """What a frame shows. Without `emotion` the networks are not run. Also raises ``bad_frame``,
        ``inference_busy``."""
        if len(jpeg) > wire.MAX_PAYLOAD_BYTES:
            raise wire.too_large("bad_frame")
        return wire.looked(await self._ask(wire.look_header(session, t_s, emotion=emotion), jpeg))

    async def listen(self, session: str, t_s: float, pcm_s16le: bytes, *, emotion: bool) -> Heard:
        """What a window of 2 to 10 s of sound holds that ends at `t_s`. Also raises ``bad_audio``,
        ``inference_busy``."""
        if len(pcm_s16le) > wire.MAX_PAYLOAD_BYTES:
            raise wire.too_large("bad_audio")
        return wire.heard(await self._ask(wire.listen_header(session, t_s, emotion=emotion), pcm_s16le))

    async def reset(self, session: str) -> None:
        """Clear the smoothing of the session."""
        wire.acknowledged(await self._ask({"kind": "reset", "session": session}))

    async def forget(self, session: str) -> None:
        """Drop the session."""
        wire.acknowledged(await self._ask({"kind": "forget", "session": session}))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _ask(self, header: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await (await self._connected()).ask(header, payload)
        except TimeoutError as error:
            raise wire.slow() from error
        except OSError as error:
            raise wire.away() from error

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = _Connection(*await asyncio.open_unix_connection(str(self._path)))
            return self._connection


__all__ = ["Heard", "InferenceClient", "InferenceError", "Looked"]
