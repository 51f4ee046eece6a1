"""One answer's grade: the language model first, the built-in grader beside it, and what to tell people."""

from dataclasses import replace

from assessment.services.errors import LlmUnavailable
from assessment.services.grades import Grade, GradedAnswer, Language, ResultWarning
from assessment.services.injection import speaks_to_the_grader
from assessment.services.llm import LlmClient
from assessment.services.llm_grader import grade_by_llm
from assessment.services.rules_grader import grade_by_rules
from assessment.services.text import sentences

DISAGREEMENT_POINTS = 35.0  # assumption: twice the built-in grader's uncertainty and a little
DISAGREEMENT_POINTS_IF_ADDRESSED = 10.0  # assumption: where the answer speaks to the grader


def grade_answer(
    question: str,
    answer: str,
    *,
    english_question: str | None = None,
    english_answer: str | None = None,
    language: Language = "en",
    client: LlmClient | None = None,
) -> GradedAnswer:
    """Grade an answer that has words in it; an empty one is not to be graded (ValueError).

    The texts in English are graded where both exist. Warnings: `graded_by_rules` when there is no client or
    it fails, with the reason; `grader_disagreement` when the model's total is far from the built-in one.
    """
    if not answer.strip():
        raise ValueError("an answer without words is not graded")
    rules = grade_by_rules(
        question, answer, english_question=english_question, english_answer=english_answer, language=language
    )
    if client is None:
        return _by_rules(rules, LlmUnavailable("not_configured", "No language model is configured."))
    in_english = bool(english_question and english_answer)
    asked, answered = (english_question, english_answer) if in_english else (question, answer)
    try:
        grade = grade_by_llm(client, asked or "", answered or "", language)
    except LlmUnavailable as unavailable:
        return _by_rules(rules, unavailable)
    addressed = any(
        speaks_to_the_grader(line) for line in sentences(answer) + sentences(english_answer or "")
    )
    return _compared(grade, rules, addressed)


def _by_rules(rules: Grade, unavailable: LlmUnavailable) -> GradedAnswer:
    message = f"{unavailable.message} The built-in grader gave the scores."
    return GradedAnswer(rules, (ResultWarning("graded_by_rules", message),), unavailable.reason)


def _compared(grade: Grade, rules: Grade, addressed: bool) -> GradedAnswer:
    apart = abs(grade.total - rules.total)
    if apart <= (DISAGREEMENT_POINTS_IF_ADDRESSED if addressed else DISAGREEMENT_POINTS):
        return GradedAnswer(grade, ())
    message = (
        f"The language model's total is {grade.total:g}, the built-in grader's {rules.total:g}: "
        "please read this answer before using its scores."
    )
    if addressed:
        message += " The answer contains words that address the grader."
    return GradedAnswer(replace(grade, disagreement=True), (ResultWarning("grader_disagreement", message),))
