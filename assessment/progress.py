"""How far an assessment is: the document of `GET /status/{session_id}` (DESIGN §4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Prefetch, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from assessment.models import Answer, Assessment, StageRun

# Share of an answer's time that each stage takes, measured roughly on talking heads; only ratios matter.
# *Assumption.*
STAGE_WEIGHTS = {
    "transcribe": 0.35,
    "translate": 0.05,
    "watch": 0.40,
    "listen": 0.10,
    "stress": 0.05,
    "grade": 0.10,
}
OTHER_STAGE_WEIGHT = 0.10
ELAPSED_RULES_FROM = 0.10  # below this share, the rate of earlier answers tells more than the time elapsed
HISTORY_ANSWERS = 20
STAGE_STATUS = {
    StageRun.Status.RUNNING: "processing",
    StageRun.Status.COMPLETED: "completed",
    StageRun.Status.ERROR: "error",
}


def status_document(assessment: Assessment) -> dict[str, Any]:
    """The status of `assessment`, in at most four queries. `eta_seconds` is null where nothing tells it."""
    answers = _answers(assessment)
    status = _status(assessment, answers)
    finished = [answer for answer in answers if answer.status in Answer.TERMINAL]
    shares = [_share(answer) for answer in answers]
    ended = status in (Assessment.Status.COMPLETED, Assessment.Status.ERROR)
    document: dict[str, Any] = {
        "status": status,
        "progress": f"{len(finished)}/{len(answers)}",
        "message": _message(status, answers),
        "current_video": _current(answers),
        "percent": 100 if ended else min(99, int(100 * sum(shares) / max(len(shares), 1))),
        "eta_seconds": 0 if ended else _eta_s(answers, shares),
        "answers": [_answer(answer) for answer in answers],
    }
    if ended:
        document |= _outcome(assessment, answers)
    return document


def _answers(assessment: Assessment) -> list[Answer]:
    runs = StageRun.objects.filter(run=assessment.run).defer("output", "versions").order_by("pk")
    return list(assessment.answers.prefetch_related(Prefetch("stage_runs", queryset=runs)))


def _status(assessment: Assessment, answers: Sequence[Answer]) -> str:
    """The row's word once it is finalized; before, what its answers are doing."""
    ended = (Assessment.Status.COMPLETED, Assessment.Status.ERROR)
    if assessment.status in ended:
        return str(assessment.status)
    states = {answer.status for answer in answers}
    if Answer.Status.PROCESSING in states:
        return Assessment.Status.PROCESSING.value
    if Answer.Status.DOWNLOADING in states:
        return Assessment.Status.DOWNLOADING.value
    begun = Answer.Status.COMPLETED in states or any(answer.attempts for answer in answers)
    done = states <= set(Answer.TERMINAL)
    return (Assessment.Status.PROCESSING if begun or done else Assessment.Status.QUEUED).value


def _current(answers: Sequence[Answer]) -> int | None:
    return next((number for number, answer in enumerate(answers, 1) if answer.status in Answer.ACTIVE), None)


def _message(status: str, answers: Sequence[Answer]) -> str:
    total, number = len(answers), _current(answers)
    if status == Assessment.Status.COMPLETED:
        failed = sum(answer.status == Answer.Status.ERROR for answer in answers)
        if failed:
            return _("Finished; %(failed)d of %(total)d videos could not be assessed.") % {
                "failed": failed,
                "total": total,
            }
        return _("Finished.")
    if status == Assessment.Status.ERROR:
        return _("None of the videos could be assessed; each says why.")
    if number is None:
        waiting = any(answer.status not in Answer.TERMINAL for answer in answers)
        return _("Waiting for a worker.") if waiting else _("Putting the results together.")
    place = {"number": number, "total": total}
    if answers[number - 1].status == Answer.Status.DOWNLOADING:
        return _("Downloading video %(number)d of %(total)d.") % place
    return _("Video %(number)d of %(total)d: %(stage)s.") % (
        place | {"stage": _stage_words(answers[number - 1])}
    )


def _stage_words(answer: Answer) -> str:
    words = {
        "transcribe": _("writing down what is said"),
        "translate": _("translating"),
        "watch": _("looking at the picture"),
        "listen": _("listening to the voices"),
        "stress": _("reading the expressions"),
        "grade": _("scoring the answer"),
    }
    running = [run.stage for run in answer.stage_runs.all() if run.status == StageRun.Status.RUNNING]
    return words.get(running[-1], running[-1]) if running else _("being processed")


def _latest_runs(answer: Answer) -> dict[str, StageRun]:
    """The last attempt of each stage in this run of the assessment."""
    return {run.stage: run for run in sorted(answer.stage_runs.all(), key=lambda run: (run.attempt, run.pk))}


def _stages(answer: Answer) -> list[dict[str, Any]]:
    from assessment.pipeline import stages_of

    latest = _latest_runs(answer)
    stages = []
    for name in stages_of(answer.assessment):
        run = latest.get(name)
        if run is not None and run.status == StageRun.Status.RUNNING and answer.status not in Answer.ACTIVE:
            run = None  # its worker died over it
        done = answer.status == Answer.Status.COMPLETED
        if run is None:
            stages.append(
                {"name": name, "status": "completed" if done else "queued", "percent": 100 if done else 0}
            )
            continue
        percent = 100 if run.status == StageRun.Status.COMPLETED else run.percent
        stages.append({"name": name, "status": STAGE_STATUS[StageRun.Status(run.status)], "percent": percent})
    return stages


def _answer(answer: Answer) -> dict[str, Any]:
    failed = answer.status == Answer.Status.ERROR
    error = {"code": answer.error_code, "message": answer.error_message} if failed else None
    return {"id": answer.position, "status": answer.status, "stages": _stages(answer), "error": error}


def _share(answer: Answer) -> float:
    """How much of an answer's work is done, 0 to 1."""
    if answer.status in Answer.TERMINAL:
        return 1.0
    done = whole = 0.0
    for stage in _stages(answer):
        weight = STAGE_WEIGHTS.get(stage["name"], OTHER_STAGE_WEIGHT)
        whole += weight
        done += weight * stage["percent"] / 100
    return done / whole


def _outcome(assessment: Assessment, answers: Sequence[Answer]) -> dict[str, Any]:
    succeeded = sum(answer.status == Answer.Status.COMPLETED for answer in answers)
    result = {
        "success": succeeded > 0,
        "successful_videos": succeeded,
        "failed_videos": len(answers) - succeeded,
        "results_url": f"/results/{assessment.session_id}",
    }
    return {"redirect": f"/assessments/{assessment.session_id}/", "result": result}


def _duration_s(answer: Answer) -> float | None:
    duration = answer.media_info.get("duration_s")
    return float(duration) if duration else None


def _eta_s(answers: Sequence[Answer], shares: Sequence[float]) -> int | None:
    """Seconds left: from the time elapsed once enough is done, before that from the rate of earlier
    answers."""
    durations = [_duration_s(answer) for answer in answers]
    known = [duration for duration in durations if duration]
    typical = sum(known) / len(known) if known else None
    if typical is None:
        return None
    sizes = [duration or typical for duration in durations]
    processed = [
        (size, share)
        for answer, size, share in zip(answers, sizes, shares, strict=True)
        if not (answer.status == Answer.Status.ERROR and not answer.started_at)
    ]
    whole_s = sum(size for size, _share_done in processed)
    done_s = sum(size * share for size, share in processed)
    began = [answer.started_at for answer in answers if answer.started_at]
    if began and whole_s and done_s / whole_s >= ELAPSED_RULES_FROM:
        elapsed_s = (timezone.now() - min(began)).total_seconds()
        return round(elapsed_s * (whole_s - done_s) / done_s)
    rate = _earlier_rate()
    return None if rate is None else round(rate * (whole_s - done_s))


def _earlier_rate() -> float | None:
    """Seconds of work for a second of media over some of the latest answers that were completed."""
    latest = Answer.objects.filter(status=Answer.Status.COMPLETED).order_by("-pk")
    durations = dict(latest.values_list("pk", "media_info__duration_s")[:HISTORY_ANSWERS])
    work = StageRun.objects.filter(answer_id__in=[pk for pk, duration in durations.items() if duration])
    spent = dict(work.values_list("answer_id").annotate(spent_s=Sum("seconds")).order_by())
    work_s = sum(seconds or 0.0 for seconds in spent.values())
    media_s = sum(durations[pk] for pk in spent)
    return work_s / media_s if media_s and work_s else None
