"""What the candidate's browser sends for analysis and for the recording, in Chromium with a fake camera."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.page_server import SIGNALS, PageServer, page_server, until

pytestmark = pytest.mark.slow

JPEG, PCM = 1, 2
RATE_HZ = 16_000
CHUNK_BYTES = 8_000
"""250 ms of samples of two bytes."""
READY = {"type": "ready", "face": True, "voice": True, "frame_interval_ms": 200}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Capture</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/css/site.css">
<script type="module" src="/page.js"></script></head><body><button>Tap</button></body></html>"""
SCRIPT = (
    SIGNALS
    + """
import { startCapture } from "/static/js/rooms/capture.js";
import { startRecorder } from "/static/js/rooms/recorder.js";
window.contexts = 0;
const Real = window.AudioContext;
window.AudioContext = class extends Real { constructor(...all) { super(...all); window.contexts += 1; } };
Object.assign(window, { startCapture, startRecorder, signals: new Signals(), statuses: [], states: [] });
window.begin = async (url, consent, video = { width: 640, height: 480 }) => {
  window.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video });
  window.capture = startCapture({ url, signalling: signals, consent, strings: {} });
  capture.addEventListener("status", ({ detail }) => statuses.push(detail));
  capture.setStream(stream);
};
window.ready = true;
"""
)


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[PageServer]:
    with page_server() as site:
        site.pages = {"/": PAGE, "/page.js": SCRIPT}
        site.socket_says = [READY]
        yield site


@pytest.fixture
def page(chromium: Browser, server: PageServer) -> Iterator[Page]:
    errors: list[str] = []
    context = chromium.new_context(permissions=["camera", "microphone"])
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None,
    )
    opened.goto(server.url)
    opened.wait_for_function("() => window.ready")
    yield opened
    context.close()
    assert errors == []


def begin(page: Page, server: PageServer, **consent: bool) -> None:
    page.evaluate("([url, consent]) => begin(url, consent)", [server.socket_url, consent])


def last_status(page: Page) -> dict[str, Any]:
    return page.evaluate("statuses.at(-1)")


def wait_for_status(page: Page, face: bool, voice: bool) -> None:
    page.wait_for_function(
        "([face, voice]) => statuses.at(-1)?.face === face && statuses.at(-1).voice === voice",
        arg=[face, voice],
    )


# -- Sound -----------------------------------------------------------------------------------------

RENDER = """async ([rate, kind, seconds, pitch]) => {
  const context = new OfflineAudioContext(1, rate * seconds, rate);
  await context.audioWorklet.addModule("/static/js/rooms/pcm-worklet.js");
  const node = new AudioWorkletNode(context, "pcm", { channelCount: 1, channelCountMode: "explicit" });
  const chunks = [];
  node.port.onmessage = ({ data }) => chunks.push({ first: data.first, pcm: [...new Int16Array(data.pcm)] });
  const buffer = context.createBuffer(1, rate * seconds, rate);
  const samples = buffer.getChannelData(0);
  for (let n = 0; n < samples.length; n += 1)
    samples[n] = kind === "ramp" ? (n / samples.length) * 0.9 : 0.5 * Math.sin((2 * Math.PI * pitch * n) / rate);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node).connect(context.destination);
  source.start();
  await context.startRendering();
  // The last ones are on their way: seven, and an eighth perhaps.
  for (let tries = 0; tries < 200 && chunks.length < 7; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 300));
  return chunks;
}"""


def rendered(page: Page, rate: int, kind: str, pitch: float = 0.0) -> np.ndarray:
    """Two seconds through the worklet, as samples from -1 to 1; the chunks' own counting is checked."""
    chunks = page.evaluate(RENDER, [rate, kind, 2, pitch])
    assert all(len(chunk["pcm"]) == RATE_HZ // 4 for chunk in chunks)
    assert [chunk["first"] for chunk in chunks] == [n * RATE_HZ // 4 for n in range(len(chunks))]
    # Two seconds but for the filter's half length, which may lie in an eighth chunk that is never full.
    assert len(chunks) in (7, 8)
    return np.concatenate([chunk["pcm"] for chunk in chunks[:7]]) / 32767


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_every_sample_of_any_rate_arrives_in_its_place(page: Page, rate: int) -> None:
    ramp = rendered(page, rate, "ramp")
    right = 0.9 * np.arange(len(ramp)) / (2 * RATE_HZ)
    assert np.abs(ramp - right)[200:].max() < 1e-3


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_pitch_stays_and_what_lies_above_does_not_fold_back(page: Page, rate: int) -> None:
    tone = rendered(page, rate, "sine", 1000.0)
    n = np.arange(len(tone))
    right = 0.5 * np.sin(2 * np.pi * 1000 * n / RATE_HZ)
    # One sample too many or too few anywhere would shift all that follow by 22 degrees.
    assert np.abs(tone - right)[200:].max() < 5e-3
    above = rendered(page, rate, "sine", 11_000.0)
    assert np.abs(above[200:]).max() < 0.5 * 10 ** (-50 / 20)


def test_speech_up_to_seven_kilohertz_is_kept(page: Page) -> None:
    tone = rendered(page, 48_000, "sine", 6800.0)[200:]
    assert np.sqrt(np.mean(tone**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


# -- What is sent ----------------------------------------------------------------------------------


def test_pictures_and_sound_travel_as_the_protocol_says(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    until(lambda: len(server.of_kind(JPEG)) >= 3 and len(server.of_kind(PCM)) >= 8)
    assert not [one for one in server.received if isinstance(one, str) or one[0] not in (JPEG, PCM)]
    times = [ms for ms, _ in server.of_kind(JPEG)]
    assert times == sorted(times)
    picture = Image.open(io.BytesIO(server.of_kind(JPEG)[-1][1]))
    assert (picture.format, picture.size) == ("JPEG", (480, 360))
    assert np.asarray(picture.convert("L")).std() > 5  # the fake camera's picture, not an empty canvas
    sound = server.of_kind(PCM)
    assert {len(pcm) for _, pcm in sound} == {CHUNK_BYTES}
    heard = np.frombuffer(b"".join(pcm for _, pcm in sound), dtype="<i2")
    assert len(heard) == len(sound) * CHUNK_BYTES // 2
    until(lambda: any(np.abs(np.frombuffer(pcm, dtype="<i2")).max() > 300 for _, pcm in server.of_kind(PCM)))
    assert np.diff([ms for ms, _ in sound]).min() >= 0
    wait_for_status(page, True, True)
    sent = page.evaluate("signals.sent")
    assert sent[-1] == {"type": "capture-status", "face": True, "voice": True}


def test_a_wide_picture_keeps_its_shape(page: Page, server: PageServer) -> None:
    options = [server.socket_url, {"face": True}, {"width": 1280, "height": 720}]
    page.evaluate("([url, consent, video]) => begin(url, consent, video)", options)
    until(lambda: server.of_kind(JPEG))
    assert Image.open(io.BytesIO(server.of_kind(JPEG)[0][1])).size == (480, 270)


def test_without_offscreen_canvas_pictures_come_too(page: Page, server: PageServer) -> None:
    page.evaluate("delete window.OffscreenCanvas")
    begin(page, server, face=True)
    until(lambda: server.of_kind(JPEG))
    assert Image.open(io.BytesIO(server.of_kind(JPEG)[0][1])).size == (480, 360)


def test_without_consent_nothing_is_read_and_no_socket_opened(page: Page, server: PageServer) -> None:
    begin(page, server, face=False, voice=False)
    page.wait_for_timeout(800)
    assert server.sockets == []
    assert page.evaluate("[contexts, document.querySelectorAll('video').length]") == [0, 0]
    page.evaluate("capture.setConsent({ face: true, voice: false })")
    until(lambda: len(server.of_kind(JPEG)) >= 3)
    assert page.evaluate("contexts") == 0
    assert server.of_kind(PCM) == []
    assert last_status(page) == {"face": True, "voice": False}


def test_what_the_server_forbids_is_not_read(page: Page, server: PageServer) -> None:
    server.socket_says = [{**READY, "face": False}]
    begin(page, server, face=True, voice=True)
    until(lambda: len(server.of_kind(PCM)) >= 2)
    assert page.evaluate("document.querySelectorAll('video').length") == 0
    assert server.of_kind(JPEG) == []
    server.say({"type": "capture", "face": True, "voice": False})
    wait_for_status(page, True, False)
    until(lambda: server.of_kind(JPEG))


def test_consent_taken_back_stops_at_once_without_the_server(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    until(lambda: server.of_kind(JPEG) and server.of_kind(PCM))
    # What went out before may be on its way for long, so the page counts.
    videos, pictures, sounds = page.evaluate("""() => {
        capture.setConsent({ face: false, voice: true });
        return [document.querySelectorAll("video").length, capture.counts.frames, capture.counts.chunks];
    }""")
    assert videos == 0
    until(lambda: len(server.of_kind(PCM)) >= sounds + 4)
    assert page.evaluate("capture.counts.frames") == pictures
    assert len(server.of_kind(JPEG)) <= pictures
    assert last_status(page) == {"face": False, "voice": True}
    page.evaluate("capture.setConsent({ face: false, voice: false })")
    assert last_status(page) == {"face": False, "voice": False}
    until(lambda: server.sockets[-1].close_code is not None)


def test_pictures_pause_while_hidden_or_the_camera_is_off(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    wait_for_status(page, True, True)
    hide = """(hidden) => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); }"""
    page.evaluate(hide, True)
    assert last_status(page) == {"face": False, "voice": True}
    page.evaluate(hide, False)
    assert last_status(page) == {"face": True, "voice": True}
    page.evaluate("stream.getVideoTracks()[0].enabled = false")
    wait_for_status(page, False, True)
    page.evaluate("stream.getVideoTracks()[0].enabled = true")
    wait_for_status(page, True, True)
    page.evaluate("stream.getAudioTracks()[0].enabled = false")
    wait_for_status(page, True, False)


def test_sound_goes_on_where_only_the_picture_ends(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    wait_for_status(page, True, True)
    page.evaluate("stream.getVideoTracks()[0].stop()")
    page.evaluate("capture.setStream(stream)")
    wait_for_status(page, False, True)
    sounds = len(server.of_kind(PCM))
    until(lambda: len(server.of_kind(PCM)) >= sounds + 4)
    assert page.evaluate("contexts") == 1


WORKLET_FAILS = """() => {
  const real = AudioWorklet.prototype.addModule;
  let tries = 0;
  AudioWorklet.prototype.addModule = function (...all) {
    tries += 1;
    return tries === 1 ? Promise.reject(new DOMException("the line was away", "AbortError")) : real.apply(this, all);
  };
}"""
WORKLET_FAILS_LATE = """() => {
  const real = AudioWorklet.prototype.addModule;
  let tries = 0;
  AudioWorklet.prototype.addModule = function (...all) {
    tries += 1;
    if (tries > 1) return real.apply(this, all);
    return new Promise((resolve, reject) => { window.fail = () => reject(new DOMException("closed", "AbortError")); });
  };
}"""


def test_sound_comes_although_its_script_could_not_be_loaded_at_once(page: Page, server: PageServer) -> None:
    page.evaluate(WORKLET_FAILS)
    begin(page, server, face=False, voice=True)
    until(lambda: server.of_kind(PCM))


def test_a_script_of_the_sound_before_that_fails_late_leaves_the_next_one_alone(
    page: Page, server: PageServer
) -> None:
    page.evaluate(WORKLET_FAILS_LATE)
    begin(page, server, face=False, voice=True)
    page.wait_for_function("() => window.fail")
    page.evaluate("capture.setConsent({ face: false, voice: false })")
    page.evaluate("capture.setConsent({ face: false, voice: true })")
    until(lambda: server.of_kind(PCM))
    page.evaluate("fail()")
    count = len(server.of_kind(PCM))
    until(lambda: len(server.of_kind(PCM)) > count + 4)


def test_the_server_slows_the_pictures(page: Page, server: PageServer) -> None:
    begin(page, server, face=True)
    until(lambda: len(server.of_kind(JPEG)) >= 2)
    server.say({"type": "flow", "frame_interval_ms": 1500})
    # Those before it heard that come at the old pace.
    until(
        lambda: (gaps := np.diff([ms for ms, _ in server.of_kind(JPEG)])).size > 3 and min(gaps[-3:]) > 1300
    )


def test_the_socket_comes_back_and_ends_where_it_should(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    until(lambda: server.of_kind(JPEG))
    server.away = True
    server.sockets[-1].close(1012)
    wait_for_status(page, False, False)
    server.away = False
    until(lambda: len(server.sockets) == 2)
    wait_for_status(page, True, True)
    server.received.clear()
    until(lambda: server.of_kind(JPEG) and server.of_kind(PCM))
    server.sockets[-1].close(4410)
    wait_for_status(page, False, False)
    page.wait_for_timeout(1500)
    assert len(server.sockets) == 2


def test_the_end_frees_everything_but_the_calls_own_stream(page: Page, server: PageServer) -> None:
    begin(page, server, face=True, voice=True)
    wait_for_status(page, True, True)
    server.say({"type": "end"})
    wait_for_status(page, False, False)
    until(lambda: server.sockets[-1].close_code is not None)
    assert page.evaluate("document.querySelectorAll('video').length") == 0
    states = page.evaluate("stream.getTracks().map((one) => one.readyState)")
    assert states == ["live", "live"]


def test_a_slow_uplink_gives_up_pictures_before_words_and_recovers(page: Page, server: PageServer) -> None:
    server.socket_says = [{**READY, "frame_interval_ms": 20}]
    server.reading.clear()
    begin(page, server, face=True, voice=True)
    # In one look: three seconds later the words are given up as well.
    then = page.wait_for_function(
        "() => capture.counts.framesSkipped > 3 && [capture.socket.bufferedAmount, capture.counts.chunksSkipped]",
        timeout=120_000,
    )
    buffered, chunks_skipped = then.json_value()
    assert buffered < 384 * 1024 + 100_000
    assert chunks_skipped == 0
    server.reading.set()
    sent = page.evaluate("capture.counts.frames")
    page.wait_for_function("(sent) => capture.counts.frames > sent + 5", arg=sent)
    page.wait_for_function("() => capture.socket.bufferedAmount < 256 * 1024")


# -- Recording -------------------------------------------------------------------------------------

RECORD = """async (consent) => {
  window.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
  const clock = { t: 100, at: performance.now() };
  window.recorder = startRecorder({ code: "abc", signalling: signals, csrfToken: "token", consent, clock });
  recorder.addEventListener("state", ({ detail }) => states.push(detail.state));
  recorder.setStream(stream);
}"""


def say(page: Page, **message: Any) -> None:
    page.evaluate("(message) => signals.say(message)", message)


def segments(server: PageServer) -> dict[str, list[bytes]]:
    """The chunks of each segment that was ended, in the order of their numbers; all must be there."""
    chunks: dict[str, dict[int, bytes]] = {}
    whole: dict[str, int] = {}
    for one in list(server.posted):
        key, last = one.path.removeprefix("/rooms/abc/recording/").split("/")
        assert UUID(key)
        if last == "end":
            whole[key] = json.loads(one.body)["chunks"]
        else:
            chunks.setdefault(key, {})[int(last)] = one.body
    for key, count in whole.items():
        assert sorted(chunks[key]) == list(range(count))
    return {key: [chunks[key][number] for number in range(count)] for key, count in whole.items()}


def frames_in(chunks: list[bytes]) -> int:
    with av.open(io.BytesIO(b"".join(chunks))) as media:
        return sum(1 for _ in media.decode(video=0))


def test_segments_arrive_whole_and_can_be_played(page: Page, server: PageServer) -> None:
    page.evaluate(RECORD, {"recording": True})
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    server.statuses = [503, 500]  # the first chunk is sent three times
    until(lambda: len(server.posted) >= 2)
    say(page, type="recording-status", active=True, wanted=True, segment=1)
    until(lambda: len(segments(server)) == 1)
    until(lambda: len({one.path.split("/")[4] for one in server.posted}) == 2)
    until(lambda: page.evaluate("recorder.stop()"))  # by itself it waits ten seconds
    until(lambda: len(segments(server)) == 2)  # and three for the recorder's last word
    found = segments(server)
    assert len(found) == 2
    assert all(frames_in(chunks) > 3 for chunks in found.values())
    assert {one.headers["x-csrftoken"] for one in server.posted} == {"token"}
    kinds = {one.headers["content-type"] for one in server.posted if not one.path.endswith("/end")}
    assert kinds == {"video/webm"}
    said = [one for one in page.evaluate("signals.sent") if one["type"] == "recording-started"]
    assert [one["segment"] for one in said] == list(found)
    begun = {one.path.split("/")[4]: one.headers.get("x-segment-begun") for one in reversed(server.posted)}
    assert [begun[one["segment"]] for one in said] == [f"{one['begun']:g}" for one in said]
    assert 100 <= said[0]["begun"] < said[1]["begun"] < 200
    assert page.evaluate("states.at(-1)") == "off"


LEFT = """async () => {
  const { openStore } = await import("/static/js/rooms/chunk-store.js");
  const { Uploads } = await import("/static/js/rooms/upload.js");
  const keeping = { who: "0123456789abcdef", key: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" };
  const store = await openStore("abc", keeping);
  const blob = () => new Blob(["x"], { type: "video/webm" });
  await store.put("0a6c1cf0-35a4-4a0a-9f0e-2b8f6f0e8d11", 0, blob(), 12.5);
  await store.put("0a6c1cf0-35a4-4a0a-9f0e-2b8f6f0e8d11", 1, blob(), 12.5);
  store.db.close();
  return new Uploads({ code: "abc", csrfToken: "token", keeping }).resume();
}"""


def test_what_an_earlier_page_left_says_when_it_began(page: Page, server: PageServer) -> None:
    assert page.evaluate(LEFT) == 2
    until(lambda: len(server.posted) == 3)
    assert [one.headers.get("x-segment-begun") for one in server.posted] == ["12.5", "12.5", None]


WELCOME = """() => {
  const detail = { type: "welcome", consent: { recording: true } };
  signals.dispatchEvent(new CustomEvent("open", { detail }));
}"""


def test_nothing_is_recorded_without_consent_or_wish(page: Page, server: PageServer) -> None:
    page.evaluate(RECORD, {"recording": False})
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    assert page.evaluate("recorder.segment") is None
    page.evaluate("recorder.setConsent({ recording: true })")
    until(lambda: server.posted)
    page.evaluate("recorder.setConsent({ recording: false })")
    assert page.evaluate("recorder.segment") is None
    # The server has not stored it yet, and says so of another switch, or on a new socket.
    say(page, type="consent-changed", consent={"recording": True, "face": False})
    page.evaluate(WELCOME)
    assert page.evaluate("recorder.segment") is None
    before = len(server.posted)
    page.wait_for_timeout(2500)
    assert len(server.posted) <= before + 1
    page.evaluate("recorder.setConsent({ recording: true })")
    until(lambda: len({one.path.split("/")[4] for one in server.posted}) == 2)


def test_a_recording_that_is_as_long_as_the_server_takes_ends_and_says_so(
    page: Page, server: PageServer
) -> None:
    page.evaluate(RECORD, {"recording": True})
    server.statuses = [(413, "too_large"), (413, "recording_full")]  # the first speaks of one chunk alone
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    page.wait_for_function("() => states.at(-1) === 'toolong' && states.includes('recording')")
    assert server.statuses == []
    assert page.evaluate("[recorder.segment, recorder.uploads.queue.length]") == [None, 0]


def test_a_full_disk_of_the_server_is_waited_out(page: Page, server: PageServer) -> None:
    page.evaluate(RECORD, {"recording": True})
    server.statuses = [(507, "storage_full"), (507, "storage_full")]
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    until(lambda: [one for one in server.posted if one.path.endswith("/0")])
    assert page.evaluate("recorder.state") == "recording"


def test_a_refusal_of_the_pages_token_is_no_word_on_consent(page: Page, server: PageServer) -> None:
    page.evaluate(RECORD, {"recording": True})
    server.statuses = [(403, ""), (403, "")]
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    until(lambda: [one for one in server.posted if one.path.endswith("/0")])
    assert page.evaluate("recorder.state") == "recording"


def test_the_server_may_end_the_recording(page: Page, server: PageServer) -> None:
    page.evaluate(RECORD, {"recording": True})
    server.statuses = [409]
    say(page, type="recording-status", active=False, wanted=True, segment=0)
    page.wait_for_function("() => states.at(-1) === 'off' && states.includes('recording')")
    assert server.posted == []
    assert page.evaluate("recorder.segment") is None
