"""How long `serve` takes from the command to the first answer of /health, and from Ctrl-C to its end.

``python -m tests.bench.cold_start`` prints JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.bench.uploads import free_port

ROOT = Path(__file__).resolve().parents[2]
HEALTH_BUDGET_S, STOP_BUDGET_S = 10.0, 10.0
GIVE_UP_S = 120.0


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wawancara-bench-") as var:
        first, first_stop = _start_and_stop(var)
        second, second_stop = _start_and_stop(var)
    return {
        "empty_state_s": first,
        "database_there_s": second,
        "stop_s": max(first_stop, second_stop),
        "budget_s": HEALTH_BUDGET_S,
        "stop_budget_s": STOP_BUDGET_S,
    }


def _start_and_stop(var: str) -> tuple[float, float]:
    port = free_port()
    environment = os.environ | {"VAR_DIR": var, "MODELS_DIR": str(ROOT / "var" / "models"), "REDIS_URL": ""}
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - started > GIVE_UP_S:
                raise RuntimeError("serve did not come up")
            time.sleep(0.05)
        ready_s = time.perf_counter() - started
    finally:
        stopping = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    return round(ready_s, 2), round(time.perf_counter() - stopping, 2)


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
        return bool(response.status == 200)
    return False


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
