import json

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from assessment.models import Answer, ApiToken, Assessment

URL = "https://videos.example/one.mp4"


def interview(number=1, **changes):
    fields = {
        "positionId": number,
        "question": f"Question {number}?",
        "isVideoExist": True,
        "recordedVideoUrl": URL,
    } | changes
    return {key: value for key, value in fields.items() if value is not ...}


def flat(*interviews, **more):
    return {"candidate_name": "Sari", "interviews": list(interviews) or [interview()], **more}


def nested(*interviews, **more):
    checklists = {"interviews": list(interviews) or [interview()]}
    return {"data": {"candidate": {"name": "Sari"}, "reviewChecklists": checklists}, **more}


@pytest.fixture
def send(client, bearer):
    def post(document, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return client.post("/upload_json", body, content_type="application/json", **bearer, **headers)

    return post


def refused_at(response, path, code="invalid_shape"):
    body = response.json()
    error = body["error"]
    assert (response.status_code, error["code"]) == (400, code), body
    assert path in body["message"] or path == "$"
    assert path in (error["details"].get("path"), error["details"].get("field"))
    assert not Assessment.objects.exists()


@pytest.mark.django_db
class TestAccepted:
    @pytest.mark.parametrize("shape", [flat, nested])
    def test_both_shapes(self, send, shape, interviewer):
        response = send(
            shape(interview(4), interview(2), language="id", project_score=60, candidate_country="ID")
        )
        assessment = Assessment.objects.get()
        body = response.json()
        message = body.pop("message")
        session = assessment.uuid.hex
        assert body == {"success": True, "session_id": session, "uploaded_videos": 2, "video_count": 2}
        assert "background" in message
        assert (assessment.owner, assessment.source, assessment.language) == (interviewer, "json", "id")
        assert (assessment.project_score, assessment.country) == (60.0, "ID")
        rows = assessment.answers.order_by("order").values_list(
            "position", "question", "source_url", "status"
        )
        assert list(rows) == [(4, "Question 4?", URL, "queued"), (2, "Question 2?", URL, "queued")]

    @pytest.mark.parametrize("success", [True, False, None])
    def test_the_success_of_the_earlier_shape_is_passed_over(self, send, success):
        assert send(nested(success=success)).status_code == 200

    def test_unknown_keys_are_passed_over(self, send):
        assert send(flat(interview(extra=[1, {"a": None}]), more={"b": 1})).status_code == 200

    def test_a_byte_order_mark_is_passed_over(self, send):
        assert send(b"\xef\xbb\xbf" + json.dumps(flat()).encode()).status_code == 200

    def test_missing_position_ids_take_the_next_number(self, send):
        send(flat(interview(...), interview(5), interview(...), interview(1), interview(...)))
        assert list(Answer.objects.order_by("order").values_list("position", flat=True)) == [2, 5, 6, 1, 3]

    @pytest.mark.parametrize(
        "changes, code",
        [
            ({"isVideoExist": False}, "no_video"),
            ({"isVideoExist": False, "recordedVideoUrl": ...}, "no_video"),
            ({"recordedVideoUrl": ...}, "missing_url"),
            ({"recordedVideoUrl": None}, "missing_url"),
            ({"recordedVideoUrl": "  "}, "missing_url"),
            ({"recordedVideoUrl": "file:///etc/passwd"}, "url_refused"),
            ({"recordedVideoUrl": "https://me:secret@videos.example/a.mp4"}, "url_refused"),
            ({"recordedVideoUrl": "https://drive.google.com/drive/folders/1AbCdEfGhIjKl"}, "url_refused"),
        ],
    )
    def test_an_answer_without_a_video_fails_and_the_others_go_on(self, send, changes, code):
        body = send(flat(interview(1), interview(2, **changes))).json()
        first, second = Answer.objects.order_by("order")
        assert body["video_count"] == 2
        assert (first.status, second.status, second.error_code) == ("queued", "error", code)
        assert second.error_message
        assert second.finished_at
        assert "secret" not in second.source_url

    def test_no_usable_answer_at_all_is_finalized(
        self, send, django_capture_on_commit_callbacks, monkeypatch
    ):
        from assessment import work_queue

        offered = []
        monkeypatch.setattr(work_queue, "offer", lambda tickets: offered.extend(tickets) or True)
        with django_capture_on_commit_callbacks(execute=True):
            send(flat(interview(1, isVideoExist=False)))
        assert [ticket.function for ticket in offered] == ["assessment.jobs.finalize"]


@pytest.mark.django_db
class TestRefused:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not json",
            b"{",
            b"\xff\xfe",
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b"[" * 100_000,
            b"1" * 10_000,
        ],
    )
    def test_what_is_not_json(self, send, body):
        refused_at(send(body), "$", "invalid_json")

    @pytest.mark.parametrize("document", [[], "text", 1, None, [flat()]])
    def test_what_is_not_an_object(self, send, document):
        refused_at(send(document), "$")

    @pytest.mark.parametrize(
        "document, path",
        [
            ({}, "candidate_name"),
            ({"candidate_name": "Sari"}, "interviews"),
            ({"candidate_name": 5, "interviews": [interview()]}, "candidate_name"),
            ({"candidate_name": "Sari", "interviews": {}}, "interviews"),
            (flat("no object"), "interviews[0]"),
            (flat(interview(), interview(2, question=None)), "interviews[1].question"),
            (flat(interview(question=...)), "interviews[0].question"),
            (flat(interview("1")), "interviews[0].positionId"),
            (flat(interview(True)), "interviews[0].positionId"),
            (flat(interview(1.5)), "interviews[0].positionId"),
            (flat(interview(-1)), "interviews[0].positionId"),
            (flat(interview(10**30)), "interviews[0].positionId"),
            (flat(interview(isVideoExist="yes")), "interviews[0].isVideoExist"),
            (flat(interview(recordedVideoUrl=7)), "interviews[0].recordedVideoUrl"),
            (flat(language=3), "language"),
            (flat(project_score="high"), "project_score"),
            (flat(project_score=10**400), "project_score"),
            ({"data": None}, "data"),
            ({"data": {"candidate": {"name": "Sari"}}}, "data.reviewChecklists"),
            ({"data": {"reviewChecklists": {"interviews": [interview()]}}}, "data.candidate"),
            (nested(interview(), interview(2, question=4)), "data.reviewChecklists.interviews[1].question"),
        ],
    )
    def test_the_path_of_a_wrong_shape_is_named(self, send, document, path):
        refused_at(send(document), path)

    def test_a_message_names_nothing_of_our_code(self, send):
        response = send(flat("no object"))
        refused_at(response, "interviews[0]")
        assert response.json()["message"] == "interviews[0]: must be an object."

    @pytest.mark.parametrize(
        "document, path",
        [
            (flat(interview(question="  ")), "interviews[0].question"),
            (nested(interview(question="a\x00")), "data.reviewChecklists.interviews[0].question"),
            ({"candidate_name": "\ud800", "interviews": [interview()]}, "candidate_name"),
            (nested() | {"data": nested()["data"] | {"candidate": {"name": ""}}}, "data.candidate.name"),
            (flat(language="xx"), "language"),
            (flat(project_score=101), "project_score"),
            (flat(candidate_country="EU"), "candidate_country"),
            (flat(candidate_email="x"), "candidate_email"),
        ],
    )
    def test_the_path_of_a_bad_value_is_named(self, send, document, path):
        refused_at(send(document), path, "invalid_field")

    @pytest.mark.parametrize(
        "shape, path", [(flat, "interviews"), (nested, "data.reviewChecklists.interviews")]
    )
    def test_no_interviews(self, send, shape, path):
        document = shape()
        (document if shape is flat else document["data"]["reviewChecklists"])["interviews"] = []
        refused_at(send(document), path, "count_out_of_range")

    def test_a_position_that_stands_there_twice(self, send):
        refused_at(send(flat(interview(3), interview(3))), "interviews[1].positionId", "duplicate_position")

    def test_too_many_interviews(self, send, settings):
        settings.MAX_ANSWERS = 2
        refused_at(send(flat(*map(interview, range(3)))), "interviews", "count_out_of_range")

    def test_a_body_over_the_limit(self, send, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        response = send(flat(interview(question="q" * 1500)))
        assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")

    def test_a_multipart_body_is_not_json(self, client, bearer):
        response = client.post("/upload_json", {"file": "x"}, **bearer)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = ["candidate_name", "interviews", "language", "project_score", "candidate_country", "candidate_email"]
fuzzy_interview = st.fixed_dictionaries(
    {},
    optional={
        "positionId": st.integers(-2, 5) | anything,
        "question": st.text(st.characters(), max_size=20) | anything,
        "isVideoExist": st.booleans() | anything,
        "recordedVideoUrl": st.from_regex(r"(https?|ftp)://[\w.\[\]:@/%-]{0,20}") | anything,
    },
)
fuzzy = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(names, anything),
        "candidate_name": st.text(st.characters(), max_size=20) | anything,
        "interviews": st.lists(fuzzy_interview, max_size=3) | anything,
        "data": anything
        | st.fixed_dictionaries(
            {
                "candidate": st.fixed_dictionaries({"name": st.text(st.characters(), max_size=9)}),
                "reviewChecklists": st.fixed_dictionaries(
                    {"interviews": st.lists(fuzzy_interview, max_size=3)}
                ),
            }
        ),
    },
)


@pytest.mark.slow
class TestFuzz(TestCase):
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(document=fuzzy | anything)
    def test_no_document_is_a_failure_of_the_server(self, document):
        _, token = ApiToken.issue(User.objects.create_user("fuzz"))
        response = self.client.post(
            "/upload_json",
            json.dumps(document),
            content_type="application/json",
            headers={"authorization": f"Bearer {token}"},
        )
        assert response.status_code in (200, 400), (document, response.content)
        assert response.json()["success"] is (response.status_code == 200)

    @settings(max_examples=50, deadline=None)
    @given(body=st.binary(max_size=60))
    def test_no_bytes_are_a_failure_of_the_server(self, body):
        _, token = ApiToken.issue(User.objects.create_user("fuzz"))
        response = self.client.post(
            "/upload_json",
            body,
            content_type="application/json",
            headers={"authorization": f"Bearer {token}"},
        )
        assert response.status_code == 400
