"""The interviewer's panel in Chromium, fed over a real socket by messages of the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, Request, Route, expect

from assessment import words
from tests.browser import panel_script
from tests.browser.conftest import CHROMIUM
from tests.browser.page_server import PageServer, page_server, until
from tests.browser.panel_script import alert, course, metrics, reading, status

pytestmark = pytest.mark.slow

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[PageServer]:
    with page_server() as site:
        panel_script.set_up(site)
        yield site


@pytest.fixture
def open_panel(chromium: Browser, server: PageServer) -> Iterator[Any]:
    """Opens the panel's page; any error in it, or against the content policy, fails the test."""
    errors: list[str] = []
    contexts = []

    def open_page(language: str = "en", options: dict[str, Any] | None = None, **welcome: Any) -> Page:
        panel_script.set_up(server, language, **welcome)
        context = chromium.new_context(**{"viewport": WIDE, **(options or {})})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(server.url)
        page.wait_for_function("() => window.signalling?.ready")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def sent(server: PageServer, kind: str) -> list[dict[str, Any]]:
    messages = [json.loads(one) for one in list(server.received) if isinstance(one, str)]
    return [one for one in messages if one["type"] == kind]


def part(page: Page, name: str) -> Any:
    return page.locator(f'[data-part="{name}"]')


def dark_pixels(page: Page) -> int:
    """How many pixels of the chart are of the line's colour."""
    return page.evaluate("""() => { const canvas = document.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200 && data[i] < 60 && data[i + 1] < 60 && data[i + 2] < 60) count += 1;
      return count; }""")


def test_a_reading_is_shown_with_how_sure_it_is_and_where_it_comes_from(
    open_panel: Any, server: PageServer
) -> None:
    page = open_panel()
    dash = part(page, "confidence").locator(".panel-dash")
    expect(dash).to_have_attribute("aria-label", "Not measured: There is no reading yet.")
    server.say(reading(12.0))
    expect(part(page, "level-word")).to_have_text("low")
    expect(part(page, "sure")).to_have_text("81 % sure")
    expect(page.locator(".panel-level .panel-shape circle.is-low")).to_be_visible()
    expect(part(page, "confidence")).to_have_text("73 of 100")
    expect(part(page, "voice-confidence")).to_have_text("64 of 100")
    expect(part(page, "part-eye_contact")).to_be_hidden()
    page.get_by_text("What it is made of").click()
    expect(part(page, "part-eye_contact")).to_have_text("80 %")
    expect(part(page, "face")).to_have_attribute("data-used", "yes")
    expect(part(page, "face-words")).to_have_text("looks towards the screen")
    expect(part(page, "latency")).to_have_text("0.2 s behind")
    server.say(reading(13.0, high=0.7, medium=0.2, dropped=3, sources=["face"],
                       voice={"speaking": False, "quality": "silent"}))  # fmt: skip
    expect(part(page, "level-word")).to_have_text("high")
    expect(page.locator(".panel-level .panel-shape path.is-high")).to_be_visible()
    expect(part(page, "voice")).to_have_attribute("data-used", "no")
    expect(part(page, "voice-words")).to_have_text("too quiet")
    expect(part(page, "latency")).to_have_text("0.2 s behind · frames left out: 3")
    page.get_by_text("What this is not").click()
    expect(page.get_by_text("It is not what somebody feels.")).to_be_visible()


def test_times_read_as_in_the_summary(open_panel: Any) -> None:
    """A question begins at the same minute and second in the call and after it; interviews take more than an hour."""
    times_s = [0.0, 31.6, 59.7, 754.0, 3599.6, 4512.2]
    load = "async (times) => { const { clock } = await import('/static/js/rooms/words.js'); return times.map(clock); }"
    assert open_panel().evaluate(load, times_s) == [words.clock(one) for one in times_s]


def test_what_is_not_sure_says_so(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    server.say(reading(1.0, high=0.25, medium=0.3))
    expect(part(page, "level-word")).to_have_text("not sure")
    expect(part(page, "sure")).to_have_text("closest: low, 45 %")
    server.say(reading(2.0, stress=None, confidence=None, confidence_parts=None, voice_confidence=None,
                       sources=[], face={"detected": False, "count": 0, "quality": "no_face", "eye_contact": None},
                       voice={"speaking": False, "quality": "not_speaking"}))  # fmt: skip
    expect(part(page, "level-word")).to_have_text("—")
    dash = part(page, "confidence").locator(".panel-dash")
    dash.focus()
    shown = dash.evaluate("one => getComputedStyle(one, '::after').content")
    assert "Neither face nor voice can be read at the moment." in shown
    expect(part(page, "face-words")).to_have_text("no face in the picture")


def test_the_trend_is_drawn_and_told_in_words(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    before = dark_pixels(page) if page.evaluate("Boolean(panel.trend.chart)") else 0
    for message in course(300):
        server.say(message)
    page.wait_for_function("() => panel.readings.all.length === 300")
    page.wait_for_function("() => panel.trend.chart")
    until(lambda: dark_pixels(page) > before + 100)
    words = part(page, "trend-words")
    page.get_by_role("button", name="Whole interview").click()
    expect(words).to_contain_text("So far: mostly low")
    expect(words).to_contain_text("Confidence from 56 to 84")
    assert words.inner_text() in (page.locator("canvas").get_attribute("aria-label") or "")
    chart = page.evaluate_handle("panel.trend.chart")
    page.get_by_role("button", name="2 minutes").click()
    expect(words).to_contain_text("Last 2:00")
    assert page.evaluate("(chart) => chart === panel.trend.chart", chart)
    span = page.evaluate("(() => { const { min, max } = panel.trend.chart.scales.x; return max - min; })()")
    assert span == pytest.approx(120, abs=0.01)


def test_an_hour_of_readings_is_thinned_and_keeps_its_gaps(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    points = page.evaluate(
        """(all) => { for (const one of all) panel.readings.add(one);
          return [panel.readings.points(0, 3600), panel.readings.points(3480, 3600)]; }""",
        course(3600),
    )
    whole, last = points
    assert 200 < len(whole) <= 250
    assert any(one["level"] is None for one in whole)
    assert len(last) == 121
    levels = [one["level"] for one in whole if one["level"] is not None]
    assert min(levels) >= 0
    assert max(levels) <= 2


def test_alerts_slide_in_over_the_panel_and_stay_in_the_list(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    server.say(alert(1, 41.0))
    card = page.locator(".panel-alert")
    expect(card).to_contain_text("No face for 5 s")
    card.hover()  # what the pointer is on stays
    expect(card).to_contain_text("Worth a look 0:41")
    assert part(page, "alerts").get_attribute("role") == "status"
    box, video = card.bounding_box(), page.locator(".video").bounding_box()
    assert box and video and box["x"] >= video["x"] + video["width"]
    server.say(alert(1, 41.0))
    server.say(alert(2, 60.0, kind="second_voice", value=0.4, message="Suara kedua"))
    expect(card).to_have_count(2)
    card.first.get_by_role("button", name="Hide this alert").click()
    expect(card).to_have_count(1)
    page.mouse.move(10, 10)
    expect(card).to_have_count(0, timeout=60_000)
    page.get_by_text("Alerts so far").click()
    expect(part(page, "log").locator("li")).to_have_count(2)
    expect(part(page, "log").locator("li").first).to_contain_text("A second voice may be heard")


def test_text_of_messages_is_never_read_as_html(open_panel: Any, server: PageServer) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    page = open_panel(questions=[hostile], notes=[{"id": 1, "t": 1.0, "text": hostile, "author": hostile}])
    server.say(alert(1, 2.0, kind="new", message=hostile, advice=hostile))
    server.say(reading(3.0, recommendation={"code": "new", "text": hostile}))
    expect(part(page, "recommendation-text")).to_have_text(hostile)
    assert page.locator(".panel img").count() == 0


def test_questions_are_marked_one_after_another(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    expect(part(page, "question-now")).to_have_text("No question has begun yet.")
    page.get_by_role("button", name="Start question 1", exact=True).click()
    expect(part(page, "next-question")).to_be_disabled()
    until(lambda: sent(server, "question") == [{"type": "question", "number": 0}])
    server.say({"type": "question", "number": 0, "t": 61.0})
    expect(part(page, "question-place")).to_have_text("Q1 of 5, since 1:01")
    page.get_by_role("button", name="Next question").click()
    until(lambda: len(sent(server, "question")) == 2)
    server.say({"type": "question", "number": 4, "t": 300.0})
    expect(part(page, "next-question")).to_be_disabled()
    expect(part(page, "next-question")).to_have_text("Last question")
    part(page, "question-now").click()
    expect(page.locator("[data-part=questions] [aria-current=step]")).to_have_text(
        "What would you like to ask us?"
    )
    page.get_by_role("button", name="Start question 3").click()
    until(lambda: sent(server, "question")[-1]["number"] == 2)


def test_notes_keep_the_time_of_the_first_key(open_panel: Any, server: PageServer) -> None:
    page = open_panel(t=100.0, notes=[{"id": 4, "t": 3.0, "text": "Early", "author": "hr"}])
    field = page.get_by_label("Write a note")
    opened = page.evaluate("panel.clock.now()")
    field.press_sequentially("A")
    begun = page.evaluate("panel.clock.now()")
    page.wait_for_timeout(1200)
    field.press_sequentially(" thought")
    field.press("Shift+Enter")
    field.press_sequentially("and more")
    field.press("Enter")
    note = until(lambda: sent(server, "note"))[0]
    assert note["text"] == "A thought\nand more"
    assert opened - 0.6 <= note["t"] <= begun + 0.6
    expect(field).to_have_value("")
    server.say({"type": "note", "id": 5, "t": 100.4, "text": note["text"], "author": "interviewer"})
    lines = page.locator("[data-part=notes] li")
    expect(lines).to_have_count(2)
    expect(lines.last).to_contain_text("1:40")
    # One that is refused comes back into the field.
    field.fill("Lost?")
    field.press("Enter")
    until(lambda: len(sent(server, "note")) == 2)
    server.say({"type": "error", "code": "relay_away", "message": "…", "of": "note"})
    expect(field).to_have_value("Lost?")
    expect(part(page, "note-error")).to_contain_text("could not be saved")
    # The letter p in a note does not fold the panel.
    field.press_sequentially("p")
    expect(part(page, "body")).to_be_visible()


def test_the_next_question_can_be_clicked_straight_from_the_note(open_panel: Any, server: PageServer) -> None:
    page = open_panel(question=0)
    page.get_by_label("Write a note").fill("Half a thought")
    # A real click: if leaving the field moved the button away under the pointer, nothing would come.
    page.get_by_role("button", name="Next question").click()
    until(lambda: sent(server, "question") == [{"type": "question", "number": 1}])
    expect(page.get_by_label("Write a note")).to_have_value("Half a thought")


def test_off_gives_no_reason_and_clears_what_was_drawn(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    server.say(reading(1.0))
    expect(part(page, "level-word")).to_have_text("low")
    server.say(status("off", face=False, voice=False))
    expect(part(page, "state")).to_have_text("Analysis off")
    expect(part(page, "level-word")).to_have_text("—")
    expect(part(page, "face-words")).to_have_text("not analysed")
    assert page.evaluate("panel.readings.all.length") == 0
    expect(part(page, "trend-words")).to_have_text("No readings yet.")
    server.say(status("delayed"))
    expect(part(page, "state")).to_have_text("Delayed: the server is busy")


def test_where_policy_forbids_the_rest_remains(open_panel: Any, server: PageServer) -> None:
    page = open_panel(policy={"emotion_inference": False, "reason": "policy_prohibits"})
    server.say(reading(1.0, stress=None, confidence=None, confidence_parts=None, voice_confidence=None))
    server.say(metrics(3.0))
    expect(page.get_by_text("Expression and confidence are off.")).to_be_visible()
    expect(part(page, "policy-reason")).to_contain_text("does not allow inferring emotions")
    for name in ("expression", "trend", "confidence-section", "reset"):
        expect(part(page, name)).to_be_hidden()
    expect(part(page, "face-words")).to_have_text("looks towards the screen")
    expect(part(page, "rate")).to_have_text("4.1 syllables/s")


def test_speech_has_units_method_and_window(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    server.say(metrics(15.0))
    expect(part(page, "rate")).to_have_text("4.1 syllables/s")
    expect(part(page, "speech-share")).to_have_text("71 % in 30 s")
    expect(part(page, "pauses")).to_have_text("2 in 30 s")
    expect(part(page, "longest-pause")).to_have_text("1.4 s")
    expect(part(page, "speech-method")).to_have_text(
        "About 152 words/min. Over the last 30 s; rate: syllables counted from loudness."
    )
    server.say(
        metrics(18.0, rate=None, words_per_minute=None, pauses=0, longest_pause_s=0.0, speech_share=0.02)
    )
    expect(part(page, "rate").locator(".panel-dash")).to_have_attribute(
        "aria-label", "Not measured: No speech was heard long enough."
    )
    expect(part(page, "pauses")).to_have_text("0 in 30 s")


def test_the_panel_folds_to_a_dot_and_remembers_it(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    server.say(reading(1.0))
    expect(part(page, "level-word")).to_have_text("low")
    page.keyboard.press("p")
    expect(part(page, "body")).to_be_hidden()
    until(lambda: (box := page.locator("[data-panel]").bounding_box()) and box["width"] <= 64)
    server.say(alert(1, 2.0))
    expect(part(page, "count")).to_have_text("1")
    assert page.locator(".panel-alert").count() == 0
    name = "Show the panel. Expression indicator: low. New alerts: 1"
    button = page.get_by_role("button", name=name)
    expect(button).to_have_attribute("aria-expanded", "false")
    page.reload()
    page.wait_for_function("() => window.signalling?.ready")
    expect(part(page, "body")).to_be_hidden()
    page.get_by_role("button", name="Show the panel").click()
    expect(part(page, "body")).to_be_visible()
    expect(part(page, "count")).to_be_hidden()


def test_a_page_that_is_looked_at_again_asks_whether_its_socket_lives(
    open_panel: Any, server: PageServer
) -> None:
    page = open_panel()
    before = len(sent(server, "ping"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: len(sent(server, "ping")) > before, within_s=10)


def test_another_kind_of_network_is_a_reason_to_ask_too(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    probes = page.evaluate("""async () => {
      const { Signalling } = await import("/static/js/rooms/signalling.js");
      const connection = Object.assign(new EventTarget(), { type: "wifi" });
      Object.defineProperty(navigator, "connection", { value: connection, configurable: true });
      const line = new Signalling("/nowhere");
      let probes = 0;
      line.probe = () => (probes += 1);
      connection.dispatchEvent(new Event("change")); // of a guess of its speed
      connection.type = "cellular";
      connection.dispatchEvent(new Event("change"));
      return probes;
    }""")
    assert probes == 1


def test_what_waits_for_a_socket_does_not_pile_up(open_panel: Any, server: PageServer) -> None:
    """Also not over hours: what is too old to be sent is not kept either."""
    page = open_panel()
    received = page.evaluate("""async () => {
      const { Signalling } = await import("/static/js/rooms/signalling.js");
      const waiting = new Signalling("/nowhere");
      const now = performance.now.bind(performance);
      waiting.send({ type: "old" });
      performance.now = () => now() + 11000;
      waiting.send({ type: "new" });
      performance.now = now;
      return waiting.waits;
    }""")
    assert received == 1


def test_a_reconnect_keeps_what_was_drawn(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    for second in range(1, 6):
        server.say(reading(float(second)))
    page.wait_for_function("() => panel.readings.all.length === 5")
    server.socket_says = [panel_script.greeting(t=20.0, question=1)]
    server.away = True
    server.sockets[-1].close(1012)
    expect(part(page, "state")).to_contain_text("interrupted")
    server.away = False
    until(lambda: len(server.sockets) == 2)
    expect(part(page, "question-place")).to_have_text("Q2 of 5")
    server.say(reading(21.0))
    page.wait_for_function("() => panel.readings.all.length === 6")
    server.say(reading(22.0))  # without news for five seconds it says that
    expect(part(page, "state")).to_have_text("Analysis on")
    assert page.evaluate("panel.readings.points(0, 30).some((one) => one.level === null)")


PAST_ALERT = {
    "id": 3,
    "t": 30.0,
    "kind": "no_face",
    "severity": "attention",
    "value": 5.25,
    "message": "No face",
}


def test_what_was_before_a_reload_comes_in_from_the_server(open_panel: Any, server: PageServer) -> None:
    marks = [{"number": 1, "start_s": 5.0}, {"number": 2, "start_s": 65.0}]
    timeline = [panel_script.point(float(second)) for second in range(1, 90)]
    past = {"timeline": timeline, "alerts": [PAST_ALERT], "questions": marks}
    page = open_panel(past=past, t=100.0, question=1)
    expect(part(page, "question-place")).to_have_text("Q2 of 5, since 1:05")
    expect(part(page, "log-count")).to_have_text("1")
    page.get_by_role("button", name="Whole interview").click()
    expect(part(page, "trend-words")).to_contain_text(
        "So far: mostly low (100 % of the 1:29 that could be read)."
    )
    assert page.evaluate("panel.trend.marks.map(({ number, t }) => [number, t])") == [[0, 5], [1, 65]]
    server.say(alert(3, 30.0))  # told again
    server.say(reading(101.0))
    page.wait_for_function("() => panel.readings.all.length === 90")
    expect(part(page, "log-count")).to_have_text("1")


def test_a_point_of_a_long_interview_stands_for_its_seconds(open_panel: Any, server: PageServer) -> None:
    timeline = [panel_script.point(float(second)) for second in range(0, 120, 2)]
    timeline[30:] = [{**one, "level": "unsure"} for one in timeline[30:]]
    page = open_panel(past={"timeline": timeline, "alerts": [], "questions": []}, t=130.0)
    page.get_by_role("button", name="Whole interview").click()
    words = part(page, "trend-words")
    expect(words).to_contain_text("mostly low (50 % of the 1:59 that could be read). Not sure for 0:59.")


def test_after_the_socket_was_away_the_panel_shows_what_the_server_has(
    open_panel: Any, server: PageServer
) -> None:
    """Meanwhile the candidate took the analysis back and gave it again, and a colleague went on to question 2."""
    empty: dict[str, Any] = {"timeline": [], "alerts": [], "questions": []}
    page = open_panel(past=empty, t=20.0)
    server.say({"type": "question", "number": 0, "t": 21.0})
    for second in range(21, 25):
        server.say(reading(float(second)))
    server.say(alert(1, 24.0))
    expect(part(page, "log-count")).to_have_text("1")
    expect(part(page, "question-place")).to_have_text("Q1 of 5, since 0:21")
    part(page, "question-now").click()
    asked = page.get_by_role("button", name="Start question 3")
    asked.focus()
    marks = [{"number": 1, "start_s": 21.0}, {"number": 2, "start_s": 95.0}]
    stored = {
        "timeline": [panel_script.point(99.0)],
        "alerts": [{**PAST_ALERT, "t": 98.0}],
        "questions": marks,
    }
    panel_script.has_stored(server, stored)
    server.socket_says = [panel_script.greeting(t=100.0, question=1)]
    server.sockets[-1].close(1012)
    until(lambda: len(server.sockets) == 2)
    expect(part(page, "question-place")).to_have_text("Q2 of 5, since 1:35", timeout=30_000)
    expect(part(page, "log")).to_contain_text("1:38")
    expect(part(page, "log-count")).to_have_text("1")
    assert page.evaluate("panel.readings.all.map(({ t }) => t)") == [99]
    expect(asked).to_be_focused()


def test_what_a_withdrawal_deleted_goes_from_the_panel_too(open_panel: Any, server: PageServer) -> None:
    """And what came of it before it was told, or under way, is not shown."""
    kept = {"timeline": [panel_script.point(21.0)], "alerts": [], "questions": []}
    page = open_panel(past={"timeline": [], "alerts": [], "questions": []}, t=20.0)
    server.say(reading(21.0))
    server.say(reading(22.0))
    server.say(alert(1, 22.0))
    expect(part(page, "log-count")).to_have_text("1")
    panel_script.has_stored(server, kept)
    server.say(status(face=False))
    expect(part(page, "log-count")).to_have_text("0")
    page.wait_for_function("() => panel.readings.all.length === 1")
    server.say(status("off", face=False, voice=False))
    server.say(reading(23.0))
    server.say(alert(2, 23.0))
    server.say({**status("off", face=False, voice=False), "latency_ms": None})
    expect(part(page, "state")).to_have_text("Analysis off")
    page.wait_for_timeout(500)
    expect(part(page, "level-word")).to_have_text("—")
    expect(part(page, "log-count")).to_have_text("0")
    assert page.evaluate("panel.readings.all.map(({ t }) => t)") == [21]


def held(page: Page) -> tuple[list[Route], list[Request]]:
    """Questions about the past that wait for the test's answer, and those that the page gave up."""
    asked: list[Route] = []
    given_up: list[Request] = []

    def ask(route: Route) -> None:
        asked.append(route)

    def give_up(request: Request) -> None:
        given_up.append(request)

    page.route("**/summary", ask)
    page.on("requestfailed", give_up)
    return asked, given_up


def test_what_comes_while_the_server_answers_slowly_stays(open_panel: Any, server: PageServer) -> None:
    """Two hours are half a megabyte: on a bad line longer under way than what it lacks is young."""
    page = open_panel(past={"timeline": [], "alerts": [], "questions": []}, t=20.0)
    asked, _ = held(page)
    page.evaluate("void panel.past.ask()")
    until(lambda: page.evaluate("1") and asked)
    server.say(alert(1, 22.0))
    for second in range(21, 60):
        server.say(reading(float(second)))
    page.wait_for_function("() => panel.readings.all.length === 39")
    stored = {"timeline": [panel_script.point(19.0)], "alerts": [{**PAST_ALERT, "t": 19.0}], "questions": []}
    asked[0].fulfill(json=stored)
    expect(part(page, "log-count")).to_have_text("2")
    assert page.evaluate("panel.readings.all.map(({ t }) => t)") == [19, *range(21, 60)]


def test_of_two_questions_about_the_past_only_the_later_goes_on(open_panel: Any, server: PageServer) -> None:
    page = open_panel(past={"timeline": [], "alerts": [], "questions": []}, t=20.0)
    asked, given_up = held(page)
    page.evaluate("void panel.past.ask()")
    until(lambda: page.evaluate("1") and asked)
    page.evaluate("void panel.past.ask()")
    until(lambda: page.evaluate("1") and len(asked) == 2)
    until(lambda: page.evaluate("1") and given_up)
    asked[1].fulfill(json={"timeline": [panel_script.point(19.0)], "alerts": [], "questions": []})
    page.wait_for_function("() => panel.readings.all.length === 1")


def test_alerts_that_stay_after_a_withdrawal_are_no_news(open_panel: Any, server: PageServer) -> None:
    old = [{**PAST_ALERT, "t": float(second)} for second in range(1, 4)]
    page = open_panel(past={"timeline": [], "alerts": old, "questions": []}, t=20.0)
    expect(part(page, "log-count")).to_have_text("3")
    part(page, "fold").click()
    panel_script.has_stored(server, {"timeline": [], "alerts": old[1:], "questions": []})
    server.say(status(voice=False))
    expect(part(page, "log-count")).to_have_text("2")
    expect(part(page, "count")).to_be_hidden()
    server.say(alert(9, 21.0))
    expect(part(page, "count")).to_have_text("1")


def test_analysis_that_should_run_and_brings_nothing_is_said(open_panel: Any, server: PageServer) -> None:
    """As after a reload, where the candidate's browser has died."""
    page = open_panel(t=300.0)
    expect(part(page, "state")).to_have_text("Analysis on")
    expect(part(page, "state")).to_contain_text("No new reading for", timeout=20_000)


def test_time_begins_with_the_first_admission(open_panel: Any, server: PageServer) -> None:
    page = open_panel(status="lobby", t=0.0)
    page.wait_for_timeout(1200)
    assert page.evaluate("panel.clock.now()") == 0
    server.say({"type": "knock-ended", "peer": "1" * 32, "admitted": True, "t": 0.2})
    page.wait_for_function("() => panel.clock.now() > 0.2")


def test_a_note_is_not_taken_for_an_older_one_that_reads_the_same(
    open_panel: Any, server: PageServer
) -> None:
    page = open_panel(t=100.0, notes=[{"id": 4, "t": 3.0, "text": "Good", "author": "hr"}])
    page.get_by_label("Write a note").fill("Good")
    page.keyboard.press("Enter")
    until(lambda: sent(server, "note"))
    server.sockets[-1].close(1012)
    until(lambda: len(server.sockets) == 2)
    page.wait_for_function("() => signalling.ready")
    assert page.evaluate("panel.notes.pending?.text") == "Good"


def test_a_question_that_could_not_be_marked_is_said(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    page.get_by_role("button", name="Start question 1", exact=True).click()
    until(lambda: sent(server, "question"))
    server.say(
        {"type": "error", "code": "try_again", "message": "It was not stored. Try again.", "of": "question"}
    )
    expect(part(page, "state")).to_have_text("It was not stored. Try again.")
    expect(part(page, "next-question")).to_be_enabled()


def test_the_level_is_said_aloud_only_when_it_changed_and_not_often(
    open_panel: Any, server: PageServer
) -> None:
    page = open_panel()
    page.evaluate("""() => { window.said = [];
      new MutationObserver(() => said.push(document.querySelector("[data-part=live]").textContent))
        .observe(document.querySelector("[data-part=live]"), { childList: true }); }""")
    for second, high in enumerate((0.0, 0.0, 0.8, 0.8, 0.0), start=1):
        server.say(reading(float(second), high=high, medium=0.1))
    page.wait_for_function("() => panel.readings.all.length === 5")
    assert page.evaluate("said") == ["Expression indicator: low"]


def test_the_smoothing_is_cleared_and_everyone_told(open_panel: Any, server: PageServer) -> None:
    page = open_panel()
    page.get_by_role("button", name="Clear smoothing").click()
    until(lambda: sent(server, "reset-analysis"))
    server.say({"type": "analysis-reset", "by": "Rina"})
    expect(part(page, "state")).to_have_text("Rina cleared the smoothing.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_is_a_sheet_that_begins_folded(
    open_panel: Any, server: PageServer, scheme: str
) -> None:
    page = open_panel(options={"viewport": PHONE, "color_scheme": scheme, "has_touch": True})
    server.say(reading(1.0))
    expect(part(page, "body")).to_be_hidden()
    part(page, "fold").tap()
    expect(part(page, "level-word")).to_be_visible()
    box = page.locator("[data-panel]").bounding_box()
    assert box and box["width"] == 390 and box["y"] > 200
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = page.evaluate("""() => [...document.querySelectorAll("[data-panel] button, [data-panel] summary")]
      .filter((one) => one.offsetParent && (one.offsetHeight < 44 || one.offsetWidth < 44))
      .map((one) => one.outerHTML)""")
    assert small == []


def test_it_speaks_the_language_of_the_page(open_panel: Any, server: PageServer) -> None:
    page = open_panel(language="id")
    server.say(reading(1.0))
    shown = page.evaluate("panel.strings.levels.low")
    expect(part(page, "level-word")).to_have_text(shown)
    expect(part(page, "latency")).to_contain_text("0,2")  # the decimal comma of Indonesian
