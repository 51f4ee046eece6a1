import pytest

from assessment.models import Assessment, AuditEntry, ResultsDocument
from assessment.results.schema import ResultsDocument as ResultsSchema
from tests.assessment import documents
from tests.assessment.records import make_assessment

pytestmark = pytest.mark.django_db


@pytest.fixture
def finished(interviewer):
    assessment = make_assessment(1, owner=interviewer, status="completed", finalized_run=1)
    ResultsDocument.objects.create(assessment=assessment, run=1, document=documents.document())
    return assessment


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_the_stored_document_is_served_word_for_word(client, bearer, finished, suffix):
    response = client.get(f"/results/{finished.session_id}{suffix}", **bearer)
    assert response.status_code == 200
    assert response.json() == finished.results.document
    ResultsSchema.model_validate(response.json())


def test_the_json_file_is_an_attachment(client, bearer, finished):
    response = client.get(f"/results/{finished.session_id}.json", **bearer)
    assert response["Content-Disposition"] == f'attachment; filename="assessment-{finished.session_id}.json"'


def test_the_report_is_a_pdf(client, bearer, finished):
    response = client.get(f"/results/{finished.session_id}/report.pdf", **bearer)
    assert (response.status_code, response["Content-Type"]) == (200, "application/pdf")
    assert response.content.startswith(b"%PDF-")


@pytest.mark.parametrize("path", ["", ".json", "/report.pdf"])
@pytest.mark.parametrize("status", ["queued", "downloading", "processing"])
def test_before_the_end_there_is_nothing_to_see(client, bearer, finished, path, status):
    """Also while a later run is under way, with the document of the earlier one still there."""
    Assessment.objects.update(status=status, run=2)
    response = client.get(f"/results/{finished.session_id}{path}", **bearer)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "not_ready")
    assert error["details"]["progress"] == "0/1"


def test_a_failed_assessment_has_its_document_too(client, bearer, finished):
    Assessment.objects.update(status="error")
    assert client.get(f"/results/{finished.session_id}", **bearer).status_code == 200


def test_an_assessment_that_ended_without_a_document_says_so(client, bearer, interviewer):
    assessment = make_assessment(1, owner=interviewer, status="error", finalized_run=1)
    response = client.get(f"/results/{assessment.session_id}", **bearer)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "no_results")


@pytest.mark.parametrize(
    "path, action",
    [
        ("", "assessment.read_results"),
        (".json", "assessment.read_results"),
        ("/report.pdf", "assessment.read_report"),
    ],
)
def test_each_read_leaves_an_audit_line(client, bearer, finished, interviewer, path, action):
    client.get(f"/results/{finished.session_id}{path}", **bearer)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.subject) == (
        action,
        interviewer,
        f"assessment:{finished.session_id}",
    )


def test_a_refused_read_leaves_none(client, finished, stranger):
    client.force_login(stranger)
    client.get(f"/results/{finished.session_id}")
    assert not AuditEntry.objects.exists()
