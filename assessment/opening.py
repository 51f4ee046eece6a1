"""The sentence that opens the results page and the report: what to do, and why."""

from __future__ import annotations

from django.utils.translation import gettext as _

from assessment import words
from assessment.results.recommendation import (
    PASS_MARK,
    SCORE_CONFIDENCE_FLOOR,
    TRANSCRIPT_CONFIDENCE_FLOOR,
)
from assessment.results.schema import Content, ResultsDocument


def _answers(numbers: list[int], one: str, many: str) -> list[str]:
    """One part of the sentence about these answers, or none."""
    if not numbers:
        return []
    known = sorted(set(numbers))
    which = words.listing([str(n) for n in known])
    return [(one if len(known) == 1 else many) % {"answers": which}]


def _first(answers: list[Content], kind: str, text: str) -> list[str]:
    """What was seen or heard first of its kind, with its time and answer."""
    for answer in answers:
        for item in answer.result.evidence if answer.result else ():
            if item.kind == kind:
                return [text % {"time": words.clock(item.start_s), "answer": answer.id}]
    return []


def _facts(document: ResultsDocument) -> list[str]:
    """What a person should look at, as parts of one sentence."""
    done = [answer for answer in document.content if answer.result is not None]
    codes = {answer.id: {w.code for w in answer.result.warnings} for answer in done if answer.result}

    def warned(code: str) -> list[int]:
        return [number for number, found in codes.items() if code in found]

    failed = [answer.id for answer in document.content if answer.result is None]
    unscored = [a.id for a in done if a.result and a.result.penilaian.total is None]
    away = [
        a.id
        for a in done
        if a.result
        and a.result.cheating_detection.final_verdict in ("Medium Risk", "High Risk")
        and any(e.kind in ("off_screen", "no_face") for e in a.result.evidence)
    ]
    return [
        *_answers(
            failed,
            _("answer %(answers)s could not be assessed"),
            _("answers %(answers)s could not be assessed"),
        ),
        *_answers(
            unscored,
            _("answer %(answers)s could not be scored"),
            _("answers %(answers)s could not be scored"),
        ),
        *_first(done, "second_voice", _("another voice was heard at %(time)s of answer %(answer)s")),
        *_first(done, "multiple_faces", _("more than one face was seen at %(time)s of answer %(answer)s")),
        *_answers(
            away,
            _("the eyes or the face were away for a while in answer %(answers)s"),
            _("the eyes or the face were away for a while in answers %(answers)s"),
        ),
        *_answers(
            warned("grader_disagreement"),
            _("two ways of scoring disagree about answer %(answers)s"),
            _("two ways of scoring disagree about answers %(answers)s"),
        ),
        *_answers(
            warned("graded_by_rules"),
            _("answer %(answers)s was scored by the built-in rules alone"),
            _("answers %(answers)s were scored by the built-in rules alone"),
        ),
        *_answers(
            _unsure(done) + warned("language_uncertain"),
            _("the words or scores of answer %(answers)s are uncertain"),
            _("the words or scores of answers %(answers)s are uncertain"),
        ),
    ]


def _unsure(answers: list[Content]) -> list[int]:
    """Answers whose transcript or scores lie under the floors of the recommendation."""
    unsure = []
    for answer in answers:
        if answer.result is None:
            continue
        words_sure = answer.result.transkripsi_confidence
        scores_sure = answer.result.penilaian.logprobs_confidence
        if (words_sure is not None and words_sure < TRANSCRIPT_CONFIDENCE_FLOOR) or (
            scores_sure is not None and scores_sure < SCORE_CONFIDENCE_FLOOR
        ):
            unsure.append(answer.id)
    return unsure


def opening(document: ResultsDocument) -> str:
    """The sentence that opens the page and the report."""
    advice = document.recommendation
    score = {"score": words.number(advice.final_score, 1), "mark": words.number(PASS_MARK)}
    facts = _facts(document)
    if advice.value == "Perlu Tinjauan":
        told = facts or [reason.message.rstrip(".") for reason in advice.reasons]
        return _("Needs review: %(facts)s.") % {"facts": words.listing(told)} if told else _("Needs review.")
    if advice.value == "Lulus":
        return _("The final score of %(score)s out of 100 reaches the pass mark of %(mark)s.") % score
    return _("The final score of %(score)s out of 100 is below the pass mark of %(mark)s.") % score
