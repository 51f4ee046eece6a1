"""A real site and a real browser, one of each for the tests of a file."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser.fake_devices import CHROMIUM
from tests.interviewsite.processes import Running, clean_environment, free_port, running
from tests.media_factory import make_speech, make_video

PASSWORD = "a long enough password"
UP_WITHIN_S = 180.0
DOWN_WITHIN_S = 60.0
RESETS = 3
"""Playwright's own requests keep their connections: one may meet a server that is just closing an idle one."""
SEEN_WITHIN_MS = 30_000
"""Playwright's own 5 s are less than a machine with other work may stand still."""
expect.set_options(timeout=SEEN_WITHIN_MS)


@dataclass(frozen=True)
class LiveSite:
    url: str
    running: Running


@pytest.fixture(scope="module")  # what one file leaves in its lists is none of another's
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """`manage.py serve` on a state folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    environment = clean_environment(VAR_DIR=str(folder / "var"), INITIAL_PASSWORD=PASSWORD)
    with running(["serve", "--port", str(port)], folder / "serve.log", environment) as process:
        url = f"http://127.0.0.1:{port}"
        comes_up(process, url)
        yield LiveSite(url, process)
        process.stop(within_s=DOWN_WITHIN_S)


def comes_up(process: Running, url: str) -> None:
    """Until the site answers, which after half a minute it no longer waits for before it says that it is there."""
    until = time.monotonic() + UP_WITHIN_S
    while not _answers(url):
        assert time.monotonic() < until, process.output()[-4000:]
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/login/", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")  # Playwright's event loop must be gone before other tests use the database
def playwright() -> Iterator[Playwright]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-background-networking"]
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
    yield opened
    opened.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def signed_in(browser: Browser, site: LiveSite) -> Iterator[OpenPage]:
    """Opens a page of a browser that is signed in as the interviewer; any error in it fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(**options: object) -> Page:
        context = browser.new_context(base_url=site.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/login/")
        page.get_by_label("Username").fill("interviewer")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{site.url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def spoken_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face and a few seconds of English."""
    folder = tmp_path_factory.mktemp("spoken")
    text = "I planned the project with my team, and we finished it two weeks early."
    speech = make_speech(text, folder / "speech.wav", voice="en-us")
    return make_video(folder / "answer.mp4", fps=15, size=(320, 240), speech=speech)
