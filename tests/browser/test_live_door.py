"""The moment in which somebody comes back into a call, and what may happen in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.conftest import LiveSite
from tests.browser.fake_devices import make_person, person_browser
from tests.browser.firefox import ASKED
from tests.browser.live_room import (
    WITHIN_MS,
    agree,
    knock,
    let_in,
    new_room,
    seat,
    sees_video,
    sign_in,
    take_seat,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# The question is answered when the socket is being opened, which takes its time.
ANSWERED_MEANWHILE = """(() => {
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given);
      allowDevices();
    }
    addEventListener(type, handler) {
      super.addEventListener(type, type === "message" ? (event) => setTimeout(handler, 1500, event) : handler);
    }
  };
})()"""
STATES = (
    "(document.querySelector('[data-tile=self] video')?.srcObject?.getTracks() ?? [])"
    ".map((one) => one.readyState).join()"
)


def test_devices_that_are_given_while_the_socket_opens_are_used(
    playwright: Playwright, site: LiveSite, tmp_path: Path
) -> None:
    person = make_person(tmp_path)
    with (
        person_browser(playwright, person) as browser,
        seat(browser, site.url) as host,
        seat(browser, site.url) as candidate,
    ):
        sign_in(host)
        code, link = new_room(host)
        take_seat(host, code)
        agree(candidate, link, scopes=())
        knock(candidate)
        let_in(host)
        sees_video(host)
        candidate.page.add_init_script(ASKED + ";" + ANSWERED_MEANWHILE)
        candidate.page.reload()
        candidate.page.wait_for_selector("[data-call]", state="visible", timeout=WITHIN_MS)
        until(candidate.page, f"{STATES} === 'live,live'")
        candidate.page.wait_for_timeout(1000)
        assert candidate.page.evaluate(STATES) == "live,live"
        assert host.errors == candidate.errors == []
