"""Every page and every state of a call by axe-core (WCAG 2.2, A and AA)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize

from interviewsite import state
from tests.browser import tour
from tests.browser.conftest import CHROMIUM, PASSWORD, LiveSite
from tests.browser.furnished import Furniture, furnished_by
from tests.browser.scripted_room import Seat

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AXE = state.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
ALL_RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
OF_LAYOUT = {
    "type": "rule",
    "values": [
        "color-contrast",
        "target-size",
        "scrollable-region-focusable",
        "button-name",
        "link-name",
        "region",
    ],
}
"""What may differ where the same page is narrow and dark."""
LOOK = """async (runOnly) => {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`));
}"""
# Once what is drawn has its new width, within seconds; `true` where it never fits.
TOO_WIDE = """async () => {
  for (let tries = 0; tries < 50 && document.documentElement.scrollWidth > innerWidth; tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  return document.documentElement.scrollWidth > innerWidth;
}"""
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
AT_400_PERCENT: ViewportSize = {"width": 320, "height": 256}
MEDIA = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)

Open = Callable[..., tuple[BrowserContext, Page]]


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """As the folder's, with a camera and a microphone that the browser makes up."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make setup-dev`")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *MEDIA]
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def has(site: LiveSite) -> Furniture:
    return furnished_by(site.running.log.parent / "var")


@pytest.fixture(scope="module")
def signed_in_as(browser: Browser, site: LiveSite) -> Callable[[str], Any]:
    """The cookies of a browser in which somebody signed in, once each."""
    known: dict[str, Any] = {}

    def sign_in(name: str) -> Any:
        if name not in known:
            with browser.new_context(base_url=site.url) as context:
                page = context.new_page()
                page.goto("/login/")
                page.get_by_label("Username").fill(name)
                page.get_by_label("Password").fill(PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url(f"{site.url}/")
                known[name] = context.storage_state()
        return known[name]

    return sign_in


@pytest.fixture
def open_page(browser: Browser, site: LiveSite, signed_in_as: Callable[[str], Any]) -> Iterator[Open]:
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def opened(user: str = "", language: str = "en", **options: Any) -> tuple[BrowserContext, Page]:
        known = {"storage_state": signed_in_as(user)} if user else {}
        media = ["camera", "microphone"]
        context = browser.new_context(base_url=site.url, permissions=media, **known, **options)
        contexts.append(context)
        context.add_init_script(path=AXE)
        context.add_cookies([{"name": "django_language", "value": language, "url": site.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return context, page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def problems(page: Page, walk: tour.Walk) -> dict[str, list[str]]:
    """What axe-core finds wherever the walk stops: on a laptop in light colours, on a phone in dark ones."""
    found: dict[str, list[str]] = {}
    for name in walk:
        for size, scheme, rules in ((WIDE, "light", ALL_RULES), (PHONE, "dark", OF_LAYOUT)):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            if wrong := page.evaluate(LOOK, rules):
                found[f"{name}, {size['width']} px, {scheme}"] = wrong
        page.set_viewport_size(AT_400_PERCENT)
        if page.evaluate(TOO_WIDE):
            found[f"{name}, 320 px"] = ["wider than the window"]
    return found


def candidate_in(open_page: Open, has: Furniture, **options: Any) -> tuple[Page, Seat]:
    """In the lobby of a scripted room, with everything agreed to."""
    context, page = open_page(**options)
    seat = tour.scripted_room().seat(context, "Sari Wulandari", "candidate")
    for _name in tour.candidate_pages(page, has):
        pass
    return page, seat


def interviewer_in(open_page: Open, **options: Any) -> tuple[Page, Seat, Callable[[str], None]]:
    context, page = open_page("interviewer", **options)
    # The scripted room ends the interview; where it is slow the page would ask the site, which others still need.
    context.route("**/rooms/*/end/", lambda route: route.fulfill(body="ended"))
    seat = tour.scripted_room().seat(context, "Iva", "interviewer")

    def other(code: str) -> None:
        there, theirs = open_page("interviewer")
        seat.room.seat(there, "Sari Wulandari", "candidate")
        theirs.goto(f"/rooms/{code}/call/")
        theirs.get_by_role("button", name="Join the interview").click()

    return page, seat, other


# -- axe-core -----------------------------------------------------------------------------------


def test_the_interviewers_pages(open_page: Open, has: Furniture) -> None:
    _context, page = open_page("interviewer")
    assert problems(page, tour.interviewer_pages(page, has)) == {}


def test_empty_lists(open_page: Open, has: Furniture) -> None:
    _context, page = open_page("newcomer")
    assert problems(page, tour.empty_pages(page)) == {}


def test_the_candidates_pages(open_page: Open, has: Furniture, site: LiveSite) -> None:
    context, page = open_page()
    tour.key_of(context, site.url, has["ended"], has["ended_key"])
    assert problems(page, tour.candidate_pages(page, has)) == {}


def test_the_candidates_call(open_page: Open, has: Furniture) -> None:
    page, seat = candidate_in(open_page, has)
    assert problems(page, tour.candidate_call(page, seat, has)) == {}


def test_the_interviewers_call(open_page: Open, has: Furniture) -> None:
    page, seat, other = interviewer_in(open_page)
    assert problems(page, tour.interviewer_call(page, seat, lambda: other(has["call"]), has)) == {}
