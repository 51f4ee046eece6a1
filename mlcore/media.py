"""One pass over a recording: 16 kHz mono samples, and frames with their times.

Decoding runs in a child process (`mlcore.media_child`) that can be killed, with CPU and memory limits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mlcore.closing import Closing
from mlcore.errors import AnalysisError
from mlcore.media_protocol import (
    AUDIO,
    AUDIO_END,
    FAILURE,
    FRAME,
    HEADER,
    INFO,
    PICTURE,
    RING_SLOTS,
    TOTALS,
)
from mlcore.media_types import READABLE, SAMPLE_RATE, MediaInfo, MediaLimits

__all__ = [
    "READABLE",
    "SAMPLE_RATE",
    "Frame",
    "MediaInfo",
    "MediaLimits",
    "MediaStream",
    "ProbeError",
    "open_media",
    "probe",
]

ROOT = Path(__file__).resolve().parent.parent
FULL_SCALE = 32768.0
RELEASE = b"\0"
READ_BYTES = 1 << 16
# Assumptions: how long a probe may take, and how long in all the parent waits for a child that decodes.
PROBE_FLOOR_S, PROBE_S_PER_FILE = 10.0, 5.0
WAIT_FLOOR_S, WAIT_PER_MEDIA_S = 60.0, 3.0
STALL_S = 60.0
STDERR_TAIL_BYTES = 2000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """`rgb` has shape (height, width, 3), uint8; valid until the next frame is taken.

    `t_s` counts seconds from the container's start, as the index of the samples does.
    """

    t_s: float
    rgb: npt.NDArray[np.uint8]


class ProbeError(AnalysisError):
    """Why a file is refused; `index` is its place among the paths that were given."""

    def __init__(self, code: str, message: str, *, index: int, permanent: bool = True) -> None:
        super().__init__(code, message, permanent=permanent)
        self.index = index


def probe(paths: Sequence[Path], limits: MediaLimits) -> list[MediaInfo]:
    """What the containers say, checked against the limits; only each stream's first frame is decoded.

    All files are looked at by one child process. Raises ProbeError for the first file that is refused, with
    the code `unreadable_media`, `too_long`, `resolution_too_large`, `resolution_too_small`, `no_frames` or
    `decoder_out_of_memory`.
    """
    if not paths:
        return []
    for index, path in enumerate(paths):
        if not path.is_file() or path.stat().st_size == 0:
            raise ProbeError("unreadable_media", f"The file is empty. Readable are {READABLE}.", index=index)
    request = {
        "task": "probe",
        "paths": [str(path.resolve()) for path in paths],
        "limits": asdict(limits),
    }
    answers = [json.loads(line) for line in _ask_for_probe(request, len(paths)).splitlines()]
    infos = []
    for index, answer in enumerate(answers):
        if "error" in answer:
            raise ProbeError(**answer["error"], index=index)
        infos.append(MediaInfo(**answer["media"]))
    if len(infos) < len(paths):
        raise ProbeError(
            "unreadable_media",
            f"Reading this file failed or took too long. Readable are {READABLE}.",
            index=len(infos),
        )
    return infos


def _ask_for_probe(request: dict[str, Any], count: int) -> bytes:
    with tempfile.TemporaryFile() as log:
        try:
            done = subprocess.run(
                _command(),
                input=json.dumps(request).encode() + b"\n",
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                cwd=ROOT,
                timeout=PROBE_FLOOR_S + PROBE_S_PER_FILE * count,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            logger.warning("The probe of %d files took too long and was stopped", count)
            return _whole_lines(expired.stdout or b"")
        if done.returncode:
            logger.warning("The probe ended with %d: %s", done.returncode, _tail(log))
        return _whole_lines(done.stdout)


def _whole_lines(output: bytes) -> bytes:
    return output[: output.rfind(b"\n") + 1]


def _command() -> list[str]:
    return [sys.executable, "-E", "-s", "-m", "mlcore.media_child"]


def _environment() -> dict[str, str]:
    """Nothing secret for a process that reads untrusted files; few malloc arenas under the address limit."""
    passed = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**passed, "MALLOC_ARENA_MAX": "2"}


def _tail(log: IO[bytes]) -> str:
    end = log.seek(0, os.SEEK_END)
    log.seek(max(0, end - STDERR_TAIL_BYTES))
    return log.read().decode(errors="replace").strip()


def open_media(
    path: Path,
    *,
    frames_per_second: float = 15.0,
    max_side_px: int = 960,
    limits: MediaLimits | None = None,
    want_audio: bool = True,
    want_video: bool = True,
) -> MediaStream:
    """Starts to decode `path` in a child process; use it as a context manager.

    Frames are turned upright, scaled so that no side passes `max_side_px`, and thinned to `frames_per_second`
    on average, never below it where the source has as many. Raises AnalysisError as `probe` does, and
    `decoder_crashed` or `decoder_timeout` (both not permanent), from here, `samples` and `frames`.
    """
    return MediaStream(
        path,
        frames_per_second=frames_per_second,
        max_side_px=max_side_px,
        limits=limits or MediaLimits(),
        want_audio=want_audio,
        want_video=want_video,
    )


class MediaStream(Closing):
    """A recording while it is decoded. `samples` and `frames` may be taken by two threads at once.

    The child works ahead by a few frames at most. `duration_s`, `truncated` and `decode_s` are known when the
    frames are exhausted (the samples, where no frames come).
    """

    def __init__(
        self,
        path: Path,
        *,
        frames_per_second: float,
        max_side_px: int,
        limits: MediaLimits,
        want_audio: bool,
        want_video: bool,
    ) -> None:
        if not path.is_file() or path.stat().st_size == 0:
            raise AnalysisError("unreadable_media", f"The file is empty. Readable are {READABLE}.")
        self._audio_lock, self._read_lock = threading.RLock(), threading.RLock()
        self._closed = False
        self._chunks: deque[bytes] = deque()
        self._samples: npt.NDArray[np.float32] | None = None
        self._audio_ended = False
        self._frame_held = False
        self._totals: dict[str, Any] | None = None
        self._wait_left_s = WAIT_FLOOR_S
        self._slot_bytes = _pages(max_side_px * max_side_px * 3)
        ring_fd = _anonymous_memory(self._slot_bytes * RING_SLOTS)
        try:
            self._ring = mmap.mmap(ring_fd, self._slot_bytes * RING_SLOTS)
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stream
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(),
                cwd=ROOT,
                bufsize=0,
                pass_fds=(ring_fd,),
                start_new_session=True,
            )
        finally:
            os.close(ring_fd)
        request = {
            "task": "decode",
            "parent_pid": os.getpid(),
            "path": str(path.resolve()),
            "limits": asdict(limits),
            "frames_per_second": frames_per_second,
            "max_side_px": max_side_px,
            "want_audio": want_audio,
            "want_video": want_video,
            "ring_fd": ring_fd,
            "slot_bytes": self._slot_bytes,
        }
        try:
            self._tell(json.dumps(request).encode() + b"\n")
            self._info = MediaInfo(**json.loads(self._expect(INFO)))
        except BaseException:
            self.close()
            raise
        self._frames_come = self._info.has_video and want_video
        self._wait_left_s += WAIT_PER_MEDIA_S * (self._info.duration_s or limits.max_duration_s)

    @property
    def info(self) -> MediaInfo:
        """What the container says."""
        return self._info

    @property
    def duration_s(self) -> float:
        """The end of the last sample or frame that was decoded."""
        return float(self._final("duration_s"))

    @property
    def truncated(self) -> bool:
        """Whether the file breaks off before its declared end, or was stopped at the duration limit."""
        return bool(self._final("truncated"))

    @property
    def decode_s(self) -> float:
        """Seconds the child spent decoding, without its waits for this side."""
        return float(self._final("decode_s"))

    def _final(self, name: str) -> Any:
        if not self._frames_come:
            self._read_audio()
        if self._totals is None:
            raise RuntimeError(f"{name} is known when all frames have been taken")
        return self._totals[name]

    def samples(self) -> npt.NDArray[np.float32]:
        """Mono sound at 16 kHz in −1…1, shape (n,); empty without an audio track.

        Sample i sounds at i / 16000 s after the container's start: gaps are silence.
        """
        with self._audio_lock:
            self._read_audio()
            if self._samples is None:
                self._samples = _to_float(self._chunks)
            return self._samples

    def _read_audio(self) -> None:
        with self._audio_lock:
            while not self._audio_ended:
                kind, payload = self._receive()
                if kind == AUDIO:
                    self._chunks.append(payload)
                elif kind == AUDIO_END:
                    self._audio_ended = True
                else:
                    raise self._crashed(f"unexpected message {kind!r}")
            if not self._frames_come and self._totals is None:
                self._totals = json.loads(self._expect(TOTALS))

    def frames(self) -> Iterator[Frame]:
        """The analysed frames in the order of their times; each is valid until the next is taken."""
        self._read_audio()
        while True:
            with self._read_lock:
                if self._totals is not None:
                    return
                self._check_open()
                if self._frame_held:
                    self._tell(RELEASE)
                    self._frame_held = False
                kind, payload = self._receive()
                if kind == TOTALS:
                    self._totals = json.loads(payload)
                    return
                if kind != PICTURE:
                    raise self._crashed(f"unexpected message {kind!r}")
                self._frame_held = True
            yield self._frame(payload)

    def _frame(self, payload: bytes) -> Frame:
        slot, width, height, t_s = FRAME.unpack(payload)
        pixels = np.frombuffer(
            self._ring, dtype=np.uint8, count=width * height * 3, offset=slot * self._slot_bytes
        )
        return Frame(t_s=t_s, rgb=pixels.reshape(height, width, 3))

    def _expect(self, wanted: bytes) -> bytes:
        kind, payload = self._receive()
        if kind != wanted:
            raise self._crashed(f"unexpected message {kind!r}")
        return payload

    def _receive(self) -> tuple[bytes, bytes]:
        """The next message. A failure that the child reports is raised."""
        with self._read_lock:
            kind, length = HEADER.unpack(self._read(HEADER.size))
            payload = self._read(length)
        if kind == FAILURE:
            raise AnalysisError(**json.loads(payload))
        return kind, payload

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            self._check_open()
            assert self._process.stdout is not None
            descriptor = self._process.stdout.fileno()
            self._await(descriptor)
            part = os.read(descriptor, min(READ_BYTES, length - len(data)))
            if not part:
                raise self._crashed("its output ended")
            data += part
        return bytes(data)

    def _check_open(self) -> None:
        if self._closed:
            raise AnalysisError("media_closed", "Decoding was stopped.", permanent=False)

    def _await(self, descriptor: int) -> None:
        """Waits until the child says something. Time that the consumer takes does not count."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        started = time.monotonic()
        if not poll.poll(1000 * max(0.0, min(STALL_S, self._wait_left_s))):
            self._process.kill()
            raise AnalysisError(
                "decoder_timeout", "Decoding the recording took too long and was stopped.", permanent=False
            )
        self._wait_left_s -= time.monotonic() - started

    def _tell(self, data: bytes) -> None:
        """A child that no longer listens may have said all it had to say: reading on shows which it is."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)

    def _crashed(self, what: str) -> AnalysisError:
        self._check_open()
        self._process.kill()
        code = self._process.wait()
        logger.warning("The decoding process failed (%s, exit code %d): %s", what, code, _tail(self._log))
        return AnalysisError(
            "decoder_crashed", "The decoder stopped unexpectedly on this recording.", permanent=False
        )

    def close(self) -> None:
        """Ends the child and frees what it held; also more than once, also while another thread reads."""
        self._closed = True
        self._process.kill()
        self._process.wait()
        with self._read_lock:
            for pipe in (self._process.stdin, self._process.stdout, self._log):
                if pipe is not None:
                    pipe.close()


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _anonymous_memory(size: int) -> int:
    """A descriptor of memory that vanishes with its last holder; pages are taken when written."""
    descriptor = os.memfd_create("frames")
    os.ftruncate(descriptor, size)
    return descriptor


def _to_float(chunks: deque[bytes]) -> npt.NDArray[np.float32]:
    """Empties `chunks` of s16le while it converts, so that both forms are never whole in memory at once."""
    out = np.empty(sum(len(chunk) for chunk in chunks) // 2, dtype=np.float32)
    at = 0
    while chunks:
        part = np.frombuffer(chunks.popleft(), dtype="<i2")
        np.divide(part, FULL_SCALE, out=out[at : at + len(part)], casting="unsafe")
        at += len(part)
    return out
