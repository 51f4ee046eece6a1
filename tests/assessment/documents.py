"""Results documents for tests: made by hand, valid by the schema."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from assessment.models import Answer, Assessment, Candidate
from assessment.models import ResultsDocument as StoredDocument
from assessment.policy import decide
from assessment.results import stress_result
from assessment.results.recommendation import recommend
from assessment.results.schema import Content, ResultsDocument

Json = dict[str, Any]

ENGLISH = (
    "I started with a small study plan and kept to it every day. "
    "When the material was hard I asked the forum and wrote the answers down. "
    "After three months I passed with a good score."
)
INDONESIAN = (
    "Saya memulai dengan rencana belajar kecil dan menjalankannya setiap hari. "
    "Ketika materinya sulit saya bertanya di forum dan mencatat jawabannya. "
    "Setelah tiga bulan saya lulus dengan nilai yang baik."
)


def segments(
    text: str = ENGLISH, *, start_s: float = 1.2, speakers: Sequence[int | None] = (0,)
) -> list[Json]:
    """One segment a sentence, words of 0.32 s with 0.06 s between them, 1 s between sentences."""
    out: list[Json] = []
    t = start_s
    for index, sentence in enumerate(part.strip() + "." for part in text.split(".") if part.strip()):
        words = []
        for word in sentence.split():
            words.append(
                {"start_s": round(t, 2), "end_s": round(t + 0.32, 2), "text": word, "probability": 0.94}
            )
            t += 0.38
        out.append(
            {
                "start_s": words[0]["start_s"],
                "end_s": words[-1]["end_s"],
                "speaker": speakers[index % len(speakers)],
                "text": sentence,
                "words": words,
            }
        )
        t += 1.0
    return out


def penilaian(
    total: float | None = 74.0, *, grader: str | None = "llm", uncertainty: float | None = 6.5
) -> Json:
    scored = total is not None
    by_llm = scored and grader == "llm"
    return {
        "confidence_score": 88.2 if by_llm else None,
        "kualitas_jawaban": total - 4 if scored else None,
        "relevansi": total + 6 if scored else None,
        "koherensi": total - 2 if scored else None,
        "analisis_llm": "Concrete and ordered; names a plan and a result, says little about the obstacle."
        if scored
        else None,
        "total": total,
        "logprobs_confidence": 88.2 if by_llm else None,
        "logprobs_probability": 0.882 if by_llm else None,
        "logprobs_available": by_llm,
        "grader": grader if scored else None,
        "score_uncertainty": uncertainty if scored else None,
    }


def non_verbal(*, measured: bool = True) -> Json:
    def maybe(value: Any) -> Any:
        return value if measured else None

    return {
        "speech_analysis": {
            "total_duration_seconds": 62.4,
            "speaking_time_seconds": maybe(36.1),
            "silence_time_seconds": maybe(26.3),
            "number_of_pauses": maybe(9),
            "speech_rate_wpm": maybe(141.0),
            "speaking_ratio": maybe(0.58),
        },
        "facial_expression_analysis": {
            "average_smile_intensity": maybe(0.12),
            "smile_variation": maybe(0.05),
            "eyebrow_movement_range": maybe(0.21),
            "baseline_smile_intensity": maybe(0.08),
            "baseline_eyebrow_position": maybe(0.31),
            "head_movement_deg_per_s": maybe(4.7),
            "total_frames_analyzed": maybe(936),
            "face_detected_percentage": 98.7 if measured else 0.0,
            "calibration_applied": maybe(True),
        },
        "eye_movement_analysis": {
            "total_blinks": maybe(18),
            "blink_rate_per_minute": maybe(17.3),
            "eye_contact_percentage": maybe(71.4),
            "gaze_stability": maybe(3.4),
        },
    }


def integrity(verdict: str | None = "Safe", share: float | None = 1.9, voices: int | None = 1) -> Json:
    flagged = verdict in ("Medium Risk", "High Risk")
    reasons = [f"Looked away for {share:.1f} % of the time"] if flagged and share else []
    return {
        "visual": {
            "cheating_score": share,
            "suspicious_frames": None if share is None else round(share * 9.36),
            "cheating_reasons": reasons,
            "confidence": {"average": 91.0, "min": 72.0, "max": 97.0}
            if share is not None
            else {"average": None, "min": None, "max": None},
        },
        "audio": {
            "num_speakers": voices,
            "confidence": 90.0 if voices else None,
            "silhouette_score": None if voices is None else (-1.0 if voices == 1 else 0.34),
        },
        "final_verdict": verdict,
        "final_avg_confidence": 90.4 if verdict else None,
        "all_indicators": reasons,
    }


def non_verbal_confidence() -> Json:
    return {
        "score": 78.0,
        "low": 69.0,
        "high": 85.0,
        "parts": [
            {"name": "speech_rate_wpm", "value": 141.0, "z": -0.13, "score": 91.2, "weight": 0.26},
            {"name": "speaking_ratio", "value": 0.58, "z": 0.0, "score": 90.0, "weight": 0.24},
            {"name": "blink_rate_per_minute", "value": 17.3, "z": 0.03, "score": 88.0, "weight": 0.18},
            {"name": "eye_contact_percentage", "value": 71.4, "z": 0.32, "score": 79.8, "weight": 0.16},
        ],
    }


def stress(seconds: int = 62, *, with_voice: bool = True) -> Json:
    """Low at first, then unsure, high from 0:40 to 0:50, then medium; nothing to read at 0:20 to 0:24."""
    timeline = []
    for t in (t for t in range(seconds) if not 20 <= t < 24):
        level, row = next(
            (level, row)
            for until, level, row in (
                (30, "low", (0.74, 0.12, 0.14)),
                (40, None, (0.42, 0.22, 0.36)),
                (50, "high", (0.14, 0.18, 0.68)),
                (seconds, "medium", (0.22, 0.6, 0.18)),
            )
            if t < until
        )
        sources = ["face", "voice"] if with_voice and t % 10 < 6 else ["face"]
        low, medium, high = row
        timeline.append(
            {"t_s": float(t), "low": low, "medium": medium, "high": high, "sources": sources, "level": level}
        )
    levels = [point["level"] or "unsure" for point in timeline]
    shares = {
        name: round(levels.count(name) / len(levels), 4) for name in ("low", "medium", "high", "unsure")
    }
    tops = [max(point["low"], point["medium"], point["high"]) for point in timeline]
    return {
        "timeline": timeline,
        "distribution": shares,
        "model_confidence": round(sum(tops) / len(tops), 4),
        "face": {
            "probabilities": {"low": 0.5, "medium": 0.21, "high": 0.29},
            "emotions": {
                "angry": 0.06,
                "disgust": 0.02,
                "fear": 0.08,
                "happy": 0.19,
                "sad": 0.15,
                "surprise": 0.19,
                "neutral": 0.31,
            },
            "looked_at": 124,
            "used": 116,
            "share_used": 0.9355,
            "quality": {"ok": 116, "no_face": 8},
        },
        "voice": {
            "probabilities": {"low": 0.55, "medium": 0.15, "high": 0.3},
            "emotions": {
                "angry": 0.1,
                "disgust": 0.05,
                "fear": 0.1,
                "happy": 0.15,
                "sad": 0.1,
                "surprise": 0.1,
                "neutral": 0.4,
            },
            "looked_at": 15,
            "used": 14,
            "share_used": 0.9333,
            "quality": {"ok": 14, "clipped": 1},
        }
        if with_voice
        else None,
    }


HIGH_STRESS: Json = {
    "kind": "high_stress",
    "start_s": 40.0,
    "end_s": 50.0,
    "reason": "face and voice",
    "value": 0.68,
}


def expressive_result(**changes: Any) -> Json:
    """With the expression indicator, and an interval at level high."""
    document = result(stress=stress())
    document["evidence"].append(HIGH_STRESS)
    return document | changes


def result(**changes: Any) -> Json:
    """An answer of 62.4 s in English, one voice, one face, scored by the LLM."""
    document: Json = {
        "penilaian": penilaian(),
        "non_verbal_analysis": non_verbal(),
        "non_verbal_confidence_score": 78.0,
        "non_verbal_confidence": non_verbal_confidence(),
        "transkripsi_en": ENGLISH,
        "transkripsi_id": INDONESIAN,
        "transkripsi_confidence": 91.3,
        "transkripsi_min_confidence": 84.0,
        "transkripsi_max_confidence": 96.1,
        "cheating_detection": integrity(),
        "metadata": {
            "word_count": len(ENGLISH.split()),
            "processed_at": "2026-11-21T09:30:00+00:00",
            "logprobs_enabled": True,
            "source_language": "English",
            "translation_engine": "deepl",
            "analysed_frames_per_s": 15.0,
        },
        "segments": segments(),
        "evidence": [
            {
                "kind": "off_screen",
                "start_s": 41.0,
                "end_s": 47.0,
                "reason": "gaze_left",
                "value": None,
            },
            {
                "kind": "long_pause",
                "start_s": 14.2,
                "end_s": 17.5,
                "reason": "pause between words",
                "value": 3.3,
            },
        ],
        "stress": None,
        "speakers": [{"start_s": 1.2, "end_s": 40.0, "speaker": 0}],
        "faces": {"none": 0.013, "one": 0.987, "more": 0.0},
        "warnings": [],
        "provenance": {
            "transcribe": {"model": "faster-whisper base", "beam_size": 5},
            "watch": {
                "model": "face_landmarker float16/1",
                "thresholds": {f"a_threshold_of_the_kind_{n}_deg": n / 2 for n in range(45)},
            },
        },
    }
    return document | changes


def second_voice_result(**changes: Any) -> Json:
    """Two voices, a second face and 24 % of the time looked away."""
    document = result(
        cheating_detection=integrity("High Risk", 24.0, 2),
        segments=segments(speakers=(0, 1)),
        speakers=[
            {"start_s": 1.2, "end_s": 40.0, "speaker": 0},
            {"start_s": 70.0, "end_s": 74.5, "speaker": 1},
        ],
        faces={"none": 0.02, "one": 0.93, "more": 0.05},
        evidence=[
            {
                "kind": "second_voice",
                "start_s": 70.0,
                "end_s": 74.5,
                "reason": "another voice than the main one",
                "value": None,
            },
            {"kind": "multiple_faces", "start_s": 30.0, "end_s": 33.0, "reason": "second_face", "value": 2.0},
            {
                "kind": "off_screen",
                "start_s": 20.0,
                "end_s": 29.0,
                "reason": "head_right",
                "value": 38.0,
            },
        ],
    )
    return document | changes


def silent_result(**changes: Any) -> Json:
    """Null-heavy: nobody speaks, no face is seen."""
    document = result(
        penilaian=penilaian(None),
        non_verbal_analysis=non_verbal(measured=False),
        non_verbal_confidence_score=None,
        non_verbal_confidence=None,
        transkripsi_en="",
        transkripsi_id=None,
        transkripsi_confidence=None,
        transkripsi_min_confidence=None,
        transkripsi_max_confidence=None,
        cheating_detection=integrity(None, None, None),
        segments=[],
        evidence=[{"kind": "no_face", "start_s": 0.0, "end_s": 62.4, "reason": "not_in_view", "value": None}],
        speakers=[],
        faces={"none": 1.0, "one": 0.0, "more": 0.0},
        warnings=[
            {"code": "no_speech", "message": "No speech was heard."},
            {"code": "face_not_visible", "message": "A face was visible for 0 % of the time."},
        ],
    )
    document["metadata"] |= {"word_count": 0, "source_language": None, "translation_engine": None}
    return document | changes


def answer(
    position: int, question: str, answer_result: Json | None, error: tuple[str, str] | None = None
) -> Json:
    return {
        "id": position,
        "question": question,
        "status": "error" if error else "completed",
        "error": {"code": error[0], "message": error[1]} if error else None,
        "result": None if error else answer_result,
    }


def failed_answer(position: int, question: str = "What would you do in your first week?") -> Json:
    return answer(
        position, question, None, ("download_failed", "The file at this address was not found (404).")
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 2) if known else None


def _timing(item: Json) -> Json:
    seconds = dict.fromkeys(
        ("decode_s", "transcribe_s", "translate_s", "watch_s", "listen_s", "grade_s"), 1.1
    )
    return {
        "id": item["id"],
        "duration_s": 62.4,
        **seconds,
        "stress_s": None,
        "total_s": 6.6,
        "real_time_factor": 0.07,
    }


def _metadata(content: Sequence[Json], project_score: float | None) -> Json:
    failed = sum(item["status"] == "error" for item in content)
    return {
        "total_videos": len(content),
        "successful_videos": len(content) - failed,
        "failed_videos": failed,
        "processed_at": "2026-11-21T09:31:00+00:00",
        "model": "faster-whisper base",
        "llm_model": "meta-llama/Llama-3.1-8B-Instruct",
        "schema_version": "1",
        "language": "en",
        "candidate_country": "ID",
        "project_score": project_score,
        "policy": decide("ID").snapshot(),
        "timings": [_timing(item) for item in content if item["status"] == "completed"],
    }


def document(
    content: Sequence[Json] | None = None,
    *,
    name: str = "Sari Wulandari",
    session: str | None = None,
    project_score: float | None = None,
) -> Json:
    """A whole document, validated and JSON-ready; by default two answers without anything to look at."""
    if content is None:
        content = [
            answer(1, "Which challenge did you meet on the way to your certificate?", result()),
            answer(2, "How do you explain a hard topic to a beginner?", result(penilaian=penilaian(81.0))),
        ]
    done = [item["result"] for item in content if item["result"]]
    total = _mean([r["penilaian"]["total"] for r in done])
    final = total if project_score is None or total is None else round(project_score * 0.7 + total * 0.3, 2)
    verdicts = [
        r["cheating_detection"]["final_verdict"] for r in done if r["cheating_detection"]["final_verdict"]
    ]
    worst = next((v for v in ("High Risk", "Medium Risk", "Safe") if v in verdicts), None)
    levels = {"Safe": "Clear", "Medium Risk": "Warning", "High Risk": "Critical", None: None}
    typed = [Content.model_validate(item) for item in content]
    expressions = stress_result.aggregate(typed)
    body = {
        "success": True,
        "name": name,
        "session": session or uuid.uuid4().hex,
        "llm_results": {
            "kesimpulan_llm": "Two answers, both on the question; the examples are concrete."
            if total
            else None,
            "rata_rata_confidence_score": _mean([r["penilaian"]["confidence_score"] for r in done]),
            "avg_total_llm": total,
            "final_score_llm": final,
            "avg_logprobs_confidence": _mean([r["penilaian"]["logprobs_confidence"] for r in done]),
            "summary_logprobs_confidence": None,
            "reused_single_analysis": False,
            "summary_engine": "template",
        },
        "aggregate_cheating_detection": {
            "avg_cheating_score": _mean([r["cheating_detection"]["visual"]["cheating_score"] for r in done]),
            "avg_visual_confidence": 91.0,
            "avg_audio_confidence": 90.0,
            "avg_overall_confidence": 90.4,
            "total_suspicious_frames": 36,
            "avg_silhouette_score": None,
            "verdict_distribution": {v: verdicts.count(v) for v in sorted(set(verdicts))},
            "final_aggregate_verdict": worst,
            "risk_level": levels[worst],
            "questions_with_issues": [],
            "all_indicators": [],
            "summary": f"{len(done)} answers were looked at.",
        },
        "aggregate_non_verbal_analysis": {
            "overall_performance_status": "GOOD",
            "overall_confidence_score": _mean([r["non_verbal_confidence_score"] for r in done]),
            "summary": "speech rate 141 words per minute, eye contact 71 %",
        },
        "aggregate_stress": expressions.model_dump() if expressions else None,
        "content": list(content),
        "recommendation": recommend(typed, project_score).model_dump(),
        "metadata": _metadata(content, project_score),
    }
    return ResultsDocument.model_validate(body).model_dump(mode="json")


def difficult_document(**changes: Any) -> Json:
    """Four answers: a good one, one with a second voice, a silent one and a failed one."""
    return document(
        [
            answer(1, "Which challenge did you meet on the way to your certificate?", result()),
            answer(2, "How do you explain a hard topic to a beginner?", second_voice_result()),
            answer(3, "Why this company?", silent_result()),
            failed_answer(4),
        ],
        **changes,
    )


def store(body: Json | None = None, *, owner: Any = None, **fields: Any) -> Assessment:
    """A finished assessment with its records, whose results are `body`."""
    body = body or document()
    candidate = Candidate.objects.create(name=body["name"])
    ended = "completed" if body["success"] else "error"
    fields = {"status": ended, "run": 1, "finalized_run": 1, "country": "ID"} | fields
    assessment = Assessment.objects.create(candidate=candidate, owner=owner, **fields)
    body["session"] = assessment.session_id
    for order, item in enumerate(body["content"]):
        Answer.objects.create(
            assessment=assessment,
            position=item["id"],
            order=order,
            question=item["question"],
            status=item["status"],
            error_code=item["error"]["code"] if item["error"] else "",
            error_message=item["error"]["message"] if item["error"] else "",
        )
    StoredDocument.objects.create(assessment=assessment, run=assessment.run, document=body)
    return assessment
