"""Request bodies of uploads, handed to Django while they arrive.

Django's own ASGI handler takes in the whole body before a view or middleware runs, and multipart parsing then
copies it once more. Here the thread that parses pulls one piece after the other from the server, which stops
reading the socket meanwhile: memory holds one piece of each upload, and nothing is taken from callers who may
not upload.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from assessment.errors import UploadTooLarge
from interviewsite.gate import body_limit

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IDLE_S = 60.0  # a body that brings nothing for so long is given up; Django's figure for its own bodies
LINGER_S = 10.0  # after a refusal, what is still on its way is thrown away for so long ...
LINGER_BYTES = 64 * 1024 * 1024  # ... and so much, so that the caller gets to read the answer


class BodyBroken(ConnectionError):
    """The caller went away, or the server is stopping, in the middle of the body."""


class BodyStream:
    """A body as a file for the request's thread; for Django's handler, the `receive` of what comes after it.

    `read` blocks and belongs to the thread; everything else runs on the event loop.
    """

    def __init__(self, receive: Receive, limit_bytes: int, idle_s: float = IDLE_S) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._taken = 0
        self._aborted = False
        self._finished = False
        self._rest = b""
        self._pending: Future[bytes] | None = None

    @property
    def ended(self) -> bool:
        """Whether all of the body has come, or its caller is gone."""
        return self._ended.is_set()

    async def __call__(self) -> Message:
        """What comes after the body; Django listens here for the caller going away."""
        await self._ended.wait()
        return await self._receive()

    async def _take(self) -> bytes:
        if self._aborted:
            raise BodyBroken("the request is over")
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._aborted = True
            self._ended.set()
            raise BodyBroken("the caller went away")
        piece = message.get("body", b"")
        self._taken += len(piece)
        if not message.get("more_body", False):
            self._finished = True
            self._ended.set()
        if self._taken > self._limit_bytes:
            raise UploadTooLarge
        return piece

    def _pull(self) -> bytes:
        """The next piece; b"" at the end. Raises UploadTooLarge, BodyBroken or TimeoutError."""
        while not self._finished:
            pending = asyncio.run_coroutine_threadsafe(self._take(), self._loop)
            self._pending = pending
            if self._aborted:
                pending.cancel()
            try:
                piece = pending.result(self._idle_s)
            except FutureTimeoutError as error:
                pending.cancel()
                raise TimeoutError(f"nothing came for {self._idle_s:.0f} s") from error
            except CancelledError as error:
                raise BodyBroken("the request was given up") from error
            if piece:
                return piece
        return b""

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer only at the end; all that is left for a negative size."""
        pieces, missing = [], size
        while missing:
            piece = self._rest or self._pull()
            if not piece:
                break
            self._rest = b""
            if 0 < missing < len(piece):
                piece, self._rest = piece[:missing], piece[missing:]
            pieces.append(piece)
            missing -= len(piece) if size > 0 else 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readline(self, size: int = -1) -> bytes:
        """The next piece, wherever its lines end: Django's parser uses up what follows a form line by line, and a
        body of nothing but line ends must not cost more than another."""
        piece, self._rest = self._rest or self._pull(), b""
        return piece

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Wakes the thread if it still waits for a piece; called more than once."""
        self._aborted = True
        if self._pending is not None:
            self._pending.cancel()

    def lingering(self, send: Send) -> Send:
        """`send`, but an answer that comes before the end of the body closes the connection after a pause in
        which the rest is thrown away: a caller whose connection is reset would never see why."""

        async def send_answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not self.ended:
                message = {**message, "headers": [*message.get("headers", ()), (b"Connection", b"close")]}
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and not self.ended:
                await send({**message, "more_body": True})
                await self._discard()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        return send_answer

    async def _discard(self) -> None:
        limit, until = self._taken + LINGER_BYTES, time.monotonic() + LINGER_S
        while not self.ended and self._taken < limit and time.monotonic() < until:
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    message = await self._receive()
            except TimeoutError:
                return
            self._taken += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                self._ended.set()


class KeptBody:
    """The `receive` of a call without an upload: of a longer body than Django takes nothing more is kept, since Django
    writes all of it to disk before it knows who sends it."""

    def __init__(self, receive: Receive, scope: Scope) -> None:
        self._receive, self._scope = receive, scope
        self._limit_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        self._taken = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        kept = self._taken <= self._limit_bytes
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit_bytes + LINGER_BYTES:
            return {"type": "http.disconnect"}
        if self._taken > self._limit_bytes and not message.get("more_body", False):
            self._declare()
        return message if kept else {**message, "body": b""}

    def _declare(self) -> None:
        """How long it was, where that was not said: what is kept is not all, and must not be taken for it."""
        headers = self._scope["headers"]
        if not any(name == b"content-length" for name, _ in headers):
            self._scope["headers"] = [*headers, (b"content-length", str(self._taken).encode())]


class StreamedRequest(ASGIRequest):
    """Takes a form without Content-Length (chunked) too; Django's parser holds it for empty."""

    def parse_file_upload(
        self, META: Mapping[str, Any], post_data: Any
    ) -> tuple[QueryDict, MultiValueDict[str, UploadedFile]]:
        if "CONTENT_LENGTH" not in META:
            META = {**META, "CONTENT_LENGTH": str(body_limit(self.path_info) or 1)}
        return super().parse_file_upload(META, post_data)


class StreamingHandler(ASGIHandler):
    """Django's handler, which streams the bodies of the calls that `gate.body_limit` knows, and bounds the others."""

    request_class = StreamedRequest

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit_bytes = body_limit(scope["path"]) if scope["method"] == "POST" else None
        if limit_bytes is None:
            await super().handle(scope, KeptBody(receive, scope), send)
            return
        body = BodyStream(receive, limit_bytes)
        waits = any(name == b"expect" for name, _ in scope["headers"])
        try:
            # A caller that waits for "100 Continue" has sent nothing that could be thrown away.
            await super().handle(scope, body, send if waits else body.lingering(send))
        finally:
            body.close()

    async def read_body(self, receive: Receive) -> Any:
        return receive if isinstance(receive, BodyStream) else await super().read_body(receive)
