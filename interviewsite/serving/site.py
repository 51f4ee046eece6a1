"""Everything of a site on one machine, for `manage.py serve`. Django must be set up."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from interviewsite import state
from interviewsite.serving import preparation
from interviewsite.serving.housekeeping import Housekeeping
from interviewsite.serving.processes import Child
from interviewsite.serving.supervisor import Say, Supervisor
from interviewsite.serving.valkey import EmbeddedValkey, QueueDidNotStart

logger = logging.getLogger(__name__)

MANAGE = str(state.BASE_DIR / "manage.py")
READY_WITHIN_S = 30.0
VALKEY_TRIES = 3


class CannotServe(Exception):
    """Why the site is not started; nothing of it runs."""


@dataclass(frozen=True)
class Options:
    host: str
    port: int
    workers: int

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the site."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - only looked up
        bracketed = f"[{host}]" if ":" in host.strip("[]") and not host.startswith("[") else host
        return f"http://{bracketed}:{self.port}"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of the state folder.

    Raises:
        CannotServe: another `serve` holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotServe(
                f"Another `serve` (process {lock.read().strip() or '?'}) already runs on {folder.parent}. "
                "Stop it, or set VAR_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def listen(host: str, port: int) -> socket.socket:
    """The socket that the site answers on; held here, so that the web process can be started again without
    losing it.

    Raises:
        CannotServe: the port is taken, or the address is not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        raise CannotServe(f"Port {port} on {host} cannot be used: {error.strerror or error}.") from error
    return listener


def _named() -> dict[str, str]:
    """A Host that the site answers to, which our own address need not be."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return {"Host": names[0]} if names else {}


class Site:
    """Starts queue, web server, workers and the live analysis in this order, keeps them running, and stops them in
    reverse."""

    def __init__(self, options: Options, say: Say) -> None:
        self._options = options
        self._say = say
        self._supervisor = Supervisor(say)
        self._queue_file_written = False

    def serve(self) -> None:
        """Until asked to stop by a signal.

        Raises:
            CannotServe: nothing runs any more, if anything was started at all.
        """
        self._supervisor.stop_on_signals()
        with only_one(state.var_dir() / "run"):
            listener = listen(self._options.host, self._options.port)
            try:
                self._start(listener)
                self._supervisor.run()
            finally:
                listener.close()
                self._stop()

    def _start(self, listener: socket.socket) -> None:
        environment = self._start_queue()
        gate, database_is_ready = os.pipe()
        self._supervisor.watch(self._web(listener, gate, environment))
        self._prepare_database()
        os.close(database_is_ready)
        if not self._wait_until_ready():
            return
        for number in range(1, self._options.workers + 1):
            child = self._worker(number, environment)
            self._supervisor.watch(child, self._release_claims)
        self._supervisor.watch(self._inference(environment))
        Housekeeping(self._supervisor.stopping).start()
        self._say(f"Wawancara on {self._options.url}")

    # -- Parts --------------------------------------------------------------------------------

    def _start_queue(self) -> dict[str, str]:
        """Variables that tell the children where the queue is."""
        if settings.REDIS_URL:
            return {}
        folder = state.var_dir() / "run" / "valkey"
        for attempt in range(VALKEY_TRIES):
            valkey = EmbeddedValkey(folder)
            try:
                valkey.start()
                break
            except QueueDidNotStart as error:  # somebody else may have taken the port meanwhile
                if attempt + 1 == VALKEY_TRIES:
                    raise CannotServe(str(error)) from error
        self._supervisor.watch(valkey.child)
        state.write_private(state.queue_url_file(), valkey.url)
        self._queue_file_written = True
        return {"REDIS_URL": valkey.url}

    def _prepare_database(self) -> None:
        try:
            made = preparation.prepare_database()
        except DatabaseError as error:
            raise CannotServe(f"The database cannot be prepared: {error}") from error
        for credentials in made:
            self._say(str(credentials))

    def _web(self, listener: socket.socket, gate: int, environment: dict[str, str]) -> Child:
        descriptor = listener.fileno()
        return Child(
            name="web server",
            command=[sys.executable, "-m", "interviewsite.serving.web", str(descriptor), str(gate)],
            environment={**environment, "PYTHONPATH": self._python_path()},
            keep_open=(descriptor, gate),
            dies_by=signal.SIGKILL,  # at once, so that the port is free for the next `serve`
        )

    def _python_path(self) -> str:
        return os.pathsep.join(filter(None, (str(state.BASE_DIR), os.environ.get("PYTHONPATH"))))

    def _worker(self, number: int, environment: dict[str, str]) -> Child:
        command = [sys.executable, MANAGE, "work", "--dies-with-parent"]
        return Child(name=f"worker {number}", command=command, environment=environment)

    def _inference(self, environment: dict[str, str]) -> Child:
        command = [sys.executable, MANAGE, "infer", "--dies-with-parent"]
        return Child(name="live analysis", command=command, environment=environment)

    def _wait_until_ready(self) -> bool:
        """Until the web server answers anything at all: workers, which load models, start only then."""
        until_s = time.monotonic() + READY_WITHIN_S
        while not self._supervisor.stopping.is_set():
            if self._answers() or time.monotonic() > until_s:
                return True
            self._supervisor.tend()
            time.sleep(0.1)
        return False

    def _answers(self) -> bool:
        request = urllib.request.Request(f"{self._options.url}/health", headers=_named())  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=1.0):  # noqa: S310 - our own address
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _release_claims(self, pid: int) -> None:
        from assessment import claims, jobs

        close_old_connections()
        released = jobs.release_claims(claims.worker_name(pid))
        if released:
            self._say(f"{released} answer(s) that it was working on will be resumed.")

    def _stop(self) -> None:
        self._say("Stopping.")
        killed = self._supervisor.stop()
        if self._queue_file_written:
            state.queue_url_file().unlink(missing_ok=True)
        for child in killed:
            self._say(f"The {child.name} did not stop in time and was killed.")
            try:
                self._release_claims(child.pid)
            except DatabaseError as error:
                logger.warning("Its work is left to the sweep: %s", type(error).__name__)
        self._say("Stopped.")
