"""Decoding of recordings: times, sizes, damage, limits, and the child process behind it."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from mlcore.errors import AnalysisError
from mlcore.media import MediaLimits, ProbeError, open_media, probe
from mlcore.media_decode import Pass, is_truncated, thin_out
from tests import media_factory as factory

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ROOT.parent / "shared" / "data" / "videos"
LIMITS = MediaLimits()


def decode(path: Path, **options):
    """(stream, samples, [(t_s, copy of the picture)]) of the whole file."""
    with open_media(path, **options) as media:
        samples = media.samples()
        frames = [(frame.t_s, frame.rgb.copy()) for frame in media.frames()]
    return media, samples, frames


def refusal(path: Path, limits: MediaLimits = LIMITS) -> str:
    with pytest.raises(ProbeError) as caught:
        probe([path], limits)
    return caught.value.code


def onsets(samples: np.ndarray, level: float = 0.2) -> list[float]:
    """Times at which sound begins after at least 0.2 s of silence."""
    loud = np.flatnonzero(np.abs(samples) > level) / 16_000
    return [float(t) for i, t in enumerate(loud) if i == 0 or t - loud[i - 1] > 0.2]


def flash(times_s: list[float], length_s: float = 0.2):
    """White pictures at known times, black ones else."""

    def picture(t_s: float) -> np.ndarray:
        lit = any(start <= t_s + 1e-6 < start + length_s for start in times_s)
        return np.full((240, 320, 3), 235 if lit else 20, np.uint8)

    return picture


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def talk(folder) -> Path:
    """4 s, 30 frames/s, 320×240, index in front, a tone."""
    return factory.make_video(
        folder / "talk.mp4",
        seconds=4,
        size=(320, 240),
        samples=factory.tone(4),
        container_options={"movflags": "faststart"},
    )


@pytest.fixture(scope="module")
def long_video(folder) -> Path:
    return factory.make_video(folder / "long.mp4", seconds=40, size=(320, 240), samples=factory.tone(40))


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = children()
    yield
    assert children() <= before


# What a header tells


def test_probe_describes_each_file_in_order(folder, talk):
    sound = factory.make_audio_only(folder / "sound.m4a", seconds=2)
    video, audio = probe([talk, sound], LIMITS)
    assert (video.container, video.has_audio, video.has_video) == ("mp4", True, True)
    assert (video.width, video.height, video.rotation_deg) == (320, 240, 0)
    assert video.duration_s == pytest.approx(4.0, abs=0.1)
    assert video.frame_rate == pytest.approx(30.0)
    assert (audio.has_audio, audio.has_video, audio.width) == (True, False, None)


def test_probe_of_nothing_is_empty():
    assert probe([], LIMITS) == []


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"This is no video.\n" * 100]
)
def test_probe_refuses_what_is_no_media(folder, content):
    path = folder / "broken.mp4"
    path.write_bytes(content)
    assert refusal(path) == "unreadable_media"


def test_probe_refuses_a_missing_file(folder):
    assert refusal(folder / "absent.mp4") == "unreadable_media"


def test_probe_refuses_a_header_that_was_cut_off(folder, talk):
    assert refusal(factory.truncate(talk, 0.02, folder / "header.mp4")) == "unreadable_media"


def test_probe_names_the_refused_file_by_its_index_and_the_containers_read(folder, talk):
    text = factory.make_text_named(folder / "text.mp4")
    with pytest.raises(ProbeError) as caught:
        probe([talk, text, talk], LIMITS)
    assert caught.value.index == 1
    assert "WebM" in caught.value.message
    assert caught.value.permanent


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_probe_refuses_a_video_without_frames(folder, suffix):
    path = factory.make_video(folder / f"none{suffix}", times=[], size=(320, 240))
    assert refusal(path) == "no_frames"


def test_probe_refuses_too_many_minutes(talk):
    assert refusal(talk, MediaLimits(max_duration_s=2)) == "too_long"


def test_probe_measures_and_refuses_a_recording_whose_header_has_no_duration(folder):
    path = factory.make_recorder_webm(folder / "recorded.webm", seconds=5, size=(320, 240))
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe([path], LIMITS)[0].duration_s == pytest.approx(5.0, abs=0.1)
    assert refusal(path, MediaLimits(max_duration_s=3)) == "too_long"


def test_probe_refuses_8k_without_decoding_it(folder):
    def grey(_t):
        return np.full((4320, 7680, 3), 90, np.uint8)

    path = factory.make_video(folder / "8k.mp4", times=[0.0], size=(7680, 4320), picture=grey)
    assert refusal(path) == "resolution_too_large"
    with pytest.raises(AnalysisError) as caught, open_media(path):
        pytest.fail("8K was opened")
    assert caught.value.code == "resolution_too_large"


def test_probe_refuses_a_picture_of_one_pixel(folder):
    path = folder / "pixel.mkv"
    dot = np.zeros((1, 1, 3), np.uint8)
    factory.make_video(
        path, seconds=1, size=(1, 1), codec="ffv1", pixel_format="bgr0", picture=lambda _t: dot
    )
    assert refusal(path) == "resolution_too_small"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {target}\n",
    ],
)
def test_a_playlist_cannot_open_other_files(folder, text):
    target = factory.make_video(folder / "segment.ts", seconds=1, size=(320, 240))
    path = folder / "playlist.mp4"
    path.write_text(text.format(target=target))
    assert refusal(path) == "unreadable_media"


def test_cover_art_is_no_video(folder):
    path = folder / "cover.mp3"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(cover.encode(picture))
        out.mux(cover.encode(None))
        tone = av.AudioFrame.from_ndarray(
            factory.tone(2, sample_rate=44_100)[None], format="fltp", layout="mono"
        )
        tone.sample_rate = 44_100
        out.mux(sound.encode(tone))
        out.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert not probe([path], LIMITS)[0].has_video


# Samples and frames


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mov", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
        ("a.mkv", {"pixel_format": "yuv444p"}),
        ("a.webm", {}),
        ("b.webm", {"codec": "libvpx-vp9"}),
        ("a.avi", {}),
        ("a.ts", {}),
    ],
)
def test_it_reads_many_containers_and_codecs(folder, name, options):
    path = factory.make_video(
        folder / name, seconds=2, size=(320, 240), samples=factory.tone(2), **{"face": True, **options}
    )
    media, samples, frames = decode(path)
    assert len(samples) / 16_000 == pytest.approx(2.0, abs=0.1)
    assert np.abs(samples[8000:24_000]).max() == pytest.approx(0.3, abs=0.06)
    assert 30 <= len(frames) <= 32
    expected = factory.portrait(320, 240, 1.0).astype(float)
    _, picture = min(frames, key=lambda frame: abs(frame[0] - 1.0))
    assert np.abs(picture.astype(float) - expected).mean() < 12
    assert not media.truncated
    assert media.duration_s == pytest.approx(2.0, abs=0.15)
    assert media.decode_s > 0


@pytest.mark.parametrize("name", ["s.wav", "s.mp3", "s.m4a", "s.ogg", "s.flac"])
def test_it_reads_sound_alone(folder, name):
    path = factory.make_audio_only(folder / name, samples=factory.beeps([0.5, 1.5], 2.0))
    media, samples, frames = decode(path)
    assert frames == []
    assert onsets(samples) == pytest.approx([0.5, 1.5], abs=0.03)
    assert media.duration_s == pytest.approx(2.0, abs=0.1)
    assert not media.truncated


def test_sound_is_the_mean_of_the_channels(folder):
    left = factory.tone(1.0, level=0.8)
    path = factory.write_wav(folder / "stereo.wav", np.stack([left, np.zeros_like(left)], axis=1))
    _, samples, _ = decode(path)
    assert samples.dtype == np.float32
    assert np.abs(samples - left / 2).max() < 0.01


def test_a_video_without_sound_gives_no_samples(folder):
    path = factory.make_video_only(folder / "mute.mp4", seconds=1, size=(320, 240))
    media, samples, frames = decode(path)
    assert samples.shape == (0,)
    assert len(frames) >= 15
    assert not media.info.has_audio


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts"])
def test_sound_and_picture_stay_together_when_sound_begins_late(folder, suffix):
    path = factory.make_video(
        folder / f"late{suffix}",
        seconds=3,
        size=(320, 240),
        picture=flash([1.0, 2.0]),
        samples=factory.beeps([0.5, 1.5], 2.3),
        audio_offset_s=0.5,
    )
    _, samples, frames = decode(path, frames_per_second=30)
    bright = [t for t, picture in frames if picture.mean() > 120]
    lit = [t for i, t in enumerate(bright) if i == 0 or t - bright[i - 1] > 0.3]
    assert lit == pytest.approx(onsets(samples), abs=0.05)
    assert lit == pytest.approx([1.0, 2.0], abs=0.04)


def test_times_begin_with_the_container(folder):
    path = factory.make_video(
        folder / "shifted.ts",
        seconds=2,
        size=(320, 240),
        samples=factory.beeps([1.0], 2.0),
        video_offset_s=5.0,
        audio_offset_s=5.0,
    )
    _, samples, frames = decode(path)
    assert frames[0][0] == pytest.approx(0.0, abs=0.05)
    assert onsets(samples) == pytest.approx([1.0], abs=0.05)


def test_a_gap_in_the_sound_becomes_silence(folder):
    path = folder / "gap.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start_s in (0.0, 3.0):
            chunk = (factory.beeps([0.5], 1.0) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, round(start_s * 16_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    _, samples, _ = decode(path)
    assert onsets(samples) == pytest.approx([0.5, 3.5], abs=0.01)
    assert len(samples) / 16_000 == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_turned_picture_comes_upright(folder, rotation):
    def corner(_t):
        picture = np.full((240, 320, 3), 30, np.uint8)
        picture[:120, :160] = 220
        return picture

    path = factory.make_video(
        folder / "turned.mp4", seconds=1, size=(320, 240), picture=corner, rotation=rotation
    )
    media, _, frames = decode(path)
    assert (media.info.width, media.info.height, abs(media.info.rotation_deg)) == (320, 240, abs(rotation))
    picture = frames[5][1]
    assert picture.shape == (240, 320, 3)
    assert picture[:110, :150].mean() > 200
    assert picture[130:].mean() < 50
    assert picture[:, 170:].mean() < 50


def test_large_pictures_are_scaled_down_and_small_ones_left(folder):
    path = factory.make_video(folder / "wide.mp4", seconds=0.5, size=(1280, 720))
    assert decode(path)[2][0][1].shape == (540, 960, 3)
    assert decode(path, max_side_px=320)[2][0][1].shape == (180, 320, 3)
    assert decode(path, max_side_px=2000)[2][0][1].shape == (720, 1280, 3)


@pytest.mark.parametrize(
    ("fps", "expected"), [(10, 10.0), (15, 15.0), (20, 15.0), (24, 15.0), (25, 15.0), (30, 15.0), (60, 15.0)]
)
def test_frames_are_thinned_to_fifteen_a_second_and_no_further(folder, fps, expected):
    path = factory.make_video_only(folder / f"{fps}.mp4", seconds=4, fps=fps, size=(160, 120), face=False)
    _, _, frames = decode(path)
    assert expected <= len(frames) / 4.0 < expected + 0.6


def thinned(times: list[float]) -> list[float]:
    return [t for t, _ in thin_out(((t, None) for t in times), 15.0)]


def test_ntsc_rate_does_not_fall_below_fifteen():
    times = [i * 1001 / 30_000 for i in range(1798)]
    assert len(thinned(times)) / (times[-1] + 1001 / 30_000) >= 15.0


def test_jitter_neither_starves_nor_doubles_the_frames():
    rng = np.random.default_rng(3)
    times = np.sort(np.arange(1800) / 30 + rng.uniform(-0.012, 0.012, 1800)).tolist()
    kept = thinned(times)
    assert 15.0 <= len(kept) / 60 < 15.5
    assert max(b - a for a, b in pairwise(kept)) < 0.125


def test_after_a_pause_in_the_source_the_rate_goes_on():
    times = [i / 30 for i in range(30)] + [3 + i / 30 for i in range(30)]
    kept = thinned(times)
    assert len([t for t in kept if t < 1]) >= 15
    assert len([t for t in kept if t >= 3]) >= 15


def test_variable_frame_rates_keep_their_own_times(folder):
    times = factory.frame_times(3, 15, variable_rate=True)
    path = factory.make_video_only(folder / "variable.mp4", times=times, size=(160, 120))
    _, _, frames = decode(path, frames_per_second=100)
    assert [t for t, _ in frames] == pytest.approx(times, abs=0.002)


def test_a_picture_that_changes_its_size_midway_is_still_delivered(folder):
    small = factory.make_video_only(folder / "small.ts", seconds=1, size=(160, 120))
    large = factory.make_video_only(folder / "large.ts", seconds=1, size=(320, 240), video_offset_s=1.0)
    path = folder / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    _, _, frames = decode(path)
    assert {picture.shape for _, picture in frames} == {(120, 160, 3), (240, 320, 3)}


# Damage


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.mp4", {"container_options": {"movflags": "faststart"}}),
        ("cut.webm", {}),
        ("live.webm", {"container_options": {"live": "1"}}),
        ("cut.mkv", {}),
        ("cut.avi", {}),
    ],
)
def test_a_file_cut_in_the_middle_is_read_up_to_the_cut(folder, name, options):
    path = factory.make_video(folder / name, seconds=6, size=(320, 240), samples=factory.tone(6), **options)
    whole, _, _ = decode(path)
    assert not whole.truncated
    media, samples, frames = decode(factory.truncate(path, 0.5))
    assert media.truncated
    assert 1.0 < media.duration_s < 5.0
    assert len(samples) / 16_000 == pytest.approx(media.duration_s, abs=0.6)
    assert frames[-1][0] == pytest.approx(media.duration_s, abs=0.6)


def test_a_cut_wav_is_marked(folder):
    path = factory.write_wav(folder / "cut.wav", factory.tone(2))
    assert not decode(path)[0].truncated
    assert decode(factory.truncate(path, 0.5))[0].truncated


def test_sound_that_ends_early_by_its_own_header_is_not_truncation(folder):
    path = factory.make_video(folder / "short.mp4", seconds=4, size=(320, 240), samples=factory.tone(1))
    assert not decode(path)[0].truncated
    assert not decode(path, want_video=False)[0].truncated


def test_truncation_has_a_tolerance():
    assert not is_truncated([Pass(60.0, 60.0, end_s=59.0)], all_streams=True)
    assert is_truncated([Pass(60.0, 60.0, end_s=58.0)], all_streams=True)
    assert not is_truncated([Pass(None, None, end_s=5.0)], all_streams=True)
    assert is_truncated([Pass(None, None, end_s=5.0, broken=True)], all_streams=True)


def test_damage_in_the_middle_is_passed_over(folder):
    path = factory.make_video(
        folder / "damaged.mkv", seconds=6, size=(320, 240), samples=factory.tone(6), keyframe_every=15
    )
    media, samples, frames = decode(factory.corrupt(path, 0.4, 2000))
    assert frames[-1][0] > 5.5
    assert len(frames) > 60
    assert len(samples) / 16_000 == pytest.approx(6.0, abs=0.2)
    assert media.duration_s == pytest.approx(6.0, abs=0.2)


def test_a_header_that_lies_about_the_duration_does_not_lift_the_limit(folder):
    path = factory.make_video(folder / "liar.mkv", seconds=8, size=(160, 120), samples=factory.tone(8))
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 2000.0) + data[at + 8 :])
    limits = MediaLimits(max_duration_s=3)
    assert probe([path], limits)[0].duration_s == pytest.approx(2.0)
    media, samples, frames = decode(path, limits=limits)
    assert media.truncated
    assert frames[-1][0] <= 4.1
    assert len(samples) / 16_000 <= 4.2


# The process behind it


def test_samples_and_frames_can_be_taken_by_two_threads(long_video):
    got = {}
    with open_media(long_video) as media:
        thread = threading.Thread(target=lambda: got.update(samples=len(media.samples())))
        thread.start()
        got["frames"] = sum(1 for _ in media.frames())
        thread.join(timeout=90)
    assert got["samples"] / 16_000 == pytest.approx(40.0, abs=0.1)
    assert got["frames"] == pytest.approx(601, abs=1)


def test_frames_can_be_taken_before_the_samples(talk):
    with open_media(talk) as media:
        count = sum(1 for _ in media.frames())
        assert len(media.samples()) / 16_000 == pytest.approx(4.0, abs=0.1)
    assert count >= 60


def test_only_what_is_wanted_is_decoded(talk):
    media, samples, frames = decode(talk, want_audio=False)
    assert len(samples) == 0
    assert len(frames) >= 60
    media, samples, frames = decode(talk, want_video=False)
    assert len(samples) > 60_000
    assert frames == []
    assert media.duration_s == pytest.approx(4.0, abs=0.1)


def test_totals_are_unknown_before_the_end(talk):
    with open_media(talk) as media, pytest.raises(RuntimeError):
        _ = media.truncated


def test_the_child_works_ahead_by_a_few_frames_only(long_video):
    with open_media(long_video, want_audio=False) as media:
        frames = media.frames()
        first = next(frames)
        kept = first.rgb.copy()
        child = psutil.Process(media._process.pid)
        _until_it_rests(child)
        assert child.memory_info().rss < 110_000_000, (
            "all frames of it would be 138 MB more than the 43 without"
        )
        assert np.array_equal(first.rgb, kept)


def _until_it_rests(child):
    """Until it has decoded what it may; how long that takes depends on the machine."""
    until = time.monotonic() + 120
    before = float("-inf")
    while time.monotonic() < until:
        used = sum(child.cpu_times()[:2])
        if used - before < 0.02:
            return
        before = used
        time.sleep(0.5)
    raise AssertionError("it never rests")


def test_closing_early_leaves_nothing_behind(long_video):
    descriptors = psutil.Process().num_fds()
    for take in (0, 3):
        with open_media(long_video) as media:
            pid = media._process.pid
            frames = media.frames()
            times = [next(frames).t_s for _ in range(take)]
            assert times == sorted(times)
        assert not psutil.pid_exists(pid)
    del media, frames
    assert psutil.Process().num_fds() <= descriptors


def test_a_picture_outlives_its_stream(talk):
    with open_media(talk) as media:
        frame = next(media.frames())
        copy = frame.rgb.copy()
    del media
    assert np.array_equal(frame.rgb, copy)


def test_closing_wakes_a_thread_that_waits(long_video):
    caught = []

    def consume():
        try:
            for _ in media.frames():
                time.sleep(0.1)  # a minute for all of them
        except AnalysisError as error:
            caught.append(error.code)

    with open_media(long_video) as media:
        thread = threading.Thread(target=consume)
        thread.start()
        time.sleep(0.3)
    thread.join(timeout=40)
    assert not thread.is_alive()
    assert caught == ["media_closed"]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_of_the_decoder_is_an_error_worth_a_retry(long_video, sign):
    with open_media(long_video) as media:
        frames = media.frames()
        next(frames)
        os.kill(media._process.pid, sign)
        with pytest.raises(AnalysisError) as caught:
            list(frames)
    assert caught.value.code == "decoder_crashed"
    assert not caught.value.permanent


def test_a_decoder_that_hangs_is_stopped(long_video):
    with open_media(long_video) as media:
        media.samples()
        frames = media.frames()
        next(frames)
        os.kill(media._process.pid, signal.SIGSTOP)
        media._wait_left_s = 0.2
        with pytest.raises(AnalysisError) as caught:
            list(frames)
        assert caught.value.code == "decoder_timeout"


def test_memory_beyond_the_limit_is_an_error(folder):
    path = factory.make_video_only(folder / "hd.mp4", seconds=0.5, size=(1920, 1080))
    with pytest.raises(AnalysisError) as caught:
        decode(path, limits=MediaLimits(memory_bytes=80_000_000))
    assert caught.value.code in {"decoder_out_of_memory", "decoder_crashed"}


@pytest.mark.slow
@pytest.mark.parametrize("consumed", [0, 1])
def test_the_child_dies_with_a_killed_parent(long_video, consumed):
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from mlcore.media import open_media
        media = open_media(Path({str(long_video)!r}))
        for _ in zip(range({consumed}), media.frames()):
            pass
        sys.stdout.write(str(media._process.pid) + "\\n")
        sys.stdout.flush()
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=60)
    assert gone or child.status() == psutil.STATUS_ZOMBIE


def test_the_child_knows_none_of_our_secrets(talk, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hush")
    with open_media(talk) as media:
        next(media.frames())
        assert "SECRET_KEY" not in psutil.Process(media._process.pid).environ()


@pytest.mark.slow
def test_an_hour_of_sound_stays_within_memory(folder):
    path = folder / "hour.flac"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=16_000, layout="mono")
        minute = (factory.tone(60) * 32767).astype(np.int16)[None]
        for _ in range(60):
            frame = av.AudioFrame.from_ndarray(minute, format="s16", layout="mono")
            frame.sample_rate = 16_000
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    script = textwrap.dedent(
        f"""
        import resource, sys
        from pathlib import Path
        from mlcore.media import open_media
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with open_media(Path({str(path)!r})) as media:
            seconds = len(media.samples()) / 16_000
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sys.stdout.write(f"{{seconds}} {{(after - before) / 1024}}")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=ROOT, check=True, text=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds == pytest.approx(3600.0, abs=1)
    assert megabytes < 350


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips in ../shared/data are absent")
def test_the_real_clips_are_read_with_sane_times():
    paths = sorted(CLIPS.iterdir())
    assert len(paths) >= 15
    infos = probe(paths, LIMITS)
    for path, info in zip(paths, infos, strict=True):
        with open_media(path) as media:
            samples = media.samples()
            seen = [(frame.t_s, frame.rgb.shape, float(frame.rgb.mean())) for frame in media.frames()]
        times = [t for t, _, _ in seen]
        assert all(b > a for a, b in pairwise(times)), path.name
        assert times[0] < 0.1, path.name
        assert len(times) / media.duration_s >= 14.9, path.name
        assert times[-1] == pytest.approx(info.duration_s, abs=0.3), path.name
        assert media.duration_s == pytest.approx(info.duration_s, abs=0.15), path.name
        assert len(samples) / 16_000 <= info.duration_s + 0.15, path.name
        assert max(seen[0][1]) <= 960, path.name
        assert (seen[0][1][0] > seen[0][1][1]) == (info.height > info.width), path.name
        assert not media.truncated, path.name
