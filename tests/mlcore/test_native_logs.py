"""Chatter of native code is dropped, errors and Python's own lines are not."""

import subprocess
import sys

PROGRAM = """
import os, sys
from mlcore.native_logs import native_chatter_dropped
with native_chatter_dropped():
    os.write(2, b"INFO: [environment.cc:36] Creating LiteRT environment\\n")
    os.write(2, b"W0000 00:00:1795300619.722129    3545 face_landmarker_graph.cc:181] Sets\\n")
    os.write(2, b"E0000 00:00:1795300619.722129    3545 graph.cc:181] It broke\\n")
    os.write(2, b"Segmentation fault\\n")
    sys.stderr.write("progress\\n")
sys.stderr.write("after\\n")
os.write(2, b"INFO: [x.cc:1] after too\\n")
"""


def test_only_chatter_is_dropped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=180, check=True
    )
    lines = done.stderr.splitlines()
    assert sorted(lines[:3]) == [
        "E0000 00:00:1795300619.722129    3545 graph.cc:181] It broke",
        "Segmentation fault",
        "progress",
    ]
    assert lines[3:] == ["after", "INFO: [x.cc:1] after too"]
