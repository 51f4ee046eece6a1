"""Firefox, with its own moving test picture and tone as camera and microphone, or with a face that a test brings.

Playwright drives it over WebDriver BiDi (`firefox_bidi.py`), which tells nothing about sockets: a script in every
page tells what goes over them.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright

from tests.browser.live_room import Seat

PATIENCE_MS = 60_000
FIREFOX = Path("/usr/bin/firefox-esr")
BIDI = Path(__file__).with_name("firefox_bidi.py")

# A machine without a sound card gets one that is not there: an AudioContext of Firefox never runs without any output.
PREFERENCES: dict[str, str | float | bool] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.cubeb.force_mock_context": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
}
REFUSED: dict[str, str | float | bool] = {
    "media.navigator.permission.disabled": False,
    "permissions.default.camera": 2,
    "permissions.default.microphone": 2,
}

# What goes over the page's sockets, and how much of it; `soundSent` are the samples of the sound, as they were sent,
# `picturesSent` the times of the pictures by the page's own clock: what is told to the test may come late.
TELL_OF_SOCKETS = """(() => {
  const { WebSocket: Socket, AudioContext: Context, heardBySocket: heard, pictureSent } = window;
  const send = Socket.prototype.send;
  const base64 = (bytes) => btoa(bytes.reduce((text, one) => text + String.fromCharCode(one), ""));
  Object.assign(window, { audioContexts: [], soundSent: [], picturesSent: [] });
  Socket.prototype.send = function (message) {
    if (typeof message !== "string") {
      const payload = message.slice(9);
      const kind = new DataView(message).getUint8(0);
      if (kind === 1) {
        window.picturesSent.push(performance.now());
        pictureSent(base64(new Uint8Array(payload)));
      } else window.soundSent.push(...new Int16Array(payload));
    }
    return send.call(this, message);
  };
  window.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => typeof data === "string" && heard(this.url, data));
    }
  };
  window.AudioContext = class extends Context {
    constructor(...given) {
      super(...given);
      window.audioContexts.push(this);
    }
  };
})()"""

# A second microphone and a second camera, which are the first ones under another name, and what was asked for when.
SECOND_DEVICES = """(() => {
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  const list = mediaDevices.enumerateDevices.bind(mediaDevices);
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  const opened = [];
  const second = ({ kind }) => ({ kind, deviceId: `second-${kind}`, label: `Second ${kind}` });
  const isSecond = (wanted) => String(wanted?.deviceId?.exact).startsWith("second-");
  const named = (track) => {
    const settings = track.getSettings.bind(track);
    track.getSettings = () => ({ ...settings(), deviceId: `second-${track.kind}input` });
  };
  window.askedFor = [];
  mediaDevices.enumerateDevices = async () =>
    (await list()).flatMap((one) => (one.kind === "audiooutput" ? [one] : [one, second(one)]));
  mediaDevices.getUserMedia = async (wanted) => {
    const running = opened.filter((track) => track.readyState === "live").map(({ kind }) => kind);
    window.askedFor.push({ kinds: Object.keys(wanted), running });
    const kinds = ["audio", "video"].filter((kind) => isSecond(wanted[kind]));
    const plain = kinds.map((kind) => [kind, { ...wanted[kind], deviceId: undefined }]);
    const stream = await open({ ...wanted, ...Object.fromEntries(plain) });
    stream.getTracks().filter(({ kind }) => kinds.includes(kind)).forEach(named);
    opened.push(...stream.getTracks());
    return stream;
  };
})()"""

# The browser's question about devices, unanswered until the test calls `allowDevices()`.
ASKED = """(() => {
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  const answered = new Promise((resolve) => (window.allowDevices = resolve));
  mediaDevices.getUserMedia = async (wanted) => (await answered, open(wanted));
})()"""

# What `getUserMedia` gives is a portrait that is moved about and a voice, both from the test; the rest is Firefox's.
BRING_A_FACE = """(() => {
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  async function camera() {
    const portrait = await createImageBitmap(new Blob([bytes(FACE)], { type: "image/jpeg" }));
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
    const paper = canvas.getContext("2d");
    const draw = () => paper.drawImage(portrait, 8 * Math.sin(performance.now() / 400), 0, 640, 480);
    draw();
    setInterval(draw, 150);
    return canvas.captureStream(7).getVideoTracks();
  }
  async function microphone() {
    const context = new AudioContext();
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(bytes(VOICE).buffer);
    source.loop = true;
    const out = context.createMediaStreamDestination();
    source.connect(out);
    source.start();
    return out.stream.getAudioTracks();
  }
  mediaDevices.getUserMedia = async ({ audio, video }) =>
    new MediaStream([...(audio ? await microphone() : []), ...(video ? await camera() : [])]);
})()"""


@dataclass
class FirefoxSeat(Seat):
    """`pictures`: each JPEG that went to the analysis."""

    pictures: list[bytes] = field(default_factory=list)


@contextmanager
def firefox_browser(playwright: Playwright, folder: Path, **preferences: Any) -> Iterator[Browser]:
    """A Firefox of its own; `preferences` are about:config's, `__` for a dot."""
    starter = folder / "firefox"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{BIDI}" "$@"\n')
    starter.chmod(0o755)
    browser = playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=str(starter),
        firefox_user_prefs={**PREFERENCES, **preferences},
    )
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def firefox_seat(browser: Browser, url: str, *scripts: str, **options: Any) -> Iterator[FirefoxSeat]:
    context = browser.new_context(base_url=url, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    made = FirefoxSeat(page, context)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    page.expose_function("heardBySocket", lambda address, text: made.received.append((address, text)))
    page.expose_function("pictureSent", lambda text: made.pictures.append(base64.b64decode(text)))
    for script in (TELL_OF_SOCKETS, *scripts):
        page.add_init_script(script)
    try:
        yield made
    finally:
        context.close()


def face_and_voice(portrait: Path, voice: Path) -> str:
    """The script that makes the portrait (JPEG) and the voice (WAV) camera and microphone of a page."""
    given = {"FACE": portrait, "VOICE": voice}
    script = BRING_A_FACE
    for name, path in given.items():
        script = script.replace(
            f"bytes({name})", f"bytes({json.dumps(base64.b64encode(path.read_bytes()).decode())})"
        )
    return script
