"""Samples -> what the voice network reads every 80 ms: two layers of Whisper's encoder, and prosody."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor
from scipy.signal import resample_poly

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.stress.labels import Floats
from mlcore.stress.voice import encoder as voice_encoder
from mlcore.stress.voice.encoder import VoiceEncoder
from mlcore.stress.voice.prosody import COLUMNS, prosody

VERSION = 1
"""Goes up when the same samples give other features: kept ones are then made anew, and weights trained anew."""
WIDTH = voice_encoder.WIDTH + len(COLUMNS)
FRAME_S = 0.08
ENCODED_FRAMES = 4
"""Frames of the encoder (20 ms) that are one of ours."""
SUNG_FRAMES = 2
"""Frames of `voice_prosody` (40 ms) that are one of ours."""
SHORTEST_S = 0.5
"""Assumption: less is hardly a word. The model was trained on 2 to 5 s."""
LONGEST_S = 30.0
"""The encoder's places end there."""
LEAST_RATE_HZ = 8000
LARGEST_SAMPLE = 1.5
"""Decoders overshoot full scale a little; far beyond it the samples are no -1..1 at all."""
SILENT_LEVEL = 1e-4
"""-80 dB of full scale, below the noise of 16-bit recordings; RAVDESS's most silent clips speak at -57 dB."""
CLIPPED_SHARE = 0.1
"""Assumption: of the samples, where so many stand at the clip's largest value, there is little left of the voice."""
FLAT_STEP = 1e-3
FRAME_SAMPLES = 400
SPEECH_PERCENTILE = 95
SPEECH_LEVEL = 0.1
"""Every clip is brought to this loudness, so that it does not matter how near the microphone is. RAVDESS's clips differ
by 45 dB: loud would mean angry there, and nothing on a video call. Logistic regression gained a point by it, too."""


class VoiceFeatures:
    """Thread-safe; holds the encoder (`voice_encoder`)."""

    def __init__(self, whisper_folder: Path) -> None:
        """AnalysisError ``model_unavailable`` as `VoiceEncoder.load`."""
        self._encoder = VoiceEncoder.load(whisper_folder)
        self._mel = FeatureExtractor(feature_size=voice_encoder.MELS)

    def __call__(self, samples: Floats) -> Floats:
        """Shape (seconds / 0.08, 1031): 1024 of the encoder, then `voice_prosody.COLUMNS`.

        `samples` as `check_samples` gives them, up to `LONGEST_S`."""
        level = levelled(samples)
        mels = self._mel(level, padding=0)
        heard = _pooled(self._encoder.frames(mels[:, : mels.shape[1] // 2 * 2]), ENCODED_FRAMES)
        sung = _pooled(prosody(level), SUNG_FRAMES)
        frames = min(len(heard), len(sung))
        return np.concatenate([heard[:frames], sung[:frames]], axis=1)


def check_samples(samples: npt.ArrayLike, sample_rate: int = SAMPLE_RATE) -> Floats:
    """16 kHz mono samples in -1..1, shape (n,), of samples in one of these forms: floats in -1..1 or 16-bit whole
    numbers; mono, or stereo as (n, 2) or (2, n); any rate from 8 kHz on.

    Clipping is borne up to a tenth of the samples. AnalysisError ``audio_shape``, ``audio_empty``,
    ``audio_not_finite``, ``audio_out_of_range``, ``audio_rate``, ``audio_too_short``, ``audio_too_long``,
    ``audio_silent``, ``audio_clipped``.
    """
    if sample_rate < LEAST_RATE_HZ:
        raise AnalysisError("audio_rate", f"Speech at {sample_rate} Hz cannot be used: record at 16 kHz.")
    mono = _mono(_as_floats(np.asarray(samples)))
    _check_values(mono)
    if sample_rate != SAMPLE_RATE:
        common = gcd(sample_rate, SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // common, sample_rate // common)
    _check_length(len(mono) / SAMPLE_RATE)
    _check_voice(mono)
    return np.clip(mono, -1.0, 1.0).astype(np.float32)


def speech_level(samples: Floats) -> float:
    """The loudness of the speech among `samples`: of 25 ms frames, the 95th percentile of the root mean square."""
    count = len(samples) // FRAME_SAMPLES
    if not count:
        return 0.0
    frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    return float(np.percentile(np.sqrt(np.square(frames).mean(axis=1)), SPEECH_PERCENTILE))


def levelled(samples: Floats) -> Floats:
    """The samples at `SPEECH_LEVEL`, in -1..1."""
    scale = SPEECH_LEVEL / max(speech_level(samples), SILENT_LEVEL)
    return np.clip(samples * np.float32(scale), -1.0, 1.0)


def _pooled(frames: Floats, together: int) -> Floats:
    """Means of so many frames that follow one another."""
    count = len(frames) // together
    return np.asarray(frames[: count * together].reshape(count, together, -1).mean(axis=1), dtype=np.float32)


def _as_floats(samples: npt.NDArray) -> Floats:
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768.0
    if samples.dtype.kind != "f":
        raise AnalysisError(
            "audio_shape", f"Samples of type {samples.dtype} cannot be used: give float32 in -1..1, or int16."
        )
    return samples.astype(np.float32)


def _mono(samples: Floats) -> Floats:
    if samples.size == 0:
        raise AnalysisError(
            "audio_empty", "There are no samples: nothing was recorded, or the wrong channel."
        )
    if samples.ndim == 2 and 1 in samples.shape:
        return samples.reshape(-1)
    if samples.ndim == 2 and 2 in samples.shape:
        return np.asarray(samples.mean(axis=0 if samples.shape[0] == 2 else 1), dtype=np.float32)
    if samples.ndim != 1:
        raise AnalysisError("audio_shape", f"Samples of shape {samples.shape} are neither mono nor stereo.")
    return samples


def _check_values(samples: Floats) -> None:
    if not np.isfinite(samples).all():
        raise AnalysisError("audio_not_finite", "The samples hold NaN or infinity: decode the audio again.")
    if np.abs(samples).max() > LARGEST_SAMPLE:
        raise AnalysisError(
            "audio_out_of_range", "The samples go beyond -1..1: divide them by their full scale."
        )


def _check_length(seconds: float) -> None:
    if seconds < SHORTEST_S:
        raise AnalysisError("audio_too_short", f"{seconds:.2f} s is too short, give {SHORTEST_S} s or more.")
    if seconds > LONGEST_S:
        raise AnalysisError(
            "audio_too_long", f"{seconds:.0f} s is too long, cut it into windows of 2 to 10 s."
        )


def _check_voice(samples: Floats) -> None:
    if speech_level(samples) < SILENT_LEVEL:
        raise AnalysisError("audio_silent", "There is nothing to hear: check that the microphone is on.")
    peak = np.abs(samples).max()
    flat = float((np.abs(samples) >= peak * (1.0 - FLAT_STEP)).mean())
    if flat > CLIPPED_SHARE:
        raise AnalysisError(
            "audio_clipped", f"{100 * flat:.0f} % of the samples are clipped: turn the microphone down."
        )
