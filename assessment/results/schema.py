"""The results document of `GET /results/{session_id}`, typed.

The keys of the earlier system are kept, with their names and nesting; docs/api.md tells what was added. A value
that could not be measured is null and a warning says why. Times are seconds from the start of the recording,
scores and confidences run from 0 to 100 unless a name says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1"

Percent = float | None
Verdict = Literal["Safe", "Medium Risk", "High Risk"]
RiskLevel = Literal["Clear", "Warning", "Critical"]
RecommendationValue = Literal["Lulus", "Tidak Lulus", "Perlu Tinjauan"]
EvidenceKind = Literal["off_screen", "no_face", "multiple_faces", "second_voice", "long_pause", "high_stress"]
WarningCode = Literal[
    "truncated",
    "no_audio",
    "no_speech",
    "no_video",
    "face_not_visible",
    "translation_unavailable",
    "graded_by_rules",
    "grader_disagreement",
    "language_uncertain",
    "country_unknown",
    "policy_prohibits",
    "not_agreed",
    "stress_not_measured",
]
StressLevel = Literal["low", "medium", "high"]
StressSource = Literal["face", "voice"]
Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
Share = Annotated[float, Field(ge=0, le=1)]

EXPRESSION_PROXY = (
    "An expression proxy: how face and voice resemble posed and acted expressions, not a measure of what somebody "
    "feels. For a person to review, never to decide by."
)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class CodedMessage(Model):
    code: str
    message: str


class Warning_(Model):
    code: WarningCode
    message: str


class WordOut(Model):
    start_s: float
    end_s: float
    text: str
    probability: float = Field(ge=0, le=1)


class SegmentOut(Model):
    start_s: float
    end_s: float
    speaker: int | None
    text: str
    words: list[WordOut]


class Evidence(Model):
    kind: EvidenceKind
    start_s: float
    end_s: float
    reason: str
    value: float | None = None


class TurnOut(Model):
    start_s: float
    end_s: float
    speaker: int


class FaceShares(Model):
    """Shares of the analysed frames, 0 to 1."""

    none: float | None
    one: float | None
    more: float | None


class Penilaian(Model):
    """The answer's scores; the keys are the earlier system's."""

    confidence_score: Percent
    kualitas_jawaban: Percent
    relevansi: Percent
    koherensi: Percent
    analisis_llm: str | None
    total: Percent
    logprobs_confidence: Percent
    logprobs_probability: float | None
    logprobs_available: bool
    grader: Literal["llm", "rules"] | None
    score_uncertainty: float | None = Field(description="Plus or minus, in points.")


class SpeechAnalysis(Model):
    total_duration_seconds: float | None
    speaking_time_seconds: float | None
    silence_time_seconds: float | None
    number_of_pauses: int | None
    speech_rate_wpm: float | None
    speaking_ratio: float | None


class FacialExpressionAnalysis(Model):
    average_smile_intensity: float | None
    smile_variation: float | None
    eyebrow_movement_range: float | None
    baseline_smile_intensity: float | None
    baseline_eyebrow_position: float | None
    head_movement_deg_per_s: float | None
    total_frames_analyzed: int | None
    face_detected_percentage: Percent
    calibration_applied: bool | None


class EyeMovementAnalysis(Model):
    total_blinks: int | None
    blink_rate_per_minute: float | None
    eye_contact_percentage: Percent
    gaze_stability: float | None = Field(description="Standard deviation of gaze, degrees.")


class NonVerbalAnalysis(Model):
    speech_analysis: SpeechAnalysis
    facial_expression_analysis: FacialExpressionAnalysis
    eye_movement_analysis: EyeMovementAnalysis


class MeasureScore(Model):
    name: str
    value: float
    z: float
    score: float
    weight: float


class NonVerbalConfidence(Model):
    score: float
    low: float
    high: float
    parts: list[MeasureScore]


class ConfidenceRange(Model):
    average: Percent
    min: Percent
    max: Percent


class VisualIntegrity(Model):
    cheating_score: Percent
    suspicious_frames: int | None
    cheating_reasons: list[str]
    confidence: ConfidenceRange


class AudioIntegrity(Model):
    num_speakers: int | None
    confidence: Percent
    silhouette_score: float | None


class CheatingDetection(Model):
    visual: VisualIntegrity
    audio: AudioIntegrity
    final_verdict: Verdict | None
    final_avg_confidence: Percent
    all_indicators: list[str]


class AnswerMetadata(Model):
    word_count: int | None
    processed_at: str | None
    logprobs_enabled: bool
    source_language: Literal["English", "Indonesian"] | None
    translation_engine: Literal["deepl", "whisper"] | None
    analysed_frames_per_s: float | None


class LevelProbabilities(Model):
    """Calibrated, with a sum of 1."""

    low: Share
    medium: Share
    high: Share


class StressPoint(LevelProbabilities):
    """The second from `t_s` on: the mean of the last five readings."""

    t_s: float
    sources: list[StressSource]
    level: StressLevel | None = Field(
        description="Changes past a margin only; null where the model is unsure."
    )


class StressDistribution(Model):
    """Shares of the timeline, with a sum of 1."""

    low: Share
    medium: Share
    high: Share
    unsure: Share


class StressModality(Model):
    """Face or voice alone. `probabilities` and `emotions` are means over what was used."""

    probabilities: LevelProbabilities | None
    emotions: dict[Emotion, Share] | None
    looked_at: int = Field(description="Faces twice a second, or windows of three seconds of speech.")
    used: int = Field(description="Those whose quality was good enough.")
    share_used: Share | None
    quality: dict[str, int] = Field(description="How many were ok, or left out for which reason.")


class Stress(Model):
    """Low: happy, neutral, calm; medium: surprise, disgust; high: angry, fear, sad."""

    note: str = EXPRESSION_PROXY
    timeline: list[StressPoint]
    distribution: StressDistribution
    model_confidence: Share = Field(description="Mean probability of the likeliest level over the timeline.")
    face: StressModality | None = Field(description="Null without a picture.")
    voice: StressModality | None = Field(description="Null without speech.")


class AnswerResult(Model):
    penilaian: Penilaian
    non_verbal_analysis: NonVerbalAnalysis
    non_verbal_confidence_score: Percent
    non_verbal_confidence: NonVerbalConfidence | None
    transkripsi_en: str | None
    transkripsi_id: str | None
    transkripsi_confidence: Percent
    transkripsi_min_confidence: Percent
    transkripsi_max_confidence: Percent
    cheating_detection: CheatingDetection
    metadata: AnswerMetadata
    segments: list[SegmentOut]
    evidence: list[Evidence]
    stress: Stress | None = Field(
        default=None,
        description="Null where policy forbids it or nothing could be read (a warning tells which), and in documents "
        "from before the stress models.",
    )
    speakers: list[TurnOut]
    faces: FaceShares
    warnings: list[Warning_]
    provenance: dict[str, dict[str, Any]]


class Content(Model):
    id: int
    question: str
    status: Literal["completed", "error"]
    error: CodedMessage | None
    result: AnswerResult | None


class LlmResults(Model):
    kesimpulan_llm: str | None
    rata_rata_confidence_score: Percent
    avg_total_llm: Percent
    final_score_llm: Percent
    avg_logprobs_confidence: Percent
    summary_logprobs_confidence: Percent
    reused_single_analysis: bool
    summary_engine: Literal["llm", "template", "reused"]


class QuestionWithIssues(Model):
    question_id: int
    question: str
    verdict: Verdict
    cheating_score: Percent
    visual_confidence: Percent
    audio_confidence: Percent
    num_speakers: int | None
    indicators: list[str]


class QuestionIndicator(Model):
    question_id: int
    question: str
    indicator: str


class AggregateCheatingDetection(Model):
    avg_cheating_score: Percent
    avg_visual_confidence: Percent
    avg_audio_confidence: Percent
    avg_overall_confidence: Percent
    total_suspicious_frames: int | None
    avg_silhouette_score: float | None
    verdict_distribution: dict[Verdict, int]
    final_aggregate_verdict: Verdict | None
    risk_level: RiskLevel | None
    questions_with_issues: list[QuestionWithIssues]
    all_indicators: list[QuestionIndicator]
    summary: str


class AggregateNonVerbalAnalysis(Model):
    overall_performance_status: str | None
    overall_confidence_score: Percent
    summary: str


class AggregateStress(Model):
    """Means over the answers that have the block, each counting alike."""

    note: str = EXPRESSION_PROXY
    answers: int
    distribution: StressDistribution
    model_confidence: Share


class Recommendation(Model):
    """Advice for a person to look at; the decision itself is a Review."""

    value: RecommendationValue
    final_score: Percent
    reasons: list[CodedMessage]


class Timing(Model):
    """Seconds. `real_time_factor` is (total - translate - grade) / duration."""

    id: int
    duration_s: float | None
    decode_s: float | None
    transcribe_s: float | None
    translate_s: float | None
    watch_s: float | None
    listen_s: float | None
    stress_s: float | None
    grade_s: float | None
    total_s: float | None
    real_time_factor: float | None


class DocumentMetadata(Model):
    total_videos: int
    successful_videos: int
    failed_videos: int
    processed_at: str
    model: str
    llm_model: str | None = Field(description="Null where no answer was graded by a language model.")
    schema_version: str = SCHEMA_VERSION
    language: Literal["en", "id", "auto"]
    candidate_country: str | None
    project_score: float | None
    policy: dict[str, Any]
    timings: list[Timing]


class ResultsDocument(Model):
    success: bool
    name: str
    session: str
    llm_results: LlmResults
    aggregate_cheating_detection: AggregateCheatingDetection
    aggregate_non_verbal_analysis: AggregateNonVerbalAnalysis
    aggregate_stress: AggregateStress | None = None
    content: list[Content]
    recommendation: Recommendation
    metadata: DocumentMetadata
