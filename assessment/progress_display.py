"""Progress of a command for a person at a terminal, or in a log."""

from __future__ import annotations

import time
from typing import TextIO


class ProgressDisplay:
    """One line that is rewritten on a terminal; a line a finished stage elsewhere."""

    def __init__(self, stream: TextIO, answers: int) -> None:
        self._stream = stream
        self._answers = answers
        self._terminal = stream.isatty()
        self._started = time.monotonic()
        self._shares: dict[str, float] = {}
        self._answer = 0
        self._said: set[tuple[int, str]] = set()

    def update(self, answer: int, stage: str, share: float) -> None:
        """`answer` counts from 1; `share` of the stage that is done, 0 to 1."""
        if answer != self._answer:
            self._answer, self._shares = answer, {}
        self._shares[stage] = share
        if self._terminal:
            self._stream.write(f"\r\033[K{self._line()}")
        elif share >= 1 and (answer, stage) not in self._said:
            self._said.add((answer, stage))
            self._stream.write(f"{self._elapsed()} answer {answer}/{self._answers}: {stage} done\n")
        self._stream.flush()

    def close(self) -> None:
        if self._terminal:
            self._stream.write("\r\033[K")
        self._stream.write(f"{self._elapsed()} {self._answers} answer(s) processed\n")
        self._stream.flush()

    def _line(self) -> str:
        stages = "  ".join(f"{stage} {100 * share:.0f} %" for stage, share in self._shares.items())
        return f"{self._elapsed()} answer {self._answer}/{self._answers}  {stages}"

    def _elapsed(self) -> str:
        return f"[{time.monotonic() - self._started:5.1f} s]"
