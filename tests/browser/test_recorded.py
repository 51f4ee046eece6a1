"""A person hands in a recorded answer and reads the results, in a real browser on the real site."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RESETS, LiveSite, OpenPage
from tests.browser.live_room import soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NEW = "/assessments/new/"
WITHIN_MS = 120_000
DONE_WITHIN_MS = 480_000
ASSESSMENT = re.compile(r"/assessments/[0-9a-f]{32}/$")


def fits(page: Page) -> None:
    """Nothing sticks out to the right, once what is drawn has the new width."""
    soon(page, lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def hand_in(page: Page, video: Path, name: str = "Sari Wulandari") -> None:
    page.goto(NEW)
    page.get_by_label("Candidate's name").fill(name)
    page.get_by_label("Language spoken").select_option("en")
    page.locator("#videos-0").set_input_files(video)
    page.get_by_label("Question that is answered").fill("What did you plan?")
    page.get_by_role("button", name="Send and assess").click()


def test_at_first_the_list_says_what_to_do(signed_in: OpenPage) -> None:
    expect(signed_in().get_by_text("Nothing is handed in yet")).to_be_visible()


def test_from_hand_in_to_results(
    signed_in: OpenPage, site: LiveSite, spoken_video: Path, tmp_path: Path
) -> None:
    page = signed_in()
    hand_in(page, spoken_video)
    page.wait_for_url(ASSESSMENT, timeout=WITHIN_MS)
    expect(page.locator(".stepper, .sentence").first).to_be_visible()
    expect(page.locator(".sentence")).to_be_visible(timeout=DONE_WITHIN_MS)
    expect(page.locator(".sentence")).to_contain_text("scored by the built-in rules")
    expect(page.locator(".transcript")).to_contain_text("project")
    expect(page.get_by_text("Scored by: built-in rules.")).to_be_visible()

    report = page.request.get(
        page.get_by_role("link", name="Report as PDF").get_attribute("href") or "", max_retries=RESETS
    )
    with pypdfium2.PdfDocument(report.body()) as pdf:
        assert "Sari Wulandari" in pdf[0].get_textpage().get_text_range()
    results = page.request.get(
        page.get_by_role("link", name="Download JSON").get_attribute("href") or "", max_retries=RESETS
    )
    assert results.json()["session"] in page.url

    page.set_viewport_size({"width": 360, "height": 740})
    fits(page)
    scores, said = (
        page.locator(".halves > *").nth(0).bounding_box(),
        page.locator(".halves > *").nth(1).bounding_box(),
    )
    assert scores and said and said["y"] >= scores["y"] + scores["height"]
    page.goto("/")
    expect(page.get_by_role("link", name="Sari Wulandari").first).to_be_visible()
    fits(page)


def test_a_refused_file_is_marked_at_its_card_and_nothing_is_lost(
    signed_in: OpenPage, tmp_path: Path, spoken_video: Path
) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("this is no video\n" * 50)
    page = signed_in(viewport={"width": 390, "height": 844}, color_scheme="dark")
    hand_in(page, text)
    expect(page.locator("#videos-0-error")).to_contain_text("cannot be read as a video", timeout=WITHIN_MS)
    expect(page.get_by_label("Candidate's name")).to_have_value("Sari Wulandari")
    assert page.locator("#videos-0").evaluate("field => field.files[0].name") == "notes.mp4"
    fits(page)
    page.locator("#videos-0").set_input_files(spoken_video)
    page.get_by_role("button", name="Send and assess").click()
    page.wait_for_url(ASSESSMENT, timeout=WITHIN_MS)


def test_several_files_become_cards_that_can_be_ordered(signed_in: OpenPage, spoken_video: Path) -> None:
    page = signed_in()
    page.goto(NEW)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files", exact=True).click()
    copies = [
        {"name": f"{name}.mp4", "mimeType": "video/mp4", "buffer": spoken_video.read_bytes()}
        for name in ("first", "second", "third")
    ]
    chooser.value.set_files(copies)
    cards = page.locator("#cards > .answer-card")
    expect(cards).to_have_count(3)
    for number in range(3):
        cards.nth(number).locator("textarea").fill(f"Question {number + 1}?")
    cards.nth(2).get_by_role("button", name="Up").press("Enter")
    cards.nth(0).get_by_role("button", name="Remove").press("Enter")
    names = page.locator("#cards input[type=file]").evaluate_all("all => all.map(one => one.files[0].name)")
    assert names == ["third.mp4", "second.mp4"]
    questions = page.locator("#cards textarea").evaluate_all("all => all.map(one => one.value)")
    assert questions == ["Question 3?", "Question 2?"]
    expect(cards.nth(1).get_by_role("heading")).to_have_text("Answer 2")


def test_without_scripts_one_recording_can_be_handed_in(signed_in: OpenPage, spoken_video: Path) -> None:
    page = signed_in(java_script_enabled=False)
    hand_in(page, spoken_video, name="Budi Santoso")
    page.wait_for_url(ASSESSMENT, timeout=WITHIN_MS)
    expect(page.get_by_role("heading", name="Budi Santoso")).to_be_visible()


def test_json_is_handed_in_and_a_missing_recording_is_told(signed_in: OpenPage) -> None:
    page = signed_in()
    page.goto(NEW)
    page.get_by_text("Hand in as JSON instead").click()
    page.get_by_label("or its text").fill(
        '{"candidate_name": "Dewi Lestari", "interviews": [{"question": "Why?", "isVideoExist": false}]}'
    )
    page.get_by_role("button", name="Send the JSON").click()
    page.wait_for_url(ASSESSMENT, timeout=WITHIN_MS)
    # The one worker reads what the tests before handed in first.
    told = page.get_by_text("No recording was handed in for this question.")
    expect(told).to_be_visible(timeout=DONE_WITHIN_MS)
