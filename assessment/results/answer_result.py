"""One answer's stage outputs -> its block of the results document."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from assessment.models import Answer, StageRun
from assessment.pipeline import transcribe, watch
from assessment.policy import Policy
from assessment.results import evidence, stress_result
from assessment.results.recommendation import mean_or_none
from assessment.results.schema import (
    AnswerMetadata,
    AnswerResult,
    AudioIntegrity,
    CheatingDetection,
    ConfidenceRange,
    EyeMovementAnalysis,
    FaceShares,
    FacialExpressionAnalysis,
    MeasureScore,
    NonVerbalAnalysis,
    NonVerbalConfidence,
    Penilaian,
    SegmentOut,
    SpeechAnalysis,
    TurnOut,
    VisualIntegrity,
    Warning_,
    WordOut,
)
from mlcore.behaviour import judge, non_verbal_confidence
from mlcore.speakers import Turn, assign_speakers
from mlcore.speech import Transcript

LANGUAGE_NAMES = {"en": "English", "id": "Indonesian"}
Output = dict[str, Any]


def build(answer: Answer, runs: dict[str, StageRun], policy: Policy) -> AnswerResult:
    """`runs`: the finished StageRun of each stage."""
    out = {stage: run.output for stage, run in runs.items()}
    transcript = transcribe.unpack(out["transcribe"])
    turns = [Turn(**turn) for turn in out["listen"]["voices"]["turns"]]
    confidence = _non_verbal_confidence(out, policy)
    texts = _texts(transcript, out["translate"])
    return AnswerResult(
        penilaian=_scores(out["grade"]),
        non_verbal_analysis=_non_verbal(out),
        non_verbal_confidence_score=confidence.score if confidence else None,
        non_verbal_confidence=confidence,
        transkripsi_en=texts["en"],
        transkripsi_id=texts["id"],
        transkripsi_confidence=_rounded(out["transcribe"]["confidence"]),
        transkripsi_min_confidence=_rounded(out["transcribe"]["min_confidence"]),
        transkripsi_max_confidence=_rounded(out["transcribe"]["max_confidence"]),
        cheating_detection=_integrity(out),
        metadata=_metadata(answer, out, transcript),
        segments=_segments(transcript, turns),
        evidence=evidence.collect(
            out["watch"]["intervals"],
            turns,
            out["listen"]["speech"],
            stress_result.evidence(out.get("stress"), policy),
        ),
        stress=stress_result.build(out.get("stress"), policy),
        speakers=[TurnOut(**_placed(turn)) for turn in out["listen"]["voices"]["turns"]],
        faces=FaceShares(
            none=_rounded(out["watch"]["share_no_face"], 4),
            one=_rounded(out["watch"]["share_one_face"], 4),
            more=_rounded(out["watch"]["share_several_faces"], 4),
        ),
        warnings=[Warning_(code=warning["code"], message=warning["message"]) for warning in answer.warnings],
        provenance={stage: run.versions for stage, run in runs.items()},
    )


def _rounded(value: float | None, places: int = 2) -> float | None:
    return None if value is None else round(value, places)


def _placed(turn: Output) -> Output:
    return turn | {"start_s": round(turn["start_s"], 3), "end_s": round(turn["end_s"], 3)}


def _texts(transcript: Transcript | None, translation: Output) -> dict[str, str | None]:
    if transcript is None:
        return {"en": None, "id": None}
    other = "id" if transcript.language == "en" else "en"
    return {transcript.language: transcript.text, other: translation["text"]}


def _scores(output: Output) -> Penilaian:
    grade = output["grade"] or {}
    probability = grade.get("probability")
    confidence = _rounded(grade.get("confidence"))
    return Penilaian(
        confidence_score=confidence,
        kualitas_jawaban=grade.get("quality"),
        relevansi=grade.get("relevance"),
        koherensi=grade.get("coherence"),
        analisis_llm=grade.get("analysis"),
        total=_rounded(grade.get("total")),
        logprobs_confidence=confidence,
        logprobs_probability=probability,
        logprobs_available=probability is not None,
        grader=grade.get("grader"),
        score_uncertainty=_rounded(grade.get("uncertainty")),
    )


def _non_verbal(out: dict[str, Output]) -> NonVerbalAnalysis:
    speech, seen = out["listen"]["speech"], out["watch"]
    calibration = seen["calibration"]
    return NonVerbalAnalysis(
        speech_analysis=SpeechAnalysis(
            total_duration_seconds=_rounded(speech["total_duration_s"]),
            speaking_time_seconds=_rounded(speech["speaking_time_s"]),
            silence_time_seconds=_rounded(speech["silence_time_s"]),
            number_of_pauses=speech["number_of_pauses"],
            speech_rate_wpm=_rounded(speech["speech_rate_wpm"], 1),
            speaking_ratio=_rounded(speech["speaking_ratio"], 3),
        ),
        facial_expression_analysis=FacialExpressionAnalysis(
            average_smile_intensity=_rounded(seen["average_smile_intensity"], 4),
            smile_variation=_rounded(seen["smile_variation"], 4),
            eyebrow_movement_range=_rounded(seen["eyebrow_movement_range"], 4),
            baseline_smile_intensity=_rounded(seen["baseline_smile_intensity"], 4),
            baseline_eyebrow_position=_rounded(seen["baseline_eyebrow_position"], 4),
            head_movement_deg_per_s=_rounded(seen["head_movement_deg_per_s"]),
            total_frames_analyzed=seen["frames_analysed"] or None,
            face_detected_percentage=_rounded(seen["face_detected_percentage"]),
            calibration_applied=calibration["applied"] if calibration else None,
        ),
        eye_movement_analysis=EyeMovementAnalysis(
            total_blinks=seen["total_blinks"],
            blink_rate_per_minute=_rounded(seen["blink_rate_per_minute"]),
            eye_contact_percentage=_rounded(seen["eye_contact_percentage"]),
            gaze_stability=_rounded(seen["gaze_stability_deg"]),
        ),
    )


def _non_verbal_confidence(out: dict[str, Output], policy: Policy) -> NonVerbalConfidence | None:
    """Off where policy forbids; None too where none of its measures could be taken."""
    if not policy.emotion_inference:
        return None
    speech, seen = out["listen"]["speech"], out["watch"]
    found = non_verbal_confidence(
        blink_rate_per_minute=seen["blink_rate_per_minute"],
        eye_contact_percentage=seen["eye_contact_percentage"],
        speaking_ratio=speech["speaking_ratio"],
        speech_rate_wpm=speech["speech_rate_wpm"],
    )
    if found.score is None or found.low is None or found.high is None:
        return None
    return NonVerbalConfidence(
        score=round(found.score, 2),
        low=round(found.low, 2),
        high=round(found.high, 2),
        parts=[
            MeasureScore(
                name=part.name,
                value=round(part.value, 3),
                z=round(part.z, 3),
                score=round(part.score, 2),
                weight=round(part.weight, 4),
            )
            for part in found.parts
        ],
    )


def _integrity(out: dict[str, Output]) -> CheatingDetection:
    seen, voices = out["watch"], out["listen"]["voices"]
    verdict = judge(watch.unpack(seen), voices["num_speakers"])
    confidences = [seen["confidence_average"], voices["confidence"]]
    return CheatingDetection(
        visual=VisualIntegrity(
            cheating_score=_rounded(seen["cheating_score"]),
            suspicious_frames=seen["suspicious_frames"],
            cheating_reasons=list(verdict.visual_reasons),
            confidence=ConfidenceRange(
                average=_rounded(seen["confidence_average"]),
                min=_rounded(seen["confidence_min"]),
                max=_rounded(seen["confidence_max"]),
            ),
        ),
        audio=AudioIntegrity(
            num_speakers=voices["num_speakers"],
            confidence=_rounded(voices["confidence"]),
            silhouette_score=_rounded(voices["silhouette_score"], 3) if voices["num_speakers"] else None,
        ),
        final_verdict=verdict.value,
        final_avg_confidence=mean_or_none(confidences),
        all_indicators=list(verdict.reasons),
    )


def _metadata(answer: Answer, out: dict[str, Output], transcript: Transcript | None) -> AnswerMetadata:
    return AnswerMetadata(
        word_count=len(transcript.words) if transcript else 0 if answer.media_info.get("has_audio") else None,
        processed_at=answer.finished_at.isoformat() if answer.finished_at else None,
        logprobs_enabled=bool(settings.LLM_BASE_URL or settings.HF_TOKEN),
        source_language=LANGUAGE_NAMES[transcript.language] if transcript else None,  # type: ignore[arg-type]
        translation_engine=out["translate"]["engine"],
        analysed_frames_per_s=_rounded(out["watch"]["analysed_fps"]),
    )


def _segments(transcript: Transcript | None, turns: list[Turn]) -> list[SegmentOut]:
    """Segments cut where the speaker changes, since a speaker is given by word."""
    if transcript is None:
        return []
    speakers = iter(assign_speakers(transcript.words, turns))
    segments: list[SegmentOut] = []
    for segment in transcript.segments:
        current: SegmentOut | None = None
        for word in segment.words:
            speaker = next(speakers)
            placed = WordOut(
                start_s=round(word.start_s, 3),
                end_s=round(word.end_s, 3),
                text=word.text,
                probability=round(word.probability, 4),
            )
            if current is None or current.speaker != speaker:
                current = SegmentOut(
                    start_s=placed.start_s, end_s=placed.end_s, speaker=speaker, text="", words=[]
                )
                segments.append(current)
            current.words.append(placed)
            current.end_s = placed.end_s
    for piece in segments:
        piece.text = " ".join(word.text.strip() for word in piece.words)
    return segments
