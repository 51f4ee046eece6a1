"""The recogniser's model, and what of its text nobody can have said."""

from __future__ import annotations

import logging
from dataclasses import replace

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment, TranscriptionOptions

logger = logging.getLogger(__name__)

NO_SPEECH_THRESHOLD = 0.6
LOG_PROBABILITY_THRESHOLD = -1.0
COMPRESSION_RATIO_THRESHOLD = 2.4
"""The three above are the recogniser's own defaults (Radford et al. 2022, section 4.5)."""

REPEATED_WORDS = 3
"""Assumption."""
MOST_TOKENS_SAID = 300
"""Assumption: ten a second over the recogniser's window of 30 s; a decoder that is stuck goes on to 448."""
MOST_WORDS_PER_S = 8.0
"""Assumption: words of a loop that nobody said are crowded into what sound there is."""


class WhisperModel(faster_whisper.WhisperModel):
    """Tells people who say a thing again from a decoder that is stuck.

    Both compress well, for which the recogniser tries higher temperatures (six decodings in place of one) and takes
    whatever compresses less, be it wrong.
    """

    def generate_with_fallback(
        self,
        encoder_output: ctranslate2.StorageView,
        prompt: list[int],
        tokenizer: Tokenizer,
        options: TranscriptionOptions,
    ) -> tuple[ctranslate2.models.WhisperGenerationResult, float, float, float]:
        once = replace(options, temperatures=options.temperatures[:1], compression_ratio_threshold=None)
        found = super().generate_with_fallback(encoder_output, prompt, tokenizer, once)
        result, log_probability, _, compression_ratio = found
        ended = len(result.sequences_ids[0]) <= MOST_TOKENS_SAID
        said = ended and result.no_speech_prob <= NO_SPEECH_THRESHOLD
        if log_probability >= LOG_PROBABILITY_THRESHOLD and (
            said or compression_ratio <= COMPRESSION_RATIO_THRESHOLD
        ):
            return found
        return super().generate_with_fallback(encoder_output, prompt, tokenizer, options)


def load(model: str, device: str, compute_type: str, cpu_threads: int) -> WhisperModel:
    """The model on the device that `mlcore.speech.Recognizer` tells of, tried out where that is a GPU.

    Raises RuntimeError, ValueError, OSError: it cannot be loaded, or (`device` ``cuda``) does not work on the GPU."""
    if device == "cuda" or (device == "auto" and ctranslate2.get_cuda_device_count()):
        try:
            return _load_on_gpu(model, compute_type, cpu_threads)
        except (RuntimeError, ValueError) as error:  # ValueError: it has no fast float16
            if device == "cuda":
                raise
            logger.warning("The speech recogniser runs on the CPU, as it cannot use the GPU: %s", error)
    return WhisperModel(
        model, device="cpu", compute_type=compute_type_for(compute_type, "cpu"), cpu_threads=cpu_threads
    )


def _load_on_gpu(model: str, compute_type: str, cpu_threads: int) -> WhisperModel:
    """CTranslate2 looks for cuBLAS no sooner than with the first multiplication: a model that was loaded says nothing.

    Raises RuntimeError that tells what to install."""
    wanted = compute_type_for(compute_type, "cuda")
    loaded = WhisperModel(model, device="cuda", compute_type=wanted, cpu_threads=cpu_threads)
    silence = np.zeros((loaded.model.n_mels, loaded.feature_extractor.nb_max_frames), np.float32)
    try:
        loaded.encode(silence)
    except RuntimeError as error:
        if "cublas" not in str(error).lower():
            raise
        advice = "install nvidia-cublas-cu12 and name its folder in LD_LIBRARY_PATH (docs/deployment.md)"
        raise RuntimeError(f"{error}. CTranslate2 needs cuBLAS of CUDA 12: {advice}.") from error
    return loaded


def compute_type_for(compute_type: str, device: str) -> str:
    """`compute_type`, of which ``auto`` is int8 on the CPU and float16 on CUDA."""
    if compute_type != "auto":
        return compute_type
    return "float16" if device == "cuda" else "int8"


def invented(segment: Segment) -> bool:
    """Text that the recogniser made up: on what it takes for silence, or going round in a loop.

    Sung-like tones give one word over and over with a high log-probability, so there the words tell.
    """
    silent = segment.no_speech_prob > NO_SPEECH_THRESHOLD
    unlikely = segment.avg_logprob < LOG_PROBABILITY_THRESHOLD
    looping = segment.compression_ratio > COMPRESSION_RATIO_THRESHOLD
    if looping and (silent or unlikely or _crowded(segment)):
        return True
    return silent and (unlikely or _repeats_one_word(segment.text))


def _crowded(segment: Segment) -> bool:
    words = len(segment.text.split())
    return words > MOST_WORDS_PER_S * (segment.end - segment.start)


def _repeats_one_word(text: str) -> bool:
    words = [word.strip(".,!?").lower() for word in text.split()]
    return len(words) >= REPEATED_WORDS and len(set(words)) == 1
