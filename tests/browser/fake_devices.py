"""Chromium with a fake camera and microphone that play files, one browser a person."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Browser, Playwright

from tests.media_factory import make_speech, make_video

CHROMIUM = Path("/usr/bin/chromium")
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "videos"
SIZE, FPS, SECONDS = (640, 480), 10, 8.0
TEXT = (
    "I planned the project with my team, and we finished it two weeks early. The hardest part was the database. "
    "We moved forty tables in one night, and nobody noticed anything in the morning."
)


@dataclass(frozen=True)
class Person:
    """What a fake camera shows (.y4m) and a fake microphone hears (.wav)."""

    camera: Path
    microphone: Path


def make_person(folder: Path, clip: str = "") -> Person:
    """A face that talks: a shared real clip where there is one of that name, else a portrait that is moved about."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = make_speech(TEXT, folder / "speech.wav", voice="en-us")
    source = SHARED / clip
    if not clip or not source.is_file():
        source = make_video(folder / "face.mp4", fps=FPS, size=SIZE, seconds=SECONDS)
    return Person(_as_y4m(source, folder / "camera.y4m"), _as_wav(speech, folder / "microphone.wav"))


def _as_y4m(source: Path, target: Path) -> Path:
    with av.open(str(source)) as video, av.open(str(target), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("wrapped_avframe", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, frame in enumerate(_at_fps(video)):
            picture = frame.reformat(*SIZE, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return target


def _at_fps(video: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    next_s = 0.0
    for frame in video.decode(video=0):
        if frame.time is not None and frame.time >= next_s:
            next_s += 1 / FPS
            yield frame
        if next_s >= SECONDS:
            return


def _as_wav(source: Path, target: Path) -> Path:
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(str(source)) as sound:
        parts = [
            part.to_ndarray()[0] for frame in sound.decode(audio=0) for part in resampler.resample(frame)
        ]
    with wave.open(str(target), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes(np.concatenate(parts).tobytes())
    return target


@contextmanager
def person_browser(
    playwright: Playwright, person: Person, *arguments: str, program: Path = CHROMIUM
) -> Iterator[Browser]:
    """A browser of its own for one person."""
    browser = playwright.chromium.launch(
        executable_path=str(program),
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={person.camera}",
            f"--use-file-for-fake-audio-capture={person.microphone}",
            "--autoplay-policy=no-user-gesture-required",
            *arguments,
        ],
    )
    try:
        yield browser
    finally:
        browser.close()
