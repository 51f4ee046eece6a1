"""The process that decodes: `python -m mlcore.media_child`, started by `mlcore.media` alone.

The first line of stdin is a JSON request. `probe` answers with a JSON line for each file. `decode` answers
with the messages of `mlcore.media_protocol`: information, 16 kHz mono s16le audio, its end, frames, and the
totals. Pictures go through a ring of shared memory. The process ends when its parent does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.errors import AnalysisError
from mlcore.media_protocol import (
    AUDIO_END,
    FAILURE,
    INFO,
    STDIN,
    TOTALS,
    DecodeRequest,
    ParentLink,
    leave,
)
from mlcore.media_types import MediaLimits

if TYPE_CHECKING:
    from mlcore.media_types import MediaInfo

# Assumptions: the costliest codec takes three seconds of CPU for a second of media, a probe a few in all.
CPU_S_PER_MEDIA_S, CPU_FLOOR_S, PROBE_S_PER_FILE = 3.0, 120.0, 10.0
LOG_BYTES = 1 << 16


def confine(limits: MediaLimits, cpu_s: float, file_bytes: int = LOG_BYTES) -> None:
    """Memory and CPU limits; no core dumped, and no file written beyond `file_bytes` (an error's trace)."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, int(cpu_s)),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or value < hard:
            resource.setrlimit(kind, (value, value))


def describe(error: AnalysisError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "permanent": error.permanent}


def out_of_memory() -> AnalysisError:
    return AnalysisError(
        "decoder_out_of_memory",
        "Decoding this recording needs more memory than is allowed. Export it smaller.",
    )


def probe_files(paths: list[str], limits: MediaLimits) -> None:
    """Writes one line a file; the first refusal is the last line."""
    confine(limits, PROBE_S_PER_FILE * (len(paths) + 1))
    signal.alarm(int(PROBE_S_PER_FILE * (len(paths) + 1)))
    for path in paths:
        try:
            answer = {"media": asdict(probe_file(Path(path), limits))}
        except AnalysisError as error:
            answer = {"error": describe(error)}
        except MemoryError:
            answer = {"error": describe(out_of_memory())}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if "error" in answer:
            return


def probe_file(path: Path, limits: MediaLimits) -> MediaInfo:
    """Header, first frames, and where the header knows no duration, a bounded scan of the packets."""
    from mlcore.media_container import check_duration, examine, scan_duration

    info = examine(path, limits)
    if info.duration_s is None:
        info = replace(info, duration_s=scan_duration(path, limits))
        check_duration(info.duration_s, limits)
    return info


def decode_file(request: DecodeRequest, link: ParentLink) -> None:
    """Audio first and whole, so that speech recognition can start; then the frames; then the totals."""
    from mlcore.media_container import examine, is_cut_off
    from mlcore.media_decode import decode_audio, decode_video, is_truncated

    confine(request.limits, CPU_FLOOR_S + CPU_S_PER_MEDIA_S * request.limits.max_duration_s)
    started = time.perf_counter()
    try:
        info = examine(request.path, request.limits)
        link.send_json(INFO, asdict(info))
        passes = []
        if info.has_audio and request.want_audio:
            passes.append(decode_audio(request, link))
        link.send(AUDIO_END)
        if info.has_video and request.want_video:
            passes.append(decode_video(request, link, info))
        all_streams = len(passes) == info.has_audio + info.has_video
        link.send_json(
            TOTALS,
            {
                "duration_s": max((one.end_s for one in passes), default=0.0),
                "truncated": is_truncated(passes, all_streams) or is_cut_off(request.path, info.container),
                "decode_s": time.perf_counter() - started - link.waited_s,
            },
        )
    except AnalysisError as error:
        link.send_json(FAILURE, describe(error))
    except MemoryError:
        link.send_json(FAILURE, describe(out_of_memory()))


def read_line() -> dict[str, Any]:
    """One line of stdin, unbuffered: the bytes after it are slot releases."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(STDIN, 1)
        if not byte:
            leave()
        line += byte
    return json.loads(line)


def main() -> None:
    request = read_line()
    limits = MediaLimits(**request.pop("limits"))
    if request.pop("task") == "probe":
        probe_files(request["paths"], limits)
        return
    link = ParentLink(request.pop("parent_pid"))
    link.watch()
    path = Path(request.pop("path"))
    decode_file(DecodeRequest(path=path, limits=limits, **request), link)
    leave()


if __name__ == "__main__":
    main()
