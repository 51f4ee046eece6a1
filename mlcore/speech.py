"""Samples -> transcript: words with times and probabilities (faster-whisper)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from faster_whisper.transcribe import Segment as HeardSegment
from faster_whisper.transcribe import Word as HeardWord
from faster_whisper.transcribe import restore_speech_timestamps

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.speech_model import (
    COMPRESSION_RATIO_THRESHOLD,
    LOG_PROBABILITY_THRESHOLD,
    NO_SPEECH_THRESHOLD,
    compute_type_for,
    invented,
    load,
)
from mlcore.voice_activity import FRAME_SAMPLES, RECOGNITION, VoiceActivity, detect_voice

Language = Literal["en", "id", "auto"]
Progress = Callable[[float], None]

LANGUAGES = ("en", "id")
BEAM_SIZE = 5
WORD_MARGIN_S = 0.1
"""Assumption: how far a word may reach over the edge of the speech that it lies in."""

LANGUAGE_WINDOW_S = 30.0
LANGUAGE_WINDOWS = 3
LANGUAGE_CERTAIN_SHARE = 0.9
"""Assumption: read English gave 0.997 or more on every file at hand (docs/models/speech.md)."""
LANGUAGE_CERTAIN_MASS = 0.1
"""Assumption: where both languages together get less, the recogniser hears a third one."""

BLOCK_S = 600.0
"""Speech handed to the recogniser at once: its spectrogram of an hour would take more than a gigabyte."""
BLOCK_SEARCH_S = 60.0


@dataclass(frozen=True)
class Word:
    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True)
class Segment:
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_probability: float


@dataclass(frozen=True)
class Transcript:
    """`language` is ``en`` or ``id``; confidences are 0-100 (DESIGN: duration-weighted exp of mean token
    log-probability) and None without speech. `text` is the segments' text joined by blanks.

    `language_probability` is the language's share against the other one, None where it was given."""

    language: str
    language_probability: float | None
    language_uncertain: bool
    segments: tuple[Segment, ...]
    confidence: float | None
    min_confidence: float | None
    max_confidence: float | None

    @property
    def text(self) -> str:
        return " ".join(segment.text.strip() for segment in self.segments).strip()

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True)
class DetectedLanguage:
    """`share` is the language's probability over that of English and Indonesian together."""

    language: str
    share: float | None
    uncertain: bool


class Recognizer:
    """A loaded Whisper model. Keep one a process: loading takes about a second and 200 MB (base, int8)."""

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
    ) -> None:
        """`model` is a folder in CTranslate2 form or a name that faster-whisper can fetch; `device` is
        ``auto`` (CUDA where there is one that works), ``cpu`` or ``cuda``; `compute_type` ``auto`` means int8 on
        the CPU and float16 on CUDA; `cpu_threads` 0 leaves the number to CTranslate2.

        Raises `AnalysisError` ``model_unavailable`` when it cannot be loaded, or not used where it is to run.
        """
        self.name = Path(model).name
        try:
            self._model = load(str(model), device, compute_type, cpu_threads)
            self.device = self._model.model.device
            self.compute_type = compute_type_for(compute_type, self.device)
        except (RuntimeError, ValueError, OSError) as error:
            raise AnalysisError(
                "model_unavailable",
                f"The speech recogniser {model} cannot be loaded: {error}",
                permanent=False,
            ) from error

    def transcribe(
        self,
        samples: npt.NDArray[np.float32],
        language: Language = "en",
        *,
        initial_prompt: str | None = None,
        on_progress: Progress | None = None,
        voice: VoiceActivity | None = None,
    ) -> Transcript:
        """The words of 16 kHz mono samples in -1..1, shape (n,), in the language spoken.

        `voice` saves the second look where voice activity is known already; `on_progress` gets 0..1. Raises
        `AnalysisError` ``unknown_language`` for a language other than en, id and auto.
        """
        _check_language(language, (*LANGUAGES, "auto"))
        voice = voice or detect_voice(samples)
        detected = DetectedLanguage(language, None, False)
        if language == "auto":
            detected = self.detect_language(samples, voice)
        segments = self._segments(
            samples, voice, detected.language, initial_prompt=initial_prompt, report=on_progress
        )
        return _transcript(tuple(segments), detected)

    def translate_to_english(
        self,
        samples: npt.NDArray[np.float32],
        language: str = "id",
        *,
        on_progress: Progress | None = None,
        voice: VoiceActivity | None = None,
    ) -> str:
        """English text of speech in `language` by Whisper's own translation: rougher than a translation of
        the transcript, and to be marked as such. Empty without speech."""
        _check_language(language, LANGUAGES)
        voice = voice or detect_voice(samples)
        segments = self._segments(samples, voice, language, task="translate", report=on_progress)
        return " ".join(segment.text for segment in segments)

    def detect_language(
        self, samples: npt.NDArray[np.float32], voice: VoiceActivity | None = None
    ) -> DetectedLanguage:
        """English or Indonesian, by their probabilities alone over up to three windows of speech.

        The shares are multiplied over the windows (geometric mean). Without speech: English, no share.
        """
        voice = voice or detect_voice(samples)
        windows = _language_windows(_speech_only(samples, voice.sample_ranges(RECOGNITION)))
        if not windows:
            return DetectedLanguage("en", None, False)
        odds = [self._language_odds(window) for window in windows]
        log_en, log_id = (float(np.mean(np.log([max(o[code], 1e-12) for o in odds]))) for code in LANGUAGES)
        share_en = 1.0 / (1.0 + math.exp(min(log_id - log_en, 700.0)))
        language, share = ("en", share_en) if share_en >= 0.5 else ("id", 1.0 - share_en)
        mass = math.exp(log_en) + math.exp(log_id)
        uncertain = share < LANGUAGE_CERTAIN_SHARE or mass < LANGUAGE_CERTAIN_MASS
        return DetectedLanguage(language, share, uncertain)

    def _language_odds(self, window: npt.NDArray[np.float32]) -> dict[str, float]:
        if not self._model.model.is_multilingual:
            return {"en": 1.0, "id": 0.0}
        return dict(self._model.detect_language(window)[2])

    def _segments(
        self,
        samples: npt.NDArray[np.float32],
        voice: VoiceActivity,
        language: str,
        *,
        task: Literal["transcribe", "translate"] = "transcribe",
        initial_prompt: str | None = None,
        report: Progress | None = None,
    ) -> Iterator[Segment]:
        ranges = _with_context(voice.sample_ranges(RECOGNITION), voice)
        done, total = 0, sum(end - start for start, end in ranges)
        for block in _blocks(ranges, voice):
            speech = _speech_only(samples, block)
            found, _ = self._model.transcribe(
                speech,
                language=language,
                task=task,
                beam_size=BEAM_SIZE,
                word_timestamps=task == "transcribe",
                condition_on_previous_text=False,
                no_speech_threshold=NO_SPEECH_THRESHOLD,
                log_prob_threshold=LOG_PROBABILITY_THRESHOLD,
                compression_ratio_threshold=COMPRESSION_RATIO_THRESHOLD,
                initial_prompt=initial_prompt,
            )
            heard = _reported(found, done / SAMPLE_RATE, total / SAMPLE_RATE, report)
            chunks = [{"start": start, "end": end} for start, end in block]
            for segment in restore_speech_timestamps(heard, chunks, SAMPLE_RATE):
                if not invented(segment):
                    yield _segment(segment, voice)
            done += len(speech)
        if report:
            report(1.0)


def confidence(segments: Iterable[Segment]) -> float | None:
    """Duration-weighted exp(mean token log-probability) of segments, 0-100 (DESIGN section 5); None without
    segments. It tells how sure the recogniser is of its words, not how many are right."""
    weighted = [
        (max(segment.end_s - segment.start_s, 1e-3), _segment_confidence(segment)) for segment in segments
    ]
    if not weighted:
        return None
    return sum(weight * value for weight, value in weighted) / sum(weight for weight, _ in weighted)


def _segment_confidence(segment: Segment) -> float:
    return 100.0 * min(1.0, math.exp(segment.avg_logprob))


def _transcript(segments: tuple[Segment, ...], detected: DetectedLanguage) -> Transcript:
    values = [_segment_confidence(segment) for segment in segments]
    return Transcript(
        language=detected.language,
        language_probability=detected.share,
        language_uncertain=detected.uncertain,
        segments=segments,
        confidence=confidence(segments),
        min_confidence=min(values, default=None),
        max_confidence=max(values, default=None),
    )


def _segment(found: HeardSegment, voice: VoiceActivity) -> Segment:
    words = tuple(_word(word, voice) for word in found.words or () if word.word.strip())
    start_s, end_s = _within(found.start, found.end, 0.0, voice.duration_s)
    return Segment(
        start_s=words[0].start_s if words else start_s,
        end_s=words[-1].end_s if words else end_s,
        text=found.text.strip(),
        words=words,
        avg_logprob=float(found.avg_logprob),
        no_speech_probability=float(found.no_speech_prob),
    )


def _word(heard: HeardWord, voice: VoiceActivity) -> Word:
    """The recogniser lets a phrase's first and last words reach into the silence around it: cut that off."""
    start_s, end_s = _within(float(heard.start), float(heard.end), 0.0, voice.duration_s)
    overlap_s, spoken = max(
        ((min(end_s, i.end_s) - max(start_s, i.start_s), i) for i in voice.speech_between(start_s, end_s)),
        key=lambda pair: pair[0],
        default=(0.0, None),
    )
    if spoken is not None and overlap_s > 0.0:
        start_s, end_s = _within(start_s, end_s, spoken.start_s - WORD_MARGIN_S, spoken.end_s + WORD_MARGIN_S)
    return Word(start_s, end_s, heard.word.strip(), float(heard.probability))


def _within(start_s: float, end_s: float, first_s: float, last_s: float) -> tuple[float, float]:
    start_s = min(max(start_s, first_s), last_s)
    return round(start_s, 2), round(min(max(end_s, start_s), last_s), 2)


def _reported(
    segments: Iterable[HeardSegment],
    done_s: float,
    total_s: float,
    report: Progress | None,
) -> Iterator[HeardSegment]:
    for segment in segments:
        if report:
            report(min(1.0, (done_s + segment.end) / total_s))
        yield segment


def _with_context(ranges: list[tuple[int, int]], voice: VoiceActivity) -> list[tuple[int, int]]:
    """Ranges that reach as far before the first sample and past the last one as they would into silence, so
    that a recording that starts with a word is heard like one that starts with a pause."""
    if not ranges:
        return []
    tight = voice.sample_ranges(replace(RECOGNITION, padding_s=0.0))
    context = int(RECOGNITION.padding_s * SAMPLE_RATE)
    starts = [min(ranges[0][0], tight[0][0] - context), *(start for start, _ in ranges[1:])]
    ends = [*(end for _, end in ranges[:-1]), max(ranges[-1][1], tight[-1][1] + context)]
    return list(zip(starts, ends, strict=True))


def _speech_only(samples: npt.NDArray[np.float32], ranges: list[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """The ranges one after the other, zeros where they reach over the recording's edges."""
    if not ranges:
        return np.zeros(0, dtype=np.float32)
    before, after = max(0, -ranges[0][0]), max(0, ranges[-1][1] - len(samples))
    heard = [samples[max(0, start) : end] for start, end in ranges]
    return np.pad(np.concatenate(heard), (before, after))


def _language_windows(speech: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Up to three windows of 30 s, spread evenly over the speech."""
    if not len(speech):
        return []
    size = int(LANGUAGE_WINDOW_S * SAMPLE_RATE)
    count = min(LANGUAGE_WINDOWS, math.ceil(len(speech) / size))
    starts = np.linspace(0, max(0, len(speech) - size), count).astype(int)
    return [speech[start : start + size] for start in starts]


def _blocks(ranges: list[tuple[int, int]], voice: VoiceActivity) -> Iterator[list[tuple[int, int]]]:
    """Ranges of samples in groups of at most `BLOCK_S` of speech, so that memory stays bounded."""
    limit = int(BLOCK_S * SAMPLE_RATE)
    block: list[tuple[int, int]] = []
    size = 0
    for start, end in _cut_long(ranges, voice, limit):
        if block and size + end - start > limit:
            yield block
            block, size = [], 0
        block.append((start, end))
        size += end - start
    if block:
        yield block


def _cut_long(ranges: list[tuple[int, int]], voice: VoiceActivity, limit: int) -> Iterator[tuple[int, int]]:
    search = int(BLOCK_SEARCH_S * SAMPLE_RATE)
    for start, end in ranges:
        while end - start > limit:
            first = max(0, start + limit - search) // FRAME_SAMPLES
            last = (start + limit) // FRAME_SAMPLES
            quietest = first + int(np.argmin(voice.probabilities[first:last]))
            yield start, quietest * FRAME_SAMPLES
            start = quietest * FRAME_SAMPLES  # noqa: PLW2901
        yield start, end


def _check_language(language: str, known: tuple[str, ...]) -> None:
    if language not in known:
        raise AnalysisError(
            "unknown_language", f"Unknown language {language!r}: use one of {', '.join(known)}."
        )
