"""The inference process as the site runs it: a real process, real models, a real socket."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
import stat
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as site_settings
from PIL import Image

from mlcore.behaviour import constants
from mlcore.media import SAMPLE_RATE
from mlcore.voice_activity import Interval
from rooms.inference import blocking, voices, wire
from rooms.inference.client import InferenceClient
from rooms.inference.engine import Engine
from rooms.inference.eyes import EyeContact
from rooms.inference.pictures import WORKED_ON_PX, decoded
from rooms.inference.server import FACES_AT_ONCE, CannotListen, InferenceServer, Loader, owned_socket
from rooms.inference.wire import BadMessage, Heard, InferenceError, Looked, Message
from tests.interviewsite.processes import Running, clean_environment, running
from tests.media_factory import empty_room
from tests.mlcore.sounds import say, silence
from tests.mlcore.stress.faces import face_at
from tests.rooms.pictures import encoded, smiling_picture

MODEL = Path(site_settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
needs_models = pytest.mark.skipif(not MODEL.exists(), reason="the models are not fetched")


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def smiling() -> bytes:
    return smiling_picture()


@pytest.fixture(scope="module")
def speech() -> bytes:
    return pcm(say("I have worked in this team for three years now.")[: 3 * SAMPLE_RATE])


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(InferenceError) as caught:
        call()
    return caught.value.code


# -- Pictures -----------------------------------------------------------------------------------


def png_of_size(width: int, height: int) -> bytes:
    """The beginning of a PNG: its size is told, hardly any pixels follow."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in (
        (b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", b"\x78\x9c"),
    ):
        parts += [struct.pack("!I", len(data)), kind, data, struct.pack("!I", zlib.crc32(kind + data))]
    return b"".join(parts)


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"not a picture",
        encoded(np.zeros((1, 1, 3), np.uint8)),
        encoded(np.zeros((15, 400, 3), np.uint8)),
        encoded(np.zeros((8, 4097, 3), np.uint8)),
        encoded(np.zeros((2001, 2000, 3), np.uint8)),
        encoded(np.zeros((100, 100, 3), np.uint8))[:200],
        encoded(np.full((200, 200, 3), 90, np.uint8), "PNG"),
        encoded(np.full((200, 200, 3), 90, np.uint8), "GIF"),
    ],
    ids=["empty", "text", "dot", "low", "wide", "large", "broken off", "PNG", "GIF"],
)
def test_what_is_no_frame_is_refused(picture: bytes):
    assert refused(lambda: decoded(picture)) == "bad_frame"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_size_that_is_too_large_is_refused_by_the_header_alone(monkeypatch: pytest.MonkeyPatch):
    # WeasyPrint sets it for its whole process; the inference process has no WeasyPrint.
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", False)
    for width, height in ((4097, 900), (3000, 3000), (10_000, 10_000), (50_000, 50_000)):
        with pytest.raises(InferenceError, match="too large"):
            decoded(png_of_size(width, height), png=True)
    with pytest.raises(InferenceError, match="not a whole"):
        decoded(png_of_size(1000, 1000), png=True)


def test_a_jpeg_of_very_many_scans_is_refused():
    jpeg = encoded(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), progressive=True)
    assert decoded(jpeg).shape == (64, 64, 3)
    at = jpeg.rindex(b"\xff\xda")
    with pytest.raises(InferenceError, match="scans"):
        decoded(jpeg[:at] + jpeg[at:-2] * 100 + jpeg[-2:])


@pytest.mark.parametrize(
    ("size", "wanted"), [((480, 640), (480, 640)), ((1080, 1920), (360, 640)), ((1600, 900), (640, 360))]
)
def test_large_frames_are_brought_to_the_size_that_is_worked_on(
    size: tuple[int, int], wanted: tuple[int, int]
):
    rgb = decoded(encoded(np.full((*size, 3), (200, 90, 10), np.uint8)))
    assert rgb.shape == (*wanted, 3)
    assert max(rgb.shape) <= WORKED_ON_PX
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.reshape(-1, 3).mean(axis=0) - (200, 90, 10)).max() < 3


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_any_kind_of_jpeg_becomes_rgb(mode: str):
    file = io.BytesIO()
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).convert(mode).save(file, "JPEG")
    assert decoded(file.getvalue()).shape == (60, 80, 3)


def test_a_phone_held_upright_gives_an_upright_picture():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert decoded(encoded(np.zeros((60, 80, 3), np.uint8), exif=exif.tobytes())).shape == (80, 60, 3)


# -- Eyes and voices ----------------------------------------------------------------------------


def face(yaw: float = 0.0, **measured: float) -> Any:
    return face_at(0.3, 0.2, 0.4, 0.6, yaw_deg=yaw, **measured)


def test_eye_contact_is_measured_from_the_line_of_sight_of_the_first_seconds():
    eyes = EyeContact()
    assert [eyes.look(float(t), face(14.0 + t % 2)) for t in range(6)] == [None] * 6
    assert eyes.look(6.0, face(14.0)) is True
    assert eyes.look(7.0, face(14.5 + constants.DIRECT_CONE_DEG + 1)) is False
    assert eyes.look(8.0, face(0.0)) is False
    assert eyes.look(9.0, face(20.0, gaze_yaw_deg=-6.0)) is True
    assert eyes.look(10.0, face(14.0, eyelids_closed=0.9)) is None
    assert eyes.look(11.0, None) is None


def test_who_looks_about_at_first_is_measured_from_the_camera():
    eyes = EyeContact()
    for t in range(6):
        eyes.look(float(t), face(25.0 * (-1) ** t))
    assert eyes.look(6.0, face(0.0)) is True
    assert eyes.look(7.0, face(25.0)) is False


def test_seconds_without_a_face_do_not_count_towards_the_calibration():
    eyes = EyeContact()
    eyes.look(0.0, face())
    for t in range(1, 60):
        assert eyes.look(float(t), None) is None
    assert eyes.look(60.0, face()) is None
    assert eyes.look(61.0, face()) is None


@pytest.mark.slow
def test_another_voice_is_farther_away_than_the_own_one():
    own = voices.OwnVoice()
    whole = (Interval(0.0, 3.0),)

    def heard(voice: str, text: str) -> float | None:
        assert own.wants(whole)
        return own.distance(voices.embedding(say(text, voice)))

    assert heard("en-us+m1", "I have worked in this team for three years now.") is None
    assert heard("en-us+m1", "Most of all I like to see how people use the things we build.") is None
    assert [own.wants(whole) for _ in range(4)] == [True, False, False, True]
    same = own.distance(voices.embedding(say("We had to find out what went wrong that night.", "en-us+m1")))
    other = own.distance(voices.embedding(say("We had to find out what went wrong that night.", "en-us+f4")))
    assert same is not None and other is not None
    assert 0 <= same < other <= 1
    assert not own.wants((Interval(0.0, 1.0),))


# -- The process --------------------------------------------------------------------------------

LOADED_WITHIN_S = 240.0


def look(picture: bytes, session: str = "one", *, emotion: bool = True) -> Looked:
    for _ in range(30):
        try:
            return blocking.look_once(session, picture, emotion=emotion)
        except InferenceError as error:
            if error.code != "inference_busy":
                raise
    raise AssertionError("it is busy without an end")


class Patient(InferenceClient):
    """Asks again where the process is busy: a frame is left out that waited for a second, and on a slow machine, or one
    that stalls, every second one may."""

    async def look(self, *arguments: Any, **options: Any) -> Looked:
        return await self._until_taken(lambda: InferenceClient.look(self, *arguments, **options))

    async def listen(self, *arguments: Any, **options: Any) -> Heard:
        return await self._until_taken(lambda: InferenceClient.listen(self, *arguments, **options))

    async def _until_taken(self, asking: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(100):
            try:
                return await asking()
            except InferenceError as error:
                if error.code != "inference_busy":
                    raise
            await asyncio.sleep(0.1)
        raise AssertionError("it is busy without an end")


def start(folder: Path, **variables: str) -> Any:
    environment = clean_environment(VAR_DIR=str(folder), INFERENCE_SOCKET=str(folder / "i.sock"), **variables)
    return running(["infer", "--dies-with-parent"], folder / "infer.log", environment)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("infer")
    with start(folder) as started:
        started.says("Models for live rooms loaded", within_s=LOADED_WITHIN_S)
        yield started, folder / "i.sock"


@pytest.fixture
def there(process: tuple[Running, Path], settings: Any) -> Running:
    """The process, which this test's clients find."""
    settings.INFERENCE_SOCKET = process[1]
    return process[0]


def ask(*calls: Callable[[InferenceClient], Awaitable[Any]]) -> list[Any]:
    """What one client gets for calls that it makes at once; errors among the results."""

    async def all_of_them() -> list[Any]:
        client = Patient(timeout_s=60.0)
        try:
            return await asyncio.gather(*(call(client) for call in calls), return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(all_of_them())


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_models
class TestRunning:
    def test_a_face_is_seen_and_read(self, there: Running, smiling: bytes):
        [seen] = ask(lambda c: c.look("see", 0.0, smiling, emotion=True))
        assert isinstance(seen, Looked)
        assert (seen.detected, seen.count, seen.quality, seen.sources) == (True, 1, "ok", ("face",))
        assert seen.stress is not None and seen.stress.level == "low"
        assert sum(seen.stress.probabilities.values()) == pytest.approx(1.0, abs=1e-4)
        assert seen.emotions is not None and max(seen.emotions, key=seen.emotions.__getitem__) == "happy"
        assert seen.eye_contact is None
        assert seen.yaw_deg is not None and abs(seen.yaw_deg) < 30
        assert seen.latency_ms > 0

    def test_eye_contact_comes_after_five_seconds_of_face(self, there: Running, smiling: bytes):
        async def seven(client: InferenceClient) -> list[bool | None]:
            return [
                (await client.look("eyes", float(t), smiling, emotion=False)).eye_contact for t in range(7)
            ]

        [seen] = ask(seven)
        assert seen == [None] * 6 + [True]

    def test_speech_is_heard_with_its_syllables(self, there: Running, speech: bytes):
        [heard] = ask(lambda c: c.listen("hear", 3.0, speech, emotion=True))
        assert isinstance(heard, Heard)
        assert (heard.speaking, heard.quality, heard.sources) == (True, "ok", ("voice",))
        assert heard.stress is not None
        assert heard.speech and all(0 <= a < b <= 3.0 for a, b in heard.speech)
        assert len(heard.syllables_s) == pytest.approx(12, abs=3)
        assert heard.loudness_db is not None and -40 < heard.loudness_db < -3

    def test_without_emotions_nothing_is_inferred(self, there: Running, smiling: bytes, speech: bytes):
        seen, heard = ask(
            lambda c: c.look("none", 0.0, smiling, emotion=False),
            lambda c: c.listen("none", 0.0, speech, emotion=False),
        )
        assert (seen.stress, seen.emotions, seen.sources, seen.detected) == (None, None, (), True)
        assert (heard.stress, heard.sources, heard.speaking) == (None, (), True)
        assert heard.syllables_s

    def test_silence_is_told_by_name(self, there: Running):
        [heard] = ask(lambda c: c.listen("quiet", 0.0, pcm(silence(3.0)), emotion=True))
        assert (heard.speaking, heard.quality, heard.speech, heard.syllables_s) == (False, "silent", (), ())
        assert heard.loudness_db is None

    def test_another_voice_is_measured_against_the_first_windows(self, there: Running):
        def said(voice: str) -> bytes:
            text = "I have worked in this team for three years and I like to see how people use it."
            return pcm(say(text, voice)[: 3 * SAMPLE_RATE])

        async def windows(client: InferenceClient) -> list[float | None]:
            spoken = ["en-us+m1"] * 6 + ["en-us+f4"] * 3
            return [
                (await client.listen("voices", 2.0 * n, said(one), emotion=False)).other_voice
                for n, one in enumerate(spoken)
            ]

        [found] = ask(windows)
        assert [value is None for value in found] == [True, True, False, True, True, False, True, True, False]
        assert found[5] < found[8]

    def test_one_bad_request_harms_no_other(self, there: Running, smiling: bytes, speech: bytes):
        broken = smiling[: len(smiling) // 2]
        results = ask(
            lambda c: c.look("a", 0.0, broken, emotion=True),
            lambda c: c.look("a", 0.0, smiling, emotion=True),
            lambda c: c.listen("a", 0.0, speech[:-1], emotion=True),
            lambda c: c.listen("a", 0.0, speech, emotion=True),
            lambda c: c.listen("a", 0.0, speech * 5, emotion=True),
            lambda c: c.look("a", 0.0, bytes(wire.MAX_PAYLOAD_BYTES + 1), emotion=True),
        )
        told = [one.code if isinstance(one, InferenceError) else type(one).__name__ for one in results]
        assert told == ["bad_frame", "Looked", "bad_audio", "Heard", "bad_audio", "bad_frame"]

    def test_forty_rooms_at_once_each_get_their_own(self, there: Running, smiling: bytes):
        nobody = encoded(empty_room(640, 480))
        results = ask(
            *(
                lambda c, n=n: c.look(f"room {n}", 0.0, smiling if n % 2 else nobody, emotion=True)
                for n in range(40)
            )
        )
        assert [one.detected for one in results] == [bool(n % 2) for n in range(40)]

    def test_a_reset_clears_the_smoothing_and_forgetting_clears_all(self, there: Running, smiling: bytes):
        async def run(client: InferenceClient) -> list[tuple[str, ...]]:
            nobody = encoded(empty_room(640, 480))
            found = []
            for clear in (client.reset, client.forget):
                await client.listen(
                    "clear", 0.0, pcm(say("I have worked in this team for three years.")), emotion=True
                )
                found.append((await client.look("clear", 0.5, nobody, emotion=True)).sources)
                await clear("clear")
                found.append((await client.look("clear", 1.0, nobody, emotion=True)).sources)
            return found

        assert ask(run) == [[("voice",), (), ("voice",), ()]]

    def test_what_is_no_message_ends_its_connection_alone(
        self, there: Running, smiling: bytes, settings: Any
    ):
        for rubbish in (b"\xff" * 64, wire.LENGTHS.pack(5, 0) + b"hello", Message({"kind": "eat"}).encoded()):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(settings.INFERENCE_SOCKET))
                connection.settimeout(60)
                connection.sendall(rubbish)
                assert connection.recv(10) == b""
        assert look(smiling).detected

    def test_the_socket_is_for_this_user_alone(self, there: Running, settings: Any):
        assert stat.S_IMODE(Path(settings.INFERENCE_SOCKET).stat().st_mode) == 0o600
        assert blocking.is_there()

    def test_a_second_process_is_refused(self, there: Running, settings: Any, smiling: bytes):
        folder = Path(settings.INFERENCE_SOCKET).parent
        environment = clean_environment(VAR_DIR=str(folder), INFERENCE_SOCKET=str(settings.INFERENCE_SOCKET))
        with running(["infer"], folder / "second.log", environment) as second:
            assert second.process.wait(timeout=90) == 1
            assert "Another process already listens" in second.output()
        assert look(smiling).detected

    def test_views_can_ask_for_png_and_reset(self, there: Running, smiling: bytes):
        png = encoded(np.asarray(Image.open(io.BytesIO(smiling))), "PNG")
        assert look(png).detected
        assert refused(lambda: look(b"GIF89a")) == "bad_frame"
        [error] = ask(lambda c: c.look("png", 0.0, png, emotion=True))
        assert error.code == "bad_frame"
        blocking.reset_now("one")


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_models
def test_a_killed_process_is_found_again_when_it_is_back(tmp_path: Path, settings: Any, smiling: bytes):
    settings.INFERENCE_SOCKET = tmp_path / "i.sock"

    async def run() -> list[str]:
        client = Patient(timeout_s=60.0)
        told = []

        async def try_it() -> str:
            try:
                return type(await client.look("r", 0.0, smiling, emotion=False)).__name__
            except InferenceError as error:
                return error.code

        for _ in range(2):
            with start(tmp_path) as process:
                await asyncio.to_thread(process.says, "Models for live rooms loaded", LOADED_WITHIN_S)
                told.append(await try_it())
                process.process.kill()
                await asyncio.to_thread(process.process.wait)
                told.append(await try_it())
                told.append(await try_it())
        await client.close()
        return told

    assert asyncio.run(run()) == ["Looked", "inference_away", "inference_away"] * 2
    assert settings.INFERENCE_SOCKET.exists(), (
        "a killed process leaves it behind, and the next one replaces it"
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_models
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_loads_and_when_it_is_ready(tmp_path: Path, number: signal.Signals):
    with start(tmp_path) as process:
        process.says("Live analysis listens", within_s=LOADED_WITHIN_S)
        process.stop(number)
        assert process.process.returncode == 0
        assert not (tmp_path / "i.sock").exists()
    with start(tmp_path) as process:
        process.says("Models for live rooms loaded", within_s=LOADED_WITHIN_S)
        process.stop(number)
        assert process.process.returncode == 0
        assert not (tmp_path / "i.sock").exists()
        assert "Traceback" not in process.output()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_models_it_says_so_once_and_answers(tmp_path: Path, settings: Any, smiling: bytes):
    settings.INFERENCE_SOCKET = tmp_path / "i.sock"
    with start(tmp_path, MODELS_DIR=str(tmp_path / "nothing")) as process:
        process.says("could not be loaded", within_s=LOADED_WITHIN_S)
        with pytest.raises(InferenceError, match="could not be loaded") as caught:
            look(smiling)
        assert caught.value.code == "inference_away"
        blocking.reset_now("one")
        assert len(process.lines("could not be loaded")) == 1
        assert process.process.poll() is None


# -- Without a process --------------------------------------------------------------------------


def test_without_a_process_callers_are_told_at_once(tmp_path: Path, settings: Any, smiling: bytes):
    settings.INFERENCE_SOCKET = tmp_path / "nobody.sock"
    [error] = ask(lambda c: c.look("a", 0.0, smiling, emotion=True))
    assert error.code == "inference_away"
    assert refused(lambda: look(smiling)) == "inference_away"
    assert not blocking.is_there()


def test_a_process_that_does_not_answer_is_slow(tmp_path: Path):
    async def run() -> str:
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / "s"))
            silent.listen()
            client = InferenceClient(tmp_path / "s", timeout_s=0.2)
            try:
                await client.reset("a")
            except InferenceError as error:
                return error.code
            finally:
                await client.close()
            return "answered"

    assert asyncio.run(run()) == "inference_slow"


def test_one_client_is_shared_by_a_loop():
    async def two() -> tuple[InferenceClient, InferenceClient]:
        return InferenceClient.shared(), InferenceClient.shared()

    one, same = asyncio.run(two())
    other, _ = asyncio.run(two())
    assert one is same
    assert other is not one


def test_a_path_that_is_too_long_is_named(tmp_path: Path):
    with pytest.raises(CannotListen, match="INFERENCE_SOCKET"), owned_socket(tmp_path / ("x" * 120)):
        pass


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x01\x00\x01\x00\x00\x00\x00",
        wire.LENGTHS.pack(2, wire.MAX_PAYLOAD_BYTES + 1),
    ],
)
def test_lengths_that_are_too_large_are_refused_before_anything_is_read(message: bytes):
    with pytest.raises(BadMessage):
        wire.lengths_of(message)


def test_results_come_through_the_wire_as_they_were():
    stress = wire.Stress("low", {"low": 0.8, "medium": 0.1, "high": 0.1}, 0.8, False)
    seen = Looked(stress, ("face",), True, 1, "ok", True, 1.0, -2.0, {"happy": 1.0}, 3.0)
    heard = Heard(None, (), True, "ok", ((0.0, 1.5), (2.0, 3.0)), (0.2, 0.4), -23.0, 0.2, 5.0)
    assert (
        wire.looked(
            wire.header_of(Message(wire.result_header(seen, seen.latency_ms)).encoded()[wire.LENGTHS.size :])
        )
        == seen
    )
    assert (
        wire.heard(
            wire.header_of(
                Message(wire.result_header(heard, heard.latency_ms)).encoded()[wire.LENGTHS.size :]
            )
        )
        == heard
    )


# -- Sessions and queues ------------------------------------------------------------------------


class Session:
    def reset(self) -> None: ...


class Analyzer:
    """Has sessions, and no models."""

    def session(self) -> Session:
        return Session()


def test_idle_sessions_are_dropped_and_there_are_only_so_many():
    now = [0.0]
    analyzer: Any = Analyzer()
    engine = Engine(analyzer, idle_s=60.0, max_sessions=2, clock=lambda: now[0])
    first = engine._session("a")
    now[0] = 30.0
    engine._session("b")
    assert refused(lambda: engine._session("c")) == "inference_busy"
    now[0] = 59.0
    assert engine._session("a") is first
    now[0] = 100.0
    engine.forget_idle()
    assert engine.sessions == 1, "only a was used of late"
    now[0] = 200.0
    assert engine._session("a") is not first


class Held:
    """An engine that is held up until it is set free."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def look(self, *_args: Any, **_options: Any) -> None:
        assert self.free.wait(60)

    def close(self) -> None: ...


@asynccontextmanager
async def serving(engine: Any, path: Path) -> AsyncIterator[InferenceClient]:
    loader, stop = Loader(lambda: engine), asyncio.Event()
    loader.start()
    while loader.engine is None:
        await asyncio.sleep(0.01)
    with owned_socket(path) as listener:
        server = asyncio.create_task(InferenceServer(loader).serve(listener, stop))
        client = InferenceClient(path, timeout_s=60.0)
        try:
            yield client
        finally:
            stop.set()
            await server
            await client.close()


def asked(client: InferenceClient, count: int) -> list[asyncio.Task[Looked]]:
    return [asyncio.create_task(client.look("a", 0.0, b"", emotion=False)) for _ in range(count)]


async def codes(tasks: list[asyncio.Task[Looked]]) -> list[str]:
    """Of those that are refused while the others wait."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    errors = [one.exception() for one in done]
    return sorted({error.code for error in errors if isinstance(error, InferenceError)})


def test_too_many_requests_at_once_are_told_that_it_is_busy(tmp_path: Path):
    async def run() -> list[str]:
        engine = Held()
        async with serving(engine, tmp_path / "s") as client:
            tasks = asked(client, FACES_AT_ONCE + 1)
            told = await codes(tasks)
            engine.free.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            return told

    assert asyncio.run(run()) == ["inference_busy"]
