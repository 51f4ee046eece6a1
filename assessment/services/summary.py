"""The summary over all answers of an interview."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assessment.services import rubric
from assessment.services.errors import LlmUnavailable
from assessment.services.grades import Grade, Language
from assessment.services.llm import Completion, LlmClient
from assessment.services.text import plain, words

WORDS_ASKED = (150, 200)
WORDS_WANTED = (120, 240)  # a first reply outside is asked for once more
WORDS_TAKEN = (60, 320)  # assumption: outside even after that, the template says more
LONGEST_CHARACTERS = 4_000
PASS_LEVEL = 70.0  # DESIGN section 5


@dataclass(frozen=True)
class AnswerForSummary:
    """An answer's question and grade; `grade` None where it had no speech or failed."""

    question: str
    grade: Grade | None


@dataclass(frozen=True)
class Summary:
    """`confidence` (0-100) is 100 times the mean probability of the summary's tokens: how sure the model
    was of its wording, which says nothing about its truth. None without log-probabilities.
    `reason` is why there is a template instead of the model's words.
    """

    text: str
    engine: Literal["llm", "template", "reused"]
    confidence: float | None
    reason: str | None = None

    @property
    def reused_single_analysis(self) -> bool:
        return self.engine == "reused"


def summarise(
    answers: Sequence[AnswerForSummary], *, language: Language, client: LlmClient | None
) -> Summary:
    """150-200 words by the language model; a single graded answer gives its own analysis; without the model,
    or without a grade to speak of, a factual template in the interview's language. Never raises
    `LlmUnavailable`.
    """
    graded = [answer.grade for answer in answers if answer.grade is not None]
    if len(answers) == 1 and graded:
        return Summary(graded[0].analysis, "reused", None)
    if client is None or not graded:
        return Summary(
            template(answers, language), "template", None, "not_configured" if graded else "no_grades"
        )
    try:
        return _by_llm(client, answers, language)
    except LlmUnavailable as unavailable:
        return Summary(template(answers, language), "template", None, unavailable.reason)


def _by_llm(client: LlmClient, answers: Sequence[AnswerForSummary], language: Language) -> Summary:
    messages = rubric.summary_messages(_entries(answers), language, *WORDS_ASKED)
    until_s = client.deadline()
    completion = client.complete(messages, schema=None, max_tokens=rubric.MAX_TOKENS, until_s=until_s)
    if not _has_words(completion, WORDS_WANTED):
        count = len(words(completion.text))
        messages += [
            {"role": "assistant", "content": completion.text or "(empty)"},
            {"role": "user", "content": f"Those are {count} words. Write it again in 150 to 200 words."},
        ]
        completion = client.complete(messages, schema=None, max_tokens=rubric.MAX_TOKENS, until_s=until_s)
    if not _has_words(completion, WORDS_TAKEN):
        raise LlmUnavailable("invalid_reply", "The language model's summary had the wrong length twice.")
    return Summary(plain(completion.text, LONGEST_CHARACTERS), "llm", _wording_confidence(completion))


def _has_words(completion: Completion, allowed: tuple[int, int]) -> bool:
    return allowed[0] <= len(words(completion.text)) <= allowed[1]


def _wording_confidence(completion: Completion) -> float | None:
    if not completion.tokens:
        return None
    probabilities = [math.exp(min(0.0, token.logprob)) for token in completion.tokens]
    return round(100 * sum(probabilities) / len(probabilities), 2)


def _entries(answers: Sequence[AnswerForSummary]) -> str:
    return json.dumps(
        [_entry(number, answer) for number, answer in enumerate(answers, 1)], ensure_ascii=False
    )


def _entry(number: int, answer: AnswerForSummary) -> dict[str, object]:
    entry: dict[str, object] = {"answer": number, "question": plain(answer.question, 500)}
    if answer.grade is None:
        return entry | {"scores": None, "analysis": "no speech, or not processed"}
    grade = answer.grade
    scores = {"quality": grade.quality, "coherence": grade.coherence, "relevance": grade.relevance}
    return entry | {"scores": scores, "total": grade.total, "analysis": grade.analysis}


def template(answers: Sequence[AnswerForSummary], language: Language) -> str:
    """Counts and averages in words, and nothing that was not computed."""
    graded = [(number, answer.grade) for number, answer in enumerate(answers, 1) if answer.grade is not None]
    if not graded:
        return _PHRASES[language]["none"].format(count=len(answers))
    grades = [grade for _, grade in graded]
    best = max(graded, key=lambda item: item[1].total)
    least = min(graded, key=lambda item: item[1].total)
    facts = {
        "count": len(answers),
        "graded": len(graded),
        "missing": len(answers) - len(graded),
        "by_rules": sum(grade.grader == "rules" for grade in grades),
        "high": sum(grade.total >= PASS_LEVEL for grade in grades),
        "level": f"{PASS_LEVEL:g}",
        **{name: _mean(grades, name) for name in ("quality", "coherence", "relevance", "total")},
        **{"best": best[0], "best_total": best[1].total, "least": least[0], "least_total": least[1].total},
    }
    phrases = _PHRASES[language]
    parts = ["scores", *(["range"] if len(graded) > 1 else []), *(["missing"] if facts["missing"] else [])]
    return " ".join(phrases[part].format(**facts) for part in [*parts, "source"])


def _mean(grades: Sequence[Grade], name: str) -> float:
    return round(sum(getattr(grade, name) for grade in grades) / len(grades), 1)


_PHRASES: dict[Language, dict[str, str]] = {
    "en": {
        "none": "None of the {count} answers could be graded, so there is no summary; "
        "a person needs to look.",
        "scores": "{graded} of {count} answers were graded. The averages are {quality} for quality, "
        "{coherence} for coherence and {relevance} for relevance, {total} in total out of 100; {high} of "
        "them reached {level}.",
        "range": "The highest total is {best_total} (answer {best}), the lowest {least_total} "
        "(answer {least}).",
        "missing": "{missing} had no speech or could not be processed and are not in the averages.",
        "source": "{by_rules} of the grades come from the built-in grader. This text was put together from "
        "these figures, not written by a language model.",
    },
    "id": {
        "none": "Tidak satu pun dari {count} jawaban dapat dinilai, jadi tidak ada ringkasan; "
        "perlu ditinjau orang.",
        "scores": "{graded} dari {count} jawaban dinilai. Rata-ratanya {quality} untuk kualitas, "
        "{coherence} untuk koherensi, dan {relevance} untuk relevansi, dengan total {total} dari 100; "
        "{high} mencapai {level}.",
        "range": "Total tertinggi {best_total} (jawaban {best}), terendah {least_total} (jawaban {least}).",
        "missing": "{missing} jawaban tanpa ucapan atau gagal diproses dan tidak masuk rata-rata.",
        "source": "{by_rules} nilai berasal dari penilai bawaan. Teks ini disusun dari angka-angka "
        "tersebut, bukan ditulis oleh model bahasa.",
    },
}
