"""Where HR works."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assessment import access
from assessment.models import Answer, ApiToken, Assessment, AuditEntry, Candidate, Review, StageRun
from tests.assessment import documents

pytestmark = pytest.mark.django_db

LISTS = ["candidate", "assessment", "answer", "review", "apitoken", "auditentry"]
READ_ONLY = ["assessment", "answer", "review", "auditentry"]


@pytest.fixture
def hr(client: Client, hr_admin: User) -> Client:
    client.force_login(hr_admin)
    return client


def fill(owner: User, count: int = 12) -> list[Assessment]:
    rows = [documents.store(documents.document(name=f"Candidate {n}"), owner=owner) for n in range(count)]
    for row in rows:
        Review.objects.create(assessment=row, reviewer=owner, decision="hold", reason="x")
        AuditEntry.write("assessment.create", f"assessment:{row.session_id}", owner)
        ApiToken.issue(owner, "for tests")
        for answer in row.answers.all():
            StageRun.objects.create(answer=answer, stage="transcribe", output={"text": "spoken words"})
    return rows


@pytest.mark.parametrize("name", LISTS)
def test_lists_stay_within_fifteen_queries(hr: Client, interviewer: User, name: str) -> None:
    fill(interviewer)
    with CaptureQueriesContext(connection) as queries:
        response = hr.get(f"/admin/assessment/{name}/")
    assert response.status_code == 200
    assert len(queries) <= 15


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_searched(hr: Client, interviewer: User, name: str) -> None:
    fill(interviewer, 2)
    assert hr.get(f"/admin/assessment/{name}/", {"q": "Candidate 1"}).status_code == 200


def test_an_assessment_is_found_by_its_session_id(hr: Client, interviewer: User) -> None:
    wanted, other = fill(interviewer, 2)
    body = hr.get("/admin/assessment/assessment/", {"q": wanted.session_id}).content.decode()
    assert wanted.session_id in body
    assert other.session_id not in body


@pytest.mark.parametrize("name", LISTS)
def test_interviewers_do_not_get_in(client: Client, interviewer: User, name: str) -> None:
    client.force_login(interviewer)
    assert client.get(f"/admin/assessment/{name}/").status_code == 302


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_the_system_writes_is_not_added_by_hand(hr: Client, name: str) -> None:
    assert hr.get(f"/admin/assessment/{name}/add/").status_code == 403


def test_the_pages_of_records_open_within_fifteen_queries(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    answer = row.answers.first()
    assert answer is not None
    for place in (f"assessment/{row.pk}", f"candidate/{row.candidate_id}", f"answer/{answer.pk}"):
        with CaptureQueriesContext(connection) as queries:
            response = hr.get(f"/admin/assessment/{place}/change/")
        assert response.status_code == 200
        assert len(queries) <= 15
        assert "spoken words" not in response.content.decode()


def test_what_the_system_found_cannot_be_changed(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    given = {"status": "error", "project_score": "100", "run": "9", "consent_reference": "form 8"}
    given |= {"owner": str(interviewer.pk)}
    given |= {"answers-TOTAL_FORMS": "0", "answers-INITIAL_FORMS": "0"}
    given |= {"reviews-TOTAL_FORMS": "0", "reviews-INITIAL_FORMS": "0"}
    assert hr.post(f"/admin/assessment/assessment/{row.pk}/change/", given).status_code == 302
    row.refresh_from_db()
    assert (row.status, row.run, row.project_score) == ("completed", 1, None)
    assert row.consent_reference == "form 8"
    entry = AuditEntry.objects.get(action="admin.change")
    assert "consent_reference" in entry.details["fields"]


def test_erasing_asks_first_and_names_the_person(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    given = {"action": "erase", "_selected_action": [row.candidate_id]}
    asked = hr.post("/admin/assessment/candidate/", given).content.decode()
    assert "Erase Candidate 0" in asked
    assert Candidate.objects.exists()
    hr.post("/admin/assessment/candidate/", given | {"confirmed": "yes"})
    assert not Candidate.objects.exists()
    assert not Assessment.objects.exists()
    entry = AuditEntry.objects.get(action="candidate_erased")
    assert "Candidate 0" not in str(entry.details)


def test_erasing_waits_for_an_answer_in_work(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    Answer.objects.filter(assessment=row).update(status="processing")
    given = {"action": "erase", "_selected_action": [row.candidate_id], "confirmed": "yes"}
    body = hr.post("/admin/assessment/candidate/", given, follow=True).content.decode()
    assert "being analysed right now" in body
    assert Candidate.objects.exists()


def test_people_are_not_deleted_around_the_erasure(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    assert (
        hr.post(f"/admin/assessment/candidate/{row.candidate_id}/delete/", {"post": "yes"}).status_code == 403
    )
    hr.post(
        "/admin/assessment/candidate/",
        {"action": "delete_selected", "_selected_action": [row.candidate_id], "post": "yes"},
    )
    assert Candidate.objects.exists()


def test_a_failed_answer_is_run_again(hr: Client, interviewer: User) -> None:
    body = documents.document([documents.failed_answer(1)])
    row = documents.store(body, owner=interviewer)
    Answer.objects.filter(assessment=row).update(source_url="https://example.com/a.mp4")
    given = {"action": "run_failed_again", "_selected_action": [row.pk]}
    told = hr.post("/admin/assessment/assessment/", given, follow=True).content.decode()
    row.refresh_from_db()
    assert "1 answer is run again." in told
    assert (row.run, row.status, row.answers.get().status) == (2, "queued", "queued")
    assert AuditEntry.objects.filter(action="assessment.rerun").exists()


def test_what_cannot_run_again_is_said(hr: Client, interviewer: User) -> None:
    row = fill(interviewer, 1)[0]
    given = {"action": "run_all_again", "_selected_action": [row.pk]}
    told = hr.post("/admin/assessment/assessment/", given, follow=True).content.decode()
    assert "no recording is left to run again" in told


def test_a_token_is_shown_once_and_works_until_revoked(hr: Client, interviewer: User) -> None:
    body = hr.post(
        "/admin/assessment/apitoken/add/", {"user": interviewer.pk, "name": "our careers site"}, follow=True
    ).content.decode()
    secret = re.search(r"<code>([\w-]{30,})</code>", body)
    assert secret
    assert secret[1] not in hr.get("/admin/assessment/apitoken/").content.decode()
    token = ApiToken.objects.get()
    assert access.token_owner(secret[1]) == interviewer
    assert secret[1] not in str(AuditEntry.objects.get(action="token.issue").details)
    hr.post("/admin/assessment/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert access.token_owner(secret[1]) is None
    assert AuditEntry.objects.filter(action="token.revoke", subject=f"token:{token.pk}").exists()
