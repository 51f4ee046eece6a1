"""The interviewer's call page in a real browser: real media and connections, a scripted room behind the socket."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Route, expect

from interviewsite import state
from tests.browser.conftest import CHROMIUM, PASSWORD, LiveSite
from tests.browser.live_room import WITHIN_MS, is_home, soon
from tests.browser.scripted_room import ScriptedRoom, Seat, arrives, heard
from tests.interviewsite.processes import clean_environment

pytestmark = pytest.mark.slow
MEDIA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
CREATE = """
from django.contrib.auth.models import User
from rooms.lifecycle import NewRoom, create_room
owner = User.objects.get(username="interviewer")
print("code", create_room(NewRoom(title="Backend engineer", candidate_name="Sari Wulandari", country="ID"), owner).code)
"""
STRANGER = "a" * 32


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """As the folder's, with a camera and a microphone that the browser makes up."""
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu", *MEDIA]
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def code(site: LiveSite) -> str:
    """A room of the running site, made by a command on its own state folder."""
    environment = clean_environment(VAR_DIR=str(site.running.log.parent / "var"))
    command = [sys.executable, str(state.BASE_DIR / "manage.py"), "shell", "-c", CREATE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=180)
    found = re.search(r"^code (\S+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return found[1]


@pytest.fixture(scope="module")
def interviewer_cookies(browser: Browser, site: LiveSite) -> Any:
    """Of a browser that signed in, for all contexts: who they are is told by the scripted room."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Username").fill("interviewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(is_home)
    cookies = context.storage_state()
    context.close()
    return cookies


class Stage:
    """People at call pages of one scripted room."""

    def __init__(self, browser: Browser, site: LiveSite, code: str, signed_in: Any) -> None:
        self.browser, self.site, self.code, self.signed_in = browser, site, code, signed_in
        self.room = ScriptedRoom(questions=["Why?"])
        self.contexts: list[BrowserContext] = []
        self.errors: list[str] = []

    def open(self, name: str, role: str = "interviewer", **options: object) -> tuple[Page, Seat]:
        known = {"base_url": self.site.url, "storage_state": self.signed_in}
        context = self.browser.new_context(**known, **options)  # type: ignore[arg-type]
        self.contexts.append(context)
        seat = self.room.seat(context, name, role)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"/rooms/{self.code}/call/")
        return page, seat

    def join(self, name: str, role: str = "interviewer", **options: object) -> tuple[Page, Seat]:
        page, seat = self.open(name, role, **options)
        expect(page.locator("[data-check-pick=camera]")).to_contain_text("fake_device")
        page.get_by_role("button", name="Join the interview").click()
        expect(page.locator("[data-call]")).to_be_visible()
        heard(page, seat, "join-room")  # before that, what the room says is lost
        return page, seat


@pytest.fixture
def stage(browser: Browser, site: LiveSite, code: str, interviewer_cookies: Any) -> Iterator[Stage]:
    people = Stage(browser, site, code, interviewer_cookies)
    yield people
    for context in people.contexts:
        context.close()
    assert people.errors == []


def tile(page: Page, key: str = "self") -> Locator:
    return page.locator(f'[data-tile="{key}"]')


def control(page: Page, name: str) -> Locator:
    return page.locator(f"[data-control={name}]")


def wait_until_it_plays(page: Page, key: str) -> None:
    """The tile's picture moves: its time goes on."""
    page.wait_for_function(
        "key => { const v = document.querySelector(`[data-tile='${key}'] video`);"
        " return v && v.videoWidth > 0 && v.currentTime > 0.3 && !v.paused; }",
        arg=key,
        timeout=WITHIN_MS,
    )


def tracks(page: Page, key: str = "self") -> list[list[object]]:
    """Kind, state and switch of what the tile's stream holds."""
    found: list[list[object]] = page.evaluate(
        "key => document.querySelector(`[data-tile='${key}'] video`).srcObject.getTracks()"
        ".map((track) => [track.kind, track.readyState, track.enabled])",
        key,
    )
    return sorted(found)


def holds(page: Page, *expected: list[object], key: str = "self") -> None:
    """The tile's stream has these tracks, soon."""
    soon(page, lambda: tracks(page, key) == list(expected))


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- Picture and sound ------------------------------------------------------------------------


def test_two_people_see_each_other_and_what_the_other_switches_off(stage: Stage) -> None:
    page, me = stage.join("Iva")
    expect(page.get_by_role("heading", name="Sari Wulandari is not in the call")).to_be_visible()
    other, sari = stage.join("Sari Wulandari", "candidate")
    wait_until_it_plays(page, sari.peer)
    wait_until_it_plays(other, me.peer)
    expect(page.locator(".stage-empty")).to_be_hidden()
    expect(tile(page, sari.peer)).to_have_class(re.compile("is-large"))
    expect(tile(page)).not_to_have_class(re.compile("is-large"))
    assert tile(page, sari.peer).locator("video").evaluate("v => getComputedStyle(v).objectFit") == "contain"

    other.get_by_role("button", name="Mute", exact=True).click()
    holds(other, ["audio", "live", False], ["video", "live", True])
    expect(tile(page, sari.peer).get_by_role("img", name="Muted")).to_be_visible()
    expect(other.get_by_role("button", name="Unmute", exact=True)).to_be_visible()

    kept = other.evaluate_handle(
        "document.querySelector('[data-tile=self] video').srcObject.getVideoTracks()[0]"
    )
    other.get_by_role("button", name="Camera off").click()
    soon(other, lambda: kept.evaluate("track => track.readyState") == "ended")  # the camera's light is out
    expect(tile(page, sari.peer).locator(".stage-initials")).to_have_text("SW")
    expect(tile(page, sari.peer).locator(".stage-initials")).to_be_visible()
    other.get_by_role("button", name="Camera on").click()
    expect(tile(page, sari.peer).locator(".stage-initials")).to_be_hidden()
    holds(other, ["audio", "live", False], ["video", "live", True])


def test_the_line_is_told_on_demand(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    _other, sari = stage.join("Sari Wulandari", "candidate")
    wait_until_it_plays(page, sari.peer)
    details = page.get_by_role("dialog", name="Connection details")

    def read() -> str:
        control(page, "more").click()
        page.get_by_role("button", name="Connection details").click()
        words = details.locator("dd").inner_text()
        page.keyboard.press("Escape")
        expect(details).to_be_hidden()
        return words

    # Readings come every two seconds. How good the line is depends on what else the machine does.
    line = re.compile(r"(good|fair|poor) line · direct · [\d.]+ % lost · \d+ ms there and back")
    soon(page, lambda: line.fullmatch(read()))


def test_joining_without_devices_and_opening_them_later(stage: Stage) -> None:
    page, _me = stage.open("Iva")
    page.get_by_role("button", name="Join without devices").click()
    expect(tile(page).locator(".stage-initials")).to_be_visible()
    holds(page)
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    holds(page, ["audio", "live", True])
    page.get_by_role("button", name="Camera on").click()
    wait_until_it_plays(page, "self")


TAKEN_BY_THE_SYSTEM = """(muted) => {
  const [track] = document.querySelector("[data-tile=self] video").srcObject.getAudioTracks();
  Object.defineProperty(track, "muted", { value: muted, configurable: true });
  track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
}"""


def test_a_microphone_that_a_phone_call_takes_is_told_to_the_others(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    other, sari = stage.join("Sari Wulandari", "candidate")
    muted = tile(page, sari.peer).locator(".stage-muted")
    expect(muted).to_be_hidden(timeout=30_000)
    other.evaluate(TAKEN_BY_THE_SYSTEM, True)
    expect(muted).to_be_visible(timeout=30_000)
    expect(other.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    other.evaluate(TAKEN_BY_THE_SYSTEM, False)
    expect(muted).to_be_hidden(timeout=30_000)


ANSWERED_LATE = """async (stopped) => {
  const { setUpControls } = await import("/static/js/rooms/controls.js");
  const opened = [];
  const camera = async () => (opened.push(await navigator.mediaDevices.getUserMedia({ video: true })), opened.at(-1));
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  const devices = { openDevices: async () => (await answered, { stream: await camera(), problems: [] }) };
  const signalling = Object.assign(new EventTarget(), { on() {} });
  const root = document.querySelector("[data-controls]");
  const controls = setUpControls({ root, call: null, signalling, devices, strings: {}, stream: new MediaStream() });
  const opening = controls.open("camera");
  if (stopped) controls.stop();
  else controls.use(await camera());
  answer();
  await opening;
  return opened.map((stream) => stream.getVideoTracks()[0].readyState);
}"""


def test_no_camera_is_left_on_where_the_browsers_question_is_answered_late(stage: Stage) -> None:
    """Two questions may stand, one from the lobby, and the call may be over by then."""
    page, _me = stage.open("Iva")
    assert page.evaluate(ANSWERED_LATE, False) == ["ended", "live"]
    assert page.evaluate(ANSWERED_LATE, True) == ["ended"]


MEANWHILE = """async (happens) => {
  const { setUpControls } = await import("/static/js/rooms/controls.js");
  const open = (wanted) => navigator.mediaDevices.getUserMedia(wanted);
  const of = (stream) => Object.fromEntries(stream.getTracks().map((track) => [track.kind, track]));
  const asked = [];
  const devices = {
    listDevices: async () => ({ microphones: [], cameras: [], speakers: [] }),
    openDevices: async ({ audio, video }) => ({ stream: await open({ audio, video }), problems: [] }),
    switchDevice: async (stream, kind, deviceId) => {
      of(stream).audio?.stop();
      const kept = stream.getVideoTracks();
      await new Promise((resolve) => asked.push({ deviceId, answer: resolve }));
      return { stream: new MediaStream([...kept, ...(await open({ audio: true })).getTracks()]), problems: [] };
    },
  };
  const signalling = Object.assign(new EventTarget(), { on() {} });
  const root = document.querySelector("[data-controls]");
  const stream = await open({ audio: true });
  const controls = setUpControls({ root, call: null, signalling, devices, strings: {}, stream });
  const used = [stream];
  controls.addEventListener("stream", ({ detail }) => used.push(detail));
  const switching = controls.choose("microphone", "one");
  if (happens === "camera") await controls.toggle("camera");
  if (happens === "end") controls.stop();
  if (happens === "another") controls.choose("microphone", "two");
  if (happens === "mute") await controls.toggle("microphone");
  asked[0].answer();
  for (let tries = 0; tries < 200 && happens === "another" && asked.length < 2; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  asked[1]?.answer();
  await switching;
  const lost = used.flatMap((one) => one.getTracks()).filter((track) => !controls.stream.getTracks().includes(track));
  const found = { ...controls.state, asked: asked.map(({ deviceId }) => deviceId),
    leftOn: lost.filter((track) => track.readyState === "live").length };
  controls.stop();
  return found;
}"""


@pytest.mark.parametrize(
    ("happens", "microphone", "camera", "asked"),
    [
        ("camera", True, True, ["one"]),
        ("end", False, False, ["one"]),
        ("another", True, False, ["one", "two"]),
        ("mute", True, False, ["one"]),
    ],
)
def test_what_happens_while_the_browser_asks_for_another_device_is_kept(
    stage: Stage, happens: str, microphone: bool, camera: bool, asked: list[str]
) -> None:
    """Firefox asks at each change, and who goes through a list by keyboard changes at each step."""
    page, _me = stage.open("Iva")
    found = page.evaluate(MEANWHILE, happens)
    assert (found["microphone"], found["camera"], found["asked"]) == (microphone, camera, asked)
    assert found["leftOn"] == 0


CHOSEN_WHILE_OPENED = """async () => {
  const { setUpControls } = await import("/static/js/rooms/controls.js");
  const asked = [];
  let answer;
  const microphone = () => navigator.mediaDevices.getUserMedia({ audio: true });
  const devices = {
    listDevices: async () => ({ microphones: [], cameras: [], speakers: [] }),
    openDevices: async ({ audioDeviceId }) => {
      asked.push(audioDeviceId);
      await new Promise((resolve) => (answer = resolve));
      return { stream: await microphone(), problems: [] };
    },
    switchDevice: async (stream, kind, deviceId) => {
      asked.push(deviceId);
      stream.getTracks().forEach((track) => track.stop());
      return { stream: await microphone(), problems: [] };
    },
    rememberDevices: (choice) => asked.push(choice),
  };
  const signalling = Object.assign(new EventTarget(), { on() {} });
  const root = document.querySelector("[data-controls]");
  const chosen = { audioDeviceId: "one" };
  const controls = setUpControls({ root, call: null, signalling, devices, strings: {}, stream: null, chosen });
  const opening = controls.toggle("microphone");
  await controls.choose("microphone", "two");
  answer();
  await opening;
  const { microphone: on } = controls.state;
  controls.stop();
  return [on, asked];
}"""


def test_a_device_that_is_chosen_while_another_is_opened_is_the_one_in_use(stage: Stage) -> None:
    page, _me = stage.open("Iva")
    assert page.evaluate(CHOSEN_WHILE_OPENED) == [True, ["one", "two", {"audioDeviceId": "two"}]]


CHOSEN_LATE = """async () => {
  const { setUpControls } = await import("/static/js/rooms/controls.js");
  const signalling = Object.assign(new EventTarget(), { on() {} });
  const root = document.querySelector("[data-controls]");
  const controls = setUpControls({ root, call: null, signalling, devices: {}, strings: {}, stream: new MediaStream() });
  const shared = document.createElement("canvas").captureStream();
  let answer;
  navigator.mediaDevices.getDisplayMedia = () => new Promise((resolve) => (answer = () => resolve(shared)));
  const choosing = controls.toggleScreen();
  controls.stop();
  answer();
  await choosing;
  return [shared.getVideoTracks()[0].readyState, controls.screen];
}"""


def test_a_screen_that_is_chosen_after_the_end_is_not_shared(stage: Stage) -> None:
    page, _me = stage.open("Iva")
    assert page.evaluate(CHOSEN_LATE) == ["ended", None]


REFUSE_CAMERA = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.video) throw new DOMException("in use", "NotReadableError");
  return real(wanted);
};"""


def test_a_camera_that_is_in_use_is_explained_and_the_call_goes_on_without(stage: Stage) -> None:
    page, _me = stage.open("Iva")
    page.add_init_script(REFUSE_CAMERA)
    page.reload()
    expect(
        page.get_by_text("Another program uses the camera. Close it there, and try again.")
    ).to_be_visible()
    page.get_by_role("button", name="Join the interview").click()
    expect(tile(page).locator(".stage-initials")).to_be_visible()
    holds(page, ["audio", "live", True])
    page.get_by_role("button", name="Camera on").click()
    note = page.locator(".toast")
    expect(note).to_contain_text("Another program uses the camera")
    expect(note.get_by_role("button", name="Try again")).to_be_visible()


def test_another_microphone_during_the_call_stops_the_old_one_first_and_stays_muted(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    page.get_by_role("button", name="Mute", exact=True).click()
    old = page.evaluate_handle(
        "document.querySelector('[data-tile=self] video').srcObject.getAudioTracks()[0]"
    )
    control(page, "more").click()
    page.get_by_role("button", name="Choose devices").click()
    page.locator("#pick-microphone").select_option(label="Fake Audio Input 2")
    page.wait_for_function(
        "() => document.querySelector('[data-tile=self] video').srcObject.getAudioTracks()[0]?.label"
        " === 'Fake Audio Input 2'"
    )
    assert old.evaluate("track => track.readyState") == "ended"
    holds(page, ["audio", "live", False], ["video", "live", True])
    page.get_by_role("button", name="Done").click()
    expect(control(page, "more")).to_be_focused()
    page.reload()
    expect(page.locator("#check-microphone")).to_contain_text("Fake Audio Input 2")
    expect(page.locator("#check-microphone").locator("option:checked")).to_have_text("Fake Audio Input 2")


BLOCK_SOUND = """
const play = HTMLMediaElement.prototype.play;
let tapped = false;
addEventListener("click", (event) => { tapped ||= event.target.closest("[data-tap]") !== null; }, true);
HTMLMediaElement.prototype.play = function () {
  if (this.muted || tapped) return play.call(this);
  return Promise.reject(new DOMException("tap first", "NotAllowedError"));
};"""


def test_where_the_browser_wants_a_tap_the_picture_runs_and_the_tap_brings_the_sound(stage: Stage) -> None:
    page, _me = stage.open("Iva")
    page.add_init_script(BLOCK_SOUND)
    page.reload()
    page.get_by_role("button", name="Join the interview").click()
    _other, sari = stage.join("Sari Wulandari", "candidate")
    wait_until_it_plays(page, sari.peer)
    video = tile(page, sari.peer).locator("video")
    assert video.evaluate("v => v.muted")
    page.get_by_role("button", name="Tap to hear").click()
    expect(page.get_by_role("button", name="Tap to hear")).to_be_hidden()
    soon(page, lambda: video.evaluate("v => !v.muted && !v.paused"))
    assert tile(page).locator("video").evaluate("v => v.muted")


SHARE = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 360 });
  const pen = canvas.getContext("2d");
  setInterval(() => { pen.fillStyle = `hsl(${Date.now() % 360} 50% 50%)`; pen.fillRect(0, 0, 640, 360); }, 50);
  window.shared = canvas.captureStream(15);
  return window.shared;
};"""


def test_a_shared_screen_is_large_until_it_ends_by_itself(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    other, sari = stage.open("Sari Wulandari", "candidate")
    other.add_init_script(SHARE)
    other.reload()
    other.get_by_role("button", name="Join the interview").click()
    wait_until_it_plays(page, sari.peer)
    other.get_by_role("button", name="Share").click()
    wait_until_it_plays(page, f"{sari.peer}/screen")
    expect(tile(page, f"{sari.peer}/screen")).to_have_class(re.compile("is-large"))
    expect(page.get_by_text("Screen of Sari Wulandari")).to_be_visible()
    expect(tile(page, sari.peer)).not_to_have_class(re.compile("is-large"))
    # What the browser's own "Stop sharing" does to the track.
    ended = (
        "{ const [track] = shared.getVideoTracks(); track.stop(); track.dispatchEvent(new Event('ended')); }"
    )
    other.evaluate(f"() => {ended}")
    expect(tile(page, f"{sari.peer}/screen")).to_have_count(0)
    expect(tile(page, sari.peer)).to_have_class(re.compile("is-large"))
    expect(other.get_by_role("button", name="Share")).to_be_visible()


def test_a_screen_that_is_shared_before_the_server_answered_is_sent(stage: Stage) -> None:
    page, me = stage.open("Iva")
    page.add_init_script(SHARE)
    page.reload()
    welcome = stage.room.welcome(me)
    stage.room.welcome = lambda seat: {"type": "later"}  # type: ignore[method-assign]
    page.get_by_role("button", name="Join the interview").click()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Stop sharing")).to_be_visible()
    arrives(page, me)
    me.send(welcome)
    soon(page, lambda: any(one["screen"] for one in me.of_type("media-state")))  # the others are told


# -- Who waits --------------------------------------------------------------------------------


def test_who_knocks_is_shown_and_let_in(stage: Stage) -> None:
    page, me = stage.join("Iva")
    knock = {"type": "knock", "peer": STRANGER, "name": "Sari Wulandari", "again": False}
    stage.room.to_all(knock)
    expect(page.locator("[data-waiting-said]")).to_have_text("Sari Wulandari waits")
    expect(page).to_have_title("Sari waits")
    expect(page.get_by_text("Another browser opened the same link")).to_have_count(0)
    page.get_by_role("button", name="Let Sari in").click()
    expect(page.locator("[data-waiting]")).to_be_hidden()
    assert heard(page, me, "admit") == [{"type": "admit", "peer": STRANGER}]
    expect(page).to_have_title(re.compile("^Sari Wulandari · Backend engineer"))


def test_a_second_browser_is_explained_and_can_be_left_outside(stage: Stage) -> None:
    page, me = stage.join("Iva")
    stage.room.to_all({"type": "knock", "peer": STRANGER, "name": "<b>Sari", "again": True})
    expect(page.get_by_text("the browser that is in the call now is put out")).to_be_visible()
    expect(page.get_by_text("<b>Sari waits").first).to_be_attached()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_text("was told that it is not possible now")).to_be_visible()
    assert heard(page, me, "refuse") == [{"type": "refuse", "peer": STRANGER}]
    assert me.of_type("admit") == []


def test_who_waited_before_the_page_opened_is_shown_too(stage: Stage) -> None:
    stage.room.extra["waiting"] = [{"peer": STRANGER, "name": "Sari Wulandari", "again": False}]
    page, _me = stage.join("Iva")
    expect(page.get_by_role("button", name="Let Sari in")).to_be_visible()
    stage.room.to_all({"type": "knock-ended", "peer": STRANGER})
    expect(page.get_by_role("button", name="Let Sari in")).to_have_count(0)


# -- The end ----------------------------------------------------------------------------------


def catch_summary(page: Page) -> None:
    """The scripted room ends nothing in the database; the page it leads to is not part of this. Where the room answers
    late the page would ask the site to end the room, which the next tests still need."""
    page.route("**/summary/", lambda route: route.fulfill(body="the summary"))
    page.route("**/rooms/*/end/", lambda route: route.fulfill(body="ended"))


def test_the_end_is_asked_for_by_name_and_ends_for_all(stage: Stage) -> None:
    page, me = stage.join("Iva")
    colleague, _other = stage.join("Budi")
    catch_summary(page)
    catch_summary(colleague)
    control(page, "end").click()
    dialog = page.get_by_role("dialog", name="End the interview with Sari Wulandari for everyone?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(control(page, "end")).to_be_focused()
    assert me.of_type("end") == []
    control(page, "end").click()
    dialog.get_by_role("button", name="End for everyone").click()
    page.wait_for_url("**/summary/")
    expect(colleague.get_by_text("The interview has ended. The summary opens…")).to_be_visible()
    colleague.wait_for_url("**/summary/")
    assert me.of_type("end") == [{"type": "end"}]


def test_an_end_that_the_socket_does_not_carry_goes_by_request(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    catch_summary(page)
    asked: list[str | None] = []

    def take(route: Route) -> None:
        asked.append(route.request.headers.get("x-csrftoken"))
        route.fulfill(body="ended")

    page.route(f"**/rooms/{stage.code}/end/", take)
    stage.room.deaf_to = "end"
    control(page, "end").click()
    page.get_by_role("button", name="End for everyone").click()
    page.wait_for_url("**/summary/")
    assert len(asked) == 1 and asked[0]


def test_one_interviewer_leaves_and_the_others_stay(stage: Stage) -> None:
    page, me = stage.join("Iva")
    control(page, "more").click()
    page.get_by_role("button", name="Leave (the others stay)").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave", exact=True).click()
    page.wait_for_url(f"**/rooms/{stage.code}/")
    assert heard(page, me, "leave") == [{"type": "leave"}]
    assert me.of_type("end") == []


# -- The socket -------------------------------------------------------------------------------


def test_a_lost_socket_is_told_and_the_same_call_goes_on(stage: Stage) -> None:
    page, me = stage.join("Iva")
    _other, sari = stage.join("Sari Wulandari", "candidate")
    wait_until_it_plays(page, sari.peer)
    page.evaluate("window.kept = document.querySelector('.is-large video').srcObject")
    stage.room.away = True
    me.lose(1012)
    expect(page.get_by_text("Connection to the server lost; trying again.")).to_be_visible()
    stage.room.away = False
    expect(page.locator("[data-lost]")).to_be_hidden()
    expect(tile(page, sari.peer)).to_be_visible()
    assert page.evaluate("document.querySelector('.is-large video').srcObject === window.kept")
    assert len(heard(page, me, "join-room", 2)) == 2


@pytest.mark.parametrize(
    ("close_code", "text", "button"),
    [
        (4401, "You are signed out here", "Sign in"),
        (4409, "the call goes on there", "Bring it back here"),
        (4410, "The interview has ended", "Open the summary"),
    ],
)
def test_a_socket_closed_for_good_says_what_to_do(
    stage: Stage, close_code: int, text: str, button: str
) -> None:
    page, me = stage.join("Iva")
    kept = page.evaluate_handle(
        "document.querySelector('[data-tile=self] video').srcObject.getVideoTracks()[0]"
    )
    me.lose(close_code)
    expect(page.get_by_text(text)).to_be_visible()
    expect(page.get_by_role("link", name=button)).to_be_visible()
    expect(page.locator("[data-call]")).to_be_hidden()
    soon(page, lambda: kept.evaluate("track => track.readyState") == "ended")


# -- Chat and keys ----------------------------------------------------------------------------


def test_chat_is_text_and_counts_what_was_not_read(stage: Stage) -> None:
    page, me = stage.join("Iva")
    other, _sari = stage.join("Sari Wulandari", "candidate")
    hostile = '<img src=x onerror="window.broken = 1">'
    other.keyboard.press("c")
    other.get_by_label("Your message").fill(hostile)
    other.keyboard.press("Enter")
    expect(control(page, "chat")).to_have_accessible_name(re.compile("Chat.*1 not read"))
    control(page, "chat").click()
    expect(page.locator(".chat-text")).to_have_text(hostile)
    assert page.evaluate("window.broken") is None
    expect(page.get_by_label("Your message")).to_be_focused()
    page.get_by_label("Your message").fill("Good morning")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".chat-own")).to_have_count(1)
    expect(page.locator(".chat-pending")).to_have_count(0)
    expect(other.locator(".chat-item")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("[data-chat]")).to_be_hidden()
    expect(control(page, "chat")).to_be_focused()
    assert me.of_type("chat") == [{"type": "chat", "text": "Good morning"}]


def test_a_chat_message_that_was_refused_can_be_sent_again(stage: Stage) -> None:
    page, me = stage.join("Iva")
    control(page, "chat").click()
    stage.room.deaf_to = "chat"
    page.get_by_label("Your message").fill("Good morning")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-pending")).to_have_count(1)
    me.send({"type": "error", "code": "too_fast", "message": "Too many messages.", "of": "chat"})
    expect(page.get_by_text("Not sent.")).to_be_visible()
    stage.room.deaf_to = ""
    page.get_by_role("button", name="Send again").click()
    expect(page.locator(".chat-own time")).to_have_text("1:01")
    assert len(me.of_type("chat")) == 2


def test_keys_rest_in_fields_with_other_keys_and_while_a_dialog_is_open(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    muted, panel = control(page, "microphone"), page.locator("[data-panel]")
    page.keyboard.press("m")
    expect(muted).to_have_text("Unmute")
    for keys in ("Control+m", "Alt+m", "Meta+m", "Shift+m", "Alt+p"):
        page.keyboard.press(keys)
    page.keyboard.press("c")
    field = page.get_by_label("Your message")
    expect(field).to_be_focused()
    page.keyboard.type("mvp")
    page.keyboard.press("Alt+m")
    expect(field).to_have_value("mvp")
    page.keyboard.press("Escape")
    control(page, "end").click()
    page.keyboard.type("mvp")
    page.keyboard.press("Escape")
    expect(muted).to_have_text("Unmute")
    expect(control(page, "camera")).to_have_text("Camera off")
    expect(panel).to_have_attribute("data-folded", "false")


def test_keys_can_be_switched_off_and_stay_so(stage: Stage) -> None:
    page, _me = stage.join("Iva")
    muted, panel = control(page, "microphone"), page.locator("[data-panel]")
    expect(muted).to_have_attribute("aria-keyshortcuts", "M")
    control(page, "more").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    switch = page.get_by_role("switch", name="Shortcuts of one key")
    expect(switch).to_be_checked()
    switch.press("Space")
    expect(switch).not_to_be_checked()
    page.get_by_role("button", name="Done").click()
    expect(control(page, "more")).to_be_focused()
    for _time in range(2):
        page.keyboard.type("mvcp")
        expect(muted).to_have_text("Mute")
        expect(muted).to_have_attribute("title", "Mute")
        assert muted.get_attribute("aria-keyshortcuts") is None
        expect(control(page, "camera")).to_have_text("Camera off")
        expect(page.locator("[data-chat]")).to_be_hidden()
        expect(panel).to_have_attribute("data-folded", "false")
        page.reload()
        expect(page.locator("[data-check-pick=camera]")).to_contain_text("fake_device")
        page.get_by_role("button", name="Join the interview").click()
        expect(page.locator("[data-call]")).to_be_visible()
    control(page, "more").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    switch.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(panel).to_have_attribute("data-folded", "true")


# -- Words and room ---------------------------------------------------------------------------


def test_recording_is_told_without_blame(stage: Stage) -> None:
    page, me = stage.join("Iva")
    words = page.locator("[data-recording]")
    expect(words).to_have_text("Not recorded")
    me.send({"type": "recording-status", "active": True, "wanted": True})
    expect(words).to_have_text("Recording")
    me.send({"type": "recording-status", "active": False, "wanted": False})
    expect(words).to_have_text("No recording")


def test_the_candidates_link_is_copied(stage: Stage) -> None:
    page, _me = stage.join("Iva", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("[data-link]").input_value()
    assert f"/join/{stage.code}." in copied


NO_SHARING = "Object.defineProperty(navigator.mediaDevices, 'getDisplayMedia', { value: undefined });"


def test_on_a_phone_all_fits_and_nothing_is_offered_that_it_cannot_do(stage: Stage) -> None:
    page, _me = stage.open("Iva", viewport={"width": 360, "height": 740}, has_touch=True)
    page.add_init_script(NO_SHARING)
    page.reload()
    assert fits(page)
    page.get_by_role("button", name="Join the interview").click()
    expect(control(page, "microphone")).to_be_visible()
    expect(control(page, "screen")).to_be_hidden()
    assert fits(page)
    for name in ("microphone", "camera", "chat", "more", "end"):
        box = control(page, name).bounding_box()
        assert box is not None and box["width"] >= 44 and box["height"] >= 44
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    control(page, "chat").click()
    sheet = page.locator("[data-chat]").bounding_box()
    assert sheet is not None and sheet["width"] == 360 and sheet["y"] > 100
