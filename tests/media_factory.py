"""Media made at test time: a moving portrait (scikit-image's astronaut, public domain), espeak-ng speech."""

from __future__ import annotations

import math
import subprocess
import wave
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]

VIDEO_TIME_BASE = Fraction(1, 90_000)
AUDIO_CHUNK_S = 0.25
# Centre of the face and height of the picture's cut-out around it, in pixels of the astronaut photograph.
FACE_X, FACE_Y, CUT_HEIGHT = 225, 125, 230

CODECS_BY_SUFFIX = {
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".ts": ("libx264", "aac"),
    ".m4a": (None, "aac"),
    ".mp3": (None, "libmp3lame"),
    ".ogg": (None, "libopus"),
    ".flac": (None, "flac"),
    ".wav": (None, "pcm_s16le"),
}
ENCODER_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "26", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
}


def make_speech(text: str, path: Path, voice: str = "en", words_per_minute: int = 150) -> Path:
    """Writes a 22.05 kHz mono WAV of `text`; voices: `en`, `en-us`, `id`, with variants such as `en+f3`."""
    subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-w", str(path), text],
        check=True,
        capture_output=True,
        timeout=180,
    )
    return path


def read_wav(path: Path) -> tuple[Samples, int]:
    """Mono float32 samples in −1…1 and the sample rate in Hz."""
    with wave.open(str(path), "rb") as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        channels, rate = file.getnchannels(), file.getframerate()
    return (raw.reshape(-1, channels).mean(axis=1) / 32768.0).astype(np.float32), rate


def write_wav(path: Path, samples: npt.NDArray[np.floating], sample_rate: int = 16_000) -> Path:
    """Writes 16-bit PCM; `samples` has shape (n,) or (n, channels), in −1…1."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(seconds: float, hz: float = 440.0, level: float = 0.3, sample_rate: int = 16_000) -> Samples:
    """A sine wave."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * math.pi * hz * t)).astype(np.float32)


def beeps(
    starts_s: Sequence[float], seconds: float, length_s: float = 0.1, sample_rate: int = 16_000
) -> Samples:
    """Silence with 1 kHz beeps at known times."""
    out = np.zeros(round(seconds * sample_rate), dtype=np.float32)
    for start_s in starts_s:
        beep = tone(length_s, 1000.0, 0.8, sample_rate)
        at = round(start_s * sample_rate)
        out[at : at + len(beep)] = beep[: max(0, len(out) - at)]
    return out


def noise(seconds: float, level: float = 0.05, sample_rate: int = 16_000, seed: int = 1) -> Samples:
    """White noise, the same at each call."""
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * sample_rate))).astype(np.float32)


@lru_cache(maxsize=8)
def _portrait(width: int, height: int) -> Picture:
    """The astronaut's head, a tenth larger than asked for on each side to leave room for movement."""
    from skimage.data import astronaut

    photo = astronaut()
    cut_width = min(round(CUT_HEIGHT * width / height), 400)
    left, top = max(0, FACE_X - cut_width // 2), max(0, FACE_Y - CUT_HEIGHT // 2)
    cut = np.ascontiguousarray(photo[top : top + CUT_HEIGHT, left : left + cut_width])
    frame = av.VideoFrame.from_ndarray(cut, format="rgb24")
    scaled = frame.reformat(width=round(width * 1.1), height=round(height * 1.1), format="rgb24")
    picture = scaled.to_ndarray()
    picture.setflags(write=False)
    return picture


def portrait(width: int, height: int, t_s: float = 0.0) -> Picture:
    """The face, moved by up to a twentieth of the picture; shape (height, width, 3), uint8."""
    large = _portrait(width, height)
    spare_y, spare_x = large.shape[0] - height, large.shape[1] - width
    x = round(spare_x * (0.5 + 0.5 * math.sin(2 * math.pi * 0.3 * t_s)))
    y = round(spare_y * (0.5 + 0.5 * math.sin(2 * math.pi * 0.2 * t_s)))
    return large[y : y + height, x : x + width]


def empty_room(width: int, height: int, t_s: float = 0.0) -> Picture:
    """A wall with a slowly moving shade: a picture without a face."""
    shade = np.linspace(90, 170, width) + 10 * math.sin(t_s)
    row = np.repeat(shade[:, None], 3, axis=1).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row, (height, width, 3)))


def scene(width: int, height: int, t_s: float, faces: int) -> Picture:
    """`faces` portraits side by side, or an empty room."""
    if faces == 0:
        return empty_room(width, height, t_s)
    if faces == 1:
        return portrait(width, height, t_s)
    widths = [width * (i + 1) // faces - width * i // faces for i in range(faces)]
    return np.concatenate([portrait(w, height, t_s + 0.4 * i) for i, w in enumerate(widths)], axis=1)


def frame_times(seconds: float, fps: float, variable_rate: bool = False) -> list[float]:
    """Presentation times; with `variable_rate` steps of half, one and two frame periods take turns."""
    if not variable_rate:
        return [i / fps for i in range(round(seconds * fps))]
    times, t_s, i = [], 0.0, 0
    while t_s < seconds:
        times.append(t_s)
        t_s += (0.5, 1.0, 2.0, 0.5, 1.0)[i % 5] / fps
        i += 1
    return times


def _audio_of(
    speech: Path | None, samples: Samples | None, sample_rate: int, speech_at_s: float
) -> tuple[Samples | None, int]:
    if speech is not None:
        samples, sample_rate = read_wav(speech)
        samples = np.concatenate([np.zeros(round(speech_at_s * sample_rate), np.float32), samples])
    return samples, sample_rate


def make_video(
    path: Path,
    *,
    seconds: float | None = None,
    fps: float = 30.0,
    size: tuple[int, int] = (640, 480),
    face: bool = True,
    faces: int = 1,
    face_spans: Sequence[tuple[float, float]] | None = None,
    speech: Path | None = None,
    speech_at_s: float = 0.0,
    samples: Samples | None = None,
    sample_rate: int = 16_000,
    audio_offset_s: float = 0.0,
    codec: str | None = None,
    audio_codec: str | None = None,
    container: str | None = None,
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    variable_rate: bool = False,
    times: Sequence[float] | None = None,
    video_offset_s: float = 0.0,
    picture: Callable[[float], Picture] | None = None,
    container_options: dict[str, str] | None = None,
    keyframe_every: int = 60,
) -> Path:
    """Writes a video whose container and codecs follow `path`'s suffix unless given.

    `size` is (width, height) as shown, in pixels. Without `seconds` it lasts as long as its sound and half
    a second more (4 s without sound). The sound is `speech` (a WAV), or mono `samples`; None means no audio
    track. The face shows during `face_spans` [(start_s, end_s)] only, if given. With `rotation` (90, -90 or
    180) the picture is stored turned, as telephones do, with a tag by which players turn it that many degrees
    counter-clockwise. `picture(t_s)` draws other frames, of shape (height, width, 3).
    """
    audio, sample_rate = _audio_of(speech, samples, sample_rate, speech_at_s)
    if seconds is None:
        seconds = 4.0 if audio is None else len(audio) / sample_rate + 0.5

    def draw(t_s: float) -> Picture:
        shown = face and (face_spans is None or any(start <= t_s < end for start, end in face_spans))
        return scene(*size, t_s, faces if shown else 0)

    default_video, default_audio = CODECS_BY_SUFFIX[path.suffix]
    codec = codec or default_video
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        video = out.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stored = size[::-1] if rotation % 180 else size
        video.width, video.height, video.pix_fmt = *stored, pixel_format
        video.codec_context.time_base = VIDEO_TIME_BASE if codec != "mpeg4" else Fraction(1, round(fps))
        video.codec_context.gop_size = keyframe_every
        video.options = ENCODER_OPTIONS.get(codec, {})
        if rotation:
            video.set_display_rotation(rotation)
        voice = None if audio is None else _add_audio(out, audio_codec or default_audio)
        chunks = iter(()) if audio is None else _audio_frames(audio, sample_rate, audio_offset_s)
        times = frame_times(seconds, fps, variable_rate) if times is None else times
        _write(
            out,
            _pictures(video, times, video_offset_s, picture or draw, -rotation // 90),
            chunks,
            video,
            voice,
        )
    return path


def _pictures(
    video: av.VideoStream,
    times: Sequence[float],
    offset_s: float,
    picture: Callable[[float], Picture],
    quarter_turns: int,
) -> Iterator[av.VideoFrame]:
    base = video.codec_context.time_base
    for t_s in times:
        stored = np.ascontiguousarray(np.rot90(picture(t_s), quarter_turns))
        frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
        frame = frame.reformat(format=video.pix_fmt)
        frame.pts, frame.time_base = round((t_s + offset_s) / base), base
        yield frame


def _write(
    out: av.container.OutputContainer,
    pictures: Iterator[av.VideoFrame],
    chunks: Iterator[av.AudioFrame],
    video: av.VideoStream,
    voice: av.AudioStream | None,
) -> None:
    """Interleaves both by time, as recorders do. Without a single picture the header alone is written."""
    out.start_encoding()
    chunk = next(chunks, None)
    for frame in pictures:
        while chunk is not None and chunk.time <= frame.time:
            out.mux(voice.encode(chunk))
            chunk = next(chunks, None)
        out.mux(video.encode(frame))
    while chunk is not None:
        out.mux(voice.encode(chunk))
        chunk = next(chunks, None)
    for stream in (video, voice):
        if stream is not None:
            out.mux(stream.encode(None))


def _add_audio(out: av.container.OutputContainer, codec: str) -> av.AudioStream:
    rate = 48_000 if codec in {"libopus", "opus"} else 44_100
    stream = out.add_stream(codec, rate=rate)
    stream.layout = "mono"
    return stream


def _audio_frames(samples: Samples, sample_rate: int, offset_s: float) -> Iterator[av.AudioFrame]:
    step = round(AUDIO_CHUNK_S * sample_rate)
    for at in range(0, len(samples), step):
        chunk = np.ascontiguousarray(samples[None, at : at + step], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
        frame.pts = at + round(offset_s * sample_rate)
        yield frame


def make_video_only(path: Path, **options: object) -> Path:
    """A video without an audio track; the options of `make_video`."""
    return make_video(path, **{**options, "speech": None, "samples": None})


def make_audio_only(
    path: Path,
    *,
    seconds: float = 4.0,
    speech: Path | None = None,
    samples: Samples | None = None,
    sample_rate: int = 16_000,
    codec: str | None = None,
) -> Path:
    """An audio file (`.m4a`, `.mp3`, `.ogg`, `.flac`, `.wav`, `.mp4`, `.webm`): speech, samples or a tone."""
    audio, sample_rate = _audio_of(speech, samples, sample_rate, 0.0)
    if audio is None:
        audio = tone(seconds, sample_rate=sample_rate)
    with av.open(str(path), "w") as out:
        stream = _add_audio(out, codec or CODECS_BY_SUFFIX[path.suffix][1])
        for frame in _audio_frames(audio, sample_rate, 0.0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def make_silent_video(path: Path, seconds: float = 4.0, **options: object) -> Path:
    """A video whose audio track holds only zeros."""
    return make_video(
        path, **{**options, "seconds": seconds, "samples": np.zeros(round(seconds * 16_000), np.float32)}
    )


def make_recorder_webm(path: Path, **options: object) -> Path:
    """A webm as browsers' MediaRecorder writes it: no duration and no index in the header."""
    return make_video(path, **{"container_options": {"live": "1"}, **options})


def truncate(path: Path, share: float, to: Path | None = None) -> Path:
    """Keeps the first `share` (0…1) of the bytes, in place or as the new file `to`."""
    data = path.read_bytes()
    target = to or path
    target.write_bytes(data[: int(len(data) * share)])
    return target


def corrupt(path: Path, at_share: float, length_bytes: int, seed: int = 1) -> Path:
    """Overwrites bytes in the middle with noise, in place."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * at_share)
    data[at : at + length_bytes] = np.random.default_rng(seed).bytes(length_bytes)
    path.write_bytes(data)
    return path


def make_text_named(path: Path) -> Path:
    """A text file with a video's name."""
    path.write_text("This is not a video.\n" * 200, encoding="utf-8")
    return path
