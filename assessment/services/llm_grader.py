"""Grading one answer by the language model."""

from assessment.services import rubric
from assessment.services.errors import LlmUnavailable
from assessment.services.grades import Grade, Language
from assessment.services.llm import Completion, LlmClient
from assessment.services.llm_reply import InvalidReply, Scores, read_scores
from assessment.services.logprobs import score_confidence
from assessment.services.text import plain

REPLIES = 2  # the first, and one repair


def grade_by_llm(client: LlmClient, question: str, answer: str, language: Language) -> Grade:
    """The model's grade, its analysis in `language`. One invalid reply may be repaired.

    Raises `LlmUnavailable`, with `invalid_reply` when the repair fails too.
    """
    messages = rubric.grading_messages(question, answer, language)
    until_s = client.deadline()
    problem = InvalidReply()
    for _ in range(REPLIES):
        completion = client.complete(
            messages, schema=rubric.SCHEMA, max_tokens=rubric.MAX_TOKENS, until_s=until_s
        )
        try:
            return _grade(completion, read_scores(completion.text))
        except InvalidReply as invalid:
            problem = invalid
            messages += rubric.repair_messages(completion.text, str(invalid))
    detail = plain(str(problem), 200)
    raise LlmUnavailable(
        "invalid_reply", f"The language model's reply was not valid twice ({detail})."
    ) from problem


def _grade(completion: Completion, scores: Scores) -> Grade:
    analysis = plain(scores.analysis, rubric.LONGEST_ANALYSIS_CHARACTERS)
    if not analysis:
        raise InvalidReply("analysis: has no text")
    values = {"quality": scores.quality, "coherence": scores.coherence, "relevance": scores.relevance}
    sure = score_confidence(completion.tokens, values)
    return Grade(
        quality=scores.quality,
        coherence=scores.coherence,
        relevance=scores.relevance,
        total=round(sum(values.values()) / len(values), 1),
        analysis=analysis,
        grader="llm",
        confidence=round(100 * sure.probability, 2) if sure else None,
        probability=sure.probability if sure else None,
        uncertainty=round(sure.uncertainty, 2) if sure else None,
    )
