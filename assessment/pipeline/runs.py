"""What the database remembers of an answer's stages: one StageRun a stage and attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from assessment.models import Answer, StageRun
from mlcore.errors import AnalysisError

OnProgress = Callable[[str, float], None]
"""Called with the stage's name and the share of it that is done, 0 to 1."""

FLUSH_EVERY_S = 0.5


def finished_outputs(answer: Answer) -> dict[str, dict[str, Any]]:
    """Outputs of the stages that this run of the assessment has finished, by stage."""
    rows = answer.stage_runs.filter(run=answer.assessment.run, status=StageRun.Status.COMPLETED).order_by(
        "pk"
    )
    return {row.stage: row.output for row in rows}


class Progress:
    """Shares done by stage. `report` may be called from any thread; only `flush`, called from the thread that
    owns the job, writes to the database."""

    def __init__(self, answer: Answer, attempt: int, on_progress: OnProgress) -> None:
        self._rows = StageRun.objects.filter(answer=answer, run=answer.assessment.run, attempt=attempt)
        self._on_progress = on_progress
        self._changed: dict[str, float] = {}
        self._lock = threading.Lock()
        self._owner = threading.get_ident()
        self._flushed_at = 0.0

    def report(self, stage: str, share: float) -> None:
        with self._lock:
            self._changed[stage] = min(max(share, 0.0), 1.0)
        if threading.get_ident() == self._owner and time.monotonic() - self._flushed_at >= FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
        self._flushed_at = time.monotonic()
        for stage, share in changed.items():
            self._rows.filter(stage=stage, status=StageRun.Status.RUNNING).update(
                percent=int(100 * share), heartbeat_at=timezone.now()
            )
            self._on_progress(stage, share)


class StageRecord:
    """The StageRun of one stage in this attempt, from start to end."""

    def __init__(self, answer: Answer, stage: str, attempt: int, versions: dict[str, Any]) -> None:
        now = timezone.now()
        self._started = time.perf_counter()
        self.row, _ = StageRun.objects.update_or_create(
            answer=answer,
            run=answer.assessment.run,
            stage=stage,
            attempt=attempt,
            defaults={
                "status": StageRun.Status.RUNNING,
                "percent": 0,
                "started_at": now,
                "heartbeat_at": now,
                "versions": versions,
                "error_code": "",
                "error_message": "",
            },
        )

    def complete(self, output: dict[str, Any], seconds: float | None = None) -> None:
        self.row.output = output
        self.row.percent = 100
        self._end(StageRun.Status.COMPLETED, seconds)

    def fail(self, error: BaseException) -> None:
        known = isinstance(error, AnalysisError)
        self.row.error_code = error.code if known else "internal_error"  # type: ignore[attr-defined]
        self.row.error_message = error.message if known else type(error).__name__  # type: ignore[attr-defined]
        self._end(StageRun.Status.ERROR, None)

    def _end(self, status: str, seconds: float | None) -> None:
        self.row.status = status
        self.row.seconds = time.perf_counter() - self._started if seconds is None else seconds
        self.row.heartbeat_at = timezone.now()
        self.row.save()


@contextmanager
def recorded(answer: Answer, stage: str, attempt: int, versions: dict[str, Any]) -> Iterator[StageRecord]:
    """A stage in the calling thread: what it raises is written down and goes on."""
    record = StageRecord(answer, stage, attempt, versions)
    try:
        yield record
    except BaseException as error:
        record.fail(error)
        raise
