"""Live interviews driven by people in real browsers: the interviewer in one, the candidate in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import RESETS, LiveSite
from tests.browser.fake_devices import make_person, person_browser
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
)
from tests.interviewsite.processes import command_line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Sit = Callable[..., Seat]


@pytest.fixture(scope="module")
def host_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    person = make_person(tmp_path_factory.mktemp("host"), "videoretalking__3.mp4")
    with person_browser(playwright, person) as browser:
        yield browser


@pytest.fixture(scope="module")
def candidate_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    person = make_person(tmp_path_factory.mktemp("candidate"), "SadTalker__WDA_KatieHill_000.mp4")
    with person_browser(playwright, person) as browser:
        yield browser


@pytest.fixture
def sit(host_browser: Browser, candidate_browser: Browser, site: LiveSite) -> Iterator[Sit]:
    """Seats people in browser profiles of their own; an error in any of their pages fails the test."""
    opened: list[tuple[Any, Seat]] = []

    def open_seat(who: str, **options: Any) -> Seat:
        browser = host_browser if who == "host" else candidate_browser
        manager = seat(browser, site.url, **options)
        person = manager.__enter__()
        opened.append((manager, person))
        if who == "host":
            sign_in(person)
        return person

    yield open_seat
    errors = [error for _manager, person in opened for error in person.errors]
    for manager, _person in reversed(opened):
        manager.__exit__(None, None, None)
    assert errors == []


def call(sit: Sit, *scopes: str, **wanted: Any) -> tuple[Seat, Seat, str]:
    """Both in the call, seeing each other."""
    host, candidate = sit("host"), sit("candidate")
    code, link = new_room(host, **wanted)
    take_seat(host, code)
    agree(candidate, link, scopes=scopes)
    knock(candidate)
    let_in(host)
    sees_video(candidate)
    sees_video(host)
    return host, candidate, code


ALL = ("Video call", "Face analysis", "Voice analysis")


def test_they_talk_and_only_the_interviewer_sees_indicators(sit: Sit) -> None:
    other = sit("host")
    other_code, _link = new_room(other, candidate="Budi")
    take_seat(other, other_code)
    host, candidate, _code = call(sit, *ALL)
    moves(host, 8, of="face")
    readings = moves(host, 8, of="voice")

    for reading in readings:
        shares = reading["stress"]["probabilities"]
        assert abs(sum(shares.values()) - 1) < 0.01
        assert reading["face"]["count"] == 1 or "face" not in reading["sources"]
    assert any("voice" in reading["sources"] for reading in readings)
    assert [one["t"] for one in readings] == sorted(one["t"] for one in readings)
    expect(host.page.locator("#panel")).to_contain_text("% sure")
    expect(candidate.page.get_by_text("Analysis on")).to_be_visible()

    for _url, payload in candidate.received:
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        assert not any(f'"{kind}"' in text for kind in PANEL_ONLY), text[:200]
        assert "probabilities" not in text
    assert other.kinds() <= {"welcome", "pong", "media-state", "analysis-status", "recording-status"}
    page = candidate.page.content()
    assert "sure" not in page.partition("<script")[0]


def test_a_reload_brings_the_same_candidate_straight_back(sit: Sit) -> None:
    host, candidate, _code = call(sit, *ALL)
    before, knocks = candidate.messages("welcome")[-1]["you"], len(host.messages("knock"))
    moves(host, 2)
    candidate.page.reload()
    sees_video(candidate)
    assert candidate.messages("welcome")[-1]["you"] == before
    assert len(host.messages("knock")) == knocks
    read = len(host.messages("stress_analysis"))
    moves(host, read + 3)
    sees_video(host)


def test_another_browser_knocks_and_puts_the_first_out(sit: Sit) -> None:
    host, first, _code = call(sit)
    second = sit("candidate")
    address = host.page.locator("#candidate-link").get_attribute("value") or ""
    agree(second, address, scopes=())
    knock(second)
    expect(host.page.get_by_text("Another browser").first).to_be_visible(timeout=WITHIN_MS)
    let_in(host)
    sees_video(second)
    expect(first.page.get_by_role("heading", name="The call is closed here")).to_be_visible(timeout=WITHIN_MS)


def test_taking_consent_back_stops_the_analysis_and_says_no_reason(sit: Sit) -> None:
    host, candidate, code = call(sit, *ALL)
    moves(host, 3)
    candidate.page.get_by_role("button", name="Turn off the analysis").click()
    expect(host.page.locator("#panel").get_by_text("Analysis off").first).to_be_visible()
    comes_to_rest(host.page, lambda: len(host.messages("stress_analysis")))
    summary = host.page.request.get(f"/api/rooms/{code}/summary", max_retries=RESETS).json()
    assert summary["timeline"] == []
    assert summary["alerts"] == []
    last = host.messages("analysis-status")[-1]
    assert last["state"] == "off"
    assert "reason" not in last
    sees_video(host)


def test_declining_leaves_the_interview_as_it_is(sit: Sit) -> None:
    host, candidate, _code = call(sit)
    expect(candidate.page.get_by_text("Analysis off")).to_be_visible()
    host.page.wait_for_timeout(4_000)
    assert host.messages("stress_analysis") == []
    assert not any("/analysis/" in socket.url for socket in candidate.sockets)
    expect(host.page.locator("#panel").get_by_text("Analysis off").first).to_be_visible()


def test_where_the_law_forbids_it_nothing_about_emotion_is_inferred(sit: Sit) -> None:
    host, _candidate, code = call(sit, *ALL, candidate_country="DE")

    def faces() -> int:
        return sum(one["face"]["count"] == 1 for one in host.messages("stress_analysis"))

    soon(host.page, lambda: faces() >= 3)
    for reading in host.messages("stress_analysis"):
        assert (reading["stress"], reading["confidence"], reading["voice_confidence"]) == (None, None, None)
    expect(host.page.locator("#panel")).to_contain_text("law")
    assert host.page.request.get(f"/api/rooms/{code}/summary", max_retries=RESETS).json()["stress"] is None


def test_the_call_goes_on_while_the_server_is_started_again(sit: Sit, site: LiveSite) -> None:
    host, candidate, _code = call(sit, *ALL)
    moves(host, 2)
    knocks = len(host.messages("knock"))
    web = next(one for one in site.running.family() if "serving.web" in command_line(one))
    web.kill()
    sees_video(host)
    for person in (host, candidate):
        soon(person.page, lambda person=person: len(person.messages("welcome")) >= 2)
    sees_video(candidate)
    moves(host, len(host.messages("stress_analysis")) + 3)
    assert len(host.messages("knock")) == knocks


def test_what_the_candidate_says_as_an_interviewer_changes_nothing(sit: Sit) -> None:
    host, candidate, code = call(sit, *ALL)
    moves(host, 2)
    candidate.page.evaluate(
        """(code) => new Promise((done) => {
          const socket = new WebSocket(`ws://${location.host}/ws/rooms/${code}/?as=candidate`);
          socket.onmessage = ({ data }) => { if (JSON.parse(data).type === "error") { socket.close(); done(data); } };
          socket.onopen = () => { for (const type of ["admit", "note", "question", "reset-analysis"])
            socket.send(JSON.stringify({ type, peer: "0".repeat(32), text: "mine", number: 0 })); };
        })""",
        code,
    )
    assert host.messages("note") == []
    assert host.messages("analysis-reset") == []


def test_a_recorded_interview_becomes_an_assessment(sit: Sit) -> None:
    host, candidate, _code = call(sit, "Video call", "Recording", recording=True)
    page = host.page
    expect(page.locator("[data-recording]")).to_have_text("Recording", timeout=WITHIN_MS)
    page.wait_for_timeout(2_000)
    page.get_by_role("button", name="Start question 1").click()
    page.wait_for_timeout(9_000)
    page.get_by_role("button", name="Next").first.click()
    page.wait_for_timeout(9_000)
    expect(page.get_by_text("Recording", exact=True).first).to_be_visible()
    page.get_by_role("button", name="End", exact=True).click()
    page.get_by_role("button", name="End for everyone").click()
    page.wait_for_url("**/summary/", timeout=WITHIN_MS)
    candidate.page.wait_for_url("**/left/**", timeout=WITHIN_MS)

    link = page.get_by_role("link", name="Open the assessment")
    for _ in range(60):
        if link.count():
            break
        page.wait_for_timeout(2_000)
        page.reload()
    link.click()
    expect(page.locator(".sentence, .stepper").first).to_be_visible()
    expect(page.locator(".sentence")).to_be_visible(timeout=480_000)
    assert "project" in " ".join(page.locator(".transcript").all_inner_texts())
    results = page.request.get(
        page.url.replace("/assessments/", "/results/").rstrip("/"), max_retries=RESETS
    ).json()
    questions = [answer["question"] for answer in results["content"]]
    assert questions[-2:] == ["What did you build?", "What went wrong?"]
    assert all(answer["status"] == "completed" for answer in results["content"][-2:])


def test_on_a_phone_nothing_sticks_out(sit: Sit, tmp_path: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    host, candidate = sit("host"), sit("candidate", **phone)
    code, link = new_room(host)
    take_seat(host, code)
    candidate.page.goto(link)
    assert fits(candidate)
    agree(candidate, link, scopes=ALL)
    assert fits(candidate)
    knock(candidate)
    let_in(host)
    sees_video(candidate)
    assert fits(candidate)
    leave = candidate.page.get_by_role("button", name="Leave").bounding_box()
    assert leave is not None
    assert leave["y"] + leave["height"] <= 844


def fits(person: Seat) -> bool:
    return bool(person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
