"""The process that copies recordings: `python -m mlcore.media_remux_child`, started by `mlcore.media_remux` alone.

stdin brings a JSON request, stdout gets a JSON answer. It is confined as the decoding child is, and ends when its
parent does.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.errors import AnalysisError
from mlcore.media_child import LOG_BYTES, confine, describe, out_of_memory
from mlcore.media_protocol import PARENT_CHECK_S, leave
from mlcore.media_types import MediaLimits

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

    from mlcore.media_container import OpenMedia

CPU_S = 120.0
"""Assumption: copying 2 GB takes a few seconds of CPU."""
ALARM_S = 280
MAX_LEAD_S = 10.0
"""A piece begins at most so long before the time asked for, to begin with a keyframe; without one that near the picture
begins with the next. Assumption, above the keyframe interval of browsers' recorders (100 frames in Chromium)."""
NEAR_S = 0.02
"""Times are rounded to milliseconds and more: a keyframe so little after the time asked for is at that time."""
WEBM_CODECS = frozenset(("vp8", "vp9", "av1", "opus", "vorbis", ""))
IN_BAND_CODECS = frozenset(("vp8", "vp9"))
"""Their frames bring their own size, so that files of two sizes can follow each other."""


def no_frames() -> AnalysisError:
    return AnalysisError("no_frames", "The recording holds neither pictures nor sound.")


# -- Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    """A packet with its presentation time in seconds by the file's clock."""

    packet: Packet
    t_s: float
    end_s: float
    is_video: bool


def read(media: OpenMedia, longest_s: float) -> Iterator[Timed]:
    """Packets with believable times, in the order of the file, to its readable end."""
    from mlcore.media_container import ReadError, packets

    streams: list[Stream] = [stream for stream in (media.video, media.audio) if stream is not None]
    first_s: float | None = None
    try:
        for packet in packets(media.container, *streams):
            if packet.pts is None or packet.is_corrupt:
                continue
            t_s = float(packet.pts * packet.time_base)
            first_s = t_s if first_s is None else first_s
            if not first_s - MAX_LEAD_S <= t_s <= first_s + longest_s:
                continue
            is_video = media.video is not None and packet.stream_index == media.video.index
            yield Timed(packet, t_s, t_s + float((packet.duration or 0) * packet.time_base), is_video)
    except ReadError:
        return


def kind_of(media: OpenMedia) -> str:
    """The same for files whose packets can stand in one file, one after the other."""
    streams = ("-" if stream is None else _stream_kind(stream) for stream in (media.video, media.audio))
    return " ".join((media.container.format.name, *streams))


def _stream_kind(stream: Any) -> str:
    codec = stream.codec_context
    extra = hashlib.sha256(codec.extradata or b"").hexdigest()[:16]
    if stream.type == "audio":
        return f"{codec.name}/{codec.rate}/{codec.channels}/{extra}"
    if codec.name in IN_BAND_CODECS:
        return codec.name
    return f"{codec.name}/{codec.width}x{codec.height}/{extra}"


def measure(path: Path, limits: MediaLimits, longest_s: float) -> dict[str, Any]:
    from mlcore.media_container import check_size, open_container

    media = open_container(path, limits)
    try:
        if media.video is not None:
            check_size(media.video.width, media.video.height, limits)
        start_s, end_s = math.inf, -math.inf
        for one in read(media, longest_s):
            start_s, end_s = min(start_s, one.t_s), max(end_s, one.end_s)
        if end_s <= start_s:
            raise no_frames()
        return {"start_s": start_s, "end_s": end_s, "kind": kind_of(media)}
    finally:
        media.close()


# -- Writing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """Where a piece begins: its sound, its picture (inf: it has none), and the earlier of both."""

    audio_s: float
    video_s: float
    base_s: float


def find_start(media: OpenMedia, from_s: float | None, longest_s: float) -> Start:
    """Reads the file once for its keyframes."""
    before, after, first = -math.inf, math.inf, math.inf
    for one in read(media, longest_s):
        first = min(first, one.t_s)
        if one.is_video and one.packet.is_keyframe:
            if from_s is not None and one.t_s <= from_s + NEAR_S:
                before = max(before, one.t_s)
            else:
                after = min(after, one.t_s)
    if math.isinf(first):
        raise no_frames()
    if from_s is None or from_s <= first:
        return Start(first, min(after, before if before > -math.inf else math.inf), first)
    if from_s - before <= MAX_LEAD_S:
        return Start(before, before, before)
    return Start(from_s, after, from_s)


@dataclass
class Writer:
    """The file that is being written. Times in seconds from its beginning."""

    out: OutputContainer
    most_s: float
    end_s: float = 0.0
    streams: dict[bool, Stream] = field(default_factory=dict)
    last_dts_s: dict[bool, float] = field(default_factory=dict)

    def add_streams(self, media: OpenMedia) -> None:
        for is_video, stream in ((True, media.video), (False, media.audio)):
            if stream is not None:
                self.streams[is_video] = self.out.add_stream_from_template(stream)

    def put(self, one: Timed, shift_s: float) -> None:
        """Copy a packet; one that comes before what is already there would make the file unreadable and is left
        out."""
        packet, base = one.packet, one.packet.time_base
        stream = self.streams.get(one.is_video)
        if stream is None or packet.pts is None:
            return
        dts = packet.pts if packet.dts is None else min(packet.dts, packet.pts)
        shift = round(shift_s / base)
        dts_s = float((dts + shift) * base)
        if dts_s <= self.last_dts_s.get(one.is_video, -math.inf) or one.t_s + shift_s > self.most_s:
            return
        packet.pts, packet.dts = packet.pts + shift, dts + shift
        packet.stream = stream
        self.out.mux_one(packet)
        self.last_dts_s[one.is_video] = dts_s
        self.end_s = max(self.end_s, one.end_s + shift_s)


def open_piece(path: str, limits: MediaLimits, video: bool) -> OpenMedia:
    from dataclasses import replace

    from mlcore.media_container import open_container

    media = open_container(Path(path), limits)
    return media if video else replace(media, video=None)


def format_of(media: OpenMedia) -> str:
    if "matroska" not in media.container.format.name:
        return "mp4"
    codecs = {stream.codec_context.name for stream in (media.video, media.audio) if stream is not None}
    return "webm" if codecs <= WEBM_CODECS else "matroska"


def copy(writer: Writer, piece: dict[str, Any], limits: MediaLimits, longest_s: float, video: bool) -> None:
    media = open_piece(piece["path"], limits, video)
    try:
        start = find_start(media, piece["from_s"], longest_s)
    finally:
        media.close()
    media = open_piece(piece["path"], limits, video)
    until_s = math.inf if piece["to_s"] is None else piece["to_s"]
    gap_s = piece["gap_s"] if writer.end_s else 0.0
    shift_s = writer.end_s + gap_s - start.base_s
    try:
        for one in read(media, longest_s):
            if one.t_s < until_s and one.t_s >= (start.video_s if one.is_video else start.audio_s):
                writer.put(one, shift_s)
    finally:
        media.close()


def write(request: dict[str, Any], limits: MediaLimits) -> dict[str, Any]:
    import av

    pieces, video, longest_s = request["pieces"], request["video"], request["longest_s"]
    template = open_piece(pieces[0]["path"], limits, video)
    try:
        if template.video is None and template.audio is None:
            raise no_frames()
        container = format_of(template)
        options = {"movflags": "+faststart"} if container == "mp4" else {}
        with av.open(f"file:{request['target']}", "w", format=container, container_options=options) as out:
            writer = Writer(out, limits.max_duration_s)
            writer.add_streams(template)
            for piece in pieces:
                copy(writer, piece, limits, longest_s, video)
    finally:
        template.close()
    if not writer.end_s:
        raise no_frames()
    return {"duration_s": writer.end_s}


# -- The process --------------------------------------------------------------------------------


def _end_with(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_CHECK_S)
    leave()


def work(request: dict[str, Any], limits: MediaLimits) -> dict[str, Any]:
    if request["task"] == "measure":
        return measure(Path(request["path"]), limits, request["longest_s"])
    return write(request, limits)


def answer(request: dict[str, Any], limits: MediaLimits) -> dict[str, Any]:
    """The result, or the reason why there is none."""
    import av.error

    try:
        return work(request, limits)
    except AnalysisError as error:
        failure = error
    except MemoryError:
        failure = out_of_memory()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            failure = AnalysisError("storage_full", "The server's disk is full.", permanent=False)
        else:
            failure = AnalysisError("unreadable_media", "The recording is damaged and cannot be copied.")
    return {"error": describe(failure)}


def main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    limits = MediaLimits(**request.pop("limits"))
    confine(limits, CPU_S, request.pop("file_bytes", LOG_BYTES))
    signal.alarm(ALARM_S)
    threading.Thread(target=_end_with, args=(request.pop("parent_pid"),), daemon=True).start()
    sys.stdout.write(json.dumps(answer(request, limits)) + "\n")


if __name__ == "__main__":
    main()
