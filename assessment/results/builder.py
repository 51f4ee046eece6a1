"""Records -> results document."""

from __future__ import annotations

from typing import Any, Literal

from django.conf import settings
from django.utils import timezone

from assessment.models import Answer, Assessment, StageRun
from assessment.policy import Policy
from assessment.results import aggregates, answer_result, stress_result
from assessment.results.recommendation import mean_or_none, recommend
from assessment.results.schema import (
    CodedMessage,
    Content,
    DocumentMetadata,
    LlmResults,
    Recommendation,
    ResultsDocument,
    Timing,
)
from assessment.services import llm
from assessment.services.grades import Grade
from assessment.services.summary import AnswerForSummary, Summary, summarise

TIMED_STAGES = ("transcribe", "translate", "watch", "listen", "stress", "grade")


def build_document(assessment: Assessment) -> dict[str, Any]:
    """The whole document, validated and ready for JSON.

    Asks the LLM for the summary over all answers where there is one, so it can take as long as that: never call
    it inside a transaction. Without an answer of the LLM the summary is a factual template.
    """
    answers = list(assessment.answers.prefetch_related("stage_runs"))
    policy = Policy.from_snapshot(assessment.policy)
    content = [_content(answer, policy) for answer in answers]
    recommendation = recommend(content, assessment.project_score)
    document = ResultsDocument(
        success=any(item.result for item in content),
        name=assessment.candidate.name,
        session=assessment.session_id,
        llm_results=_llm_results(content, recommendation, assessment),
        aggregate_cheating_detection=aggregates.integrity(content),
        aggregate_non_verbal_analysis=aggregates.non_verbal(content, expressions=policy.emotion_inference),
        aggregate_stress=stress_result.aggregate(content),
        content=content,
        recommendation=recommendation,
        metadata=_metadata(assessment, answers, content),
    )
    return document.model_dump(mode="json")


def _finished_runs(answer: Answer) -> dict[str, StageRun]:
    """The last finished StageRun of each stage (from the prefetched rows). A rerun of the assessment may leave an
    answer out, whose rows then are those of an earlier run."""
    rows = sorted(answer.stage_runs.all(), key=lambda row: row.pk)
    return {row.stage: row for row in rows if row.status == StageRun.Status.COMPLETED}


def _content(answer: Answer, policy: Policy) -> Content:
    if answer.status != Answer.Status.COMPLETED:
        error = CodedMessage(code=answer.error_code or "internal_error", message=answer.error_message)
        return Content(id=answer.position, question=answer.question, status="error", error=error, result=None)
    result = answer_result.build(answer, _finished_runs(answer), policy)
    return Content(
        id=answer.position, question=answer.question, status="completed", error=None, result=result
    )


def _summary(content: list[Content], assessment: Assessment) -> Summary:
    answers = [AnswerForSummary(item.question, _grade(item)) for item in content]
    return summarise(answers, language=_report_language(content, assessment), client=llm.from_settings())


def _grade(item: Content) -> Grade | None:
    scores = item.result.penilaian if item.result else None
    if scores is None or scores.grader is None or scores.total is None:
        return None
    return Grade(
        quality=scores.kualitas_jawaban or 0.0,
        coherence=scores.koherensi or 0.0,
        relevance=scores.relevansi or 0.0,
        total=scores.total,
        analysis=scores.analisis_llm or "",
        grader=scores.grader,
        confidence=scores.confidence_score,
        probability=scores.logprobs_probability,
        uncertainty=scores.score_uncertainty,
    )


def _report_language(content: list[Content], assessment: Assessment) -> Literal["en", "id"]:
    """The interview's language: as handed in, else the one that most answers were recognised to be in."""
    if assessment.language != Assessment.Language.AUTO:
        return "id" if assessment.language == Assessment.Language.INDONESIAN else "en"
    spoken = [item.result.metadata.source_language for item in content if item.result]
    return "id" if spoken.count("Indonesian") > spoken.count("English") else "en"


def _llm_results(
    content: list[Content], recommendation: Recommendation, assessment: Assessment
) -> LlmResults:
    scores = [item.result.penilaian for item in content if item.result]
    summary = _summary(content, assessment)
    return LlmResults(
        kesimpulan_llm=summary.text or None,
        rata_rata_confidence_score=mean_or_none([score.confidence_score for score in scores]),
        avg_total_llm=mean_or_none([score.total for score in scores]),
        final_score_llm=recommendation.final_score,
        avg_logprobs_confidence=mean_or_none([score.logprobs_confidence for score in scores]),
        summary_logprobs_confidence=summary.confidence,
        reused_single_analysis=summary.engine == "reused",
        summary_engine=summary.engine,
    )


def _metadata(assessment: Assessment, answers: list[Answer], content: list[Content]) -> DocumentMetadata:
    succeeded = sum(item.status == "completed" for item in content)
    return DocumentMetadata(
        total_videos=len(content),
        successful_videos=succeeded,
        failed_videos=len(content) - succeeded,
        processed_at=timezone.now().isoformat(),
        model=f"faster-whisper {settings.WHISPER_MODEL}",
        llm_model=settings.LLM_MODEL if _used_llm(content) else None,
        language=assessment.language,  # type: ignore[arg-type]
        candidate_country=assessment.country or None,
        project_score=assessment.project_score,
        policy=assessment.policy,
        timings=[_timing(answer) for answer in answers],
    )


def _used_llm(content: list[Content]) -> bool:
    return any(item.result.penilaian.grader == "llm" for item in content if item.result)


def _timing(answer: Answer) -> Timing:
    runs = _finished_runs(answer)
    seconds = {
        f"{stage}_s": _rounded(runs[stage].seconds) if stage in runs else None for stage in TIMED_STAGES
    }
    total, duration = answer.media_info.get("total_s"), answer.media_info.get("duration_s")
    factor = None
    if total is not None and duration:
        factor = (total - (seconds["translate_s"] or 0.0) - (seconds["grade_s"] or 0.0)) / duration
    return Timing(
        id=answer.position,
        duration_s=_rounded(duration),
        decode_s=_rounded(answer.media_info.get("decode_s")),
        total_s=_rounded(total),
        real_time_factor=_rounded(factor, 4),
        **seconds,
    )


def _rounded(value: float | None, places: int = 3) -> float | None:
    return None if value is None else round(value, places)
