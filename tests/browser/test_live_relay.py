"""A call whose media may only go through a relay: a real coturn with time-limited credentials."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import DOWN_WITHIN_S, PASSWORD, UP_WITHIN_S, comes_up
from tests.browser.fake_devices import CHROMIUM, make_person, person_browser
from tests.browser.live_room import WITHIN_MS, agree, knock, let_in, new_room, seat, sees_video, sign_in
from tests.interviewsite.processes import clean_environment, free_port, running, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TURNSERVER = Path("/usr/bin/turnserver")
SECRET = "a secret of this test"


def own_address() -> str:
    """An address of this machine that is not the loopback one, which browsers leave out; else that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def listens(address: str, port: int) -> bool:
    """By TCP, which coturn takes up together with UDP."""
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[str]:
    """A relay on this machine; gives its TURN address."""
    if not TURNSERVER.exists() or not CHROMIUM.exists():
        pytest.skip("coturn or chromium is not installed")
    address, port = own_address(), free_port()
    options = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--use-auth-secret", "--fingerprint"]
    options += ["--allow-loopback-peers", f"--static-auth-secret={SECRET}", "--realm=wawancara.example"]
    options += [f"--listening-ip={address}", f"--relay-ip={address}", f"--listening-port={port}"]
    options += [f"--pidfile={tmp_path}/pid", "--log-file=stdout"]
    with (tmp_path / "coturn.log").open("w") as log:
        server = subprocess.Popen([TURNSERVER, *options], stdout=log, stderr=log, cwd=tmp_path)
        try:
            wait_for(lambda: server.poll() is not None or listens(address, port), UP_WITHIN_S)
            assert server.poll() is None, (tmp_path / "coturn.log").read_text()
            yield f"turn:{address}:{port}?transport=udp"
        finally:
            server.terminate()
            server.wait(timeout=DOWN_WITHIN_S)


def test_picture_and_sound_go_through_the_relay_alone(coturn: str, tmp_path: Path) -> None:
    port = free_port()
    environment = clean_environment(
        VAR_DIR=str(tmp_path / "var"), INITIAL_PASSWORD=PASSWORD, TURN_URLS=coturn, TURN_SECRET=SECRET
    )
    one, other = make_person(tmp_path / "one"), make_person(tmp_path / "other")
    arguments = ["serve", "--port", str(port), "--workers", "0"]
    with running(arguments, tmp_path / "serve.log", environment) as process, sync_playwright() as playwright:
        url = f"http://127.0.0.1:{port}"
        comes_up(process, url)
        with (
            person_browser(playwright, one) as first,
            person_browser(playwright, other) as second,
            seat(first, url) as host,
            seat(second, url) as candidate,
        ):
            sign_in(host)
            code, link = new_room(host)
            host.page.goto(f"/rooms/{code}/call/?ice=relay")
            host.page.get_by_role("button", name="Join the interview").click()
            agree(candidate, link, scopes=())
            candidate.page.goto(f"/call/{code}/?ice=relay")
            knock(candidate)
            let_in(host)
            sees_video(host)
            sees_video(candidate)
            expect(host.page.get_by_text("relayed").first).to_be_visible(timeout=WITHIN_MS)
            kinds = {
                line.split(" typ ")[1].split(" ")[0]
                for one in host.messages("ice-candidate")
                if one["candidate"] and " typ " in (line := one["candidate"]["candidate"])
            }
            assert kinds == {"relay"}
            assert host.errors + candidate.errors == []
        process.stop(within_s=DOWN_WITHIN_S)
