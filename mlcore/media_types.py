"""What decoding is told and what it tells: plain values, free of numpy so that the child starts quickly."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 16_000
READABLE = "MP4, MOV, M4A, WebM, MKV, AVI, MPEG-TS, WAV, MP3, AAC, FLAC, OGG"


@dataclass(frozen=True)
class MediaLimits:
    """What is refused before anything is decoded in full, and what the child may use.

    The numbers are assumptions: an hour of interview, 4K video, and memory for 4K with its reference frames.
    """

    max_duration_s: float = 3600.0
    max_pixels: int = 4096 * 2304
    min_side_px: int = 16
    memory_bytes: int = 1_500_000_000


@dataclass(frozen=True)
class MediaInfo:
    """What the container says. `width` × `height` in pixels after rotation.

    `rotation_deg` is how far the stored picture is turned counter-clockwise for display. `duration_s` is None
    where neither the header nor a bounded scan tells it.
    """

    container: str
    duration_s: float | None
    has_audio: bool
    has_video: bool
    width: int | None
    height: int | None
    rotation_deg: int
    frame_rate: float | None
