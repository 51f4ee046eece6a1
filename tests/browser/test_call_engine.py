"""The browser's call engine in a real Chromium: real connections, first joined within one page, then over the site."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from interviewsite import state
from tests.browser.conftest import CHROMIUM, PASSWORD, LiveSite
from tests.browser.live_room import is_home
from tests.browser.page_server import PageServer, page_server, until
from tests.interviewsite.processes import clean_environment

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("engine_room.js")
HTML = '<!doctype html><html lang="en"><title>Engine</title><script type="module" src="/engine.js"></script>'
UP_MS = 60_000
REBUILT_MS = 120_000
ARIEF, BUDI, CITRA, DEWI, SARI = ("a" * 32, "b" * 32, "c" * 32, "d" * 32, "f" * 32)
MEDIA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """As the folder's, with a camera and a microphone that the browser makes up."""
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu", *MEDIA]
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    yield opened
    opened.close()


@pytest.fixture
def served() -> Iterator[PageServer]:
    with page_server() as server:
        server.pages = {"/engine/": HTML, "/engine.js": SCRIPT.read_text()}
        yield server


@pytest.fixture
def page(browser: Browser, served: PageServer) -> Iterator[Page]:
    """The page with the room within it; any error in it fails the test."""
    context = browser.new_context(base_url=served.url)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/engine/")
    wait(opened, "window.ready")
    yield opened
    context.close()
    assert errors == []


def wait(page: Page, what: str, arg: Any = None, timeout: int = UP_MS) -> None:
    """Until an expression holds. Not `page.wait_for_function`, which the page's content policy forbids."""
    until(lambda: page.evaluate(what, arg), timeout / 1000)


def enter(page: Page, name: str, role: str = "interviewer", colour: str = "") -> None:
    page.evaluate("([name, role, colour]) => enter(name, role, { colour })", [name, role, colour])


def together(page: Page, one: str, other: str, timeout: int = UP_MS) -> int:
    """Waits until both see each other over the same session; its number."""
    wait(page, "([a, b]) => together(a, b)", arg=[one, other], timeout=timeout)
    return page.evaluate("([a, b]) => session(a, b)", [one, other])


def a_call(page: Page) -> int:
    enter(page, BUDI, colour="rgb(200, 0, 0)")
    enter(page, SARI, "candidate", colour="rgb(0, 160, 0)")
    return together(page, BUDI, SARI)


def colour(page: Page, name: str, other: str, stream: str = "stream") -> list[int]:
    return page.evaluate("([a, b, s]) => colourOf(peerOf(a, b)[s])", [name, other, stream])


# -- Two people -------------------------------------------------------------------------------


def test_each_sees_the_other(page: Page) -> None:
    a_call(page)
    red, green, _blue = colour(page, SARI, BUDI)
    assert red > 120 > green
    red, green, _blue = colour(page, BUDI, SARI)
    assert green > 100 > red
    wait(page, f"peerOf('{BUDI}', '{SARI}').media.camera && peerOf('{BUDI}', '{SARI}').quality")
    quality = page.evaluate(f"peerOf('{BUDI}', '{SARI}').quality")
    assert quality["relayed"] is False
    assert quality["level"] in ("good", "fair", "poor")
    assert quality["lossPercent"] >= 0


def test_a_shared_screen_is_told_from_the_camera_and_goes_without_a_new_negotiation(page: Page) -> None:
    a_call(page)
    offers = page.evaluate("room.log.filter((one) => one.type === 'offer').length")
    page.evaluate(f"calls['{SARI}'].call.setScreen(picture('rgb(0, 0, 220)'))")
    wait(page, f"peerOf('{BUDI}', '{SARI}').screenStream !== null")
    red, green, blue = colour(page, BUDI, SARI, "screenStream")
    assert blue > 120
    assert max(red, green) < 100
    assert colour(page, BUDI, SARI)[1] > 100
    page.evaluate(f"calls['{SARI}'].call.setScreen(null)")
    wait(page, f"peerOf('{BUDI}', '{SARI}').screenStream === null")
    assert page.evaluate("room.log.filter((one) => one.type === 'offer').length") == offers


def test_another_camera_takes_the_place_of_the_first(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"calls['{SARI}'].call.setStream(picture('rgb(0, 0, 220)'))")
    wait(
        page, f"colourOf(peerOf('{BUDI}', '{SARI}').stream).then((colour) => colour[2] > 120)", timeout=UP_MS
    )
    assert together(page, BUDI, SARI) == number


def test_nobody_needs_a_device_to_join(page: Page) -> None:
    enter(page, BUDI)
    enter(page, SARI, "candidate")
    together(page, BUDI, SARI)
    assert page.evaluate(f"peerOf('{BUDI}', '{SARI}').media") == {
        "microphone": False,
        "camera": False,
        "screen": False,
    }


def test_who_leaves_is_gone_and_may_come_back(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"calls['{SARI}'].line.send({{ type: 'leave' }}); calls['{SARI}'].call.close()")
    wait(page, f"calls['{BUDI}'].events.some((one) => one.type === 'peer-gone')")
    assert page.evaluate(f"calls['{BUDI}'].call.peers.size") == 0
    enter(page, SARI, "candidate")
    assert together(page, BUDI, SARI) != number


# -- Trouble ----------------------------------------------------------------------------------


def test_a_call_goes_on_when_the_sockets_come_back(page: Page) -> None:
    number = a_call(page)
    page.evaluate("""() => {
        for (const { line } of Object.values(calls)) line.joined = false;
        for (const { line } of Object.values(calls)) line.dispatchEvent(new CustomEvent("open", { detail: {} }));
    }""")
    wait(page, "room.log.filter((one) => one.type === 'peer-here').length >= 2")
    assert together(page, BUDI, SARI) == number
    wait(page, "open().length === 2")
    assert page.evaluate(f"calls['{BUDI}'].events.filter((one) => one.type === 'joined').length") == 1


def test_a_lost_socket_does_not_end_a_call_that_works(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"calls['{BUDI}'].line.hear({{ type: 'peer-left', peer: '{SARI}', reason: 'lost' }})")
    assert together(page, BUDI, SARI) == number
    page.evaluate(f"calls['{SARI}'].call.close()")
    wait(page, f"calls['{BUDI}'].call.peers.size === 0", timeout=UP_MS)


def test_both_restart_at_once_and_agree(page: Page) -> None:
    number = a_call(page)
    # In one breath: a connection that works may say so again at any time.
    told = page.evaluate(f"open().forEach((one) => pretend(one, 'failed')), state('{BUDI}', '{SARI}')")
    assert told == "reconnecting"
    wait(page, "room.log.filter((one) => one.type === 'answer').length >= 2")
    wait(page, "open().every((one) => one.signalingState === 'stable')")
    page.evaluate("open().forEach((one) => pretend(one, null))")
    assert together(page, BUDI, SARI) == number
    names = page.evaluate(
        "[...new Set(room.log.filter((one) => one.type === 'offer' || one.type === 'answer')"
        ".map((one) => one.description.sdp.match(/a=ice-ufrag:(\\S+)/)[1]))].length"
    )
    assert names >= 4  # each side gave itself a new name: ICE was restarted, not only described again
    assert colour(page, BUDI, SARI)[1] > 100


def test_both_offer_at_once_and_no_picture_stays_black(page: Page) -> None:
    """In Chromium an offer that is taken back leaves the picture black, for as long as the connection lasts."""
    number = a_call(page)
    page.evaluate("open().forEach((one) => one.restartIce())")
    wait(page, f"session('{SARI}', '{BUDI}') !== {number}")
    together(page, BUDI, SARI)
    assert colour(page, BUDI, SARI)[1] > 100
    assert colour(page, SARI, BUDI)[0] > 120
    wait(page, "open().length === 2")


def test_both_rebuild_at_once_and_end_on_one_connection(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"peerOf('{BUDI}', '{SARI}').rebuild(); peerOf('{SARI}', '{BUDI}').rebuild();")
    assert together(page, BUDI, SARI) != number
    wait(page, "open().length === 2")
    assert colour(page, SARI, BUDI)[0] > 120


def test_a_dead_connection_is_built_anew_in_the_same_room(page: Page) -> None:
    number = a_call(page)
    # Its own side does not hear of this, like a browser whose network is gone.
    page.evaluate("open()[0].close()")
    wait(
        page, f"session('{BUDI}', '{SARI}') !== {number} && together('{BUDI}', '{SARI}')", timeout=REBUILT_MS
    )
    seen = page.evaluate("Object.values(calls).flatMap(({ events }) => events.map((one) => one.state))")
    assert "reconnecting" in seen
    assert colour(page, SARI, BUDI)[0] > 120


def test_an_offer_that_was_lost_is_made_up_for(page: Page) -> None:
    enter(page, BUDI)
    page.evaluate(f"""() => {{
        const line = calls['{BUDI}'].line;
        const hear = line.hear.bind(line);
        line.hear = (message) => message.type === "offer" ? (line.hear = hear) : hear(message);
    }}""")
    enter(page, SARI, "candidate")
    together(page, BUDI, SARI, REBUILT_MS)


def test_a_restart_whose_offer_was_lost_is_made_up_for_although_packets_go_one_way(page: Page) -> None:
    """Chromium says "connected" before there is an answer, as soon as its own packets come through."""
    number = a_call(page)
    page.evaluate(f"""() => {{
        calls['{SARI}'].line.cut = true; // what it sends now is lost without a word
        [window.restarted] = open(); // hers, who came last and offered first
        restarted.restartIce();
    }}""")
    wait(page, "restarted.signalingState === 'have-local-offer'")
    page.evaluate(f"""() => {{
        const {{ line }} = calls['{SARI}'];
        line.cut = false;
        line.dispatchEvent(new CustomEvent("open", {{ detail: {{}} }}));
    }}""")
    wait(page, "restarted.signalingState === 'stable'", timeout=UP_MS)
    assert together(page, BUDI, SARI) == number


def test_an_answer_that_comes_twice_is_not_taken_for_the_one_to_a_later_offer(page: Page) -> None:
    """An offer that is said again is answered again, and that may come when a newer one has been made."""
    number = a_call(page)
    page.evaluate(f"""() => {{
        [window.hers, window.his] = open(); // hers, who came last and offered first
        const {{ line }} = calls['{BUDI}'];
        const send = line.send.bind(line);
        window.answers = [];
        line.send = (message) =>
          message.type !== "answer" ? send(message) : answers.push(message) === 1 && send(message);
        hers.restartIce();
    }}""")
    wait(page, "answers.length === 1 && hers.signalingState === 'stable'")
    page.evaluate("hers.restartIce()")
    wait(page, "answers.length >= 2 && hers.signalingState === 'have-local-offer'")
    page.evaluate(f"answers.forEach((one) => calls['{SARI}'].line.hear({{ ...one, from: '{BUDI}' }}))")
    wait(page, "hers.signalingState === 'stable'")
    names = page.evaluate(
        "[hers.remoteDescription, his.localDescription].map(({ sdp }) => sdp.match(/a=ice-ufrag:(\\S+)/)[1])"
    )
    assert names[0] == names[1]
    assert together(page, BUDI, SARI) == number


def test_two_who_join_in_the_same_moment_need_no_second_try(page: Page) -> None:
    """Each is told of the other as of a newcomer, who would begin."""
    page.evaluate(
        """(people) => {
        for (const [name, role] of people) enter(name, role, { start: false });
        for (const line of room.lines.values()) line.joined = true;
        for (const { call } of Object.values(calls)) call.start();
    }""",
        [[BUDI, "interviewer"], [SARI, "candidate"]],
    )
    together(page, BUDI, SARI, REBUILT_MS)
    seen = page.evaluate("Object.values(calls).flatMap(({ events }) => events.map((one) => one.state))")
    assert "reconnecting" not in seen


def test_an_interruption_without_an_end_is_ended(page: Page) -> None:
    """Where packets come but do not go, a browser says "disconnected" and never "failed"."""
    number = a_call(page)
    told, probes = page.evaluate(f"""() => {{
        const [first] = open();
        pretend(first, "disconnected");
        Object.defineProperty(first, "connectionState", {{ configurable: true, get: () => "disconnected" }});
        // As soon as there is a second offer it has helped: by the page's own clock, as the call's is.
        const watch = setInterval(() => {{
          if (room.log.filter((one) => one.type === "offer").length < 2) return;
          clearInterval(watch);
          pretend(first, null);
          window.helped = true;
        }}, 20);
        return [state('{SARI}', '{BUDI}'), calls['{SARI}'].line.probes];
    }}""")
    assert told == "interrupted"
    assert probes == 1  # the socket may have gone the same way
    wait(page, "window.helped", timeout=REBUILT_MS)
    assert together(page, BUDI, SARI) == number


def test_where_the_socket_was_renewed_just_before_an_interruption_is_not_waited_out(page: Page) -> None:
    """The network is another one, and the socket noticed it before the media did."""
    number = a_call(page)
    told = page.evaluate(f"""() => {{
        calls['{SARI}'].line.dispatchEvent(new CustomEvent("open", {{ detail: {{}} }}));
        const before = state('{SARI}', '{BUDI}');
        for (const one of open()) pretend(one, "disconnected");
        return [before, state('{SARI}', '{BUDI}'), state('{BUDI}', '{SARI}')];
    }}""")
    assert told == ["connected", "reconnecting", "interrupted"]
    assert together(page, BUDI, SARI) == number


def test_a_reloaded_page_takes_its_place_again(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"calls['{SARI}'].line.cut = true; calls['{SARI}'].call.close()")
    enter(page, SARI, "candidate", colour="rgb(0, 0, 220)")
    wait(page, f"session('{BUDI}', '{SARI}') !== {number} && together('{BUDI}', '{SARI}')", timeout=UP_MS)
    assert colour(page, BUDI, SARI)[2] > 120


def test_what_belongs_to_an_older_connection_is_ignored(page: Page) -> None:
    number = a_call(page)
    page.evaluate(f"peerOf('{BUDI}', '{SARI}').rebuild()")
    newer = together(page, BUDI, SARI)
    assert newer != number
    page.evaluate(
        f"""() => {{
        const old = room.log.filter((one) => (one.description ?? one.candidate)?.session === {number});
        for (const message of old) room.lines.get(message.to).hear(message);
    }}"""
    )
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")
    assert together(page, BUDI, SARI) == newer


# -- More people ------------------------------------------------------------------------------


def test_four_are_a_mesh_and_a_fourth_interviewer_is_told_that_it_is_full(page: Page) -> None:
    for name in (ARIEF, BUDI, CITRA):
        enter(page, name)
    enter(page, SARI, "candidate")
    people = (ARIEF, BUDI, CITRA, SARI)
    for index, one in enumerate(people):
        for other in people[index + 1 :]:
            together(page, one, other)
    enter(page, DEWI)
    wait(page, f"calls['{DEWI}'].events.some((one) => one.type === 'full')")
    assert page.evaluate(f"calls['{DEWI}'].call.peers.size") == 0
    for name in people:
        assert page.evaluate(f"calls['{name}'].call.peers.size") == 3


def test_a_seat_is_kept_for_the_candidate(page: Page) -> None:
    for name in (ARIEF, BUDI, CITRA):
        enter(page, name)
    together(page, ARIEF, BUDI)
    enter(page, DEWI)
    wait(page, f"calls['{DEWI}'].events.some((one) => one.type === 'full')")
    enter(page, SARI, "candidate")
    together(page, SARI, CITRA)


# -- The slow line ----------------------------------------------------------------------------


def test_the_picture_pauses_on_a_poor_line_and_comes_back_later_each_time(page: Page) -> None:
    changes = page.evaluate("""() => {
        const fallback = new Fallback();
        const feed = (count, congested, starved = false) =>
          Array.from({ length: count }, () => fallback.feed({ congested, starved }) && fallback.paused);
        return {
          hiccup: feed(2, true).concat(feed(1, false)),
          poor: feed(3, false, true),
          starvedAlone: feed(9, false, true),
          back: feed(1, false, true),
          again: feed(3, true),
          tooSoon: feed(10, false),
          late: feed(10, false),
        };
    }""")
    assert not any(changes["hiccup"])
    assert changes["poor"] == [False, False, True]
    assert changes["starvedAlone"] == [False] * 9
    assert page.evaluate("new Fallback().paused") is False
    assert changes["again"][-1] is True
    assert changes["tooSoon"] == [False] * 10  # it would have come back now, had it not failed at once
    assert changes["late"][-1] is False


def test_a_paused_picture_is_not_sent_and_the_voice_goes_on(page: Page) -> None:
    a_call(page)
    page.evaluate(f"""async () => {{
        const peer = peerOf('{SARI}', '{BUDI}');
        const [connection] = open().filter((one) => one.getSenders().some((sender) => sender.track?.kind === "video"));
        for (const one of open()) one.getStats = async () => new Map([
          ["t", {{ type: "transport", selectedCandidatePairId: "p" }}],
          ["p", {{ type: "candidate-pair", currentRoundTripTime: 2 }}],
        ]);
        for (let reading = 0; reading < 3; reading++) await peer.measure();
    }}""")
    assert page.evaluate(f"peerOf('{SARI}', '{BUDI}').audioOnly") is True
    assert page.evaluate(f"peerOf('{SARI}', '{BUDI}').quality.level") == "poor"
    wait(page, f"peerOf('{BUDI}', '{SARI}').media.camera === false")
    assert page.evaluate(f"calls['{SARI}'].events.some((one) => one.type === 'audio-only')")
    assert page.evaluate(f"calls['{SARI}'].call.stream.getVideoTracks()[0].readyState") == "live"


# -- Devices ----------------------------------------------------------------------------------

REFUSE = """([name, message, only]) => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (only === "all" || wanted[only]) throw new DOMException(message, name);
        return real(wanted);
    };
    navigator.permissions.query = async () => ({ state: window.permission ?? "denied" });
    return devices.openDevices().then(({ stream, problems }) => ({
        kinds: stream.getTracks().map((track) => track.kind), problems,
    }));
}"""


@pytest.mark.parametrize(
    ("error", "message", "permission", "code"),
    [
        ("NotAllowedError", "Permission denied", "denied", "denied"),
        ("NotAllowedError", "Permission denied by system", "denied", "denied_by_system"),
        ("NotAllowedError", "Permission denied", "granted", "denied_by_system"),
        ("NotReadableError", "Could not start video source", "granted", "busy"),
        ("AbortError", "Starting video failed", "granted", "busy"),
        ("NotFoundError", "Requested device not found", "granted", "absent"),
        ("OverconstrainedError", "", "granted", "absent"),
        ("TypeError", "", "granted", "unknown"),
    ],
)
def test_each_refusal_of_a_camera_is_told_apart_and_the_microphone_is_there(
    page: Page, error: str, message: str, permission: str, code: str
) -> None:
    page.evaluate("(permission) => { window.permission = permission; }", permission)
    opened = page.evaluate(REFUSE, [error, message, "video"])
    assert opened == {"kinds": ["audio"], "problems": [{"kind": "camera", "code": code}]}


def test_without_any_device_there_is_an_empty_stream(page: Page) -> None:
    opened = page.evaluate(REFUSE, ["NotFoundError", "", "all"])
    assert opened["kinds"] == []
    assert [one["kind"] for one in opened["problems"]] == ["microphone", "camera"]


def test_an_insecure_page_is_told_as_such(page: Page) -> None:
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    problems = page.evaluate("devices.openDevices().then(({ problems }) => problems)")
    assert [one["code"] for one in problems] == ["insecure", "insecure"]


def test_the_old_microphone_is_stopped_before_another_is_asked_for(page: Page) -> None:
    order = page.evaluate("""async () => {
        const { stream } = await devices.openDevices();
        const [old] = stream.getAudioTracks();
        const [camera] = stream.getVideoTracks();
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let atRequest = "";
        navigator.mediaDevices.getUserMedia = (wanted) => ((atRequest = old.readyState), real(wanted));
        const changed = await devices.switchDevice(stream, "microphone", "default");
        return [atRequest, changed.stream.getVideoTracks()[0] === camera, camera.readyState, changed.problems.length];
    }""")
    assert order == ["ended", True, "live", 0]


def test_the_meter_moves_with_the_sound(page: Page) -> None:
    page.evaluate("""async () => {
        window.levels = [];
        const { stream } = await devices.openDevices({ video: false });
        devices.levelMeter(stream, (level) => levels.push(level));
        document.body.click();
    }""")
    page.mouse.click(5, 5)  # sound starts with a touch
    wait(page, "Math.max(...levels) > 0.3 && Math.min(...levels) < 0.3", timeout=UP_MS)
    assert all(0 <= level <= 1 for level in page.evaluate("levels"))


# -- The socket -------------------------------------------------------------------------------


def connect(page: Page, served: PageServer) -> None:
    served.socket_says = [{"type": "welcome", "you": SARI}]
    page.evaluate(
        """(url) => {
        window.told = [];
        window.line = new Signalling(url);
        for (const type of ["open", "lost", "closed"]) {
            line.addEventListener(type, ({ detail }) => told.push([type, detail]));
        }
        line.addEventListener("open", () => line.send({ type: "join-room" }));
        line.on("chat", (message) => told.push(["chat", message.text]));
        line.send({ type: "chat", text: "too early" });
        line.connect();
    }""",
        served.socket_url,
    )
    wait(page, "told.length > 0")


def kinds(served: PageServer) -> list[str]:
    """What the socket said, but for the pings with which it looks after itself when there is time for them."""
    found = [re.findall(r'"type":"([^"]+)"', str(one))[0] for one in list(served.received)]
    return [kind for kind in found if kind != "ping"]


def test_the_socket_comes_back_and_says_what_was_kept_after_joining(page: Page, served: PageServer) -> None:
    connect(page, served)
    until(lambda: kinds(served) == ["join-room", "chat"])
    served.say({"type": "chat", "text": "hello"})
    wait(page, "told.some(([type, text]) => type === 'chat' && text === 'hello')")
    served.sockets[-1].close(1011)
    wait(page, "told.some(([type]) => type === 'lost')")
    page.evaluate("line.send({ type: 'chat', text: 'meanwhile' })")
    until(lambda: kinds(served) == ["join-room", "chat", "join-room", "chat"])
    assert "meanwhile" in str(served.received)


def test_a_socket_that_is_doubted_and_silent_is_replaced(page: Page, served: PageServer) -> None:
    connect(page, served)
    until(lambda: kinds(served) == ["join-room", "chat"])
    page.evaluate("line.probe()")
    until(lambda: '"ping"' in str(served.received))
    page.evaluate(
        "window.asking = setInterval(() => line.probe(), 1000)"
    )  # asking again gives it no more time
    # The server of this test answers no ping: as where the address is gone, nothing comes.
    wait(page, "told.filter(([type]) => type === 'open').length >= 2")
    page.evaluate("clearInterval(asking)")
    # The new one may be given up as well by then: it is asked and not answered, too.
    assert len(served.sockets) >= 2
    told = page.evaluate("told.map(([type]) => type).filter((type) => type !== 'chat')")
    assert told[:3] == ["open", "lost", "open"]


@pytest.mark.parametrize("code", [4401, 4403, 4404, 4409, 4410])
def test_a_final_close_is_told_and_nothing_is_tried_again(page: Page, served: PageServer, code: int) -> None:
    connect(page, served)
    served.sockets[-1].close(code)
    wait(page, "told.some(([type]) => type === 'closed')")
    assert page.evaluate("told.at(-1)") == ["closed", code]
    page.evaluate("line.connect()")
    assert len(served.sockets) == 1


# -- Over the site ----------------------------------------------------------------------------

CREATE = """
from django.contrib.auth.models import User
from rooms import links
from rooms.lifecycle import NewRoom, create_room
owner = User.objects.get(username="interviewer")
room = create_room(NewRoom(title="Backend engineer", candidate_name="Sari Wulandari", country="ID"), owner)
print("made", room.code, links.token_of(room))
"""
PLAYS = """([tile]) => {
    const video = document.querySelector(`.stage-tile${tile} video`);
    return video && video.videoWidth > 0 && !video.paused;
}"""


def make_room(site: LiveSite) -> tuple[str, str]:
    environment = clean_environment(VAR_DIR=str(site.running.log.parent / "var"))
    command = [sys.executable, str(state.BASE_DIR / "manage.py"), "shell", "-c", CREATE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=180)
    found = re.search(r"^made (\S+) (\S+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return found[1], found[2]


def lobby(page: Page, token: str) -> None:
    page.goto(f"/join/{token}")
    for scope in ("call", "face", "voice"):
        page.locator(f"[name={scope}]").check(force=True)
    page.locator("form button.primary, button[value=chosen]").first.click()
    page.wait_for_url(re.compile("/call/"))
    expect(page.get_by_role("button", name="I am ready")).to_be_enabled(timeout=UP_MS)


def interviewer(page: Page, code: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill("interviewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(is_home)
    page.goto(f"/rooms/{code}/call/")
    page.locator("[data-join]").click()


def plays(page: Page, tile: str) -> None:
    wait(page, PLAYS, arg=[tile], timeout=UP_MS)


def test_from_the_lobby_through_the_call_to_leaving(browser: Browser, site: LiveSite) -> None:
    errors: list[str] = []
    heard: list[str] = []

    def open_page(**options: Any) -> Page:
        page = browser.new_context(base_url=site.url, **options).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    code, token = make_room(site)
    candidate, host = open_page(), open_page()
    candidate.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda text: heard.append(str(text))),
    )
    lobby(candidate, token)
    assert heard == []  # nobody is told before "I am ready"
    candidate.get_by_role("button", name="I am ready").click()
    expect(candidate.get_by_role("heading", name="Waiting to be let in")).to_be_visible()
    interviewer(host, code)
    host.get_by_role("button", name="Let Sari in").click(timeout=UP_MS)
    for page in (candidate, host):
        plays(page, ".is-large")
    box = candidate.locator("[data-analysis]")
    expect(box).to_contain_text("face ✓", timeout=UP_MS)
    expect(box).to_contain_text("voice ✓")

    box.get_by_role("button", name="Turn off the analysis").click()
    expect(box).to_contain_text("Analysis off")
    # Playwright takes events in only while it waits itself.
    until(lambda: candidate.wait_for_timeout(50) or any('"consent-changed"' in one for one in heard))

    candidate.reload()
    plays(candidate, ".is-large")
    plays(host, ".is-large")
    expect(candidate.locator("[data-analysis]")).to_contain_text("Analysis off")
    candidate.get_by_role("button", name="What is analysed").click()
    candidate.get_by_role("switch", name="Face analysis").click()
    candidate.get_by_role("button", name="Done").click()
    expect(candidate.locator("[data-analysis]")).to_contain_text("face ✓", timeout=UP_MS)

    candidate.get_by_role("button", name="Leave", exact=True).click()
    candidate.get_by_role("dialog").get_by_role("button", name="Leave").click()
    candidate.wait_for_url(re.compile("/left/"), timeout=UP_MS)
    expect(host.locator(".stage-tile.is-large")).to_have_count(0, timeout=UP_MS)
    shown = ("stress_analysis", "speech_metrics", "real_time_alert", "analysis-status")
    assert not [one for one in heard if any(f'"{kind}"' in one for kind in shown)]
    for page in (candidate, host):
        page.context.close()
    assert errors == []
