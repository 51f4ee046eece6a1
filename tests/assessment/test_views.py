"""The pages, asked for by everybody who may and may not."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assessment.models import Answer, Assessment, AuditEntry, Review, StageRun
from tests.assessment import documents
from tests.assessment.records import make_assessment

pytestmark = pytest.mark.django_db

NEW = "/assessments/new/"
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'
NEVER_SAID = re.compile(r"cheat|liar|suspicious|stress detected", re.IGNORECASE)


@pytest.fixture
def signed_in(client: Client) -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def finished(interviewer: User) -> Assessment:
    return documents.store(documents.difficult_document(), owner=interviewer)


def page(assessment: Assessment, rest: str = "") -> str:
    return f"/assessments/{assessment.session_id}/{rest}"


def text_of(response: Any) -> str:
    return response.content.decode()


def visible_text(response: Any) -> str:
    return re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text_of(response), flags=re.DOTALL)


# -- Access -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["", "review/"])
def test_the_anonymous_are_sent_to_sign_in(client: Client, finished: Assessment, rest: str) -> None:
    response = client.get(page(finished, rest))
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("place", ["/", NEW])
def test_list_and_form_need_a_sign_in(client: Client, place: str) -> None:
    assert client.get(place)["Location"].startswith("/login/")


@pytest.mark.parametrize("rest", ["", "review/"])
def test_strangers_and_wrong_ids_get_the_same_answer(signed_in, stranger, finished, rest) -> None:
    client = signed_in(stranger)
    foreign = client.get(page(finished, rest))
    unknown = client.get(f"/assessments/{uuid.uuid4().hex}/{rest}")
    malformed = client.get(f"/assessments/not-an-id/{rest}")
    assert {foreign.status_code, unknown.status_code, malformed.status_code} == {404}
    without_tokens = [re.sub(r'value="[^"]*"', "", text_of(each)) for each in (foreign, unknown, malformed)]
    assert without_tokens[0] == without_tokens[1] == without_tokens[2]
    assert not AuditEntry.objects.filter(action__startswith="assessment.read").exists()


@pytest.mark.parametrize("rest", ["", "review/"])
def test_owner_panel_and_hr_may_read(signed_in, interviewer, stranger, hr_admin, finished, rest) -> None:
    finished.panel.add(stranger)
    for user in (interviewer, stranger, hr_admin):
        assert signed_in(user).get(page(finished, rest)).status_code == 200


def test_reading_results_leaves_an_audit_line(signed_in, hr_admin, finished) -> None:
    signed_in(hr_admin).get(page(finished))
    entry = AuditEntry.objects.get(action="assessment.read_results")
    assert (entry.actor, entry.subject) == (hr_admin, f"assessment:{finished.session_id}")
    assert "Sari" not in json.dumps(entry.details)


def test_a_deactivated_account_reads_nothing(signed_in, interviewer, finished) -> None:
    client = signed_in(interviewer)
    User.objects.filter(pk=interviewer.pk).update(is_active=False)
    assert client.get(page(finished)).status_code == 302


# -- List -------------------------------------------------------------------------------------


def test_the_empty_list_says_what_to_do_first(signed_in, interviewer) -> None:
    body = text_of(signed_in(interviewer).get("/"))
    assert "Nothing is handed in yet" in body
    assert f'href="{NEW}"' in body


def test_the_list_shows_what_is_mine_newest_first(signed_in, interviewer, stranger) -> None:
    for name in ("First", "Second"):
        documents.store(documents.document(name=name), owner=interviewer)
    documents.store(documents.document(name="Foreign"), owner=stranger)
    body = text_of(signed_in(interviewer).get("/"))
    assert body.index("Second") < body.index("First")
    assert "Foreign" not in body


def test_the_list_counts_reviews(signed_in, interviewer, finished) -> None:
    for _ in range(2):
        Review.objects.create(assessment=finished, reviewer=interviewer, decision="hold", reason="x")
    assert "2 reviews" in text_of(signed_in(interviewer).get("/"))


def test_the_list_is_searched_by_name(signed_in, interviewer) -> None:
    for name in ("Dewi Lestari", "Budi Santoso"):
        documents.store(documents.document(name=name), owner=interviewer)
    body = text_of(signed_in(interviewer).get("/", {"q": "lestari"}))
    assert "Dewi Lestari" in body
    assert "Budi Santoso" not in body
    assert "No candidate of that name" in text_of(signed_in(interviewer).get("/", {"q": "nobody"}))


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999"])
def test_odd_page_numbers_show_a_page(signed_in, interviewer, number) -> None:
    documents.store(owner=interviewer)
    assert signed_in(interviewer).get("/", {"page": number}).status_code == 200


def test_the_list_asks_few_questions_and_loads_no_document(signed_in, hr_admin, interviewer) -> None:
    for _ in range(30):
        documents.store(owner=interviewer)
    client = signed_in(hr_admin)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get("/")
    assert len(queries) <= 15
    assert not any("resultsdocument" in query["sql"] for query in queries)


# -- Status -----------------------------------------------------------------------------------


def test_the_status_page_shows_each_answer_with_its_stages(signed_in, interviewer) -> None:
    row = make_assessment(2, media=None, owner=interviewer, status="processing")
    first = row.answers.first()
    Answer.objects.filter(pk=first.pk).update(status="processing")
    StageRun.objects.create(answer=first, stage="transcribe", status="completed", percent=100)
    StageRun.objects.create(answer=first, stage="watch", percent=45)
    body = text_of(signed_in(interviewer).get(page(row)))
    assert body.count('class="stepper"') == 2
    assert re.search(r'data-stage="watch" data-status="processing".*?45 %', body, re.DOTALL)
    assert '<noscript><meta http-equiv="refresh"' in body
    assert not AuditEntry.objects.filter(action="assessment.read_results").exists()


def test_a_failed_answer_says_why_while_others_go_on(signed_in, interviewer) -> None:
    row = make_assessment(2, media=None, owner=interviewer, status="processing")
    failed = row.answers.first()
    Answer.objects.filter(pk=failed.pk).update(
        status="error", error_code="download_failed", error_message="404 <b>gone</b>"
    )
    body = text_of(signed_in(interviewer).get(page(row)))
    assert "The recording could not be downloaded." in body
    assert "404 &lt;b&gt;gone&lt;/b&gt;" in body


def test_results_of_an_earlier_run_are_not_shown_for_a_new_one(signed_in, interviewer, finished) -> None:
    Assessment.objects.filter(pk=finished.pk).update(run=2, status="processing")
    assert 'id="percent"' in text_of(signed_in(interviewer).get(page(finished)))


# -- Results ----------------------------------------------------------------------------------


def test_the_results_open_with_a_sentence_in_words(signed_in, interviewer, finished) -> None:
    text = visible_text(signed_in(interviewer).get(page(finished)))
    assert "Needs review: answer 4 could not be assessed, answer 3 could not be scored" in text
    assert "another voice was heard at 1:10 of answer 2" in text
    assert "Looked away" in text
    assert "0:41–0:47" in text


def test_what_was_not_measured_is_a_dash_with_its_reason(signed_in, interviewer) -> None:
    silent = documents.document([documents.answer(1, "Why?", documents.silent_result())])
    body = text_of(signed_in(interviewer).get(page(documents.store(silent, owner=interviewer))))
    assert 'title="No speech was heard.">—</span>' in body
    assert 'title="Too little of a face was in view.">—</span>' in body
    assert re.search(r"Scores</h3>\s*<p>— <span[^>]*>No speech was heard", body)


def test_scores_stand_with_uncertainty_and_grader(signed_in, interviewer) -> None:
    by_rules = documents.result(penilaian=documents.penilaian(66.0, grader="rules", uncertainty=15.0))
    row = documents.store(documents.document([documents.answer(1, "Why?", by_rules)]), owner=interviewer)
    text = visible_text(signed_in(interviewer).get(page(row)))
    assert re.search(r"66\.0\s+of 100, ± 15\.0", text)
    assert "Scored by: built-in rules." in text


def test_a_failed_answer_stays_as_a_chapter_with_its_reason(signed_in, interviewer, finished) -> None:
    body = text_of(signed_in(interviewer).get(page(finished)))
    chapter = body[body.index('id="answer-4"') :]
    assert "Not assessed." in chapter
    assert "The file at this address was not found (404)." in chapter


def test_nothing_a_candidate_says_becomes_markup(signed_in, interviewer) -> None:
    spoken = documents.segments(HOSTILE.replace(".", " "))
    spoken[0]["text"] = HOSTILE
    bad = documents.result(segments=spoken, transkripsi_en=HOSTILE, transkripsi_id=HOSTILE)
    bad["penilaian"]["analisis_llm"] = HOSTILE
    bad["warnings"] = [{"code": "truncated", "message": HOSTILE}]
    bad["evidence"][0]["reason"] = HOSTILE
    bad["provenance"] = {HOSTILE: {HOSTILE: HOSTILE}}
    body = documents.document([documents.answer(1, HOSTILE, bad)], name=HOSTILE)
    body["llm_results"]["kesimpulan_llm"] = HOSTILE
    row = documents.store(body, owner=interviewer)
    client = signed_in(interviewer)
    for place in ("/", page(row), page(row, "review/?scores=shown")):
        shown = text_of(client.get(place))
        assert "alert" in shown
        assert "<script>alert" not in shown
        assert "<img" not in shown


def test_the_pages_speak_of_indicators_and_review(signed_in, interviewer, finished) -> None:
    client = signed_in(interviewer)
    for place in (page(finished), page(finished, "review/?scores=shown"), "/", NEW):
        assert not NEVER_SAID.search(visible_text(client.get(place)))


def test_the_results_ask_few_questions(signed_in, interviewer, finished) -> None:
    client = signed_in(interviewer)
    for place in (page(finished), page(finished, "review/")):
        with CaptureQueriesContext(connection) as queries:
            client.get(place)
        assert len(queries) <= 15


# -- Review -----------------------------------------------------------------------------------


def test_a_reviewer_does_not_see_the_systems_scores_before_asking(signed_in, interviewer) -> None:
    body = documents.document(
        [documents.answer(1, "Why?", documents.result(penilaian=documents.penilaian(73.7)))]
    )
    row = documents.store(body, owner=interviewer)
    client = signed_in(interviewer)
    hidden, shown = (visible_text(client.get(page(row, f"review/{ask}"))) for ask in ("", "?scores=shown"))
    assert "small study plan" in hidden
    assert "73.7" not in hidden
    assert "Concrete and ordered" not in hidden
    assert "73.7" in shown


def test_a_review_is_stored_with_its_reviewer(signed_in, interviewer, finished) -> None:
    given = {"quality": "70", "coherence": "0", "decision": "hold", "reason": "Ask about the gap."}
    response = signed_in(interviewer).post(page(finished, "review/"), given)
    assert response["Location"] == page(finished)
    review = Review.objects.get()
    assert (review.reviewer, review.decision, review.scores) == (
        interviewer,
        "hold",
        {"quality": 70, "coherence": 0},
    )
    assert AuditEntry.objects.get(action="assessment.review").details == {"scores_shown": False}
    assert "Ask about the gap." in text_of(signed_in(interviewer).get(page(finished)))


@pytest.mark.parametrize(
    "given", [{"decision": "hold", "reason": " "}, {"decision": "hire", "reason": "x"}, {"quality": "101"}]
)
def test_a_review_without_reason_or_with_odd_values_comes_back(
    signed_in, interviewer, finished, given
) -> None:
    response = signed_in(interviewer).post(
        page(finished, "review/"), {"reason": "kept", "decision": "hold"} | given
    )
    assert response.status_code == 400
    assert not Review.objects.exists()


def test_strangers_cannot_review(signed_in, stranger, finished) -> None:
    response = signed_in(stranger).post(page(finished, "review/"), {"decision": "hold", "reason": "x"})
    assert response.status_code == 404
    assert not Review.objects.exists()


# -- Hand-in ----------------------------------------------------------------------------------


def hand_in(video: bytes, **fields: Any) -> dict[str, Any]:
    given = {
        "kind": "videos",
        "candidate_name": "Sari Wulandari",
        "language": "en",
        "questions": ["What did you build?"],
        "videos": [SimpleUploadedFile("answer.mp4", video, "video/mp4")],
    }
    return given | fields


@pytest.fixture(scope="module")
def video(short_video: Path) -> bytes:
    return short_video.read_bytes()


def test_a_hand_in_leads_to_its_status_page(signed_in, interviewer, video) -> None:
    given = hand_in(video, candidate_country="ID", project_score="82.5", consent_reference="form 7")
    response = signed_in(interviewer).post(NEW, given)
    row = Assessment.objects.get()
    assert response["Location"] == page(row)
    assert (row.owner, row.source, row.country, row.project_score) == (interviewer, "upload", "ID", 82.5)
    assert row.candidate.name == "Sari Wulandari"
    assert row.answers.get().question == "What did you build?"


def test_a_script_gets_the_address_as_json(signed_in, interviewer, video) -> None:
    response = signed_in(interviewer).post(NEW, hand_in(video), headers={"Accept": "application/json"})
    assert response.json() == {"redirect": page(Assessment.objects.get())}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"candidate_name": " "}, "candidate_name"),
        ({"questions": [""]}, "questions-0"),
        ({"videos": []}, "videos-0"),
        ({"questions": ["One?", "Two?"]}, "videos-1"),
        ({"project_score": "101"}, "project_score"),
        ({"project_score": "nan"}, "project_score"),
        ({"language": "xx"}, "language"),
        ({"candidate_country": "XX"}, "candidate_country"),
        ({"candidate_email": "no address"}, "candidate_email"),
        ({"videos": [SimpleUploadedFile("text.mp4", b"this is text", "video/mp4")]}, "videos-0"),
        ({"videos": [SimpleUploadedFile("empty.mp4", b"", "video/mp4")]}, "videos-0"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    signed_in, interviewer, video, nothing_stored, change, place
) -> None:
    response = signed_in(interviewer).post(
        NEW, hand_in(video, **change), headers={"Accept": "application/json"}
    )
    assert response.status_code == 400
    assert place in response.json()["errors"]
    nothing_stored()


def test_nothing_typed_is_lost_when_a_form_is_refused(signed_in, interviewer, video) -> None:
    given = hand_in(video, questions=["What did you build?", "And then?"], project_score="500")
    body = text_of(signed_in(interviewer).post(NEW, given))
    assert 'value="Sari Wulandari"' in body
    assert 'value="500"' in body
    assert "What did you build?" in body
    assert "And then?" in body


def test_a_form_sent_twice_makes_one_assessment(signed_in, interviewer, video) -> None:
    client = signed_in(interviewer)
    places = [client.post(NEW, hand_in(video, submission="a" * 32))["Location"] for _ in range(2)]
    assert places[0] == places[1]
    assert Assessment.objects.count() == 1


def test_a_hand_in_without_csrf_token_is_refused(interviewer, video, nothing_stored) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(interviewer)
    assert client.post(NEW, hand_in(video)).status_code == 403
    nothing_stored()


def test_the_anonymous_hand_in_nothing(client, video, nothing_stored) -> None:
    assert client.post(NEW, hand_in(video))["Location"].startswith("/login/")
    nothing_stored()


FLAT = {
    "candidate_name": "Budi",
    "interviews": [{"positionId": 7, "question": "Why?", "recordedVideoUrl": "https://example.com/a.mp4"}],
}


@pytest.mark.parametrize("as_file", [False, True])
def test_json_is_taken_pasted_or_as_a_file(signed_in, interviewer, as_file) -> None:
    text = json.dumps(FLAT)
    given = {"document_file": SimpleUploadedFile("a.json", text.encode())} if as_file else {"document": text}
    signed_in(interviewer).post(NEW, {"kind": "json", **given})
    row = Assessment.objects.get()
    assert (row.source, row.candidate.name, row.answers.get().position) == ("json", "Budi", 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "Choose a JSON file"), ("{", "This is not JSON."), ('{"candidate_name": "B"}', "interviews")],
)
def test_bad_json_comes_back_with_its_reason(signed_in, interviewer, text, said) -> None:
    response = signed_in(interviewer).post(NEW, {"kind": "json", "document": text})
    assert response.status_code == 400
    assert said in text_of(response)
    assert not Assessment.objects.exists()


@pytest.mark.parametrize(("asked", "shown"), [("3", 3), ("x", 1), ("9999", 1), ("50", 20)])
def test_without_scripts_more_rows_can_be_asked_for(signed_in, interviewer, asked, shown) -> None:
    body = text_of(signed_in(interviewer).get(NEW, {"answers": asked}))
    form = body[: body.index("<template")]
    assert form.count('name="questions"') == shown


# -- Language and signing in ------------------------------------------------------------------


def test_the_language_is_switched_and_marked(signed_in, interviewer, translations) -> None:
    client = signed_in(interviewer)
    assert '<html lang="en">' in text_of(client.get("/"))
    client.post("/i18n/setlang/", {"language": "id", "next": "/"})
    body = text_of(client.get("/"))
    assert '<html lang="id">' in body
    assert "Belum ada yang diserahkan" in body


def test_signing_in_and_out(client: Client, interviewer: User) -> None:
    wrong = client.post("/login/", {"username": "interviewer", "password": "wrong"})
    assert "Please enter a correct username" in text_of(wrong)
    right = client.post("/login/?next=/", {"username": "interviewer", "password": "a long enough password"})
    assert right["Location"] == "/"
    client.post("/logout/")
    assert client.get("/").status_code == 302


def test_signing_in_does_not_lead_elsewhere(client: Client, interviewer: User) -> None:
    given = {"username": "interviewer", "password": "a long enough password", "next": "https://example.com/"}
    assert client.post("/login/", given)["Location"] == "/"
