"""A live interview in real browsers: who does what, in the words that people see."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect

from tests.browser.conftest import PASSWORD

WITHIN_MS = 90_000
"""For whatever takes a browser, a camera or a connection. Two slow cores may stand still for seconds."""
PANEL_ONLY = ("stress_analysis", "real_time_alert", "speech_metrics", "analysis-status", "knock", "note")
PLAYING = "video => !video.paused && video.readyState >= 2 && video.videoWidth > 0 && video.currentTime > 0.3"


@dataclass
class Seat:
    """One person's page, every error in it, and every frame that its sockets received."""

    page: Page
    context: BrowserContext
    errors: list[str] = field(default_factory=list)
    received: list[tuple[str, str | bytes]] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)

    def messages(self, kind: str = "") -> list[dict[str, Any]]:
        """What came over any of the page's sockets, of one type or all."""
        found = [json.loads(text) for _url, text in list(self.received) if isinstance(text, str)]
        return [one for one in found if not kind or one.get("type") == kind]

    def kinds(self) -> set[str]:
        return {str(one.get("type")) for one in self.messages()}


@contextmanager
def seat(browser: Browser, url: str, **options: Any) -> Iterator[Seat]:
    context = browser.new_context(base_url=url, permissions=["camera", "microphone"], **options)
    page = context.new_page()
    made = Seat(page, context)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    page.on("websocket", lambda socket: _listen(made, socket))
    try:
        yield made
    finally:
        context.close()


def _listen(made: Seat, socket: WebSocket) -> None:
    made.sockets.append(socket)
    socket.on("framereceived", lambda payload: made.received.append((socket.url, payload)))


def sign_in(person: Seat, name: str = "interviewer") -> None:
    page = person.page
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.wait_for_url(is_home)


def is_home(address: str) -> bool:
    """Not the page to sign in any more; a pattern such as `**/` would fit that one, too."""
    return urlsplit(address).path == "/"


def new_room(person: Seat, candidate: str = "Sari Wulandari", **wanted: Any) -> tuple[str, str]:
    """A room made over the API by the signed-in interviewer: its code and the candidate's link."""
    body = {
        "title": "Backend engineer",
        "candidate_name": candidate,
        "candidate_country": "ID",
        "language": "en",
        "questions": ["What did you build?", "What went wrong?"],
        **wanted,
    }
    token = next(one["value"] for one in person.context.cookies() if one["name"] == "csrftoken")
    answer = person.page.request.post("/api/rooms/create", data=body, headers={"X-CSRFToken": token})
    assert answer.status == 201, answer.text()
    made = answer.json()
    return made["code"], made["candidate_link"]


def take_seat(person: Seat, code: str) -> None:
    """The interviewer, past the device check."""
    person.page.goto(f"/rooms/{code}/call/")
    until(person.page, "Boolean(document.querySelector('[data-check] video').srcObject?.active)")
    person.page.get_by_role("button", name="Join the interview").click()


def agree(
    person: Seat, link: str, *, scopes: tuple[str, ...] = ("Video call", "Face analysis", "Voice analysis")
) -> None:
    """The candidate, past the consent page; without scopes: "Join without analysis"."""
    person.page.goto(link)
    for scope in scopes:
        person.page.get_by_role("switch", name=scope).check()
    name = "Join with what I chose" if scopes else "Join without analysis"
    person.page.get_by_role("button", name=name).click()
    person.page.wait_for_url("**/call/*/")


def knock(person: Seat) -> None:
    person.page.get_by_role("button", name="I am ready").click()


def let_in(person: Seat, name: str = "Sari") -> None:
    person.page.get_by_role("button", name=f"Let {name} in").click(timeout=WITHIN_MS)


def sees_video(person: Seat, within_ms: int = WITHIN_MS) -> None:
    """The other one's picture plays, large."""
    until(
        person.page,
        f"[...document.querySelectorAll('[data-call] video')].some(video => !video.muted && ({PLAYING})(video))",
        within_ms,
    )


def until(page: Page, script: str, within_ms: int = WITHIN_MS) -> None:
    """Wait until `script` is true; Playwright's own waiting needs eval, which the pages' CSP forbids."""
    for _ in range(within_ms // 250):
        if page.evaluate(script):
            return
        page.wait_for_timeout(250)
    raise AssertionError(f"not within {within_ms} ms: {script}")


def moves(person: Seat, least: int = 3, of: str = "", within_ms: int = 120_000) -> list[dict[str, Any]]:
    """At least so many readings with a stress value reach the interviewer, and one of them from `of`: what is read of
    face and voice begins as soon as its model is there, one before the other."""

    def found() -> list[dict[str, Any]]:
        return [one for one in person.messages("stress_analysis") if one["stress"]]

    soon(
        person.page,
        lambda: len(found()) >= least and any(not of or of in one["sources"] for one in found()),
        within_ms,
    )
    return found()


def soon(page: Page, what: Callable[[], Any], within_ms: int = WITHIN_MS) -> None:
    """Wait until `what()` holds; Playwright takes events in meanwhile."""
    end_s = time.monotonic() + within_ms / 1000
    while not what():
        assert time.monotonic() < end_s, f"not within {within_ms} ms"
        page.wait_for_timeout(100)


def comes_to_rest(
    page: Page, count: Callable[[], Any], for_ms: int = 4_000, within_ms: int = WITHIN_MS
) -> None:
    """What `count()` tells stays as it is for so long. Where something went on, it never would."""

    def rests() -> bool:
        before = count()
        page.wait_for_timeout(for_ms)
        return bool(count() == before)

    soon(page, rests, within_ms)


__all__ = [
    "PANEL_ONLY",
    "Seat",
    "agree",
    "comes_to_rest",
    "expect",
    "knock",
    "let_in",
    "moves",
    "new_room",
    "seat",
    "sees_video",
    "soon",
]
