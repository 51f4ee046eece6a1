import errno
import json
import sqlite3
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import OperationalError
from django.test import Client

from assessment import jobs
from assessment.intake import NewAnswer, create_assessment
from assessment.models import Answer, Assessment, AuditEntry, IdempotencyKey
from interviewsite.gate import DigestUploadHandler
from tests.media_factory import corrupt, make_audio_only, make_text_named, make_video_only, truncate

pytestmark = pytest.mark.django_db


def video_file(path: Path, name: str = "answer.mp4") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, path.read_bytes(), "video/mp4")


@pytest.fixture
def send(client, bearer, short_video):
    """POST /upload with one good video, except for what a test changes (None leaves a field out)."""

    def post(headers=None, **changes):
        fields = {
            "candidate_name": "Sari Wibowo",
            "videos": [video_file(short_video)],
            "questions": ["What did you build?"],
            "language": "en",
        } | changes
        return client.post(
            "/upload",
            {key: value for key, value in fields.items() if value is not None},
            **bearer,
            **(headers or {}),
        )

    return post


def empty(path: Path) -> Path:
    path.touch()
    return path


def refused(response, status: int, code: str) -> dict:
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (status, code), body
    assert body["success"] is False
    assert body["message"] == body["error"]["message"]
    return body["error"]


class TestAccepted:
    def test_it_answers_with_the_session(self, send, interviewer):
        response = send()
        assessment = Assessment.objects.get()
        assert response.status_code == 200
        assert response.json() == {"success": True, "session_id": assessment.uuid.hex, "uploaded_videos": 1}
        assert assessment.owner == interviewer
        assert (assessment.language, assessment.source, assessment.status) == ("en", "upload", "queued")
        answer = assessment.answers.get()
        assert (answer.position, answer.question, answer.status) == (1, "What did you build?", "queued")
        assert answer.media_info["has_video"]
        assert answer.media_info["duration_s"] == pytest.approx(1.0, abs=0.2)

    def test_the_file_is_stored_unchanged_under_a_name_of_our_own(self, send, short_video):
        send(videos=[video_file(short_video, "../../Sari Wibowo interview.mp4")])
        answer = Answer.objects.get()
        assert answer.media.read() == short_video.read_bytes()
        assert "Sari" not in answer.media.name
        assert answer.media.name.startswith(f"answers/{answer.assessment.uuid.hex}/")

    def test_the_upload_folder_is_left_empty(self, send, settings):
        send()
        assert list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == []

    @pytest.mark.parametrize("field", ["questions", "question"])
    @pytest.mark.parametrize("as_json", [True, False])
    def test_questions_come_repeated_or_as_a_json_array(self, send, short_video, field, as_json):
        asked = ["Why this position?", "What would you change, and [how]?"]
        changes = {"questions": None, field: json.dumps(asked) if as_json else asked}
        response = send(videos=[video_file(short_video), video_file(short_video)], **changes)
        assert response.json()["uploaded_videos"] == 2
        assert list(Answer.objects.order_by("order").values_list("question", flat=True)) == asked

    def test_a_question_that_begins_with_a_bracket_is_a_question(self, send):
        assert send(questions="[Warm-up] Who are you?").status_code == 200
        assert Answer.objects.get().question == "[Warm-up] Who are you?"

    def test_optional_fields_are_kept(self, send):
        send(
            project_score="82.5",
            candidate_country="id",
            candidate_email="sari@example.com",
            consent_reference="C-17",
            language="id",
        )
        assessment = Assessment.objects.get()
        assert (assessment.project_score, assessment.country) == (82.5, "ID")
        assert (assessment.candidate.email, assessment.consent_reference) == ("sari@example.com", "C-17")
        assert assessment.policy["candidate_country"] == "ID"

    def test_the_language_is_found_out_where_none_is_given(self, send):
        send(language=None)
        assert Assessment.objects.get().language == "auto"

    @pytest.mark.parametrize("score", ["0", "100", " 70 "])
    def test_the_ends_of_the_score_are_scores(self, send, score):
        assert send(project_score=score).status_code == 200
        assert Assessment.objects.get().project_score == float(score)

    def test_it_leaves_an_audit_line_without_names(self, send, interviewer):
        session = send().json()["session_id"]
        entry = AuditEntry.objects.get(action="assessment.create")
        assert (entry.actor, entry.subject) == (interviewer, f"assessment:{session}")
        assert "Sari" not in json.dumps(entry.details)

    def test_sound_alone_is_taken(self, send, tmp_path):
        path = make_audio_only(tmp_path / "a.wav")
        assert send(videos=[video_file(path)]).status_code == 200

    def test_a_file_cut_off_in_the_middle_is_taken(self, send, tmp_path):
        path = make_video_only(tmp_path / "v.webm", seconds=2.0, size=(160, 120), fps=10, face=False)
        assert send(videos=[video_file(truncate(path, 0.6))]).status_code == 200


class TestUnreadable:
    @pytest.mark.parametrize(
        "make",
        [
            lambda path, good: empty(path),
            lambda path, good: make_text_named(path),
            lambda path, good: path.write_bytes(good.read_bytes()[:24]) and path,
        ],
        ids=["empty", "text", "cut-off header"],
    )
    def test_the_file_and_the_containers_are_named(self, send, short_video, tmp_path, nothing_stored, make):
        bad = make(tmp_path / "bad.mp4", short_video)
        response = send(
            videos=[video_file(short_video), video_file(bad, "second one.mp4")], questions=["One?", "Two?"]
        )
        error = refused(response, 400, "unreadable_media")
        assert "Video 2" in error["message"]
        assert "second one.mp4" in error["message"]
        assert "WebM" in error["message"]
        assert error["details"]["video"] == 2
        nothing_stored()

    def test_no_file_at_all(self, send, nothing_stored):
        error = refused(send(videos=None), 400, "unreadable_media")
        assert error["details"]["field"] == "videos"
        assert "WebM" in error["message"]
        nothing_stored()

    @pytest.mark.parametrize(
        "limit, value, code",
        [
            ("MAX_DURATION_S", 1.0, "too_long"),
            ("MAX_VIDEO_PIXELS", 100, "resolution_too_large"),
            ("MIN_VIDEO_SIDE_PX", 150, "resolution_too_small"),
        ],
    )
    def test_what_is_over_a_limit_is_refused_by_its_name(
        self, send, settings, tmp_path, nothing_stored, limit, value, code
    ):
        setattr(settings, limit, value)
        path = make_video_only(tmp_path / "v.mp4", seconds=3.0, size=(160, 120), fps=5, face=False)
        refused(send(videos=[video_file(path)]), 400, code)
        nothing_stored()

    def test_files_larger_than_the_limit_together(self, send, settings, short_video, nothing_stored):
        settings.MAX_UPLOAD_MB = 1
        half = short_video.read_bytes() + b"\0" * 600_000
        videos = [SimpleUploadedFile(f"{n}.mp4", half, "video/mp4") for n in range(2)]
        error = refused(send(videos=videos, questions=["One?", "Two?"]), 413, "too_large")
        assert error["details"]["limit_bytes"] == 1024 * 1024
        nothing_stored()

    def test_a_full_disk(self, send, monkeypatch, nothing_stored):
        def full(self, chunk):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(TemporaryUploadedFile, "write", full, raising=False)
        refused(send(), 507, "storage_full")
        nothing_stored()

    def test_a_disk_that_is_full_when_a_buffer_is_written_out(self, send, monkeypatch, nothing_stored):
        """As on a real disk: closing the file that could not be written fails once more."""
        real = DigestUploadHandler.new_file

        def onto_a_full_disk(self, *args, **kwargs):
            real(self, *args, **kwargs)
            temporary = self.file.file
            temporary.file.close()
            temporary.file = temporary._closer.file = Path("/dev/full").open("wb")  # noqa: SIM115

        monkeypatch.setattr(DigestUploadHandler, "new_file", onto_a_full_disk)
        fits_the_buffer = SimpleUploadedFile("answer.mp4", b"x" * 4000, "video/mp4")
        refused(send(videos=[fits_the_buffer]), 507, "storage_full")
        nothing_stored()

    @pytest.mark.parametrize("headers", [{}, {"HTTP_IDEMPOTENCY_KEY": "one"}])
    def test_a_database_that_cannot_grow(self, send, monkeypatch, nothing_stored, headers):
        def full(*args, **kwargs):
            cause = sqlite3.OperationalError("database or disk is full")
            cause.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError(str(cause)) from cause

        monkeypatch.setattr(IdempotencyKey if headers else Assessment, "save", full)
        refused(send(headers=headers), 507, "storage_full")
        nothing_stored()

    def test_a_disk_that_is_full_only_when_storing(self, send, short_video, monkeypatch, nothing_stored):
        real, calls = FileSystemStorage._save, []

        def full_at_the_second(self, name, content):
            calls.append(name)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(self, name, content)

        monkeypatch.setattr(FileSystemStorage, "_save", full_at_the_second)
        videos = [video_file(short_video), video_file(short_video)]
        refused(send(questions=["One?", "Two?"], videos=videos), 507, "storage_full")
        assert len(calls) == 2
        nothing_stored()


class TestFields:
    def test_questions_and_videos_must_be_as_many(self, send, nothing_stored):
        error = refused(send(questions=["One?", "Two?"]), 400, "count_mismatch")
        assert error["details"] == {"field": "questions", "questions": 2, "videos": 1}
        assert "2" in error["message"]
        assert "1" in error["message"]
        nothing_stored()

    def test_no_question(self, send):
        assert refused(send(questions=None), 400, "count_mismatch")["details"]["questions"] == 0

    @pytest.mark.parametrize(
        "field, value",
        [
            ("candidate_name", None),
            ("candidate_name", "   "),
            ("candidate_name", "x" * 201),
            ("candidate_name", "Sari\x00"),
            ("candidate_name", "Sa\x07ri"),
            ("candidate_name", "Sari\nWibowo"),
            ("language", "fr"),
            ("language", "english"),
            ("project_score", "-0.1"),
            ("project_score", "100.01"),
            ("project_score", "nan"),
            ("project_score", "inf"),
            ("project_score", "1e999"),
            ("project_score", "1_0"),
            ("project_score", "much"),
            ("candidate_country", "XX"),
            ("candidate_country", "Indonesia"),
            ("candidate_country", "UK"),
            ("candidate_email", "not an address"),
            ("candidate_email", "a@b.c\r\nBcc: x@example.com"),
            ("consent_reference", "x" * 201),
        ],
    )
    def test_a_bad_field_is_named(self, send, nothing_stored, field, value):
        error = refused(send(**{field: value}), 400, "invalid_field")
        assert error["details"]["field"] == field
        assert field in error["message"]
        nothing_stored()

    @pytest.mark.parametrize("question", ["", " \n ", "q" * 2001, "Why\x00?", "\x1b[2J"])
    def test_a_bad_question_is_named_by_its_place(self, send, short_video, nothing_stored, question):
        response = send(
            questions=["One?", question], videos=[video_file(short_video), video_file(short_video)]
        )
        assert refused(response, 400, "invalid_field")["details"]["field"] == "questions[1]"
        nothing_stored()

    def test_a_json_array_of_something_else(self, send):
        assert refused(send(questions="[1, 2]"), 400, "invalid_field")["details"]["field"] == "questions"

    def test_more_answers_than_allowed(self, send, settings, short_video):
        settings.MAX_ANSWERS = 1
        response = send(questions=["1?", "2?"], videos=[video_file(short_video), video_file(short_video)])
        refused(response, 400, "count_out_of_range")


class TestRequests:
    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=\xff"],
    )
    def test_a_body_that_is_no_form_is_a_bad_request(self, client, bearer, content_type):
        response = client.generic("POST", "/upload", b"--x\r\nrubbish", content_type, **bearer)
        assert response.status_code == 400
        assert response.json()["success"] is False

    def test_a_transaction_that_fails_leaves_no_file(self, send, monkeypatch, nothing_stored):
        def defect(answer):
            raise RuntimeError("a defect with a secret in it")

        monkeypatch.setattr(jobs, "enqueue", defect)
        error = refused(send(), 500, "internal_error")
        assert "secret" not in json.dumps(error)
        nothing_stored()

    def test_a_session_needs_a_csrf_token(self, interviewer, short_video):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(interviewer)

        def post(token_field=None, **headers):
            fields = {"candidate_name": "Sari", "questions": "One?", "videos": video_file(short_video)}
            if token_field:
                fields["csrfmiddlewaretoken"] = token_field
            return browser.post("/upload", fields, **headers)

        refused(post(), 403, "csrf_failed")
        assert not Assessment.objects.exists()
        browser.get("/login/")
        token = "a" * 32
        browser.cookies["csrftoken"] = token
        refused(post(HTTP_X_CSRFTOKEN="b" * 32), 403, "csrf_failed")
        assert post(HTTP_X_CSRFTOKEN=token).status_code == 200
        assert post(token_field=token).status_code == 200

    def test_a_token_needs_no_csrf_token(self, bearer, short_video):
        program = Client(enforce_csrf_checks=True)
        fields = {"candidate_name": "Sari", "questions": "One?", "videos": video_file(short_video)}
        assert program.post("/upload", fields, **bearer).status_code == 200

    def test_a_damaged_file_is_answered(self, send, tmp_path, short_video):
        """Bytes overwritten in the middle of the header: taken or refused, never a failure of the server."""
        path = tmp_path / "v.mp4"
        path.write_bytes(short_video.read_bytes())
        response = send(videos=[video_file(corrupt(path, 0.0, 40))])
        assert response.status_code in (200, 400)


def test_a_file_object_is_not_needed_on_disk(short_video, interviewer):
    """Other callers than the API hand in files that live in memory."""
    media = SimpleUploadedFile("v.mp4", short_video.read_bytes())
    assessment = create_assessment(
        owner=interviewer,
        candidate_name="Sari",
        answers=[NewAnswer(1, "One?", media)],
        language="en",
        source="command",
    )
    assert assessment.answers.get().media.read() == short_video.read_bytes()
