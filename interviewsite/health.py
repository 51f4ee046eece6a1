"""How the site is: a word for each of its parts, each found out within about a second."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from assessment import work_queue
from rooms.inference import blocking

logger = logging.getLogger(__name__)

LIMIT_S = 1.5
MIN_FREE_BYTES = 1_000_000_000
"""Less than this under ``var/``, and uploads will soon fail. *Assumption.*"""
LIVE_ANALYSIS_AWAY = (
    "The live analysis of rooms is not running; `serve` starts it, `manage.py infer` starts one."
)
"""Told to staff alone: calls and assessments go on without it, so that the site is not called degraded."""


@dataclass(frozen=True)
class Finding:
    """`word` is ``ok`` or what is wrong; `reason` says it for staff."""

    word: str
    reason: str = ""


OK = Finding("ok")


def _database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Finding("down", f"The database does not answer ({type(error).__name__}).")
    finally:
        connection.close()  # the connection is this thread's own
    return OK


def _queue() -> Finding:
    try:
        with work_queue.connection() as client:
            client.ping()
    except work_queue.QueueAway as error:
        return Finding("away", str(error))
    return OK


def _workers() -> Finding:
    from interviewsite.serving.presence import present_workers

    try:
        with work_queue.connection() as client:
            count = present_workers(client)
    except work_queue.QueueAway:
        return Finding("unknown", "Without a queue nothing is known of the workers.")
    return (
        OK
        if count
        else Finding("none", "No worker is running; `serve` starts them, `manage.py work` starts one.")
    )


def _models() -> Finding:
    from mlcore import assets
    from mlcore.stress import inventory

    missing = assets.missing(Path(settings.MODELS_DIR), settings.WHISPER_MODEL)
    if missing:
        return Finding("missing", f"Not there: {', '.join(missing)}. Run fetch_models.")
    own = inventory.missing(Path(settings.STRESS_WEIGHTS_DIR))
    mend = "Run git checkout -- mlcore/weights, or train_models."
    return Finding("missing", f"Not there, or damaged: {', '.join(own)}. {mend}") if own else OK


def _disk() -> Finding:
    free = shutil.disk_usage(settings.VAR_DIR).free
    return OK if free >= MIN_FREE_BYTES else Finding("low", f"{free / 1e9:.2f} GB are free under var/.")


CHECKS: dict[str, Callable[[], Finding]] = {
    "database": _database,
    "queue": _queue,
    "workers": _workers,
    "models": _models,
    "disk": _disk,
}


def _find_out(name: str, check: Callable[[], Finding], answers: queue.Queue[tuple[str, Finding]]) -> None:
    try:
        finding = check()
    except Exception as error:
        logger.exception("The check of %s failed.", name)
        finding = Finding("unknown", f"The check failed ({type(error).__name__}).")
    answers.put((name, finding))


def _findings() -> dict[str, Finding]:
    """All checks at once, each in a thread of its own that is left behind if it hangs."""
    answers: queue.Queue[tuple[str, Finding]] = queue.Queue()
    threads = [
        threading.Thread(target=_find_out, args=(name, check, answers), daemon=True)
        for name, check in CHECKS.items()
    ]
    for thread in threads:
        thread.start()
    found = {
        name: Finding("down" if name == "database" else "unknown", "No answer in time.") for name in CHECKS
    }
    until_s = time.monotonic() + LIMIT_S
    for thread in threads:
        thread.join(timeout=max(0.0, until_s - time.monotonic()))
    while not answers.empty():
        name, finding = answers.get_nowait()
        found[name] = finding
    return found


def report(staff: bool) -> tuple[dict, int]:
    """The document of ``GET /health`` and its HTTP status.

    ``status`` is ``ok`` or ``degraded``; reasons are told to staff alone. The status is 200 as long as
    requests can be served, also while degraded, and 503 without a database.
    """
    found = _findings()
    healthy = all(finding.word == "ok" for finding in found.values())
    document: dict = {"status": "ok" if healthy else "degraded"}
    document |= {name: finding.word for name, finding in found.items()}
    if staff:
        document["reasons"] = {name: finding.reason for name, finding in found.items() if finding.reason}
        if not blocking.is_there():
            document["reasons"]["live_analysis"] = LIVE_ANALYSIS_AWAY
    return document, 503 if found["database"].word == "down" else 200
