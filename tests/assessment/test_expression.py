"""The expression indicator on pages and paper."""

from __future__ import annotations

import re
from typing import Any

import pypdfium2
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from assessment import expression, story, words
from assessment.report import render_pdf
from assessment.results.schema import StressDistribution
from mlcore.stress.labels import EMOTIONS
from mlcore.stress.quality import FaceQuality, VoiceQuality
from tests.assessment import documents

PROXY = "not what somebody feels"
OFF = {
    "policy_prohibits": "Off: the law forbids inferring emotion here.",
    "country_unknown": "Off: the candidate's country is not known.",
    "stress_not_measured": "Neither face nor voice could be read well enough.",
}


def told(result: dict[str, Any]) -> story.Chapter:
    return story.tell(documents.document([documents.answer(1, "Why?", result)])).chapters[0]


def warned(code: str) -> dict[str, Any]:
    return documents.result(warnings=[{"code": code, "message": "Because."}])


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as opened:
        return " ".join(re.sub(r"\s+", " ", page.get_textpage().get_text_range()) for page in opened)


def visible_text(body: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


# -- What is told -----------------------------------------------------------------------------


def test_the_chart_has_a_row_for_each_level_and_gaps_where_nothing_was_read() -> None:
    rows = told(documents.expressive_result()).expression.rows
    assert [(row.level, row.label) for row in rows] == [
        ("high", "high"),
        ("medium", "medium"),
        ("low", "low"),
    ]
    assert all(row.likely.count("M") == 2 for row in rows), "two stretches with a gap between them"
    assert [row.held.count("M") for row in rows] == [1, 1, 2]
    numbers = [float(one) for row in rows for one in re.findall(r"[\d.]+", row.likely)]
    assert min(numbers) >= 0 and max(numbers) <= 1000


@pytest.mark.parametrize(("high", "top"), [(0.0, "40.0"), (0.5, "20.0"), (1.0, "0.0")])
def test_a_bar_is_as_high_as_the_level_is_probable(high: float, top: str) -> None:
    stress = documents.stress(1)
    stress["timeline"][0] |= {"low": 1 - high, "medium": 0.0, "high": high}
    row = told(documents.result(stress=stress, evidence=[])).expression.rows[0]
    assert f"V{top}H" in row.likely


def test_an_hour_is_drawn_in_means() -> None:
    hour = told(documents.result(stress=documents.stress(3600), evidence=[])).expression.rows[0]
    assert len(hour.likely) < 10_000


def test_shares_fill_the_bar_and_a_little_is_not_nothing() -> None:
    stress = documents.stress()
    stress["distribution"] = {"low": 0.996, "medium": 0.004, "high": 0.0, "unsure": 0.0}
    shares = told(documents.result(stress=stress)).expression.shares
    assert [(share.level, share.text) for share in shares] == [
        ("low", "100"),
        ("medium", "<1"),
        ("high", "0"),
        ("unsure", "0"),
    ]
    assert sum(float(share.width) for share in shares) == pytest.approx(1000)


@pytest.mark.parametrize(
    ("found", "texts"),
    [
        ((0.735, 0.176, 0.088, 0.001), ["73", "18", "9", "<1"]),
        ((1 / 3, 1 / 3, 1 / 3, 0.0), ["34", "33", "33", "0"]),
        ((0.0, 0.0, 0.0, 0.0), ["0", "0", "0", "0"]),
        ((0.997, 0.001, 0.001, 0.001), ["100", "<1", "<1", "<1"]),
    ],
)
def test_shares_in_whole_percents_make_a_hundred(found: tuple[float, ...], texts: list[str]) -> None:
    low, medium, high, unsure = found
    shown = expression.shares(StressDistribution(low=low, medium=medium, high=high, unsure=unsure))
    assert [share.text for share in shown] == texts


def test_the_timeline_is_there_in_words() -> None:
    stretches = told(documents.expressive_result()).expression.stretches
    assert [(one.time, one.label) for one in stretches] == [
        ("0:00–0:20", "low"),
        ("0:24–0:30", "low"),
        ("0:30–0:40", "not sure"),
        ("0:40–0:50", "high"),
        ("0:50–1:02", "medium"),
    ]
    assert [one.note for one in stretches][2:4] == ["", "68 % likely"]


def test_moments_at_high_stand_with_the_expression_and_not_with_integrity() -> None:
    chapter = told(documents.expressive_result())
    (moment,) = chapter.expression.moments
    assert (moment.time, moment.note) == ("0:40–0:50", "by face and voice, 68 % likely")
    assert {lane.kind for lane in chapter.lanes} == {"off_screen", "long_pause"}
    assert all(finding.kind != "high_stress" for finding in chapter.findings)


def test_face_and_voice_are_told_apart_with_what_was_left_out() -> None:
    face, voice = told(documents.expressive_result()).expression.parts
    assert face.levels == ("50 %", "21 %", "29 %")
    assert face.emotions == "neutral 31 %, happiness 19 %, surprise 19 %"
    assert (face.used, voice.used) == ("116 of 124 (no face 8)", "14 of 15 (overdriven 1)")
    silent = told(documents.result(stress=documents.stress(with_voice=False))).expression.parts[1]
    assert (silent.levels, silent.reason) == ((), "There was none.")


@pytest.mark.parametrize(("code", "reason"), OFF.items())
def test_where_there_is_none_it_says_why(code: str, reason: str) -> None:
    found = told(warned(code)).expression
    assert (found.reason, found.rows) == (reason, ())


def test_every_name_of_the_models_has_its_word(translations: None) -> None:
    assert set(expression.EMOTIONS) == set(EMOTIONS)
    assert set(expression.QUALITIES) == ({*FaceQuality} | {*VoiceQuality}) - {"ok"}
    with translation.override("id"):
        for names in (expression.LEVELS, expression.EMOTIONS, expression.QUALITIES, expression.SOURCES):
            for name, text in names.items():
                assert str(text) not in (name, str(name).replace("_", " "))


# -- Pages ------------------------------------------------------------------------------------


@pytest.fixture
def open_page(client: Client, interviewer: User) -> Any:
    def get(body: dict[str, Any], rest: str = "") -> str:
        row = documents.store(body, owner=interviewer)
        client.force_login(interviewer)
        return client.get(f"/assessments/{row.session_id}/{rest}").content.decode()

    return get


def expressive() -> dict[str, Any]:
    return documents.document([documents.answer(1, "Why?", documents.expressive_result())])


@pytest.mark.django_db
def test_the_results_show_the_indicator_with_what_it_is_not(open_page: Any) -> None:
    body = open_page(expressive())
    text = visible_text(body)
    assert text.count(PROXY) == 2, "at a glance, and at the chart"
    assert "What this is not" in text and "The timeline in words" in text
    assert re.search(r"low 45 % .*medium 21 % .*high 17 % .*not sure 17 %", text)
    assert body.count('<svg class="expression-row') == 3
    assert "style=" not in body, "the content policy lets no inline styles through"


@pytest.mark.django_db
@pytest.mark.parametrize(("code", "reason"), OFF.items())
def test_the_page_says_why_the_indicator_is_missing(open_page: Any, code: str, reason: str) -> None:
    text = visible_text(open_page(documents.document([documents.answer(1, "Why?", warned(code))])))
    assert re.search(rf"Expression indicator — {re.escape(reason)}", text.replace("&#x27;", "'"))
    assert "The timeline in words" not in text


@pytest.mark.django_db
def test_a_reviewer_sees_the_indicator_when_asking_for_the_systems_scores(open_page: Any) -> None:
    assert "Expression indicator" not in open_page(expressive(), "review/")
    shown = open_page(expressive(), "review/?scores=shown")
    assert "Expression indicator" in shown and PROXY in shown


def test_the_report_shows_the_indicator_with_its_sentence() -> None:
    text = text_of(render_pdf(expressive()))
    assert "Expression indicator" in text and PROXY in text
    assert "Expression indicator: high 0:40–0:50 by face and voice, 68 % likely" in text
    assert "The expression indicator is a proxy learned from posed and acted expressions." in text


def test_the_report_says_why_the_indicator_is_missing() -> None:
    text = text_of(render_pdf(documents.document([documents.answer(1, "Why?", warned("policy_prohibits"))])))
    assert f"Expression indicator — {OFF['policy_prohibits']}" in text


def test_the_report_speaks_indonesian(translations: None) -> None:
    text = text_of(render_pdf(expressive(), language="id"))
    assert "Indikator ekspresi: tinggi 0:40–0:50 dari wajah dan suara, peluang 68 %" in text
    assert "bukan apa yang dirasakan seseorang" in text


def test_it_is_called_an_indicator_and_nothing_worse() -> None:
    said = " ".join(str(text) for text in (*words.WARNINGS.values(), *words.EVIDENCE.values()))
    assert not re.search(r"stress detected|stressed", said + text_of(render_pdf(expressive())), re.IGNORECASE)
