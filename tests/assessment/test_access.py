from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from assessment.models import ApiToken, ResultsDocument
from tests.assessment import documents
from tests.assessment.records import make_assessment

pytestmark = pytest.mark.django_db

READS = ["/status/{}", "/results/{}", "/results/{}.json", "/results/{}/report.pdf"]
UNKNOWN = "0123456789abcdef" * 2


@pytest.fixture
def assessment(interviewer):
    made = make_assessment(1, owner=interviewer, status="completed", finalized_run=1)
    ResultsDocument.objects.create(assessment=made, run=1, document=documents.document())
    return made


@pytest.fixture
def panel_member(django_user_model, assessment):
    user = django_user_model.objects.create_user("panel")
    assessment.panel.add(user)
    return user


@pytest.mark.parametrize("path", READS)
class TestReads:
    def test_anonymous(self, client, assessment, path):
        response = client.get(path.format(assessment.session_id))
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "unauthenticated"
        assert response["WWW-Authenticate"] == "Bearer"

    def test_stranger_sees_what_is_seen_of_an_unknown_id(self, client, assessment, stranger, path):
        client.force_login(stranger)
        foreign = client.get(path.format(assessment.session_id))
        unknown = client.get(path.format(UNKNOWN))
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert foreign.content == unknown.content

    @pytest.mark.parametrize("malformed", ["x", "../etc", UNKNOWN + "0", UNKNOWN.replace("0", "g"), "%00"])
    def test_malformed_ids_are_unknown(self, client, stranger, path, malformed):
        client.force_login(stranger)
        response = client.get(path.format(malformed))
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"

    @pytest.mark.parametrize("who", ["interviewer", "panel_member", "hr_admin"])
    def test_owner_panel_member_and_hr_admin(self, client, assessment, path, who, request):
        client.force_login(request.getfixturevalue(who))
        assert client.get(path.format(assessment.session_id)).status_code == 200

    def test_inactive_owner(self, client, assessment, interviewer, bearer, path):
        client.force_login(interviewer)
        interviewer.is_active = False
        interviewer.save()
        assert client.get(path.format(assessment.session_id)).status_code == 401
        assert client.get(path.format(assessment.session_id), **bearer).status_code == 401


class TestWrites:
    @pytest.mark.parametrize("path", ["/upload", "/upload_json"])
    def test_anonymous(self, client, path):
        assert client.post(path, {"candidate_name": "Sari"}).status_code == 401

    @pytest.mark.parametrize("who", ["stranger", "interviewer", "hr_admin"])
    def test_everyone_who_signs_in_hands_in_for_themselves(self, client, who, request, short_video):
        user = request.getfixturevalue(who)
        client.force_login(user)
        video = SimpleUploadedFile("v.mp4", short_video.read_bytes())
        response = client.post("/upload", {"candidate_name": "Sari", "questions": "One?", "videos": video})
        assert response.status_code == 200
        assert user.assessments.get().session_id == response.json()["session_id"]


class TestModels:
    def test_anonymous(self, client):
        assert client.get("/api/ai/test").status_code == 401

    def test_signed_in(self, client, stranger):
        client.force_login(stranger)
        body = client.get("/api/ai/test").json()
        assert body["success"] is True
        ours = {"stress-face", "stress-voice", "stress-fusion"}
        assert {model["name"] for model in body["models"]} == {"face_landmarker", "whisper-base", *ours}


class TestTokens:
    def status_of(self, client, header):
        return client.get("/api/ai/test", HTTP_AUTHORIZATION=header).status_code

    def test_a_token_signs_its_user_in(self, client, bearer):
        assert self.status_of(client, bearer["HTTP_AUTHORIZATION"]) == 200
        assert self.status_of(client, bearer["HTTP_AUTHORIZATION"].replace("Bearer", "bearer")) == 200

    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic aW50OmludA==", "\xff"]
    )
    def test_other_headers_do_not(self, client, interviewer, header):
        assert self.status_of(client, header) == 401

    def test_a_bad_token_is_not_made_good_by_a_session(self, client, interviewer):
        client.force_login(interviewer)
        assert self.status_of(client, "Bearer wrong") == 401

    def test_a_revoked_token_does_not(self, client, interviewer):
        row, secret = ApiToken.issue(interviewer)
        row.revoked_at = timezone.now()
        row.save()
        assert self.status_of(client, f"Bearer {secret}") == 401

    def test_the_digest_is_not_a_token(self, client, interviewer):
        row, _ = ApiToken.issue(interviewer)
        assert self.status_of(client, f"Bearer {row.digest}") == 401

    def test_its_last_use_is_noted_at_most_once_a_minute(self, client, interviewer):
        row, secret = ApiToken.issue(interviewer)

        def used_at():
            self.status_of(client, f"Bearer {secret}")
            row.refresh_from_db()
            return row.last_used_at

        first = used_at()
        assert first is not None
        assert used_at() == first
        ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
        assert used_at() > first


class TestShapeOfErrors:
    def test_an_unknown_address(self, client, interviewer):
        for path in ("/api/nothing", "/results/", "/status/a/b"):
            body = client.get(path).json()
            assert body["error"]["code"] == "not_found", path
            assert body["success"] is False

    def test_a_wrong_method(self, client):
        response = client.get("/upload")
        assert (response.status_code, response["Allow"]) == (405, "POST")
        assert response.json()["error"]["code"] == "method_not_allowed"

    def test_a_host_that_is_not_ours(self, client):
        response = client.get("/health", HTTP_HOST="evil.example")
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "invalid_request"

    def test_a_defect_tells_nothing_of_the_inside(self, client, bearer, monkeypatch):
        from mlcore import assets

        def defect(*arguments):
            raise RuntimeError("secret path /srv/x")

        monkeypatch.setattr(assets, "missing", defect)
        client.raise_request_exception = False
        response = client.get("/api/ai/test", **bearer)
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "internal_error"
        assert b"secret" not in response.content

    def test_pages_keep_their_own_errors(self, client, interviewer):
        client.force_login(interviewer)
        assert client.get("/nothing/").headers["Content-Type"].startswith("text/html")


class TestDocs:
    def test_the_openapi_document_holds_the_calls_and_the_results(self, client, interviewer):
        client.force_login(interviewer)
        document = client.get("/api/openapi.json").json()
        wanted = {
            "/upload",
            "/upload_json",
            "/status/{session_id}",
            "/results/{session_id}",
            "/health",
            "/api/ai/test",
        }
        wanted |= {"/results/{session_id}.json", "/results/{session_id}/report.pdf"}
        assert wanted <= set(document["paths"])
        assert "aggregate_cheating_detection" in str(document["components"]["schemas"]["ResultsDocument"])
        form = document["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert {"candidate_name", "videos", "questions", "language", "project_score"} <= set(
            form["properties"]
        )
        parameters = document["paths"]["/upload"]["post"]["parameters"]
        assert [one["name"] for one in parameters] == ["Idempotency-Key"]

    def test_the_openapi_document_tells_who_may_call(self, client, interviewer):
        client.force_login(interviewer)
        document = client.get("/api/openapi.json").json()
        schemes = document["components"]["securitySchemes"]
        assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
        assert schemes["Session"]["name"] == "sessionid"
        upload, status = (
            document["paths"]["/upload"]["post"],
            document["paths"]["/status/{session_id}"]["get"],
        )
        assert upload["security"] == [{"CallerAuth": []}, {"Session": [], "CsrfToken": []}]
        assert status["security"] == [{"CallerAuth": []}, {"Session": []}]
        assert "security" not in document["paths"]["/health"]["get"]
        assert {"400", "401", "403", "408", "409", "413", "507"} <= set(upload["responses"])
        parts = set(document["components"]["schemas"]["HealthResponse"]["properties"])
        assert {"status", "database", "queue", "workers", "models", "disk"} <= parts

    def test_the_docs_page(self, client, interviewer):
        client.force_login(interviewer)
        assert client.get("/api/docs").status_code == 200

    def test_the_docs_are_for_those_who_may_call(self, client, bearer):
        page, document = client.get("/api/docs"), client.get("/api/openapi.json")
        assert (page.status_code, page.headers["Location"]) == (302, "/login/?next=/api/docs")
        assert (document.status_code, document.json()["error"]["code"]) == (401, "unauthenticated")
        assert document.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/api/docs", HTTP_AUTHORIZATION="Bearer wrong").status_code == 401
        assert client.get("/api/openapi.json", **bearer).status_code == 200
        assert client.get("/api/docs", **bearer).status_code == 200
