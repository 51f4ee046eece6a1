"""Every page of the site and every state of the two call pages, one after another, as a person gets there.

Each walk yields the name of what is shown; the test looks at it before the walk goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser import panel_script
from tests.browser.furnished import QUESTIONS, Furniture
from tests.browser.scripted_room import ScriptedRoom, Seat, arrives, heard

STRANGER = "a" * 32
Walk = Iterator[str]
WITHIN_MS = 30_000


def shown(place: Locator) -> None:
    expect(place).to_be_visible(timeout=WITHIN_MS)


def interviewer_pages(page: Page, has: Furniture) -> Walk:
    for name, address in {
        "rooms": "/rooms/",
        "rooms, nothing found": "/rooms/?q=nobody",
        "room": f"/rooms/{has['call']}/",
        "room, link withdrawn": f"/rooms/{has['withdrawn']}/",
        "room, ended": f"/rooms/{has['ended']}/",
        "summary": f"/rooms/{has['ended']}/summary/",
        "summary before the end": f"/rooms/{has['call']}/summary/",
        "assessments": "/",
        "hand in": "/assessments/new/",
        "status": f"/assessments/{has['under_way']}/",
        "results": f"/assessments/{has['results']}/",
        "review": f"/assessments/{has['results']}/review/",
        "nothing here": "/rooms/none-such-ro-om/",
    }.items():
        page.goto(address)
        yield name
    page.goto(f"/rooms/{has['ended']}/summary/")
    for summary in page.locator("main summary").all():
        summary.click()
    yield "summary, all open"
    page.goto("/rooms/new/")
    yield "new room"
    page.locator("#new-room .send .button").click()
    shown(page.locator(".has-error").first)
    yield "new room, with errors"


def empty_pages(page: Page) -> Walk:
    for address in ("/", "/rooms/"):
        page.goto(address)
        shown(page.locator(".empty"))
        yield f"{address}, empty"


def candidate_pages(page: Page, has: Furniture) -> Walk:
    for name, address in {
        "sign in": "/login/",
        "declined": f"/join/{has['link']}?decline=1",
        "link expired": f"/join/{has['expired_link']}",
        "link unknown": "/join/none",
        "left, ended": f"/call/{has['ended']}/left/",
        "consent": f"/join/{has['link']}",
    }.items():
        page.goto(address)
        yield name
    page.locator("#scope-face").check()
    page.locator("button[value=chosen]").click()
    shown(page.locator(".has-error"))
    yield "consent, with an error"
    page.locator("#scope-call").check()
    page.locator("#scope-voice").check()
    page.locator("#scope-recording").check()
    page.locator("button[value=chosen]").click()
    page.wait_for_url("**/call/*/")
    expect(page.locator("[data-lobby-ready]")).to_be_enabled(timeout=WITHIN_MS)
    yield "lobby"


def candidate_call(page: Page, seat: Seat, has: Furniture) -> Walk:
    """From the lobby on; `seat` is the candidate's in a scripted room that does not let them in at once."""
    room = seat.room
    room.extra["state"] = "waiting"
    page.goto(f"/call/{has['call']}/")
    page.locator("[data-lobby-ready]").click()
    shown(page.locator("[data-lobby-wait]"))
    arrives(page, seat)
    yield "waiting"
    room.extra.update(state="admitted", consent=dict.fromkeys(("call", "recording", "face", "voice"), True))
    seat.lose(1012)
    shown(page.locator("[data-call]"))
    yield "call, alone"
    seat.send({"type": "recording-status", "active": True, "wanted": True})
    shown(page.locator("[data-recording-part]"))
    yield "call, recorded"
    page.locator("[data-analysis-info]").click()
    yield "call, choices"
    page.keyboard.press("Escape")
    yield from _in_the_bar(page, seat)
    page.locator("[data-control=leave]").click()
    yield "call, leaving"
    page.keyboard.press("Escape")
    seat.lose(4409)
    shown(page.locator("[data-over]"))
    yield "call, closed here"


def interviewer_call(page: Page, seat: Seat, other: Any, has: Furniture) -> Walk:
    """`other()` brings the candidate into the same scripted room, and gives their seat."""
    room = seat.room
    page.goto(f"/rooms/{has['call']}/call/")
    expect(page.locator("[data-check-pick=camera] option")).not_to_have_count(0, timeout=WITHIN_MS)
    yield "interviewer's check"
    page.locator("[data-join]").click()
    shown(page.locator("[data-call]"))
    heard(page, seat, "join-room")
    show_panel(page)
    yield "interview, alone"
    room.to_all({"type": "knock", "peer": STRANGER, "name": "Sari Wulandari", "again": True})
    shown(page.locator("[data-waiting]"))
    yield "interview, somebody knocks"
    room.to_all({"type": "knock-ended", "peer": STRANGER})
    other()
    shown(page.locator(".is-large"))
    measured(seat)
    yield "interview, panel"
    for summary in page.locator("#panel summary").all():
        if summary.is_visible():
            summary.click()
    yield "interview, panel with all open"
    for summary in page.locator("#panel summary").all():
        if summary.is_visible():
            summary.click()
    page.locator("[data-part=fold]").click()
    yield "interview, panel folded"
    yield from _in_the_bar(page, seat)
    page.locator("[data-control=end]").click()
    yield "interview, ending"
    page.keyboard.press("Escape")
    seat.lose(4410)
    shown(page.locator("[data-over]"))
    yield "interview, closed"


def _in_the_bar(page: Page, seat: Seat) -> Walk:
    seat.send({"type": "chat", "from": "b" * 32, "name": "Ayu", "text": "Good morning", "t": 61.0, "id": 901})
    page.locator("[data-control=chat]").click()
    yield "chat"
    page.keyboard.press("Escape")
    page.locator("[data-control=more]").click()
    yield "menu"
    page.keyboard.press("Escape")
    for name in ("devices", "keys", "details"):
        page.locator("[data-control=more]").click()
        item = page.locator(f"[data-control={name}]")
        if not item.is_visible():  # shortcuts, where there are no keys
            page.keyboard.press("Escape")
            continue
        item.click()
        shown(page.locator("dialog[open]"))
        yield name
        page.keyboard.press("Escape")


def show_panel(page: Page) -> None:
    fold = page.locator("[data-part=fold]")
    if fold.get_attribute("aria-expanded") == "false":
        fold.click()


def measured(seat: Seat) -> None:
    """Three minutes of an interview: readings, speech, an alert, a question, notes."""
    seat.send({"type": "analysis-status", "state": "on", "face": True, "voice": True, "emotion": True,
               "dropped": 0, "latency_ms": 210})  # fmt: skip
    for message in panel_script.course(180):
        seat.send(message)
    suggestion = {"code": "pause", "text": "Pause for a moment, and offer water."}
    seat.send(panel_script.reading(181.0, recommendation=suggestion))
    seat.send(panel_script.metrics(181.0))
    seat.send({"type": "question", "number": 0, "t": 20.0})
    seat.send(
        {"type": "note", "id": 7, "t": 64.0, "text": "Clear example, names her own part.", "author": "Iva"}
    )
    seat.send(panel_script.alert(5, 181.0, "important"))


def scripted_room() -> ScriptedRoom:
    return ScriptedRoom(questions=list(QUESTIONS), status="live")


def key_of(context: BrowserContext, url: str, code: str, key: str) -> None:
    """Make the browser the one that the candidate used."""
    context.add_cookies([{"name": f"candidate-{code}", "value": key, "url": url}])
