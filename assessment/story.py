"""The results document as it is told to people: what the results page and the report both show.

Everything here is words and ready geometry; the templates only lay it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from assessment import measures, words
from assessment.expression import NO_EXPRESSION, Expression, ShareOfTime, describe, of_all
from assessment.opening import opening
from assessment.provenance import Origin, flatten, origins
from assessment.results.recommendation import PROJECT_WEIGHT
from assessment.results.schema import AnswerResult, Content, Evidence, ResultsDocument

LANE_KINDS = (
    "off_screen",
    "no_face",
    "multiple_faces",
    "second_voice",
    "long_pause",
)  # high_stress: expression.py
SCALE = 1000.0
LEAST_MARK = 4.0  # of SCALE, so that a short interval can be seen


@dataclass(frozen=True)
class ScoreBar:
    """A score of 0 to 100. `fill`, `low` and `width` are SVG lengths on a scale of 0 to 1000."""

    label: str
    text: str
    note: str
    fill: str | None
    low: str | None
    width: str | None


@dataclass(frozen=True)
class Mark:
    """One interval on a lane; `x` and `width` are SVG lengths on a scale of 0 to 1000."""

    x: str
    width: str
    time: str


@dataclass(frozen=True)
class Lane:
    kind: str
    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Line:
    """A sentence of the transcript."""

    time: str
    voice: int | None
    text: str


@dataclass(frozen=True)
class Finding:
    kind: str
    label: str
    time: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something that people must know about a number; `detail` is the system's own message, in English."""

    code: str
    text: str
    detail: str


@dataclass(frozen=True)
class Chapter:
    number: int
    question: str
    failed: Note | None
    language: str = ""
    duration: str = ""
    scores: tuple[ScoreBar, ...] = ()
    grader: str = ""
    graded: bool = False
    comment: str = ""
    verdict: str = ""
    tone: str = "quiet"
    voices: str = words.NOT_MEASURED
    lanes: tuple[Lane, ...] = ()
    findings: tuple[Finding, ...] = ()
    expression: Expression = NO_EXPRESSION
    transcript: tuple[Line, ...] = ()
    transcript_sureness: str = ""
    translation: str = ""
    translation_language: str = ""
    translation_note: str = ""
    measures: tuple[measures.Group, ...] = ()
    notes: tuple[Note, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Story:
    name: str
    session: str
    value: str
    sentence: str
    tone: str
    final: ScoreBar
    average: str
    project: str
    summary: str
    summary_by: str
    verdict: str
    verdict_tone: str
    verdict_counts: tuple[tuple[str, str, int], ...]
    non_verbal: str
    non_verbal_reason: str
    expression: tuple[ShareOfTime, ...]
    expression_reason: str
    chapters: tuple[Chapter, ...]
    processed_at: str
    speech_model: str
    method: tuple[tuple[str, str], ...]
    origins: tuple[Origin, ...]
    by_rules: bool


def _length(value: float) -> str:
    """An SVG number: a point for the decimals whatever the language."""
    return f"{min(max(value, 0.0), SCALE):.1f}"


def score_bar(
    label: str,
    value: float | None,
    spread: tuple[float, float] | None = None,
    note: str = "",
    places: int = 0,
) -> ScoreBar:
    """`spread` is the low and high end of what the score may be, in points."""
    if value is None:
        return ScoreBar(label, words.NOT_MEASURED, note, None, None, None)
    fill = _length(value * SCALE / 100)
    if spread is None:
        return ScoreBar(label, words.number(value, places), note, fill, None, None)
    low, high = (min(max(end, 0.0), 100.0) * SCALE / 100 for end in spread)
    return ScoreBar(label, words.number(value, places), note, fill, _length(low), _length(high - low))


def _around(value: float | None, uncertainty: float | None) -> tuple[tuple[float, float] | None, str]:
    if value is None or uncertainty is None:
        return None, ""
    return (value - uncertainty, value + uncertainty), f"± {words.number(uncertainty, 1)}"


def _scores(result: AnswerResult, reason: str) -> tuple[ScoreBar, ...]:
    graded = result.penilaian
    spread, note = _around(graded.total, graded.score_uncertainty)
    total_note = note or (_("uncertainty not known") if graded.total is not None else reason)
    bars = [
        score_bar(_("Total"), graded.total, spread, total_note, places=1),
        score_bar(_("Quality"), graded.kualitas_jawaban, note="" if graded.total is not None else reason),
        score_bar(_("Relevance"), graded.relevansi, note="" if graded.total is not None else reason),
        score_bar(_("Coherence"), graded.koherensi, note="" if graded.total is not None else reason),
    ]
    return tuple(bars)


def _findings(evidence: Iterable[Evidence]) -> tuple[Finding, ...]:
    ordered = sorted(evidence, key=lambda item: item.start_s)
    return tuple(
        Finding(
            e.kind,
            str(words.EVIDENCE[e.kind]),
            words.interval(e.start_s, e.end_s),
            words.finding(e.kind, e.reason, e.end_s - e.start_s),
        )
        for e in ordered
        if e.kind in LANE_KINDS
    )


def _lanes(evidence: list[Evidence], duration_s: float) -> tuple[Lane, ...]:
    """A lane for each kind that occurs, marks in proportion to the recording's length."""
    lanes = []
    for kind in LANE_KINDS:
        marks = []
        for item in (e for e in evidence if e.kind == kind):
            width = max((item.end_s - item.start_s) / duration_s * SCALE, LEAST_MARK)
            x = min(item.start_s / duration_s * SCALE, SCALE - width)
            marks.append(Mark(_length(x), _length(width), words.interval(item.start_s, item.end_s)))
        if marks:
            lanes.append(Lane(kind, str(words.EVIDENCE[kind]), tuple(marks)))
    return tuple(lanes)


def _transcript(result: AnswerResult) -> tuple[Line, ...]:
    return tuple(
        Line(
            words.interval(segment.start_s, segment.end_s),
            None if segment.speaker is None else segment.speaker + 1,
            segment.text,
        )
        for segment in result.segments
    )


def _sureness(result: AnswerResult) -> str:
    if result.transkripsi_confidence is None:
        return ""
    low, high = result.transkripsi_min_confidence, result.transkripsi_max_confidence
    return _(
        "The recogniser is %(mean)s %% sure of its words (%(low)s to %(high)s %%). That is not its accuracy."
    ) % {
        "mean": words.number(result.transkripsi_confidence),
        "low": words.number(low),
        "high": words.number(high),
    }


def _translation(result: AnswerResult, codes: dict[str, str]) -> tuple[str, str, str]:
    """The text in the other language, which language that is, and how it was made or why it is missing."""
    spoken = result.metadata.source_language
    if not result.segments or spoken is None:
        return "", "", ""
    code, text = ("id", result.transkripsi_id) if spoken == "English" else ("en", result.transkripsi_en)
    if text:
        maker = {"deepl": "DeepL", "whisper": "Whisper"}.get(result.metadata.translation_engine or "", "")
        return text, code, _("Translated by %(maker)s.") % {"maker": maker} if maker else ""
    told = "translation_unavailable" in codes
    return "", code, "" if told else str(words.WARNINGS["translation_unavailable"])


def _duration(document: ResultsDocument, answer: Content) -> float | None:
    """Seconds of the recording, by its timings, else its measures, else what happened last."""
    for timing in document.metadata.timings:
        if timing.id == answer.id and timing.duration_s:
            return timing.duration_s
    if answer.result is None:
        return None
    speech = answer.result.non_verbal_analysis.speech_analysis
    ends = [e.end_s for e in answer.result.evidence] + [s.end_s for s in answer.result.segments]
    return speech.total_duration_seconds or max(ends, default=None)


def _failed(answer: Content) -> Note:
    code = answer.error.code if answer.error else ""
    detail = answer.error.message if answer.error else ""
    return Note(code, words.failure(code), detail)


def _chapter(document: ResultsDocument, answer: Content) -> Chapter:
    result = answer.result
    if result is None:
        return Chapter(answer.id, answer.question, _failed(answer))
    codes: dict[str, str] = {warning.code: warning.message for warning in result.warnings}
    duration_s = _duration(document, answer)
    voices = result.cheating_detection.audio.num_speakers
    translation, language, note = _translation(result, codes)
    verdict = result.cheating_detection.final_verdict
    return Chapter(
        number=answer.id,
        question=answer.question,
        failed=None,
        language=str(words.LANGUAGES[result.metadata.source_language]),
        duration=words.clock(duration_s) if duration_s else words.NOT_MEASURED,
        scores=_scores(result, measures.why_no_score(codes)),
        grader=str(words.GRADERS[result.penilaian.grader]),
        graded=result.penilaian.grader is not None,
        comment=result.penilaian.analisis_llm or "",
        verdict=str(words.VERDICTS[verdict]),
        tone=words.tone(verdict),
        voices=words.number(voices),
        lanes=_lanes(result.evidence, duration_s) if duration_s else (),
        findings=_findings(result.evidence),
        expression=describe(result, duration_s, measures.why_no_expression(codes)),
        transcript=_transcript(result),
        transcript_sureness=_sureness(result),
        translation=translation,
        translation_language=language,
        translation_note=note.strip(),
        measures=measures.groups(result, codes),
        notes=tuple(Note(w.code, *words.caution(w.code, w.message)) for w in result.warnings),
        provenance=flatten(result.provenance),
    )


def _final_bar(document: ResultsDocument) -> ScoreBar:
    """The final score; its spread is that of the averaged totals, weighed as the totals are beside a project
    score (DESIGN section 5). Errors of answers may share a cause, so spreads are averaged,
    not divided by √n (assumption)."""
    advice = document.recommendation
    spreads = [
        a.result.penilaian.score_uncertainty
        for a in document.content
        if a.result and a.result.penilaian.total is not None
    ]
    known = [spread for spread in spreads if spread is not None]
    if advice.final_score is None or not known or len(known) < len(spreads):
        return score_bar(_("Final score"), advice.final_score, places=1)
    weight = 1.0 if document.metadata.project_score is None else 1 - PROJECT_WEIGHT
    spread, note = _around(advice.final_score, weight * sum(known) / len(known))
    return score_bar(_("Final score"), advice.final_score, spread, note, places=1)


def _method(document: ResultsDocument) -> tuple[tuple[str, str], ...]:
    meta = document.metadata
    by_llm = any(a.result and a.result.penilaian.grader == "llm" for a in document.content)
    project = None if meta.project_score is None else words.number(meta.project_score, 1)
    rows = [
        (_("Speech recogniser"), meta.model),
        (_("Language model for scores"), (meta.llm_model if by_llm else None) or _("none was used")),
        (_("Answers assessed"), f"{meta.successful_videos} / {meta.total_videos}"),
        (_("Candidate's country"), meta.candidate_country or _("not known")),
        (_("Project score"), project or _("none was given")),
        (_("Shape of the results document"), _("version %(version)s") % {"version": meta.schema_version}),
    ]
    return tuple(rows)


def _summary_by(engine: str) -> str:
    makers = {
        "llm": _("Written by the language model from all answers."),
        "template": _("Put together from the numbers, without a language model."),
        "reused": _("The comment on the only answer."),
    }
    return makers.get(engine, "")


def tell(document: dict[str, Any]) -> Story:
    """The story of a document in the active language. Raises pydantic's ValidationError for another shape."""
    typed = ResultsDocument.model_validate(document)
    integrity = typed.aggregate_cheating_detection
    non_verbal = typed.aggregate_non_verbal_analysis.overall_confidence_score
    all_codes: dict[str, str] = {
        w.code: w.message for a in typed.content if a.result for w in a.result.warnings
    }
    counts = [(v, integrity.verdict_distribution.get(v, 0)) for v in ("Safe", "Medium Risk", "High Risk")]
    chapters = tuple(_chapter(typed, answer) for answer in typed.content)
    return Story(
        name=typed.name,
        session=typed.session,
        value=typed.recommendation.value,
        sentence=opening(typed),
        tone={"Lulus": "good", "Tidak Lulus": "quiet"}.get(typed.recommendation.value, "attention"),
        final=_final_bar(typed),
        average=words.number(typed.llm_results.avg_total_llm, 1),
        project=words.number(typed.metadata.project_score, 1),
        summary=typed.llm_results.kesimpulan_llm or "",
        summary_by=_summary_by(typed.llm_results.summary_engine),
        verdict=str(words.VERDICTS[integrity.final_aggregate_verdict]),
        verdict_tone=words.tone(integrity.final_aggregate_verdict),
        verdict_counts=tuple((str(words.VERDICTS[v]), words.tone(v), count) for v, count in counts if count),
        non_verbal=words.number(non_verbal),
        non_verbal_reason="" if non_verbal is not None else measures.why_no_non_verbal(all_codes),
        expression=of_all(typed.aggregate_stress),
        expression_reason="" if typed.aggregate_stress else measures.why_no_expression(all_codes),
        chapters=chapters,
        processed_at=words.moment(typed.metadata.processed_at),
        speech_model=typed.metadata.model,
        method=_method(typed),
        origins=origins(typed),
        by_rules=any(a.result and a.result.penilaian.grader == "rules" for a in typed.content),
    )
