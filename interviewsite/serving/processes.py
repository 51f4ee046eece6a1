"""A child process that dies with its parent, and can be started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LIFELINE = Path(__file__).with_name("lifeline.py")


@dataclass
class Child:
    """What to run; each runs in a session of its own, so that a Ctrl-C at the terminal reaches only the
    parent.

    `input_text` goes to its standard input. `dies_by` is the signal that it gets when the parent dies. Must
    be started from the main thread: the kernel counts the death of the thread that started it.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    input_text: str = ""
    dies_by: signal.Signals = signal.SIGTERM
    keep_open: tuple[int, ...] = ()
    output: Path | None = None
    process: subprocess.Popen[str] | None = None
    started_s: float = 0.0

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"{self.name} was never started.")
        return self.process.pid

    def start(self) -> None:
        lifeline = [sys.executable, "-I", "-S", str(LIFELINE), str(os.getpid()), str(int(self.dies_by))]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self.output.open("w")) if self.output else None
            self.process = subprocess.Popen(
                lifeline + self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.PIPE if self.input_text else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                pass_fds=self.keep_open,
                start_new_session=True,
            )
        self.started_s = time.monotonic()
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
                pipe.write(self.input_text)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.process.poll() if self.process else None
        if code is None:
            return "is running"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def ask_to_stop(self) -> None:
        if self.running():
            self.process.terminate()  # type: ignore[union-attr]

    def wait(self, until_s: float) -> bool:
        """Wait until the monotonic time `until_s`; whether it has ended."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout=max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and everything that it started and left in its group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
