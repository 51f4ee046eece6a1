"""What the candidate's browser recorded and could not send outlives page and browser, and leaves nothing behind.

Chromium with a profile on disk, that is really killed; the project's scripts against a server that follows orders, and
once the whole site."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
import requests
from playwright.sync_api import BrowserContext, Error, Page, Playwright, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.conftest import CHROMIUM, DOWN_WITHIN_S, PASSWORD, comes_up
from tests.browser.live_room import Seat, agree
from tests.browser.page_server import SIGNALS, PageServer, page_server, until
from tests.interviewsite.processes import (
    ROOT,
    alive,
    clean_environment,
    command_line,
    family,
    free_port,
    running,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--hide-crash-restore-bubble",
]
LINE = "**/recording/**"
WITHIN_S = 120.0
WITHIN_MS = 1000 * WITHIN_S
WEBM_BEGINS = b"\x1a\x45\xdf\xa3"
STRINGS = {
    "sending": "sending %(percent)s %%",
    "away": "no answer",
    "arrived": "all arrived",
    "refused": "came too late",
}
HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Recording</title>
<link rel="icon" href="data:,"><script type="module" src="%s"></script></head><body><p data-rest hidden></p>
<input type="hidden" name="csrfmiddlewaretoken" value="token">
<script type="application/json" id="rest-data">%s</script></body></html>"""
SCRIPT = (
    SIGNALS
    + """
import { startRecorder } from "/static/js/rooms/recorder.js";
import { openStore, forget } from "/static/js/rooms/chunk-store.js";
Object.assign(window, { openStore, forget, signals: new Signals(), states: [], rest: 0 });
const { keeping } = JSON.parse(document.getElementById("rest-data").textContent);
window.keeping = keeping;
window.begin = async (consent, wanted = true) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
  window.recorder = startRecorder({ code: "abc", signalling: signals, csrfToken: "token", consent, keeping });
  recorder.addEventListener("state", ({ detail }) => states.push(detail.state));
  recorder.addEventListener("rest", ({ detail }) => (window.rest = detail.bytes));
  recorder.setStream(stream);
  signals.say({ type: "recording-status", active: false, wanted, segment: 0 });
};
window.rawBytes = async () => {
  const database = await new Promise((resolve) => {
    const request = indexedDB.open("interview-recording");
    request.onsuccess = () => resolve(request.result);
  });
  const [{ data }] = await new Promise((resolve) => {
    const request = database.transaction("bytes").objectStore("bytes").getAll();
    request.onsuccess = () => resolve(request.result);
  });
  database.close();
  return [...new Uint8Array(data).slice(0, 4000)];
};
window.ready = true;
"""
)
KEPT = """async (store) => {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open("interview-recording");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  if (![...database.objectStoreNames].includes(store)) return [];
  const keys = await new Promise((resolve) => {
    const request = database.transaction(store).objectStore(store).getAllKeys();
    request.onsuccess = () => resolve(request.result);
  });
  database.close();
  return keys;
}"""
KEEPING = {"who": "0123456789abcdef", "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}


@dataclass
class Profile:
    """A browser on a folder of its own, which may be killed and started again."""

    playwright: Playwright
    folder: Path
    context: BrowserContext | None = None
    errors: list[str] = field(default_factory=list)

    def start(self) -> Page:
        self.context = self.playwright.chromium.launch_persistent_context(
            str(self.folder),
            executable_path=str(CHROMIUM),
            args=ARGUMENTS,
            permissions=["camera", "microphone"],
        )
        page = self.context.pages[0] if self.context.pages else self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda said: self.errors.append(said.text) if "Content Security Policy" in said.text else None,
        )
        return page

    def block(self) -> None:
        """The line for chunks is down, but for the few that a closing page may send along: Playwright lets those go."""
        assert self.context is not None
        self.context.route(LINE, lambda route: route.abort("connectionfailed"))

    def unblock(self) -> None:
        assert self.context is not None
        self.context.unroute(LINE)

    def kill(self) -> None:
        """As the kernel does it for want of memory: no handler runs, nothing is written any more."""
        flag = f"--user-data-dir={self.folder}"
        browsers = [one for one in psutil.process_iter() if flag in command_line(one)]
        assert browsers
        # And its helpers, of which one may hold the database for a moment longer.
        own = {one for browser in browsers for one in family(browser.pid)}
        for process in own:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_for(lambda: not alive([*own]), WITHIN_S)
        self.close()

    def close(self) -> None:
        if self.context is not None:
            with suppress(Error):
                self.context.close()
        self.context = None


@pytest.fixture
def profile(playwright: Playwright, tmp_path: Path) -> Iterator[Profile]:
    made = Profile(playwright, tmp_path / "profile")
    yield made
    made.close()
    assert made.errors == []


@pytest.fixture
def server() -> Iterator[PageServer]:
    with page_server() as site:
        site.pages = {"/page.js": SCRIPT}
        give(site, KEEPING)
        yield site


def give(site: PageServer, keeping: dict[str, str] | None) -> None:
    """The page of the call, and the one after it."""
    data = json.dumps({"code": "abc", "keeping": keeping, "strings": STRINGS})
    site.pages["/"] = HTML % ("/page.js", data)
    site.pages["/left"] = HTML % ("/static/js/rooms/rest.js", data)


def opened(page: Page, server: PageServer) -> Page:
    page.goto(server.url)
    until_true(page, "Boolean(window.ready)")
    return page


def until_true(page: Page, script: str, within_s: float = WITHIN_S) -> None:
    """Also while the browser reports a message to us."""
    for _ in range(int(within_s * 10)):
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {within_s} s: {script}")


def kept(page: Page) -> list[tuple[str, int]]:
    return [(segment, sequence) for _room, segment, sequence in page.evaluate(KEPT, "about")]


def soon(page: Page, what: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    """The browser goes on meanwhile."""
    for _ in range(int(within_s * 10)):
        if what():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {within_s} s")


def nothing_kept(page: Page) -> None:
    for store in ("about", "bytes", "ends"):
        soon(page, lambda store=store: page.evaluate(KEPT, store) == [])  # type: ignore[misc]


def arrived(server: PageServer) -> dict[str, dict[int, bytes]]:
    found: dict[str, dict[int, bytes]] = {}
    for one in list(server.posted):
        segment, last = one.path.removeprefix("/rooms/abc/recording/").split("/")
        if last != "end":
            found.setdefault(segment, {})[int(last)] = one.body
    return found


def ended(server: PageServer) -> dict[str, int]:
    ends = [one for one in list(server.posted) if one.path.endswith("/end")]
    return {one.path.split("/")[4]: json.loads(one.body)["chunks"] for one in ends}


def seconds_of(chunks: dict[int, bytes]) -> float:
    """From the first to the last picture; the chunks have no gap."""
    assert sorted(chunks) == list(range(len(chunks)))
    with av.open(io.BytesIO(b"".join(chunks[number] for number in range(len(chunks))))) as media:
        times = [frame.time for frame in media.decode(video=0) if frame.time is not None]
    return times[-1] - times[0]


def records(page: Page, chunks: int) -> None:
    """Until so many chunks of this page are kept."""
    page.evaluate("begin({ recording: true })")
    until_true(page, "Boolean(recorder.segment)")
    own = page.evaluate("recorder.segment.key")
    soon(page, lambda: len([one for one in kept(page) if one[0] == own]) >= chunks)


# -- Reload and crash ------------------------------------------------------------------------------


def test_a_reload_and_a_crash_lose_nothing_that_was_recorded(profile: Profile, server: PageServer) -> None:
    page = opened(profile.start(), server)
    profile.block()
    records(page, 3)
    page.reload()
    until_true(page, "Boolean(window.ready)")
    records(page, 2)
    before = kept(page)
    profile.kill()
    assert set(before) - {(segment, number) for segment, those in arrived(server).items() for number in those}

    page = opened(profile.start(), server)
    assert set(before) <= set(kept(page))
    page.evaluate("begin({ recording: true })")
    until(lambda: len(ended(server)) == 2, WITHIN_S)
    until(lambda: len(arrived(server)) == 3, WITHIN_S)  # the new segment comes after the rest
    assert page.evaluate("rest") > 0
    whole = {segment: chunks for segment, chunks in arrived(server).items() if segment in ended(server)}
    assert set(before) <= {(segment, number) for segment, chunks in whole.items() for number in chunks}
    assert {segment: len(chunks) for segment, chunks in whole.items()} == ended(server)
    lengths = sorted(seconds_of(chunks) for chunks in whole.values())
    assert lengths[0] > 1 and lengths[1] > 2  # a chunk is of two seconds; the first picture may be late
    soon(page, lambda: page.evaluate("recorder.stop()"))  # by itself it waits ten seconds
    nothing_kept(page)


def test_the_page_after_the_call_sends_the_rest_and_says_so(profile: Profile, server: PageServer) -> None:
    page = opened(profile.start(), server)
    profile.block()
    records(page, 2)
    page.goto(f"{server.url}/left")
    expect(page.locator("[data-rest]")).to_have_text("no answer", timeout=WITHIN_MS)
    profile.unblock()
    expect(page.locator("[data-rest]")).to_have_text("all arrived", timeout=WITHIN_MS)
    [chunks] = arrived(server).values()
    assert list(ended(server).values()) == [len(chunks)]
    assert seconds_of(chunks) > 1
    nothing_kept(opened(page, server))


LARGE = """async () => {
  const { Uploads } = await import("/static/js/rooms/upload.js");
  window.uploads = new Uploads({ code: "abc", csrfToken: "token", keeping });
  const bytes = (number) => new Uint8Array(5 * 1024 * 1024).fill(number);
  const segment = "0a6c1cf0-35a4-4a0a-9f0e-2b8f6f0e8d11";
  for (const number of [0, 1, 2]) uploads.add(segment, number, new Blob([bytes(number)]));
  uploads.finish(segment, 3);
  await Promise.all(uploads.queue.map((item) => item.keeping));
  return [uploads.memoryBytes, uploads.bytes];
}"""


def test_much_waits_on_the_disk_not_in_memory(profile: Profile, server: PageServer) -> None:
    page = opened(profile.start(), server)
    profile.block()
    in_memory, in_all = page.evaluate(LARGE)
    assert in_memory < 8 * 1024 * 1024 < in_all == 15 * 1024 * 1024
    page.evaluate(
        "openStore('abc', keeping).then((store) => { window.store = store; store.bytes = 2 ** 28; })"
    )
    assert page.evaluate("store.put('x', 0, new Blob(['x']))") is False
    page.evaluate("store.db.close()")
    profile.unblock()
    soon(page, lambda: ended(server))
    [chunks] = arrived(server).values()
    assert [(number, set(body)) for number, body in chunks.items()] == [(0, {0}), (1, {1}), (2, {2})]
    nothing_kept(page)


# -- What must not stay ----------------------------------------------------------------------------


def test_withdrawing_deletes_what_is_kept(profile: Profile, server: PageServer) -> None:
    """And until then it could not be read from the disk."""
    page = opened(profile.start(), server)
    profile.block()
    records(page, 1)
    raw = bytes(page.evaluate("rawBytes()"))
    assert len(raw) > 1000 and WEBM_BEGINS not in raw
    page.evaluate("recorder.setConsent({ recording: false })")
    nothing_kept(page)
    page.wait_for_timeout(2500)  # what the recorder still had in hand
    assert kept(page) == []
    profile.unblock()
    page.reload()
    until_true(page, "Boolean(window.ready)")
    page.evaluate("begin({ recording: true })")
    until(lambda: server.posted, WITHIN_S)
    assert len(arrived(server)) == 1, "only what was recorded after they agreed again"


LEFT_BY = """async ([who, at]) => {
  const now = Date.now;
  Date.now = () => now() + at;
  const store = await openStore("abc", { ...keeping, who });
  const done = await store.put("0a6c1cf0-35a4-4a0a-9f0e-2b8f6f0e8d11", 0, new Blob(["x"], { type: "video/webm" }));
  Date.now = now;
  store.db.close();
  return done;
}"""


def leave(page: Page, who: str = KEEPING["who"], at_ms: int = 0) -> None:
    """A chunk from an earlier page, by the clock that it had."""
    assert page.evaluate(LEFT_BY, [who, at_ms])
    assert len(kept(page)) == 1


def test_what_the_server_refuses_is_deleted(profile: Profile, server: PageServer) -> None:
    page = opened(profile.start(), server)
    for status in (403, 404, 409, 410):
        leave(page)
        server.statuses = [status]
        page.goto(f"{server.url}/left")
        expect(page.locator("[data-rest]")).to_have_text("came too late", timeout=WITHIN_MS)
        nothing_kept(page)
        opened(page, server)
    assert server.posted == []


def test_of_another_person_or_too_old_nothing_stays(profile: Profile, server: PageServer) -> None:
    """Also after a clock that was wrong: what claims to come from the future does not stay for ever."""
    page = opened(profile.start(), server)
    minute = 60_000
    for who, at_ms in (
        ("fedcba9876543210", 0),
        (KEEPING["who"], -61 * minute),
        (KEEPING["who"], 61 * minute),
    ):
        leave(page, who, at_ms)
        page.evaluate("openStore('abc', keeping).then((store) => store.db.close())")
        nothing_kept(page)
    leave(page, KEEPING["who"], -61 * minute)
    page.evaluate("forget()")
    nothing_kept(page)
    leave(page)
    page.evaluate("forget()")
    assert len(kept(page)) == 1, "of somebody's room, and not old"
    give(server, None)  # consent is gone, or the time to send is over
    page.goto(f"{server.url}/left")
    nothing_kept(page)
    assert server.posted == []


def test_a_page_that_has_nothing_to_delete_makes_no_database(profile: Profile, server: PageServer) -> None:
    page = opened(profile.start(), server)
    page.evaluate("forget('abc')")
    assert page.evaluate("indexedDB.databases()") == []


# -- Where nothing can be kept ---------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["absent", "quota"])
def test_without_space_or_database_it_records_from_memory(
    profile: Profile, server: PageServer, trouble: str
) -> None:
    page = profile.start()
    assert profile.context is not None
    if trouble == "absent":
        page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined })")
    opened(page, server)
    if trouble == "quota":
        session = profile.context.new_cdp_session(page)
        session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1000})
    profile.block()
    page.evaluate("begin({ recording: true })")
    until_true(page, "recorder.uploads.queue.length >= 1")
    page.evaluate("Promise.all(recorder.uploads.queue.map((item) => item.keeping)).then(() => {})")
    assert page.evaluate("recorder.uploads.queue.some((item) => item.kept)") is False
    profile.unblock()
    soon(page, lambda: page.evaluate("recorder.stop()"))
    until(lambda: ended(server), WITHIN_S)  # it waits three seconds for the recorder's last word
    [chunks] = arrived(server).values()
    assert list(ended(server).values()) == [len(chunks)]


FAILING = """() => {
  window.made = 0;
  window.Working = MediaRecorder;
  window.MediaRecorder = class extends MediaRecorder {
    start(ms) {
      window.made += 1;
      super.start(ms);
      setTimeout(() => this.stop(), 20);
    }
  };
}"""


def test_an_encoder_that_fails_is_tried_again_later_and_said_meanwhile(
    profile: Profile, server: PageServer
) -> None:
    """At once it would fail again, until the room has as many segments as it takes."""
    page = opened(profile.start(), server)
    page.evaluate(FAILING)
    page.evaluate("begin({ recording: true })")
    until_true(page, "states.includes('failed')")
    page.evaluate("void (window.MediaRecorder = Working)")
    assert page.evaluate("made") < 5
    until_true(page, "states.at(-1) === 'recording'")
    until_true(page, "recorder.segment.chunks > 1")
    assert page.evaluate("recorder.stop()") is True


# -- On the site -----------------------------------------------------------------------------------


class Host:
    """The interviewer, as a program: makes a room, lets the candidate in, ends the interview."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.http = requests.Session()
        self.http.get(f"{site}/login/", timeout=60).raise_for_status()
        token = str(self.http.cookies["csrftoken"])
        form = {"username": "interviewer", "password": PASSWORD, "csrfmiddlewaretoken": token}
        self.http.post(f"{site}/login/", form, timeout=60).raise_for_status()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"X-CSRFToken": str(self.http.cookies["csrftoken"]), "Referer": self.site}
        answer = self.http.post(f"{self.site}{path}", json=body, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return dict(answer.json())

    @contextmanager
    def lets_in(self, code: str) -> Iterator[None]:
        """Who knocks, as long as the block lasts."""
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.http.cookies)
        address = f"{self.site.replace('http', 'ws', 1)}/ws/rooms/{code}/?as=interviewer"
        with connect(
            address,
            additional_headers={"Cookie": cookies},
            origin=self.site,  # type: ignore[arg-type]
            open_timeout=60,
            ping_timeout=None,
        ) as socket:

            def admit() -> None:
                with suppress(ConnectionClosed):
                    for text in socket:
                        message = json.loads(text)
                        if message["type"] == "knock":
                            socket.send(json.dumps({"type": "admit", "peer": message["peer"]}))

            thread = threading.Thread(target=admit, daemon=True)
            thread.start()
            yield
        thread.join(10)


@dataclass
class Site:
    url: str
    environment: dict[str, str]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = Path(self.environment["VAR_DIR"]) / "db.sqlite3"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as opened_database:
            return opened_database.execute(query).fetchall()

    def run(self, code: str) -> None:
        """A line of Python in a process of the site."""
        command = [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", code]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def whole_site(tmp_path: Path) -> Iterator[Site]:
    """Without workers: the one job is done when the test says so."""
    port = free_port()
    environment = clean_environment(VAR_DIR=str(tmp_path / "var"), INITIAL_PASSWORD=PASSWORD)
    with running(["serve", "--port", str(port), "--workers", "0"], tmp_path / "log", environment) as process:
        made = Site(f"http://127.0.0.1:{port}", environment)
        comes_up(process, made.url)
        yield made
        process.stop(within_s=DOWN_WITHIN_S)


def goes_in(profile: Profile, site: Site, link: str) -> Page:
    """Past the consent page; the browser is closed in between, and so has its cookie on the disk."""
    page = profile.start()
    agree(Seat(page, profile.context), link, scopes=("Video call", "Recording"))  # type: ignore[arg-type]
    address = page.url
    profile.close()
    page = profile.start()
    profile.block()
    page.goto(address)
    page.get_by_role("button", name="I am ready").click(timeout=WITHIN_MS)
    return page


def chunks_of(site: Site) -> set[tuple[str, int]]:
    """What has arrived: segment and sequence number."""
    there = site.rows(
        "SELECT segment.key, chunk.sequence FROM rooms_chunk chunk"
        " JOIN rooms_segment segment ON segment.id = chunk.segment_id"
    )
    return {(str(uuid.UUID(key)), number) for key, number in there}


def in_the_call(page: Page) -> None:
    expect(page.locator("[data-call]")).to_be_visible(timeout=WITHIN_MS)


def test_a_browser_that_died_before_the_end_sends_the_rest_when_it_is_back(
    profile: Profile, whole_site: Site
) -> None:
    """Reload and crash while the line is down, the end of the interview meanwhile: the assessment has all of it."""
    host = Host(whole_site.url)
    room = {"title": "Engineer", "candidate_name": "Sari", "candidate_country": "ID", "recording": True}
    made = host.post("/api/rooms/create", room)
    code, link = made["code"], made["candidate_link"]
    with host.lets_in(code):
        page = goes_in(profile, whole_site, link)
        in_the_call(page)
        soon(page, lambda: len(kept(page)) >= 3)
        page.reload()
        in_the_call(page)
        soon(page, lambda: len({segment for segment, _number in kept(page)}) >= 2)
        soon(page, lambda: len(kept(page)) >= 6)
        before = kept(page)
        profile.kill()
        assert set(before) - chunks_of(whole_site)
    host.post(f"/api/rooms/{code}/end", {})

    page = profile.start()
    page.goto(link)
    expect(page).to_have_url(f"{whole_site.url}/call/{code}/left/", timeout=WITHIN_MS)
    expect(page.locator("[data-rest]")).to_have_text("All of your recording has arrived.", timeout=WITHIN_MS)
    assert chunks_of(whole_site) >= set(before)
    # One that had begun and had no chunk when the browser died is ended by nobody: its time runs out.
    segments = whole_site.rows("SELECT id, ended FROM rooms_segment")
    filled = {one for (one,) in whole_site.rows("SELECT segment_id FROM rooms_chunk")}
    assert filled and all(ended for one, ended in segments if one in filled), (segments, filled)
    nothing_kept(page)

    def handed_over() -> bool:
        whole_site.run(
            f"from rooms import jobs, models; jobs.hand_over(models.Room.objects.get(code={code!r}).pk)"
        )
        return whole_site.rows("SELECT state FROM rooms_recording") == [("handed_over",)]

    wait_for(handed_over, within_s=300, every_s=1.0)
    lengths = whole_site.rows("SELECT media_info FROM assessment_answer")
    total_s = sum(json.loads(info)["duration_s"] for (info,) in lengths)
    assert total_s > 2 * (len(before) - 2) - 1  # the last of each segment may be shorter
    assert whole_site.rows("SELECT count(*) FROM rooms_chunk") == [(0,)]
