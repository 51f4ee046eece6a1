"""Browsers' recordings made seekable, cut and joined, with real files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest

from mlcore.errors import AnalysisError
from mlcore.media import probe
from mlcore.media_remux import Piece, header_of, measure, resume_at, write
from mlcore.media_types import MediaLimits
from tests.media_factory import make_audio_only, make_recorder_webm, make_video, tone, truncate

pytestmark = pytest.mark.slow

LIMITS = MediaLimits()
LONGEST_S = 600.0
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KEYFRAME_S = 1.0


@pytest.fixture(scope="module")
def webm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds, a keyframe a second, as MediaRecorder leaves them."""
    path = tmp_path_factory.mktemp("webm") / "recorded.webm"
    return make_recorder_webm(
        path, seconds=8.0, samples=tone(8.0), size=(160, 120), fps=15.0, keyframe_every=15
    )


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds in fragments, as Safari leaves them."""
    path = tmp_path_factory.mktemp("mp4") / "recorded.mp4"
    return make_video(
        path, seconds=8.0, samples=tone(8.0), size=(160, 120), fps=15.0, keyframe_every=15,
        container_options=FRAGMENTS,
    )  # fmt: skip


def copied(target: Path, *pieces: Piece, **options: object) -> float:
    return write(target, pieces, LIMITS, longest_s=LONGEST_S, **options)  # type: ignore[arg-type]


def declared_s(path: Path) -> float | None:
    """The length that the header tells."""
    with av.open(str(path)) as container:
        return container.duration / 1_000_000 if container.duration else None


def pictures(path: Path) -> list[float]:
    """The times of all pictures that decode."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def sound_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def after_seek(path: Path, t_s: float) -> float:
    """The time of the first picture after seeking to `t_s`."""
    with av.open(str(path)) as container:
        container.seek(round(t_s * 1_000_000))
        return next(container.decode(video=0)).time


def test_a_recorders_webm_gets_length_and_index(webm: Path, tmp_path: Path) -> None:
    assert declared_s(webm) is None
    target = tmp_path / "out"
    length_s = copied(target, Piece(webm))
    assert length_s == pytest.approx(8.0, abs=0.2)
    assert declared_s(target) == pytest.approx(8.0, abs=0.2)
    assert after_seek(target, 5.2) == pytest.approx(5.0, abs=0.1)
    assert b"\x1c\x53\xbb\x6b" in target.read_bytes(), "Cues (RFC 9559)"
    assert len(pictures(target)) == 120
    assert sound_s(target) == pytest.approx(8.0, abs=0.1)


def test_fragmented_mp4_becomes_one_that_seeks(mp4: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert copied(target, Piece(mp4)) == pytest.approx(8.0, abs=0.2)
    data = target.read_bytes()
    assert b"moof" not in data
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands in front"
    assert after_seek(target, 5.2) == pytest.approx(5.0, abs=0.1)
    assert len(pictures(target)) == 120


@pytest.mark.parametrize("name", ["webm", "mp4"])
def test_a_cut_begins_with_a_keyframe_and_its_sound(name: str, request, tmp_path: Path) -> None:
    source = request.getfixturevalue(name)
    target = tmp_path / "out"
    length_s = copied(target, Piece(source, 3.3, 6.0))
    assert length_s == pytest.approx(3.0, abs=0.2)
    times = pictures(target)
    assert times[0] == pytest.approx(0.0, abs=0.1)
    assert len(times) == pytest.approx(45, abs=2)
    assert sound_s(target) == pytest.approx(3.0, abs=0.2)


def test_without_a_keyframe_nearby_the_sound_keeps_its_time(tmp_path: Path) -> None:
    source = make_recorder_webm(
        tmp_path / "long.webm", seconds=20.0, samples=tone(20.0), size=(160, 120), fps=5.0, keyframe_every=90
    )
    target = tmp_path / "out"
    assert copied(target, Piece(source, 14.0, 20.0)) == pytest.approx(6.0, abs=0.2)
    assert sound_s(target) == pytest.approx(6.0, abs=0.2)
    assert pictures(target)[0] == pytest.approx(4.0, abs=0.3), "the keyframe at 18 s"


def test_two_pieces_follow_with_their_gap(webm: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    length_s = copied(target, Piece(webm, None, 2.0), Piece(webm, 5.0, 8.0, gap_s=1.5))
    assert length_s == pytest.approx(6.5, abs=0.2)
    times = pictures(target)
    assert times == sorted(times)
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert max(steps) == pytest.approx(1.5, abs=0.15)
    assert declared_s(target) == pytest.approx(6.5, abs=0.2)


def test_two_sizes_of_vp8_are_of_one_kind_and_stay_readable(webm: Path, tmp_path: Path) -> None:
    other = make_recorder_webm(
        tmp_path / "other.webm", seconds=2.0, samples=tone(2.0), size=(320, 240), fps=15.0, keyframe_every=15
    )
    kinds = {measure(path, LIMITS, longest_s=LONGEST_S).kind for path in (webm, other)}
    assert len(kinds) == 1
    target = tmp_path / "out"
    copied(target, Piece(webm, None, 2.0), Piece(other))
    with av.open(str(target)) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert (sizes[0], sizes[-1]) == ((160, 120), (320, 240))


def test_other_codecs_are_of_another_kind(webm: Path, mp4: Path, tmp_path: Path) -> None:
    sound = make_audio_only(tmp_path / "sound.webm", seconds=2.0)
    kinds = {measure(path, LIMITS, longest_s=LONGEST_S).kind for path in (webm, mp4, sound)}
    assert len(kinds) == 3


def test_the_sound_alone(webm: Path, mp4: Path, tmp_path: Path) -> None:
    for number, source in enumerate((webm, mp4)):
        target = tmp_path / str(number)
        copied(target, Piece(source, 2.0, 6.0), video=False)
        (info,) = probe([target], LIMITS)
        assert (info.has_video, info.has_audio) == (False, True)
        assert info.duration_s == pytest.approx(4.0, abs=0.2)


def test_a_truncated_recording_is_kept_as_far_as_it_goes(webm: Path, mp4: Path, tmp_path: Path) -> None:
    for number, source in enumerate((webm, mp4)):
        cut = truncate(source, 0.6, tmp_path / f"cut-{number}")
        extent = measure(cut, LIMITS, longest_s=LONGEST_S)
        assert 3.0 < extent.end_s < 6.5
        target = tmp_path / f"out-{number}"
        copied(target, Piece(cut))
        assert len(pictures(target)) / 15 == pytest.approx(extent.end_s, abs=1.2)


@pytest.mark.parametrize("name", ["webm", "mp4"])
def test_what_follows_a_lost_piece_is_read_from_its_next_unit(name: str, request, tmp_path: Path) -> None:
    source = request.getfixturevalue(name)
    data = source.read_bytes()
    before, rest = tmp_path / "before", tmp_path / "rest"
    before.write_bytes(data[: len(data) // 4])
    rest.write_bytes(data[len(data) // 2 :])
    at = resume_at(rest)
    assert at
    after = tmp_path / "after"
    after.write_bytes(header_of(before) + rest.read_bytes()[at:])
    extent = measure(after, LIMITS, longest_s=LONGEST_S)
    assert extent.start_s > 3.0, "its clock is that of the whole recording"
    assert extent.end_s == pytest.approx(8.0, abs=0.2)
    target = tmp_path / "out"
    copied(target, Piece(before), Piece(after, gap_s=1.0))
    times = pictures(target)
    assert len(times) > 45
    assert times == sorted(times)


@pytest.mark.parametrize("name", ["webm", "mp4"])
def test_all_but_the_header_and_the_end_may_be_lost(name: str, request, tmp_path: Path) -> None:
    source = request.getfixturevalue(name)
    header, rest, after = tmp_path / "header", tmp_path / "rest", tmp_path / "after"
    header.write_bytes(header_of(source))
    assert 0 < header.stat().st_size < 2000
    assert header_of(header) == header.read_bytes()
    data = source.read_bytes()
    rest.write_bytes(data[len(data) * 3 // 4 :])
    after.write_bytes(header_of(header) + rest.read_bytes()[resume_at(rest) :])
    assert measure(after, LIMITS, longest_s=LONGEST_S).end_s == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5000, b"no video at all " * 400, b"\x1a\x45\xdf\xa3" + b"\xff" * 900]
)
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(content)
    with pytest.raises(AnalysisError) as refused:
        measure(path, LIMITS, longest_s=LONGEST_S)
    assert refused.value.code in {"unreadable_media", "no_frames"}
    assert resume_at(path) is None


def test_a_header_alone_has_no_frames(webm: Path, tmp_path: Path) -> None:
    path = tmp_path / "header"
    path.write_bytes(header_of(webm))
    with pytest.raises(AnalysisError) as refused:
        measure(path, LIMITS, longest_s=LONGEST_S)
    assert refused.value.code in {"unreadable_media", "no_frames"}


def test_times_beyond_the_interview_are_not_believed(webm: Path) -> None:
    assert measure(webm, LIMITS, longest_s=3.0).end_s == pytest.approx(3.0, abs=0.2)


def test_the_result_is_no_longer_than_allowed(webm: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    length_s = write(target, [Piece(webm)], MediaLimits(max_duration_s=2.5), longest_s=LONGEST_S)
    assert length_s == pytest.approx(2.5, abs=0.2)
    assert declared_s(target) == pytest.approx(2.5, abs=0.2)


def test_a_playlist_opens_nothing_else(tmp_path: Path, webm: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"ffconcat version 1.0\nfile {webm}\n")
    with pytest.raises(AnalysisError, match="cannot be read"):
        measure(path, LIMITS, longest_s=LONGEST_S)
