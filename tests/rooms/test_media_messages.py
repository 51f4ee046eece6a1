"""What a candidate's browser, or anybody in its place, may send."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.media_messages import JPEG, MAX_PAYLOAD, PCM, BadMessage, Frame, Sound, parse

PICTURE = b"\xff\xd8\xff\xe0 a picture \xfb\xff\xbe"
SOUND = bytes(range(256)) * 2


def binary(kind: int, payload: bytes, t_ms: int = 1500) -> bytes:
    return bytes([kind]) + t_ms.to_bytes(8, "big") + payload


def as_json(**fields: object) -> str:
    return json.dumps(fields)


def code_of(data: bytes | str) -> str:
    with pytest.raises(BadMessage) as caught:
        parse(data)
    assert caught.value.message
    return caught.value.code


def test_binary_frames_and_sound() -> None:
    assert parse(binary(JPEG, PICTURE)) == Frame(1500, PICTURE)
    assert parse(binary(PCM, SOUND)) == Sound(1500, SOUND)


def test_seconds_of_sound() -> None:
    sound = parse(binary(PCM, bytes(16_000)))
    assert isinstance(sound, Sound)
    assert sound.seconds == 0.5


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(PICTURE).decode(),
        base64.b64encode(PICTURE).decode().rstrip("="),
        base64.urlsafe_b64encode(PICTURE).decode(),
        "data:image/jpeg;base64," + base64.b64encode(PICTURE).decode(),
        "data:image/JPEG;BASE64," + base64.encodebytes(PICTURE).decode(),
    ],
)
def test_base64_in_all_its_forms(text: str) -> None:
    assert parse(as_json(type="video-frame", frame=text)) == Frame(0, PICTURE)


def test_json_sound() -> None:
    text = base64.b64encode(SOUND).decode()
    assert parse(as_json(type="audio-chunk", audioData=text, sampleRate=16000)) == Sound(0, SOUND)
    assert parse(as_json(type="audio-chunk", audioData=text)) == Sound(0, SOUND)


def test_other_rates_are_taken() -> None:
    text = base64.b64encode(bytes(96_000)).decode()
    sound = parse(as_json(type="audio-chunk", audioData=text, sampleRate=48000))
    assert sound == Sound(0, bytes(96_000), 48_000)
    assert isinstance(sound, Sound)
    assert sound.seconds == 1.0


@pytest.mark.parametrize(
    "rate", [0, -1, 7999, 96_001, 44100.5, "16000", None, True, [16000], float("nan"), float("inf")]
)
def test_rates_that_no_microphone_has_are_refused(rate: object) -> None:
    text = as_json(type="audio-chunk", audioData=base64.b64encode(SOUND).decode(), sampleRate=rate)
    assert code_of(text) == "bad_audio"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_message"),
        (b"\x01", "bad_message"),
        (b"\x01" + bytes(7), "bad_message"),
        (binary(0, PICTURE), "bad_message"),
        (binary(3, PICTURE), "bad_message"),
        (binary(JPEG, b""), "bad_frame"),
        (binary(JPEG, b"\x89PNG\r\n\x1a\n"), "bad_frame"),
        (binary(PCM, b""), "bad_audio"),
        (binary(PCM, SOUND[:-1]), "bad_audio"),
        (binary(PCM, bytes(2 * 16_000 * 11)), "bad_audio"),
        (binary(JPEG, PICTURE + bytes(5 * 1024 * 1024)), "too_large"),
        ("", "bad_message"),
        ("{", "bad_message"),
        ("[]", "bad_message"),
        ("null", "bad_message"),
        ("[" * 100_000, "bad_message"),
        (as_json(type="offer"), "bad_message"),
        (as_json(type=["video-frame"]), "bad_message"),
        (as_json(type="video-frame"), "bad_frame"),
        (as_json(type="video-frame", frame=7), "bad_frame"),
        (as_json(type="video-frame", frame="äöü"), "bad_frame"),
        (as_json(type="video-frame", frame="data:image/jpeg,abc"), "bad_frame"),
        (as_json(type="video-frame", frame="A"), "bad_frame"),
        (as_json(type="audio-chunk", audioData="!!!!"), "bad_audio"),
        (as_json(type="video-frame", frame="A" * 1_000_000), "too_large"),
    ],
)
def test_what_is_refused(data: bytes | str, code: str) -> None:
    assert code_of(data) == code


def test_the_largest_payload_passes_in_both_forms() -> None:
    largest = PICTURE + bytes(MAX_PAYLOAD - len(PICTURE))
    assert parse(binary(JPEG, largest)) == Frame(1500, largest)
    text = "data:image/jpeg;base64," + base64.b64encode(largest).decode()
    assert parse(as_json(type="video-frame", frame=text)) == Frame(0, largest)
    assert code_of(binary(JPEG, largest + b"\0")) == "too_large"


def test_a_wild_time_counts_as_none() -> None:
    assert parse(binary(JPEG, PICTURE, 2**64 - 1)) == Frame(0, PICTURE)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_nothing_else_ever_comes_out_of_garbage(data: bytes | str) -> None:
    try:
        media = parse(data)
    except BadMessage as error:
        assert error.code in ("bad_message", "bad_frame", "bad_audio", "too_large")
    else:
        assert isinstance(media, Frame | Sound)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["video-frame", "audio-chunk"])},
        optional={"frame": _JSON, "audioData": _JSON, "sampleRate": _JSON, "t_ms": _JSON},
    )
)
def test_strange_fields_are_refused_or_taken_never_more(message: dict[str, object]) -> None:
    try:
        media = parse(json.dumps(message))
    except BadMessage as error:
        assert error.code in ("bad_frame", "bad_audio")
    else:
        assert isinstance(media, Frame | Sound)
