"""The report on paper, read back as text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pypdfium2
import pytest

from assessment import story
from assessment.report import NothingFetched, render_pdf
from tests.assessment import documents

HOSTILE = '<script>alert(1)</script><img src="http://127.0.0.1:9/x.png"><style>*{display:none}</style>'


def pages(pdf: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf) as opened:
        return [re.sub(r"\s+", " ", page.get_textpage().get_text_range()) for page in opened]


@pytest.fixture(scope="module")
def difficult() -> list[str]:
    return pages(render_pdf(documents.difficult_document()))


def chapter(text: list[str], number: int) -> str:
    """The pages from the one that opens answer `number` to the one before the next opening."""
    openings = [
        n for n, page in enumerate(text) if re.search(r"Answer \d+( ·|) .*", page[60:140] + page[:140])
    ]
    start = next(n for n, page in enumerate(text) if re.search(rf"Answer {number}( · | [A-Z])", page[:80]))
    end = min((n for n in openings if n > start), default=len(text))
    return " ".join(text[start:end])


def test_every_page_tells_its_number(difficult: list[str]) -> None:
    for number, page in enumerate(difficult, start=1):
        assert f"Page {number} of {len(difficult)}" in page


def test_the_cover_opens_with_the_sentence(difficult: list[str]) -> None:
    assert "Sari Wulandari" in difficult[0]
    assert "Needs review: answer 4 could not be assessed" in difficult[0]
    assert "A person decides" in difficult[0]


def test_each_answer_is_a_chapter_and_the_limits_come_last(difficult: list[str]) -> None:
    starts = [
        next(n for n, page in enumerate(difficult) if question in page and n > 0)
        for question in (
            "Which challenge did you meet",
            "How do you explain",
            "Why this company?",
            "What would you do in your first week?",
        )
    ]
    assert starts == sorted(set(starts))
    last = next(number for number, page in enumerate(difficult) if "Method and limits" in page)
    assert last > starts[-1]


def test_what_was_not_measured_is_a_dash_with_its_reason(difficult: list[str]) -> None:
    silent = chapter(difficult, 3)
    assert re.search(r"Speech rate — No speech was heard", silent)
    assert re.search(r"Blink rate — Too little of a face", silent)
    assert not re.search(r"Speech rate 0", silent)


def test_a_failed_answer_has_its_chapter_with_the_reason(difficult: list[str]) -> None:
    assert "The file at this address was not found (404)." in chapter(difficult, 4)


def test_scores_evidence_and_words_are_on_paper(difficult: list[str]) -> None:
    second = chapter(difficult, 2)
    assert re.search(r"Total 74\.0 of 100, ± 6\.5", second)
    assert "Another voice 1:10–1:14" in second
    assert "Voice 2 When the material was hard" in second


def test_the_report_speaks_of_indicators_and_review(difficult: list[str]) -> None:
    assert not re.search(r"cheat|liar|suspicious|stress detected", " ".join(difficult), re.IGNORECASE)


def test_hostile_text_is_printed_and_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    fetch = NothingFetched.fetch

    def watched(self: NothingFetched, url: str, headers: object = None) -> object:
        asked.append(url)
        return fetch(self, url, headers)

    monkeypatch.setattr(NothingFetched, "fetch", watched)
    spoken = documents.segments()
    spoken[0]["text"] = HOSTILE
    body = documents.document([documents.answer(1, HOSTILE, documents.result(segments=spoken))], name=HOSTILE)
    text = pages(render_pdf(body))
    assert "<script>alert(1)</script>" in text[0]
    assert sum("<style>" in page for page in text) >= 2
    assert asked == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "https://example.com/", "file:///etc/hostname", "ftp://x/"]
)
def test_only_what_is_in_the_page_itself_is_let_through(url: str) -> None:
    with pytest.raises(ValueError, match="disallowed protocol"):
        NothingFetched().fetch(url)


@pytest.mark.slow
def test_an_hour_of_words_runs_over_many_pages() -> None:
    sentence = "I kept to the plan and wrote everything down as well as I could."
    spoken = documents.segments(f"{sentence} " * 600)
    body = documents.document([documents.answer(1, "Why?", documents.result(segments=spoken))])
    text = pages(render_pdf(body))
    assert len(text) > 15
    assert sum(page.count("I kept to the plan") for page in text) == 600


def test_the_report_is_there_in_indonesian(translations: None) -> None:
    text = pages(render_pdf(documents.difficult_document(), language="id"))
    assert f"Halaman 1 dari {len(text)}" in text[0]
    assert "Perlu ditinjau" in text[0]
    assert "74,0" in text[0]


# -- The story --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "said"),
    [
        (81.0, "The final score of 81.0 out of 100 reaches the pass mark of 70."),
        (70.0, "The final score of 70.0 out of 100 reaches the pass mark of 70."),
        (69.9, "The final score of 69.9 out of 100 is below the pass mark of 70."),
        (0.0, "The final score of 0.0 out of 100 is below the pass mark of 70."),
    ],
)
def test_the_sentence_tells_the_score_and_the_mark(total: float, said: str) -> None:
    graded = documents.result(penilaian=documents.penilaian(total))
    graded["penilaian"] |= {"kualitas_jawaban": total, "relevansi": total, "koherensi": total}
    assert story.tell(documents.document([documents.answer(1, "Why?", graded)])).sentence == said


def test_grading_by_rules_is_said_in_the_sentence() -> None:
    warned = documents.result(
        penilaian=documents.penilaian(66.0, grader="rules"),
        warnings=[{"code": "graded_by_rules", "message": "No language model."}],
    )
    told = story.tell(documents.document([documents.answer(n, "Why?", warned) for n in (1, 2)]))
    assert told.sentence == "Needs review: answers 1 and 2 were scored by the built-in rules alone."


@pytest.mark.parametrize(
    ("value", "spread", "low", "width"), [(2.0, 6.5, "0.0", "85.0"), (98.0, 6.5, "915.0", "85.0")]
)
def test_an_uncertainty_band_stays_on_the_scale(value: float, spread: float, low: str, width: str) -> None:
    bar = story.score_bar("Total", value, (value - spread, value + spread))
    assert (bar.low, bar.width) == (low, width)


def test_a_project_score_narrows_the_final_uncertainty_by_its_weight() -> None:
    assert story.tell(documents.document()).final.note == "± 6.5"
    assert story.tell(documents.document(project_score=80.0)).final.note == "± 2.0"


@pytest.mark.parametrize(
    "change", [lambda e: e, lambda e: e | {"end_s": 9e9}, lambda e: e | {"start_s": -5.0}]
)
def test_marks_stay_on_their_lane(change: Callable[[dict], dict]) -> None:
    result = documents.result()
    result["evidence"] = [change(dict(item)) for item in result["evidence"]]
    told = story.tell(documents.document([documents.answer(1, "Why?", result)]))
    for lane in told.chapters[0].lanes:
        for mark in lane.marks:
            assert 0 <= float(mark.x) <= 1000
            assert 0 < float(mark.width) <= 1000


def test_the_language_model_is_named_only_where_it_scored() -> None:
    by_rules = documents.result(penilaian=documents.penilaian(66.0, grader="rules"))
    named = dict(story.tell(documents.document()).method)
    unnamed = dict(story.tell(documents.document([documents.answer(1, "Why?", by_rules)])).method)
    assert named["Language model for scores"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert unnamed["Language model for scores"] == "none was used"


def test_what_answers_share_is_printed_once() -> None:
    origins = story.tell(documents.document()).origins
    assert [(origin.stage, origin.answers) for origin in origins] == [
        ("Write down what is said", "1 and 2"),
        ("Look at faces", "1 and 2"),
    ]
