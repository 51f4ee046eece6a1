"""What browsers record, made into files that seek: joined, cut and given a duration and an index, by stream copy.

Nothing is decoded or encoded anew. The bytes are a stranger's: containers are read by a child process alone
(`mlcore.media_remux_child`, confined as the decoder is); here they are only searched for where a box or cluster begins.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlcore.errors import AnalysisError
from mlcore.media import ROOT, _environment, _tail
from mlcore.media_types import MediaLimits

logger = logging.getLogger(__name__)

TIMEOUT_S = 300.0
"""Assumption: copying 2 GB takes about 20 s on a slow disk."""
HEADER_BYTES = 1 << 20
"""Assumption: recorders' headers have a few hundred bytes."""
CLUSTER = bytes.fromhex("1F43B675")  # RFC 9559, section 5.1.3
MOOF, MFHD = b"moof", b"mfhd"  # ISO/IEC 14496-12, 8.8.4 and 8.8.5


@dataclass(frozen=True)
class Extent:
    """A readable file: its first and last time by its own clock, and `kind`, which is the same for files that can
    follow each other in one."""

    start_s: float
    end_s: float
    kind: str


@dataclass(frozen=True)
class Piece:
    """From `from_s` to `to_s` of a file, by its own clock; None: from its first, to its last time. In the result it
    comes `gap_s` after the piece before it. It begins with the last keyframe before `from_s`."""

    path: Path
    from_s: float | None = None
    to_s: float | None = None
    gap_s: float = 0.0


def measure(path: Path, limits: MediaLimits, *, longest_s: float) -> Extent:
    """Read all of `path` without decoding it; times more than `longest_s` after its first are not believed.

    Raises AnalysisError('unreadable_media', 'no_frames', 'remux_failed', …)."""
    if not path.is_file() or path.stat().st_size == 0:
        raise AnalysisError("unreadable_media", "Nothing of it arrived.")
    request = {"task": "measure", "path": str(path.resolve()), "longest_s": longest_s}
    return Extent(**_ask(request, limits))


def write(
    target: Path, pieces: Sequence[Piece], limits: MediaLimits, *, longest_s: float, video: bool = True
) -> float:
    """Copy `pieces`, which are of one kind, into the new file `target`; its length in seconds, at most that of
    `limits`. Without `video` the sound alone.

    Raises AnalysisError('no_frames', 'storage_full', 'remux_failed', …)."""
    request = {
        "task": "write",
        "target": str(target.resolve()),
        "pieces": [{**asdict(piece), "path": str(piece.path.resolve())} for piece in pieces],
        "longest_s": longest_s,
        "video": video,
        # The index comes on top, and an mp4 is moved within itself once to have it in front.
        "file_bytes": 2 * sum(piece.path.stat().st_size for piece in pieces) + (64 << 20),
    }
    return float(_ask(request, limits)["duration_s"])


def _ask(request: dict[str, Any], limits: MediaLimits) -> dict[str, Any]:
    with tempfile.TemporaryFile() as log:
        try:
            done = subprocess.run(
                [sys.executable, "-E", "-s", "-m", "mlcore.media_remux_child"],
                input=json.dumps({**request, "limits": asdict(limits), "parent_pid": os.getpid()}).encode(),
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                cwd=ROOT,
                timeout=TIMEOUT_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failed("took too long", log) from error
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            raise _failed(f"ended with {done.returncode}", log) from error
    if "error" in answer:
        raise AnalysisError(**answer["error"])
    return answer


def _failed(what: str, log: Any) -> AnalysisError:
    logger.warning("The process that copies recordings %s: %s", what, _tail(log))
    return AnalysisError("remux_failed", "Preparing this recording failed.", permanent=False)


# -- Recordings with pieces missing -------------------------------------------------------------


def header_of(path: Path) -> bytes:
    """What stands before the first cluster or fragment, and is needed to read those that follow: all of a short file
    that has none, as a recorder's first chunk may be; b"" for a longer one."""
    at = _next_unit(path, HEADER_BYTES)
    if at is None and path.stat().st_size > HEADER_BYTES:
        return b""
    with path.open("rb") as file:
        return file.read(at)


def resume_at(path: Path) -> int | None:
    """Where the first whole cluster (Matroska) or fragment (MP4) of a file begins that starts anywhere."""
    return _next_unit(path, path.stat().st_size)


def _next_unit(path: Path, within: int) -> int | None:
    size = min(within, path.stat().st_size)
    if not size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cluster, fragment = data.find(CLUSTER, 0, size), _fragment(data, size)
    found = [at for at in (cluster, fragment) if at >= 0]
    return min(found) if found else None


def _fragment(data: mmap.mmap, size: int) -> int:
    """The first ``moof`` box, known by the ``mfhd`` that it begins with; -1 for none."""
    at = data.find(MOOF, 0, size)
    while at >= 0:
        if at >= 4 and data[at + 8 : at + 12] == MFHD:
            return at - 4
        at = data.find(MOOF, at + 1, size)
    return -1
