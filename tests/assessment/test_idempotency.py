import json
import threading
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from assessment import idempotency, jobs
from assessment.errors import RequestError
from assessment.models import ApiToken, Assessment, IdempotencyKey

HAND_IN = {
    "candidate_name": "Sari",
    "interviews": [{"question": "One?", "recordedVideoUrl": "https://videos.example/1.mp4"}],
}


def post_json(client, document, key, **headers):
    return client.post(
        "/upload_json",
        json.dumps(document),
        content_type="application/json",
        **headers,
        HTTP_IDEMPOTENCY_KEY=key,
    )


@pytest.mark.django_db
class TestOverTheApi:
    @pytest.fixture
    def send(self, client, bearer):
        return lambda key="k1", **changes: post_json(client, HAND_IN | changes, key, **bearer)

    def test_the_same_request_twice_is_one_assessment(self, send):
        first, second = send(), send()
        assert first.status_code == second.status_code == 200
        assert first.json() == second.json()
        assert Assessment.objects.count() == 1

    def test_another_body_is_a_conflict(self, send):
        send()
        response = send(candidate_name="Budi")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "idempotency_conflict")
        assert Assessment.objects.count() == 1

    def test_the_order_of_keys_in_the_body_does_not_matter(self, client, bearer, send):
        first = send()
        second = post_json(client, dict(reversed(HAND_IN.items())), "k1", **bearer)
        assert first.json() == second.json()

    def test_without_a_key_and_with_another_one_it_is_done_again(self, client, bearer, send):
        sessions = {send("a").json()["session_id"], send("b").json()["session_id"]}
        for _ in range(2):
            response = client.post(
                "/upload_json", json.dumps(HAND_IN), content_type="application/json", **bearer
            )
            sessions.add(response.json()["session_id"])
        assert len(sessions) == 4

    def test_keys_are_each_users_own(self, client, send, stranger):
        _, secret = ApiToken.issue(stranger)
        other = post_json(client, HAND_IN, "k1", HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert other.json()["session_id"] != send().json()["session_id"]

    def test_a_refused_request_does_not_use_up_the_key(self, send):
        assert send(language="xx").status_code == 400
        assert send().status_code == 200

    def test_a_failure_of_the_server_does_not_use_up_the_key(self, send, monkeypatch):
        def defect(answer):
            raise RuntimeError("a defect")

        with monkeypatch.context() as patched:
            patched.setattr(jobs, "enqueue", defect)
            assert send().status_code == 500
        assert not IdempotencyKey.objects.exists()
        assert send().status_code == 200

    @pytest.mark.parametrize("key", ["", "k" * 201, "a\tb", "\xe9"])
    def test_an_unusable_key_is_refused(self, send, key):
        response = send(key)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_idempotency_key")
        assert not Assessment.objects.exists()

    def test_a_key_is_forgotten_after_a_day(self, send):
        first = send()
        IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert send(candidate_name="Budi").json()["session_id"] != first.json()["session_id"]

    def test_the_key_of_a_request_whose_process_died_is_taken_over(self, send, interviewer):
        old = IdempotencyKey.objects.create(user=interviewer, key="k1", fingerprint="x")
        IdempotencyKey.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=11))
        assert send().status_code == 200

    def test_files_count_by_what_is_in_them(self, client, bearer, short_video):
        def send(content, name):
            fields = {
                "candidate_name": "Sari",
                "questions": "One?",
                "videos": SimpleUploadedFile(name, content),
            }
            return client.post("/upload", fields, HTTP_IDEMPOTENCY_KEY="k1", **bearer)

        video = short_video.read_bytes()
        first = send(video, "a.mp4")
        assert send(video, "b.mp4").json() == first.json()
        assert send(video + b"\0", "a.mp4").status_code == 409
        assert Assessment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestConcurrently:
    def test_of_several_at_once_one_is_done_and_all_get_its_answer(self, bearer, monkeypatch):
        monkeypatch.setattr(idempotency.run_once, "__defaults__", (60.0,))  # however long the first one takes
        results: list[tuple[int, dict]] = []
        start = threading.Barrier(4)

        def send():
            start.wait()
            response = post_json(Client(), HAND_IN, "k1", **bearer)
            results.append((response.status_code, response.json()))
            connection.close()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert Assessment.objects.count() == 1
        assert results == [results[0]] * 4
        assert results[0][0] == 200

    def test_one_that_waits_too_long_is_told_so(self, interviewer):
        begun, go_on = threading.Event(), threading.Event()

        def slow(settle):
            begun.set()
            go_on.wait(60)
            settle({"session_id": "x"})
            return {"session_id": "x"}

        def first():
            idempotency.run_once(interviewer, "k1", "print", slow)
            connection.close()

        thread = threading.Thread(target=first)
        thread.start()
        assert begun.wait(60)
        with pytest.raises(RequestError) as caught:
            idempotency.run_once(interviewer, "k1", "print", slow, wait_s=0.2)
        go_on.set()
        thread.join(60)
        assert (caught.value.code, caught.value.status) == ("in_progress", 409)
        assert idempotency.run_once(interviewer, "k1", "print", slow) == {"session_id": "x"}

    def test_a_key_taken_over_meanwhile_undoes_the_work(self, interviewer):
        """The slow one's row is gone and another's: its transaction must fail, not make a second assessment."""

        def slow(settle):
            IdempotencyKey.objects.all().delete()
            settle({"session_id": "x"})
            return {"session_id": "x"}

        with pytest.raises(RequestError) as caught:
            idempotency.run_once(interviewer, "k1", "print", slow)
        assert caught.value.code == "in_progress"
