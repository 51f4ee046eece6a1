"""What the benchmarks run on: a 60 s talking head, 640×480, 30 frames a second."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests import media_factory

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FACE_CLIP = SHARED / "videos" / "SadTalker__WDA_KatieHill_000.mp4"
READER = SHARED / "conversation" / "librispeech"
RATE, SAMPLE_RATE, WIDTH, HEIGHT = 30, 16_000, 640, 480
TEXT = (
    "In my last position I was responsible for moving our payment service to a new provider. We had two weeks, and "
    "nobody had written down how the old one worked. First I read the code and drew a map of it. Then I sat down "
    "with the two engineers who had built it, and asked them what had gone wrong over the years. "
)


def talking_head(path: Path, seconds: float) -> tuple[Path, str]:
    """Write the video; the second value says what it was made of."""
    if FACE_CLIP.is_file() and READER.is_dir():
        _write(path, _looped(FACE_CLIP), _read_aloud(seconds), seconds)
        return path, "a real talking head (shared/data/videos), looped, with real read speech (LibriSpeech)"
    speech = media_factory.make_speech(TEXT * 4, path.with_suffix(".wav"))
    media_factory.make_video(path, seconds=seconds, fps=RATE, size=(WIDTH, HEIGHT), speech=speech)
    return path, "a moved portrait with espeak-ng speech (shared/data is not there)"


def _looped(clip: Path) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                yield frame.reformat(WIDTH, HEIGHT, "yuv420p")


def _read_aloud(seconds: float) -> npt.NDArray[np.float32]:
    """Utterances of one reader with 0.8 s between them."""
    pieces: list[npt.NDArray[np.float32]] = []
    length = 0
    for file in sorted(READER.glob("2033-*.flac")) + sorted(READER.glob("2414-*.flac"))[:3]:
        with av.open(str(file)) as container:
            resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
            decoded = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        pieces += [part.to_ndarray()[0] for part in decoded] + [np.zeros(int(0.8 * SAMPLE_RATE), np.float32)]
        length = sum(map(len, pieces))
        if length >= seconds * SAMPLE_RATE:
            break
    return np.concatenate(pieces)[: int(seconds * SAMPLE_RATE)]


def _write(
    path: Path, pictures: Iterator[av.VideoFrame], samples: npt.NDArray[np.float32], seconds: float
) -> None:
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        step = SAMPLE_RATE // RATE
        for number in range(int(seconds * RATE)):
            frame = next(pictures)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
            chunk = samples[number * step : (number + 1) * step]
            if len(chunk):
                sound = av.AudioFrame.from_ndarray(chunk[None, :], format="fltp", layout="mono")
                sound.pts, sound.sample_rate, sound.time_base = (
                    number * step,
                    SAMPLE_RATE,
                    Fraction(1, SAMPLE_RATE),
                )
                out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
