"""A live interview with Firefox on one side and Chromium on the other: both ways round, and what Firefox does its own
way (its question about devices, one microphone at a time, its recorder, its audio clock)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import RESETS, LiveSite
from tests.browser.fake_devices import Person, make_person, person_browser
from tests.browser.firefox import (
    ASKED,
    FIREFOX,
    PATIENCE_MS,
    REFUSED,
    SECOND_DEVICES,
    FirefoxSeat,
    face_and_voice,
    firefox_browser,
    firefox_seat,
)
from tests.browser.live_room import (
    PANEL_ONLY,
    WITHIN_MS,
    Seat,
    agree,
    comes_to_rest,
    knock,
    let_in,
    moves,
    new_room,
    seat,
    sees_video,
    sign_in,
    soon,
    take_seat,
    until,
)
from tests.media_factory import portrait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ANALYSED = ("Video call", "Face analysis", "Voice analysis")
TONE_HZ, TONE_ROUNDING = 1000, 10
"""What Firefox's own microphone hears; and the most that rounding to 16 bits bends three samples of it."""

# How far each sample of the sound is from where its two neighbours put it, on a pure tone: x[n+1] = 2 cos(w) x[n] -
# x[n-1]. A sample that is missing, or there twice, stands out by hundreds. The filter's beginning is left out.
SOUND_SENT = f"""(() => {{
  const turn = 2 * Math.cos((2 * Math.PI * {TONE_HZ}) / 16000);
  const bent = soundSent.map((x, n, all) => Math.abs((all[n + 1] ?? 0) - turn * x + (all[n - 1] ?? 0))).slice(400, -1);
  const clock = audioContexts.at(-1).currentTime;
  const rate = audioContexts.at(-1).sampleRate;
  return {{ samples: soundSent.length, clock, rate, worst: Math.max(...bent), loudest: Math.max(...soundSent) }};
}})()"""
BEHIND = "audioContexts.at(-1).currentTime - soundSent.length / 16000"
"""Seconds of sound that were heard and not sent: those before the analysis began, and what waits in a busy page."""
SENT = "[soundSent.length, picturesSent.length]"

OpenFirefox = Callable[..., FirefoxSeat]
OpenChromium = Callable[[], Seat]


@pytest.fixture(scope="module", autouse=True)
def _firefox() -> None:
    if not FIREFOX.exists():
        pytest.skip(f"{FIREFOX} is not installed")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return make_person(tmp_path_factory.mktemp("person"), "SadTalker__WDA_KatieHill_000.mp4")


@pytest.fixture
def face(tmp_path: Path) -> Path:
    Image.fromarray(portrait(640, 480)).save(tmp_path / "face.jpg")
    return tmp_path / "face.jpg"


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, person: Person) -> Iterator[Browser]:
    with person_browser(playwright, person) as browser:
        yield browser


@pytest.fixture(scope="module")
def firefox(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with firefox_browser(playwright, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser


@pytest.fixture
def in_firefox(firefox: Browser, site: LiveSite) -> Iterator[OpenFirefox]:
    """Seats somebody in Firefox, with scripts that run before the page's; an error in a page fails the test."""
    with ExitStack() as stack:
        people: list[FirefoxSeat] = []

        def open_seat(*scripts: str, browser: Browser = firefox) -> FirefoxSeat:
            people.append(stack.enter_context(firefox_seat(browser, site.url, *scripts)))
            return people[-1]

        yield open_seat
    assert [error for one in people for error in one.errors] == []


@pytest.fixture
def in_chromium(chromium: Browser, site: LiveSite) -> Iterator[OpenChromium]:
    with ExitStack() as stack:
        people: list[Seat] = []

        def open_seat() -> Seat:
            people.append(stack.enter_context(seat(chromium, site.url)))
            people[-1].page.set_default_timeout(PATIENCE_MS)
            return people[-1]

        yield open_seat
    assert [error for one in people for error in one.errors] == []


def call(host: Seat, candidate: Seat, *scopes: str, recording: bool = False) -> str:
    """Both in the call, seeing each other; the room's code."""
    sign_in(host)
    code, link = new_room(host, recording=recording)
    take_seat(host, code)
    agree(candidate, link, scopes=scopes)
    knock(candidate)
    let_in(host)
    sees_video(candidate)
    sees_video(host)
    return code


def says(person: Seat, kind: str, within_ms: int = WITHIN_MS, **values: object) -> None:
    """The last message of a kind that this person received has these values."""
    for _ in range(within_ms // 250):
        last = person.messages(kind)[-1:]
        if last and values.items() <= last[0].items():
            return
        person.page.wait_for_timeout(250)
    raise AssertionError(f"{values} not within {within_ms} ms: {person.messages(kind)[-1:]}")


def least_behind(person: Seat) -> float:
    """Of several looks, so that one in which the page had not sent yet what it had does not count."""
    found = []
    for _ in range(16):
        found.append(float(person.page.evaluate(BEHIND)))
        person.page.wait_for_timeout(150)
    return min(found)


def press(person: Seat, name: str) -> None:
    person.page.get_by_role("button", name=name, exact=True).click()


def test_a_candidate_in_firefox_sends_a_picture_a_second_and_every_sample(
    in_chromium: OpenChromium, in_firefox: OpenFirefox
) -> None:
    host, candidate = in_chromium(), in_firefox()
    sign_in(host)
    code, link = new_room(host)
    take_seat(host, code)
    agree(candidate, link, scopes=ANALYSED)
    until(
        candidate.page,
        "/scaleX\\(0\\.[1-9]/.test(document.querySelector('[data-lobby-level]').style.transform)",
    )
    knock(candidate)
    let_in(host)
    sees_video(candidate)
    sees_video(host)
    says(host, "capture-status", face=True, voice=True)
    says(host, "stress_analysis", sources=[])  # the test picture has no face, and a tone is no voice

    until(candidate.page, "soundSent.length > 16000")
    # Compared with the clock of the sound itself: the one of a machine without a sound card runs a little slow.
    before, behind_s = candidate.page.evaluate(SOUND_SENT), least_behind(candidate)
    until(candidate.page, f"audioContexts.at(-1).currentTime > {before['clock'] + 5}")
    soon(candidate.page, lambda: abs(least_behind(candidate) - behind_s) < 0.75)
    after = candidate.page.evaluate(SOUND_SENT)
    assert after["samples"] > before["samples"] + 16_000
    assert after["loudest"] > 1_000
    assert after["worst"] < TONE_ROUNDING, after
    until(candidate.page, "picturesSent.length > 5")
    times_ms = candidate.page.evaluate("picturesSent")
    # A page that stood still sends the one that was due and the next one together.
    assert len(times_ms) <= 4 + (times_ms[-1] - times_ms[0]) / 900
    soon(candidate.page, lambda: len(candidate.pictures) >= len(times_ms))
    with Image.open(io.BytesIO(candidate.pictures[-1])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (480, 360))
    assert not candidate.kinds() & set(PANEL_ONLY)
    assert "probabilities" not in str(candidate.received)

    press(candidate, "Mute")
    says(host, "media-state", microphone=False)
    says(host, "capture-status", face=True, voice=False)
    press(candidate, "Camera off")
    says(host, "media-state", camera=False)
    says(host, "capture-status", face=False, voice=False)
    press(candidate, "Unmute")
    press(candidate, "Camera on")
    says(host, "capture-status", face=True, voice=True)
    sees_video(host)


def test_firefox_opens_another_device_once_the_old_one_is_closed_and_a_reload_and_a_withdrawal_are_as_anywhere(
    in_chromium: OpenChromium, in_firefox: OpenFirefox
) -> None:
    host, candidate = in_chromium(), in_firefox(SECOND_DEVICES)
    call(host, candidate, *ANALYSED)
    says(host, "capture-status", face=True, voice=True)
    page, knocks = candidate.page, len(host.messages("knock"))
    for kind, heard in (("microphone", "audio"), ("camera", "video")):
        press(candidate, "More")
        page.locator("[data-control=devices]").click()
        page.locator(f"[data-pick={kind}]").select_option(label=f"Second {heard}input")
        until(page, f"askedFor.at(-1).kinds.join() === '{heard}'")
        assert heard not in page.evaluate("askedFor.at(-1).running")
        expect(page.locator(f"[data-pick={kind}] option:checked")).to_have_text(f"Second {heard}input")
        press(candidate, "Done")
    sent = page.evaluate("soundSent.length")
    until(page, f"soundSent.length > {sent + 8_000}")
    says(host, "capture-status", face=True, voice=True)
    sees_video(host)

    before = candidate.messages("welcome")[-1]["you"]
    page.reload()
    sees_video(candidate)
    sees_video(host)
    assert candidate.messages("welcome")[-1]["you"] == before
    assert len(host.messages("knock")) == knocks
    says(host, "capture-status", face=True, voice=True)

    press(candidate, "Turn off the analysis")
    says(host, "analysis-status", state="off")
    comes_to_rest(page, lambda: page.evaluate(SENT))
    sees_video(host)


def test_what_firefox_records_becomes_an_assessment(
    in_chromium: OpenChromium, in_firefox: OpenFirefox, person: Person, face: Path
) -> None:
    host = in_chromium()
    candidate = in_firefox(face_and_voice(face, person.microphone))
    call(host, candidate, *ANALYSED, "Recording", recording=True)
    says(host, "recording-status", active=True)
    press(host, "Start question 1")
    readings = moves(host, 3, of="face")
    assert any(reading["face"]["count"] == 1 for reading in readings)
    host.page.wait_for_timeout(6_000)
    press(host, "End")
    press(host, "End for everyone")
    candidate.page.wait_for_url("**/left/**", timeout=WITHIN_MS)
    link = host.page.get_by_role("link", name="Open the assessment")
    host.page.wait_for_url("**/summary/", timeout=WITHIN_MS)
    for _ in range(180):
        if link.count():
            break
        host.page.wait_for_timeout(1_000)
        host.page.reload()
    link.click()
    host.page.wait_for_url("**/assessments/*/")
    session = host.page.url.rstrip("/").rpartition("/")[2]
    for _ in range(400):
        status = host.page.request.get(f"/status/{session}", max_retries=RESETS).json()
        read = {one["name"]: one["status"] for one in status["answers"][-1]["stages"]}
        if read.get("watch") == read.get("transcribe") == "completed" or status["status"] == "error":
            break
        host.page.wait_for_timeout(1_000)
    assert read["watch"] == read["transcribe"] == "completed", status


def test_an_interviewer_in_firefox_sees_the_panel_move_and_ends_the_interview(
    in_chromium: OpenChromium, in_firefox: OpenFirefox
) -> None:
    host, candidate = in_firefox(), in_chromium()
    call(host, candidate, *ANALYSED)
    readings = moves(host, 4, of="face")
    assert any(reading["face"]["count"] == 1 for reading in readings)
    panel = host.page.locator("#panel")
    expect(panel).to_contain_text("% sure")
    until(host.page, f"({DRAWN})()")
    press(host, "Start question 1")
    expect(panel).to_contain_text("Q1 of 2")
    host.page.get_by_placeholder("Write a note").fill("A good example")
    host.page.get_by_placeholder("Write a note").press("Enter")
    expect(panel.get_by_text("A good example")).to_be_visible()
    press(host, "End")
    press(host, "End for everyone")
    host.page.wait_for_url("**/summary/", timeout=WITHIN_MS)
    candidate.page.wait_for_url("**/left/**", timeout=WITHIN_MS)
    expect(host.page.get_by_text("A good example").last).to_be_visible()
    expect(host.page.get_by_role("heading", name="Over time")).to_be_visible()


# Some of the chart's canvas is dark: its line, and not only the pale bands behind it.
DRAWN = """() => [...document.querySelectorAll("#panel canvas")].some((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((_value, at) => at % 4 === 0 && data[at + 3] > 200 && data[at] + data[at + 1] + data[at + 2] < 150);
})"""


def test_a_candidate_whom_firefox_refuses_the_devices_is_told_what_to_do_and_goes_on(
    playwright: Playwright, in_chromium: OpenChromium, in_firefox: OpenFirefox, tmp_path: Path
) -> None:
    with firefox_browser(playwright, tmp_path, **REFUSED) as refusing:
        host, candidate = in_chromium(), in_firefox(browser=refusing)
        sign_in(host)
        code, link = new_room(host)
        take_seat(host, code)
        agree(candidate, link, scopes=ANALYSED)
        trouble = candidate.page.get_by_role("status")
        expect(trouble.get_by_text("does not let this page use the camera")).to_be_visible(timeout=WITHIN_MS)
        expect(trouble.get_by_text("does not let this page use the microphone")).to_be_visible()
        knock(candidate)
        let_in(host)
        sees_video(candidate)
        says(host, "media-state", microphone=False, camera=False)
        press(candidate, "Camera on")
        toast = candidate.page.locator(".toast-text")
        expect(toast.filter(has_text="does not let this page use the camera")).to_be_visible()
        candidate.page.context.close()


def test_a_question_of_the_browser_that_nobody_answers_keeps_nobody_out(
    in_chromium: OpenChromium, in_firefox: OpenFirefox
) -> None:
    """Firefox puts its question away at a click beside it, and the page hears nothing of it."""
    host, candidate = in_chromium(), in_firefox(ASKED)
    sign_in(host)
    code, link = new_room(host)
    take_seat(host, code)
    agree(candidate, link, scopes=ANALYSED)
    asked = candidate.page.get_by_text("asks whether this page may use the camera")
    expect(asked).to_be_visible(timeout=WITHIN_MS)
    knock(candidate)
    let_in(host)
    sees_video(candidate)
    candidate.page.evaluate("allowDevices()")
    says(host, "media-state", microphone=True, camera=True)
    sees_video(host)

    candidate.page.reload()
    sees_video(candidate)
    expect(asked).to_be_visible(timeout=WITHIN_MS)
    candidate.page.evaluate("allowDevices()")
    says(host, "media-state", microphone=True, camera=True)
    sees_video(host)
