from datetime import timedelta

import pytest
from django.utils import timezone

from assessment.models import Answer, Assessment, StageRun
from assessment.pipeline import STAGES
from assessment.policy import decide
from tests.assessment.records import make_assessment

pytestmark = pytest.mark.django_db


def stage(answer, name, status="completed", percent=100, attempt=1, **more):
    return StageRun.objects.create(
        answer=answer,
        stage=name,
        run=answer.assessment.run,
        attempt=attempt,
        status=status,
        percent=percent,
        **more,
    )


def become(answer, status, **fields):
    for name, value in ({"status": status} | fields).items():
        setattr(answer, name, value)
    answer.save()
    return answer


@pytest.fixture
def ask(client, bearer):
    def get(assessment):
        response = client.get(f"/status/{assessment.session_id}", **bearer)
        assert response.status_code == 200
        return response.json()

    return get


@pytest.fixture
def three(interviewer):
    """An assessment of three queued answers, and its answers."""
    assessment = make_assessment(3, owner=interviewer, policy=decide("ID", "ID").snapshot())
    return assessment, list(assessment.answers.all())


def test_a_queued_assessment(ask, three):
    body = ask(three[0])
    assert body == {
        "status": "queued",
        "progress": "0/3",
        "message": "Waiting for a worker.",
        "current_video": None,
        "percent": 0,
        "eta_seconds": None,
        "answers": [
            {
                "id": number,
                "status": "queued",
                "stages": [{"name": name, "status": "queued", "percent": 0} for name in STAGES],
                "error": None,
            }
            for number in (1, 2, 3)
        ],
    }


@pytest.mark.parametrize("country", ["", "DE"])
def test_where_policy_forbids_it_no_stage_of_expressions_is_listed(ask, interviewer, country):
    assessment = make_assessment(owner=interviewer, policy=decide(country, "ID").snapshot())
    (answer,) = ask(assessment)["answers"]
    assert [one["name"] for one in answer["stages"]] == [name for name in STAGES if name != "stress"]


def test_a_download(ask, three):
    assessment, answers = three
    become(answers[1], "downloading", attempts=1)
    body = ask(assessment)
    assert (body["status"], body["current_video"]) == ("downloading", 2)
    assert "2" in body["message"]


def test_an_answer_in_work(ask, three):
    assessment, answers = three
    become(answers[0], "completed", attempts=1)
    become(answers[1], "processing", attempts=1)
    stage(answers[1], STAGES[0])
    stage(answers[1], STAGES[1], "running", 40)
    body = ask(assessment)
    assert (body["status"], body["progress"], body["current_video"]) == ("processing", "1/3", 2)
    assert 34 <= body["percent"] < 66
    done, working, waiting = body["answers"]
    assert {one["status"] for one in done["stages"]} == {"completed"}
    assert working["stages"][0] == {"name": STAGES[0], "status": "completed", "percent": 100}
    assert working["stages"][1] == {"name": STAGES[1], "status": "processing", "percent": 40}
    assert working["stages"][2]["status"] == "queued"
    assert waiting["status"] == "queued"


def test_an_answer_that_waits_for_another_try(ask, three):
    assessment, answers = three
    become(answers[0], "completed", attempts=1)
    become(answers[1], "error", attempts=3)
    become(answers[2], "queued", attempts=1)
    body = ask(assessment)
    assert (body["status"], body["progress"], body["current_video"]) == ("processing", "2/3", None)
    assert body["message"] == "Waiting for a worker."
    become(answers[2], "completed", attempts=2)
    assert ask(assessment)["message"] == "Putting the results together."


def test_the_last_attempt_of_a_stage_counts(ask, three):
    assessment, answers = three
    become(answers[0], "processing", attempts=2)
    stage(answers[0], STAGES[0], "error", 70, attempt=1)
    stage(answers[0], STAGES[0], "running", 10, attempt=2)
    assert ask(assessment)["answers"][0]["stages"][0] == {
        "name": STAGES[0],
        "status": "processing",
        "percent": 10,
    }


def test_a_stage_whose_worker_died_is_not_in_work(ask, three):
    assessment, answers = three
    become(answers[0], "queued", attempts=1)
    stage(answers[0], STAGES[0])
    stage(answers[0], STAGES[1], "running", 70)
    finished, lost = ask(assessment)["answers"][0]["stages"][:2]
    assert (finished["status"], finished["percent"]) == ("completed", 100)
    assert (lost["status"], lost["percent"]) == ("queued", 0)


def test_stages_of_an_earlier_run_do_not_count(ask, three):
    assessment, answers = three
    stage(answers[0], STAGES[0])
    Assessment.objects.update(run=2)
    assert ask(assessment)["answers"][0]["stages"][0]["percent"] == 0


def test_all_answers_done_but_no_document_yet(ask, three):
    assessment, _ = three
    assessment.answers.update(status="completed")
    body = ask(assessment)
    assert (body["status"], body["progress"], body["percent"]) == ("processing", "3/3", 99)
    assert "redirect" not in body


def test_a_completed_assessment(ask, three):
    assessment, answers = three
    assessment.answers.update(status="completed")
    become(answers[2], "error", error_code="download_failed", error_message="status 404")
    Assessment.objects.update(status="completed", finalized_run=1)
    body = ask(assessment)
    assert (body["status"], body["progress"], body["percent"], body["eta_seconds"]) == (
        "completed",
        "3/3",
        100,
        0,
    )
    assert body["redirect"] == f"/assessments/{assessment.session_id}/"
    assert body["result"] == {
        "success": True,
        "successful_videos": 2,
        "failed_videos": 1,
        "results_url": f"/results/{assessment.session_id}",
    }
    assert body["answers"][2]["error"] == {"code": "download_failed", "message": "status 404"}
    assert "1 of 3" in body["message"]


def test_an_assessment_of_which_nothing_succeeded(ask, three):
    assessment, _ = three
    assessment.answers.update(status="error", error_code="no_video", error_message="There is none.")
    Assessment.objects.update(status="error", finalized_run=1)
    body = ask(assessment)
    assert body["status"] == "error"
    assert body["result"]["success"] is False
    assert (body["result"]["successful_videos"], body["result"]["failed_videos"]) == (0, 3)


class TestEta:
    def test_it_follows_from_the_time_elapsed(self, ask, three):
        assessment, answers = three
        began = timezone.now() - timedelta(seconds=60)
        assessment.answers.update(media_info={"duration_s": 30.0})
        become(answers[0], "completed", started_at=began, media_info={"duration_s": 30.0})
        assert ask(assessment)["eta_seconds"] == pytest.approx(120, abs=3)

    def test_before_that_it_follows_from_earlier_answers(self, ask, three, interviewer):
        earlier = make_assessment(1, owner=interviewer).answers.get()
        become(earlier, "completed", media_info={"duration_s": 100.0}, finished_at=timezone.now())
        stage(earlier, "transcribe", seconds=15.0)
        stage(earlier, "watch", seconds=5.0)
        assessment, _ = three
        assessment.answers.update(media_info={"duration_s": 50.0})
        assert ask(assessment)["eta_seconds"] == pytest.approx(30, abs=1)

    def test_it_is_null_where_nothing_tells_it(self, ask, three):
        assessment, _ = three
        assessment.answers.update(media_info={"duration_s": 50.0})
        assert ask(assessment)["eta_seconds"] is None


def test_it_takes_few_queries(client, bearer, interviewer, django_assert_max_num_queries):
    assessment = make_assessment(20, owner=interviewer)
    for answer in Answer.objects.all():
        become(answer, "processing", media_info={"duration_s": 5.0})
        stage(answer, STAGES[0], "running", 1)
    client.get("/health", **bearer)  # the token's time of use is written now
    with django_assert_max_num_queries(8):
        client.get(f"/status/{assessment.session_id}", **bearer)
