"""An interview without a pointer: Tab reaches everything, what has the focus is seen, and the focus never gets lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import tour
from tests.browser.furnished import Furniture
from tests.browser.scripted_room import Seat, arrives, heard
from tests.browser.test_accessibility import (
    Open,
    browser,
    candidate_in,
    has,
    interviewer_in,
    open_page,
    signed_in_as,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
__all__ = ["browser", "has", "open_page", "signed_in_as"]

MOST_TABS = 60
SEEN = """() => {
  const focused = document.activeElement;
  const box = focused.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return Boolean(top) && (focused.contains(top) || top.contains(focused));
}"""


def seen(page: Page, where: str) -> None:
    for _try in range(100):  # an alert that gives way takes a moment
        if page.evaluate(SEEN):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"covered: {where}")


def reach(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus; whatever has it on the way has to be in sight."""
    for _press in range(MOST_TABS):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if where.startswith("<body"):  # the round begins anew, past the browser's own buttons
            continue
        seen(page, where)
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"not reached: {selector}")


def focused(page: Page, selector: str) -> None:
    expect(page.locator(selector)).to_be_focused(timeout=tour.WITHIN_MS)


def test_the_interviewers_call(open_page: Open, has: Furniture) -> None:
    page, seat, other = interviewer_in(open_page, viewport={"width": 1280, "height": 800})
    page.goto(f"/rooms/{has['call']}/call/")
    reach(page, "[data-join]")
    page.keyboard.press("Enter")
    focused(page, "#call-main")
    heard(page, seat, "join-room")

    seat.room.to_all({"type": "knock", "peer": tour.STRANGER, "name": "Sari Wulandari", "again": False})
    expect(page.locator("[data-waiting-said]")).to_have_text("Sari Wulandari waits")
    focused(page, "#call-main")  # said, without a grab at the focus
    reach(page, ".stage-waiting .button.primary")
    page.keyboard.press("Enter")
    heard(page, seat, "admit")
    focused(page, "#call-main")
    other(has["call"])
    tour.shown(page.locator(".is-large"))
    tour.measured(seat)

    reach(page, "[data-part=next-question]")
    page.keyboard.press("Enter")
    heard(page, seat, "question")
    seat.send({"type": "question", "number": 1, "t": 200.0})
    expect(page.locator("[data-part=question-place]")).to_contain_text("Q2 of 3")
    focused(page, "[data-part=next-question]")
    reach(page, "#panel-note")
    page.keyboard.type("mvcp is no shortcut here")
    page.keyboard.press("Enter")
    assert heard(page, seat, "note")[0]["text"] == "mvcp is no shortcut here"
    focused(page, "#panel-note")
    reach(page, "[data-control=microphone]")
    page.keyboard.press("Space")
    expect(page.locator("[data-control=microphone]")).to_have_text("Unmute")
    reach(page, "[data-control=camera]")
    page.keyboard.press("Space")
    expect(page.locator("[data-control=camera]")).to_have_text("Camera on")
    reach(page, "[data-control=screen]")
    _chat(page, seat)
    _menu(page)
    reach(page, "[data-part=reset]")
    page.keyboard.press("Enter")
    heard(page, seat, "reset-analysis")
    page.keyboard.press("p")
    focused(page, "[data-part=fold]")  # what had the focus is folded away
    page.keyboard.press("Enter")
    expect(page.locator("[data-panel]")).to_have_attribute("data-folded", "false")
    reach(page, "[data-control=end]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    heard(page, seat, "end")
    page.wait_for_url("**/summary/")


def _chat(page: Page, seat: Seat) -> None:
    reach(page, "[data-control=chat]")
    page.keyboard.press("Enter")
    focused(page, "#chat-text")
    page.keyboard.type("Good morning")
    page.keyboard.press("Enter")
    assert heard(page, seat, "chat")[-1]["text"] == "Good morning"
    page.keyboard.press("Escape")
    focused(page, "[data-control=chat]")


def _menu(page: Page) -> None:
    reach(page, "[data-control=more]")
    page.keyboard.press("Enter")
    focused(page, "[data-control=devices]")
    page.keyboard.press("Enter")
    focused(page, "#pick-microphone")
    page.keyboard.press("Escape")
    focused(page, "[data-control=more]")
    page.keyboard.press("Enter")
    for name in ("pip", "details", "keys"):
        reach(page, f"[data-control={name}]")
    page.keyboard.press("Enter")
    focused(page, "[data-keys-switch]")
    page.keyboard.press("Escape")
    focused(page, "[data-control=more]")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("[data-menu]")).to_be_hidden()  # it closes behind who goes on


def test_the_candidates_call(open_page: Open, has: Furniture) -> None:
    page, seat = candidate_in(open_page, has, viewport={"width": 390, "height": 844})
    agreed = dict.fromkeys(("call", "recording", "face", "voice"), True)
    seat.room.extra.update(state="waiting", consent=agreed)
    reach(page, "[data-lobby-ready]")
    page.keyboard.press("Enter")
    focused(page, "[data-lobby-wait-title]")
    arrives(page, seat)
    seat.room.extra["state"] = "admitted"
    seat.lose(1012)
    focused(page, "#call-main")
    seat.send({"type": "recording-status", "active": True, "wanted": True})
    tour.shown(page.locator("[data-recording-part]"))

    reach(page, "[data-analysis-off]")
    page.keyboard.press("Enter")
    assert heard(page, seat, "consent")[0]["scopes"] == {"face": False, "voice": False}
    focused(page, "[data-analysis-info]")  # the button is gone, the way back is beside it
    seat.send({"type": "consent-changed", "consent": {**agreed, "face": False, "voice": False}})
    expect(page.locator("[data-said]")).to_have_text("Analysis is off. What it had found is deleted.")
    page.keyboard.press("Enter")
    tour.shown(page.locator("[data-choices]"))
    reach(page, "[data-scope=recording]")
    page.keyboard.press("Space")
    assert heard(page, seat, "consent", 2)[1]["scopes"] == {"recording": False}
    page.keyboard.press("Escape")
    focused(page, "[data-analysis-info]")
    _chat(page, seat)
    reach(page, "[data-control=leave]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Leave the interview?")).to_be_visible()
    page.keyboard.press("Escape")
    focused(page, "[data-control=leave]")
    seat.lose(4409)
    focused(page, "[data-over] h1")
    expect(page.locator("[data-over] h1")).to_have_accessible_description(
        "You opened the interview in another window or browser, so it goes on there."
    )
