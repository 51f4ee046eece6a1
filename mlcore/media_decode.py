"""The two decoding passes of the child: 16 kHz mono sound, then scaled, turned and thinned pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from av.audio.resampler import AudioResampler
from av.filter import Graph

from mlcore.media_container import DURATION_TOLERANCE_S, ReadError, decode, drain, open_container, packets
from mlcore.media_protocol import AUDIO, FRAME, PICTURE, open_ring
from mlcore.media_types import SAMPLE_RATE

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from mlcore.media_container import OpenMedia
    from mlcore.media_protocol import DecodeRequest, ParentLink
    from mlcore.media_types import MediaInfo

BYTES_PER_SAMPLE = 2
# Matroska rounds to milliseconds, recorders jitter; a longer step is a gap (assumption).
AUDIO_GAP_S = 0.04
GRID_TOLERANCE_S = 0.002
# A file is cut off when this much of what its header declares is missing (assumption).
MISSING_S, MISSING_SHARE = 0.5, 0.02
SEND_BYTES = 64_000
LARGE_PICTURE_PX = 1280 * 720
FALLBACK_FRAME_RATE = 30.0
# Display matrix (counter-clockwise degrees) to filters that turn the stored picture upright.
TURNS = {90: ("transpose", "cclock"), -90: ("transpose", "clock"), 180: ("hflip", "")}


@dataclass
class Pass:
    """How far one stream was decoded, seconds from the container's start, and what its header declared."""

    declared_s: float | None
    stream_declared_s: float | None
    end_s: float = 0.0
    broken: bool = False


def is_truncated(passes: list[Pass], all_streams: bool) -> bool:
    """Whether what was decoded ends before what the header declares, or reading failed.

    The container's duration is that of its longest stream, so it says something only when all were decoded.
    """
    if any(one.broken for one in passes):
        return True
    declared = [_declared_s(one, all_streams) for one in passes]
    known = [value for value in declared if value is not None]
    if not known:
        return False
    return max(known) - max(one.end_s for one in passes) > max(MISSING_S, MISSING_SHARE * max(known))


def _declared_s(one: Pass, all_streams: bool) -> float | None:
    if one.declared_s is None or one.stream_declared_s is None:
        return one.declared_s if all_streams else one.stream_declared_s
    return one.declared_s if all_streams else min(one.declared_s, one.stream_declared_s)


def _begin(media: OpenMedia, stream: VideoStream | AudioStream) -> Pass:
    duration = None
    if stream.duration is not None and stream.time_base is not None:
        duration = float(stream.duration * stream.time_base)
    return Pass(declared_s=media.declared_s, stream_declared_s=duration)


def _frames(media: OpenMedia, stream: VideoStream | AudioStream, state: Pass) -> Iterator[Any]:
    """All frames of one stream. Notes in `state` when the file breaks off."""
    incomplete = False
    try:
        for packet in packets(media.container, stream):
            incomplete = packet.is_corrupt
            yield from decode(packet)
    except ReadError:
        state.broken = True
    # The demuxer marks a packet that the file's end has cut.
    state.broken = state.broken or incomplete
    yield from drain(stream)


class SampleWriter:
    """Places sound on the 16 kHz time line: gaps become silence, overlaps and what precedes 0 are dropped."""

    def __init__(self, link: ParentLink) -> None:
        self._link = link
        self._pending = bytearray()
        self._written = 0
        self._skip = 0
        self._resampler: AudioResampler | None = None
        self._next_s = 0.0

    @property
    def end_s(self) -> float:
        return self._written / SAMPLE_RATE

    def add(self, frame: AudioFrame, t_s: float | None) -> None:
        """Takes a decoded frame that starts at `t_s` (None: right after the last)."""
        if self._resampler is None or (t_s is not None and abs(t_s - self._next_s) > AUDIO_GAP_S):
            self._start_segment(t_s if t_s is not None else self._next_s)
        self._next_s += frame.samples / frame.sample_rate
        frame.pts = None
        self._resample(frame)

    def _start_segment(self, t_s: float) -> None:
        self._resample(None)
        # Mono by the mean of the channels: `rematrix_maxval` keeps the weights' sum at one.
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE, options={"rematrix_maxval": "1.0"})
        start = round(t_s * SAMPLE_RATE)
        self._silence(start - self._written)
        self._skip = max(0, self._written - start)
        self._next_s = t_s

    def _silence(self, count: int) -> None:
        block = SEND_BYTES // BYTES_PER_SAMPLE
        for at in range(0, count, block):
            self._emit(bytes(min(block, count - at) * BYTES_PER_SAMPLE))

    def _resample(self, frame: AudioFrame | None) -> None:
        if self._resampler is None:
            return
        for out in self._resampler.resample(frame):
            dropped = min(self._skip, out.samples)
            self._skip -= dropped
            plane = memoryview(out.planes[0])
            self._emit(bytes(plane[dropped * BYTES_PER_SAMPLE : out.samples * BYTES_PER_SAMPLE]))

    def _emit(self, data: bytes) -> None:
        self._pending += data
        self._written += len(data) // BYTES_PER_SAMPLE
        if len(self._pending) >= SEND_BYTES:
            self._send()

    def _send(self) -> None:
        if self._pending:
            self._link.send(AUDIO, bytes(self._pending))
            self._pending.clear()

    def finish(self) -> None:
        self._resample(None)
        self._resampler = None
        self._send()


def decode_audio(request: DecodeRequest, link: ParentLink) -> Pass:
    """Sends the audio stream as s16le; sample index / 16000 is its presentation time."""
    media = open_container(request.path, request.limits)
    assert media.audio is not None
    state = _begin(media, media.audio)
    writer = SampleWriter(link)
    limit_s = request.limits.max_duration_s + DURATION_TOLERANCE_S
    for frame in _frames(media, media.audio, state):
        t_s = None if frame.time is None else frame.time - media.start_s
        if (t_s if t_s is not None else writer.end_s) > limit_s:
            state.broken = True
            break
        if frame.sample_rate > 0:
            writer.add(frame, t_s)
    writer.finish()
    state.end_s = writer.end_s
    media.close()
    return state


def decode_video(request: DecodeRequest, link: ParentLink, info: MediaInfo) -> Pass:
    """Puts the analysed frames into the ring, each announced with its size and time."""
    media = open_container(request.path, request.limits)
    assert media.video is not None
    state = _begin(media, media.video)
    large = media.video.width * media.video.height > LARGE_PICTURE_PX
    media.video.codec_context.thread_type = "AUTO"
    media.video.codec_context.thread_count = 2 if large else 1
    sender = PictureSender(request, link, _pixel_aspect(media.video))
    timed = _timed(_frames(media, media.video, state), media, request, state, info.frame_rate)
    for t_s, frame in thin_out(timed, request.frames_per_second):
        sender.send(t_s, frame)
    media.close()
    return state


def _pixel_aspect(stream: VideoStream) -> float:
    ratio = stream.sample_aspect_ratio
    return float(ratio) if ratio else 1.0


def _timed(
    frames: Iterable[VideoFrame],
    media: OpenMedia,
    request: DecodeRequest,
    state: Pass,
    frame_rate: float | None,
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with rising times in seconds from the container's start; stops at the duration limit."""
    period_s = 1 / (frame_rate or FALLBACK_FRAME_RATE)
    last_s: float | None = None
    for frame in frames:
        if frame.time is None:
            t_s = 0.0 if last_s is None else last_s + period_s
        else:
            t_s = max(0.0, frame.time - media.start_s)
        if last_s is not None and t_s <= last_s:
            continue
        if t_s > request.limits.max_duration_s + DURATION_TOLERANCE_S:
            state.broken = True
            return
        last_s = t_s
        shown_s = frame.duration * float(frame.time_base or 0) or period_s
        state.end_s = t_s + min(shown_s, 1.0)
        yield t_s, frame


def thin_out(
    frames: Iterable[tuple[float, VideoFrame]], frames_per_second: float
) -> Iterator[tuple[float, VideoFrame]]:
    """For each point of a grid of `frames_per_second` the last frame not after it.

    So a source with a higher rate, also a varying one, never falls below that rate, and one with a lower rate
    is kept whole. A frame late for its point is taken too, and moves the grid.
    """
    period_s = 1 / frames_per_second
    pending: tuple[float, VideoFrame] | None = None
    due_s = 0.0
    for t_s, frame in frames:
        if pending is None:
            due_s = t_s
        elif t_s > due_s + GRID_TOLERANCE_S:
            yield pending
            due_s = max(due_s + period_s, pending[0])
        pending = (t_s, frame)
    if pending is not None:
        yield pending


class PictureSender:
    """Scales, turns and converts a frame, and copies it into the ring."""

    def __init__(self, request: DecodeRequest, link: ParentLink, pixel_aspect: float) -> None:
        self._link = link
        self._ring = open_ring(request)
        self._slot_bytes = request.slot_bytes
        self._max_side_px = request.max_side_px
        self._pixel_aspect = pixel_aspect
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] = ()

    def send(self, t_s: float, frame: VideoFrame) -> None:
        picture = self._upright_rgb(frame)
        slot = self._link.take_slot()
        row_bytes = picture.width * 3
        plane = picture.planes[0]
        pixels = memoryview(plane)
        at = slot * self._slot_bytes
        if plane.line_size == row_bytes:
            self._ring[at : at + row_bytes * picture.height] = pixels[: row_bytes * picture.height]
        else:
            for row in range(picture.height):
                start = row * plane.line_size
                self._ring[at : at + row_bytes] = pixels[start : start + row_bytes]
                at += row_bytes
        self._link.send(PICTURE, FRAME.pack(slot, picture.width, picture.height, t_s))

    def _upright_rgb(self, frame: VideoFrame) -> VideoFrame:
        width, height = self._scaled(frame.width, frame.height)
        turn = round(frame.rotation / 90) * 90
        if turn == 0:
            return frame.reformat(width=width, height=height, format="rgb24", threads=1)
        turn = 180 if abs(turn) == 180 else turn
        graph = self._turning_graph(frame, width, height, turn)
        graph.vpush(frame)
        return graph.vpull()

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Square pixels, no side over the limit, even numbers to keep chroma aligned; never enlarged."""
        shown = width * self._pixel_aspect, float(height)
        if self._pixel_aspect > 1:
            shown = float(width), height / self._pixel_aspect
        share = min(1.0, self._max_side_px / max(shown))
        if share == 1.0 and self._pixel_aspect == 1.0:
            return width, height
        return max(2, round(shown[0] * share / 2) * 2), max(2, round(shown[1] * share / 2) * 2)

    def _turning_graph(self, frame: VideoFrame, width: int, height: int, turn: int) -> Graph:
        key = (frame.width, frame.height, frame.format.name, width, height, turn)
        if self._graph is not None and key == self._graph_key:
            return self._graph
        graph = Graph()
        name, argument = TURNS[turn]
        steps = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            ),
            graph.add("scale", f"{width}:{height}"),
            graph.add(name, argument),
        ]
        if turn == 180:
            steps.append(graph.add("vflip"))
        steps += [graph.add("format", "rgb24"), graph.add("buffersink")]
        graph.link_nodes(*steps).configure()
        self._graph, self._graph_key = graph, key
        return graph
