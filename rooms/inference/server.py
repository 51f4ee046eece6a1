"""The Unix socket of the inference process: takes requests, has threads work on them, answers in any order.

Light to import: the models come in a thread of their own while the socket answers ``inference_away``.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.errors import AnalysisError
from rooms.inference import wire
from rooms.inference.wire import BadMessage, InferenceError, Message, Result

if TYPE_CHECKING:
    from rooms.inference.engine import Engine

logger = logging.getLogger(__name__)

FACES_AT_ONCE, CLIPS_AT_ONCE = 64, 48
"""Requests that may be under way; one more is refused as busy. *Assumption*: a second of work and a half."""
LOAD_AGAIN_S = 30.0
LOOK_AT_PARENT_S = 2.0
MAX_NAME = 100


class CannotListen(Exception):
    """Why there is no socket, in words for an administrator."""


@contextmanager
def owned_socket(path: Path) -> Iterator[socket.socket]:
    """The listening socket at `path`, for this user alone (mode 0600); a file that a dead process left is replaced.

    Raises CannotListen where another process holds it, or the path is no use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotListen(f"Another process already listens at {path}.") from error
        listener = _listen(path)
        try:
            yield listener
        finally:
            listener.close()
            path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(64)
    except OSError as error:  # a path of more than 107 bytes, among others
        listener.close()
        raise CannotListen(f"INFERENCE_SOCKET {path} cannot be used: {error.strerror or error}.") from error
    finally:
        os.umask(before)
    return listener


class Loader:
    """Loads the engine in a thread, again and again until it is there. `why_away` says why it is not."""

    def __init__(self, load: Callable[[], Engine], *, again_s: float = LOAD_AGAIN_S) -> None:
        self._load, self._again_s = load, again_s
        self.engine: Engine | None = None
        self.why_away = "The analysis is starting; try again in a few seconds."
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load-models", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def busy(self) -> bool:
        return self._thread.is_alive()

    def give_up(self) -> None:
        self._given_up.set()

    def _run(self) -> None:
        told = False
        while not self._given_up.is_set():
            started = time.monotonic()
            try:
                self.engine = self._load()
            except (AnalysisError, OSError) as error:
                self.why_away = f"The models of the live analysis could not be loaded: {error}"
                if not told:
                    logger.warning("%s It is tried again every %.0f s.", self.why_away, self._again_s)
                told = True
                self._given_up.wait(self._again_s)
                continue
            gc.collect()
            gc.freeze()  # models and modules are there to stay: going over them all takes a tenth of a second each time
            logger.info("Models for live rooms loaded in %.1f s.", time.monotonic() - started)
            return


class _Lane:
    """Threads for one kind of request, and how many may be under way."""

    def __init__(self, name: str, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._most, self._under_way = most, 0

    async def run(self, work: Callable[[], Result]) -> Result:
        if self._under_way >= self._most:
            raise InferenceError("inference_busy", f"{self._under_way} requests wait already.")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Request:
    """A checked header with its payload."""

    kind: str
    session: str
    t_s: float
    emotion: bool
    still: bool
    payload: bytes

    @classmethod
    def of(cls, message: Message) -> Request:
        """Raises BadMessage."""
        kind, session = message.header.get("kind"), message.header.get("session")
        t_s = message.header.get("t_s", 0.0)
        if kind not in ("look", "listen", "reset", "forget"):
            raise BadMessage("Unknown kind.")
        if not isinstance(session, str) or not 0 < len(session) <= MAX_NAME:
            raise BadMessage("No session.")
        if isinstance(t_s, bool) or not isinstance(t_s, int | float) or not math.isfinite(t_s):
            raise BadMessage("No time.")
        emotion, still = (message.header.get(name) is True for name in ("emotion", "still"))
        return cls(kind, session, float(t_s), emotion, still, message.payload)


class InferenceServer:
    """Serves the engine that `loader` brings on a socket."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._faces, self._clips = _Lane("faces", FACES_AT_ONCE), _Lane("clips", CLIPS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Until `stop` is set; the engine is closed then."""
        server = await asyncio.start_unix_server(self._connected, sock=listener)
        idle = asyncio.create_task(self._forget_idle())
        try:
            await stop.wait()
        finally:
            server.close()
            self._loader.give_up()
            for task in (idle, *self._tasks):
                task.cancel()
            self._faces.close()
            self._clips.close()
            if self._loader.engine is not None:
                self._loader.engine.close()

    async def _forget_idle(self) -> None:
        while True:
            await asyncio.sleep(10.0)
            if self._loader.engine is not None:
                self._loader.engine.forget_idle()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; many requests may be under way on it."""
        own = asyncio.current_task()
        assert own is not None
        self._keep(own)
        try:
            while (message := await wire.read_message(reader)) is not None:
                self._keep(asyncio.create_task(self._answer(Request.of(message), message, writer)))
        except (BadMessage, OSError) as error:
            logger.warning("A connection to the analysis was given up: %s", error)
        except asyncio.CancelledError:
            logger.debug("A connection is closed with the server.")
        finally:
            writer.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request, message: Message, writer: asyncio.StreamWriter) -> None:
        """Whatever happens, the one who asked is told, and nobody else notices."""
        started = time.perf_counter()
        try:
            result = await self._do(request)
            answer = wire.result_header(result, round(1000 * (time.perf_counter() - started), 1))
        except InferenceError as error:
            answer = wire.error_header(error)
        except Exception:
            logger.exception("A request of kind %s failed.", request.kind)
            answer = wire.error_header(wire.away("The analysis of this failed; it was logged."))
        if writer.is_closing():  # whoever asked is gone
            return
        with suppress(OSError):
            writer.write(Message({"id": message.header.get("id"), **answer}).encoded())
            await writer.drain()

    async def _do(self, request: Request) -> Result:
        engine = self._loader.engine
        if engine is None:
            if request.kind in ("reset", "forget"):
                return None
            raise wire.away(self._loader.why_away)
        if request.kind == "look":
            return await self._faces.run(partial(_look_at, engine, request))
        if request.kind == "listen":
            return await self._clips.run(partial(_listen_to, engine, request))
        (engine.reset if request.kind == "reset" else engine.forget)(request.session)
        return None


def _look_at(engine: Engine, asked: Request) -> Result:
    return engine.look(asked.session, asked.t_s, asked.payload, emotion=asked.emotion, still=asked.still)


def _listen_to(engine: Engine, asked: Request) -> Result:
    return engine.listen(asked.session, asked.t_s, asked.payload, emotion=asked.emotion)


async def watch_parent(stop: asyncio.Event) -> None:
    """Set `stop` when the process that started this one is gone."""
    parent: Any = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(LOOK_AT_PARENT_S)
    stop.set()
