"""Opening an untrusted media file in the decoding child, and what can be told without decoding it in full."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
from av.stream import Discard, Disposition

from mlcore.errors import AnalysisError
from mlcore.media_types import READABLE, MediaInfo, MediaLimits

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Playlists, concatenations and image sequences are left out: they open other files and addresses.
FORMATS = "mov,mp4,m4a,3gp,matroska,webm,avi,mpegts,wav,mp3,aac,flac,ogg"
SHORT_NAMES = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska"}
# A recorder's priming samples may pass the limit by some milliseconds.
DURATION_TOLERANCE_S = 1.0
FIRST_FRAME_PACKETS = 400
FIRST_FRAME_BYTES = 32_000_000
SCAN_SECONDS = 4.0
DEMUX_RETRIES = 20
MICROSECONDS = 1_000_000

EBML_SEGMENT, EBML_CLUSTER = 0x18538067, 0x1F43B675


@dataclass(frozen=True)
class OpenMedia:
    """An opened file with the streams worth decoding. `start_s`: the container's first presentation time."""

    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    start_s: float
    declared_s: float | None

    def close(self) -> None:
        self.container.close()


def open_container(path: Path, limits: MediaLimits) -> OpenMedia:
    """Opens a local file in one of the readable containers.

    Raises AnalysisError `unreadable_media`.
    """
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": str(_pixels_with_padding(limits)),
    }
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError, UnicodeError) as error:
        raise unreadable() from error
    start_s = (container.start_time or 0) / MICROSECONDS
    declared = container.duration
    return OpenMedia(
        container=container,
        video=next((s for s in container.streams.video if _is_moving_picture(s)), None),
        audio=_best_audio(container),
        start_s=start_s,
        declared_s=declared / MICROSECONDS if declared and declared > 0 else None,
    )


def _pixels_with_padding(limits: MediaLimits) -> int:
    """Coded sizes are rounded up to whole blocks: 16 to 128 pixels a side."""
    return round(limits.max_pixels * 1.2) + 65_536


def unreadable() -> AnalysisError:
    return AnalysisError(
        "unreadable_media",
        f"This file cannot be read as a video or sound recording. Readable are {READABLE}.",
    )


def _is_moving_picture(stream: VideoStream) -> bool:
    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return stream.codec_context is not None and not stream.disposition & still


def _best_audio(container: InputContainer) -> AudioStream | None:
    usable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    preferred = [stream for stream in usable if stream.disposition & Disposition.default]
    return next(iter(preferred or usable), None)


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Packets with data. Damaged places are passed over; raises ReadError when there is no going on."""
    for other in container.streams:
        if other not in streams:
            other.discard = Discard.all
    for _ in range(DEMUX_RETRIES):
        try:
            yield from (packet for packet in container.demux(*streams) if packet.size)
        except av.error.FFmpegError:
            continue
        return
    raise ReadError


class ReadError(Exception):
    """The demuxer cannot go on, though the file has not ended."""


def examine(path: Path, limits: MediaLimits) -> MediaInfo:
    """What the header says, checked against the limits, and whether the first frame of a stream decodes.

    Raises AnalysisError `unreadable_media`, `no_frames`, `too_long`, `resolution_too_large` or
    `resolution_too_small`.
    """
    media = open_container(path, limits)
    try:
        if media.video is not None:
            check_size(media.video.width, media.video.height, limits)
        check_duration(media.declared_s, limits)
        return _with_first_frames(media, limits)
    finally:
        media.close()


def check_size(width: int, height: int, limits: MediaLimits) -> None:
    """Raises AnalysisError `resolution_too_large` or `resolution_too_small`."""
    if width * height > limits.max_pixels:
        raise AnalysisError(
            "resolution_too_large",
            f"The picture has {width}×{height} pixels; at most {limits.max_pixels:,} in all are accepted "
            "(4K). Export it smaller.",
        )
    if 0 < min(width, height) < limits.min_side_px:
        raise AnalysisError(
            "resolution_too_small",
            f"The picture has {width}×{height} pixels; each side needs at least {limits.min_side_px}.",
        )


def check_duration(duration_s: float | None, limits: MediaLimits) -> None:
    """Raises AnalysisError `too_long`."""
    if duration_s is not None and duration_s > limits.max_duration_s + DURATION_TOLERANCE_S:
        raise AnalysisError(
            "too_long",
            f"The recording lasts {duration_s / 60:.1f} minutes; "
            f"at most {limits.max_duration_s / 60:.0f} are accepted.",
        )


def _with_first_frames(media: OpenMedia, limits: MediaLimits) -> MediaInfo:
    first = _first_frames(media)
    has_video, has_audio = first.has_video, first.has_audio
    if not has_video and not has_audio:
        if _is_empty_by_header(media):
            raise AnalysisError("no_frames", "The recording holds neither pictures nor sound.")
        raise unreadable()
    info = MediaInfo(
        container=SHORT_NAMES.get(media.container.format.name, media.container.format.name),
        duration_s=media.declared_s,
        has_audio=has_audio,
        has_video=has_video,
        width=None,
        height=None,
        rotation_deg=0,
        frame_rate=None,
    )
    if not has_video or media.video is None:
        return info
    rate = media.video.average_rate or media.video.guessed_rate
    info = replace(info, frame_rate=float(rate) if rate else None)
    width, height, rotation_deg = media.video.width, media.video.height, 0
    if first.picture is not None:
        width, height = first.picture.width, first.picture.height
        rotation_deg = round(first.picture.rotation)
        check_size(width, height, limits)
    if rotation_deg % 180:
        width, height = height, width
    return replace(info, width=width, height=height, rotation_deg=rotation_deg)


def _is_empty_by_header(media: OpenMedia) -> bool:
    """A whole header that announces nothing, unlike a cut file, whose header announces what is missing."""
    streams = media.container.streams
    return all(stream.type == "video" and not stream.frames and not stream.duration for stream in streams)


@dataclass
class FirstFrames:
    """What the first packets gave. A stream whose packets come late in the file counts as present."""

    picture: VideoFrame | None = None
    sound: bool = False
    video_packets: int = 0
    audio_packets: int = 0
    at_end: bool = False

    has_video: bool = False
    has_audio: bool = False


def _first_frames(media: OpenMedia) -> FirstFrames:
    first = FirstFrames()
    streams: list[Stream] = [stream for stream in (media.video, media.audio) if stream is not None]
    if not streams:
        return first
    size = 0
    try:
        for number, packet in enumerate(packets(media.container, *streams)):
            size += packet.size
            _try_packet(packet, media, first)
            ready = (media.video is None or first.picture) and (media.audio is None or first.sound)
            if ready or number > FIRST_FRAME_PACKETS or size > FIRST_FRAME_BYTES:
                break
        else:
            first.at_end = True
            _flush(media, first)
    except ReadError:
        first.at_end = True
    first.has_video = first.picture is not None or (
        media.video is not None and not first.at_end and not first.video_packets
    )
    first.has_audio = first.sound or (
        media.audio is not None and not first.at_end and not first.audio_packets
    )
    return first


def _try_packet(packet: Packet, media: OpenMedia, first: FirstFrames) -> None:
    is_video = media.video is not None and packet.stream_index == media.video.index
    if is_video:
        first.video_packets += 1
        if first.picture is not None:
            return
    else:
        first.audio_packets += 1
        if first.sound:
            return
    for frame in decode(packet):
        if isinstance(frame, av.VideoFrame):
            first.picture = frame
        elif isinstance(frame, av.AudioFrame):
            first.sound = True


def _flush(media: OpenMedia, first: FirstFrames) -> None:
    """A decoder may hold back the only frame until it is told that no more comes."""
    if media.video is not None and first.picture is None:
        frames = drain(media.video)
        first.picture = next((f for f in frames if isinstance(f, av.VideoFrame)), None)
    if media.audio is not None and not first.sound:
        first.sound = bool(drain(media.audio))


def decode(packet: Packet) -> list:
    """The packet's frames; none for one that is damaged, so that what follows is still used."""
    try:
        return packet.decode()
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return []


def drain(stream: VideoStream | AudioStream) -> list:
    """What the decoder still holds at the end."""
    try:
        frames = stream.codec_context.decode(None)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return []
    for frame in frames:
        # PyAV takes the time base from the packet, and here is none.
        frame.time_base = stream.time_base
    return frames


def scan_duration(path: Path, limits: MediaLimits) -> float | None:
    """The end of the last packet in seconds, read without decoding; None when that takes too long.

    Stops early, with a value over the limit, at the first packet past `limits.max_duration_s`.
    """
    media = open_container(path, limits)
    deadline = time.monotonic() + SCAN_SECONDS
    end_s = 0.0
    try:
        streams = [stream for stream in (media.video, media.audio) if stream is not None]
        for packet in packets(media.container, *streams):
            if packet.pts is None:
                continue
            end_s = max(
                end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - media.start_s
            )
            if end_s > limits.max_duration_s + DURATION_TOLERANCE_S:
                break
            if time.monotonic() > deadline:
                return None
    except ReadError:
        return end_s or None
    finally:
        media.close()
    return end_s or None


def is_cut_off(path: Path, container_name: str) -> bool:
    """Whether the file ends inside an element whose size its container declares (Matroska, RIFF)."""
    size = path.stat().st_size
    if container_name not in {"matroska", "avi", "wav"} or size < 16:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if container_name == "matroska":
            return _ebml_is_cut_off(data, size)
        declared = int.from_bytes(data[4:8], "little")
        return data[:4] == b"RIFF" and 0 < declared < 0xFFFFFFFF and declared + 8 > size


def _ebml_is_cut_off(data: mmap.mmap, size: int) -> bool:
    """Walks the elements (RFC 8794): segment and clusters are entered, all others skipped by their size."""
    at = 0
    while at < size:
        id_length = _ebml_length(data[at])
        if id_length > 4 or at + id_length >= size:
            return at + id_length >= size
        element = int.from_bytes(data[at : at + id_length], "big")
        at += id_length
        length = _ebml_length(data[at])
        if length > 8 or at + length > size:
            return at + length > size
        value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        at += length
        unknown = value == (1 << 7 * length) - 1
        if element in {EBML_SEGMENT, EBML_CLUSTER}:
            if not unknown and at + value > size:
                return True
            continue
        if unknown:
            return False
        at += value
    return at > size


def _ebml_length(first_byte: int) -> int:
    """Bytes of a variable-size integer by its leading zeros (RFC 8794, section 4); 9 for an invalid one."""
    return 9 - first_byte.bit_length()
