"""Windows of speech -> voice embeddings (Resemblyzer's GE2E network, its weights from its wheel).

Its own front end loads librosa, whose first call compiles for about 13 s; the spectrogram here is the same one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from faster_whisper.feature_extractor import FeatureExtractor

from mlcore.errors import AnalysisError
from mlcore.media import SAMPLE_RATE
from mlcore.voice_activity import Interval

Floats = npt.NDArray[np.float32]

FFT_SAMPLES = 400
HOP_SAMPLES = 160
MEL_BANDS = 40
EMBEDDING_SIZE = 256
TARGET_RMS = 10 ** (-30 / 20)
"""-30 dBFS, the level that Resemblyzer raises quieter recordings to."""
BATCH_WINDOWS = 256
FRAMES_AT_ONCE = 6000


class VoiceEncoder(torch.nn.Module):
    """Three LSTM layers and a projection, as in Resemblyzer (Wan et al. 2018, generalised end-to-end loss)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(MEL_BANDS, EMBEDDING_SIZE, 3, batch_first=True)
        self.linear = torch.nn.Linear(EMBEDDING_SIZE, EMBEDDING_SIZE)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """(windows, frames, 40) -> (windows, 256), float32, rows of length 1."""
        _, (hidden, _) = self.lstm(mels.to(self.linear.weight.dtype))
        return torch.nn.functional.normalize(torch.relu(self.linear(hidden[-1])).float(), dim=1)


def quick_type() -> torch.dtype:
    """bfloat16 where the processor has tiles for it (AMX), elsewhere float32.

    A window takes six tenths of the time. Between 91 clips of RAVDESS and of read speech the cosine distances moved by
    0.004 on average and 0.025 at most; of one voice's pairs 7 % lay above 0.4 with both, of two voices' 67 and 68 %."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


@cache
def voice_encoder(dtype: torch.dtype = torch.float32) -> VoiceEncoder:
    """The network with its weights, on the CPU: loaded at the first call, kept from then on."""
    package = importlib.util.find_spec("resemblyzer")
    if package is None or not package.submodule_search_locations:
        raise AnalysisError("model_unavailable", "The package resemblyzer is not installed.", permanent=False)
    weights = Path(package.submodule_search_locations[0], "pretrained.pt")
    encoder = VoiceEncoder()
    state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    return encoder.eval().to(dtype)


@contextmanager
def one_thread() -> Iterator[None]:
    """An LSTM this small gains a third from a second thread when the machine is idle, and waits many times as
    long for it when the faces are being watched on the other core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def mel_spectrogram(samples: Floats) -> Floats:
    """Power in 40 mel bands every 10 ms, shape (1 + n // 160, 40): what `resemblyzer.audio` computes."""
    padded = np.pad(samples.astype(np.float32, copy=False), FFT_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    window, filters = _window(), _filters()
    parts = [
        (np.abs(np.fft.rfft(frames[at : at + FRAMES_AT_ONCE] * window, axis=1)) ** 2).astype(np.float32)
        @ filters
        for at in range(0, len(frames), FRAMES_AT_ONCE)
    ]
    return np.concatenate(parts)


def embed_windows(
    samples: Floats, windows: Sequence[Interval], *, dtype: torch.dtype = torch.float32
) -> Floats:
    """Embeddings of windows of 16 kHz samples, shape (windows, 256), each window brought to -30 dBFS first, so
    that a quiet second voice is heard like a loud one. `dtype` is the network's."""
    embeddings = np.zeros((len(windows), EMBEDDING_SIZE), dtype=np.float32)
    if not windows:
        return embeddings
    mels = mel_spectrogram(samples)
    by_length: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_length.setdefault(min(round(window.duration_s * 100), len(mels)), []).append(index)
    for frames, indexes in by_length.items():
        for at in range(0, len(indexes), BATCH_WINDOWS):
            batch = indexes[at : at + BATCH_WINDOWS]
            starts = [min(round(windows[i].start_s * 100), len(mels) - frames) for i in batch]
            cut = np.stack([mels[start : start + frames] * _gain(samples, start, frames) for start in starts])
            with one_thread(), torch.inference_mode():
                embeddings[batch] = voice_encoder(dtype)(torch.from_numpy(cut)).numpy()
    return embeddings


@cache
def _window() -> Floats:
    return np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)


@cache
def _filters() -> Floats:
    return FeatureExtractor.get_mel_filters(SAMPLE_RATE, FFT_SAMPLES, n_mels=MEL_BANDS).T.astype(np.float32)


def _gain(samples: Floats, start: int, frames: int) -> np.float32:
    """What brings the power of a window, given in spectrogram frames, to the target."""
    heard = samples[start * HOP_SAMPLES : (start + frames) * HOP_SAMPLES]
    power = float(np.mean(np.square(heard, dtype=np.float64))) if len(heard) else 0.0
    return np.float32(TARGET_RMS**2 / max(power, 1e-12))
