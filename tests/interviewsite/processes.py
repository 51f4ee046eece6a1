"""Real Valkey servers, workers and sites for tests, and ways to wait for and look at them."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import connection

from interviewsite.serving.valkey import EmbeddedValkey

ROOT = Path(__file__).resolve().parent.parent.parent


def wait_for(what: Callable[[], Any], within_s: float = 90.0, every_s: float = 0.05) -> Any:
    """The first truthy value of `what()`; fails the test when there is none in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        value = what()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s} s: {getattr(what, '__name__', what)}")


def database_url() -> str:
    """The test database, for other processes."""
    values = connection.settings_dict
    if values["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{values['NAME']}"
    user = values["USER"] + (f":{values['PASSWORD']}" if values["PASSWORD"] else "")
    return f"postgres://{user}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment without anything that configures the site, and `variables`."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")}
    base = {
        "DJANGO_SETTINGS_MODULE": "interviewsite.settings",
        "SECRET_KEY": "only-for-tests",
        "MODELS_DIR": str(settings.MODELS_DIR),
        "PYTHONUNBUFFERED": "1",
    }
    return kept | base | variables


def free_port() -> int:
    """A port of this machine that is free, and that the kernel gives nobody by itself: minutes later it is free still,
    though other tests and their browsers open connections all the time."""
    asked_for = Path("/proc/sys/net/ipv4/ip_local_port_range")
    given_from = int(asked_for.read_text().split()[0]) if asked_for.exists() else 32_768
    while True:
        port = 10_000 + secrets.randbelow(max(given_from, 11_000) - 10_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))  # free at every address of this machine
            return port


@contextmanager
def running_valkey(folder: Path) -> Iterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(folder, port=free_port())
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.child.kill()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    def lives(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return [process for process in processes if lives(process)]


def command_line(process: psutil.Process) -> str:
    """The words that started a process, with blanks between; nothing for one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def children(pid: int) -> list[psutil.Process]:
    """The living processes that `pid` itself started."""
    try:
        return alive(psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return []


@dataclass
class Running:
    """A manage.py command in a process of its own, its output in a file."""

    process: subprocess.Popen[bytes]
    log: Path
    seen: list[psutil.Process] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self, part: str) -> list[str]:
        return [line for line in self.output().splitlines() if part in line]

    def says(self, part: str, within_s: float = 90.0) -> str:
        """The first line with `part`."""
        try:
            return wait_for(lambda: self.lines(part), within_s)[0]
        except AssertionError as error:
            raise AssertionError(f"{part!r} was not said:\n{self.output()[-4000:]}") from error

    def family(self) -> list[psutil.Process]:
        self.seen = list({*self.seen, *family(self.pid)})
        return self.seen

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = 90.0) -> None:
        """Signal it and wait for its end."""
        self.process.send_signal(number)
        self.process.wait(timeout=within_s)

    def kill(self) -> None:
        """It and all that descend from it, at once; some may die of the others' death before their turn comes."""
        for process in alive(self.family()):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def clear(self) -> None:
        """Leave nothing behind, whatever the test did."""
        self.kill()
        self.process.wait(timeout=60)


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[Running]:
    """`manage.py` with `command`, in a session of its own."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    started = Running(process, log)
    try:
        yield started
    finally:
        started.clear()
