"""The lower layers of Whisper's encoder out of the recogniser's file, and files that are none."""

from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch

from mlcore.errors import AnalysisError
from mlcore.stress.voice import encoder as voice_encoder
from mlcore.stress.voice.encoder import VoiceEncoder, read_weights


def mels(frames: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (80, frames)).astype(np.float32)


def unavailable(folder: Path) -> str:
    with pytest.raises(AnalysisError, match="fetch_models") as error:
        VoiceEncoder.load(folder)
    assert error.value.code == "model_unavailable"
    return error.value.message


@pytest.mark.slow
def test_its_last_layer_is_the_recogniser_s(whisper_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voice_encoder, "LAYERS", 6)
    monkeypatch.setattr(voice_encoder, "TAPPED", (6,))
    weights = read_weights(whisper_folder / "model.bin")
    recogniser = ctranslate2.models.Whisper(str(whisper_folder), device="cpu", compute_type="float32")
    expected = np.array(recogniser.encode(ctranslate2.StorageView.from_array(mels(300)[None])))[0]
    found = VoiceEncoder(weights).eval().frames(mels(300))
    gamma, beta = (weights[f"layer_norm/{name}"].float().numpy() for name in ("gamma", "beta"))
    assert np.abs(found * gamma + beta - expected).max() < 1e-3


@pytest.mark.slow
def test_clips_are_heard_alike_alone_and_together(whisper_folder: Path):
    encoder = VoiceEncoder.load(whisper_folder)
    batch = torch.from_numpy(np.stack([mels(200), mels(200)[:, ::-1].copy()]))
    together = encoder(batch).numpy()
    assert together.shape == (2, 100, voice_encoder.WIDTH)
    assert np.abs(together[1] - encoder.frames(batch[1].numpy())).mean() < 0.02


def test_a_missing_file_is_named(tmp_path: Path):
    assert str(tmp_path / "model.bin") in unavailable(tmp_path)


@pytest.mark.parametrize("size", [0, 3, 11, 200_000])
def test_a_truncated_file_is_refused(whisper_folder: Path, tmp_path: Path, size: int):
    with (whisper_folder / "model.bin").open("rb") as file:
        (tmp_path / "model.bin").write_bytes(file.read(size))
    unavailable(tmp_path)


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "model.bin").write_bytes(b"no model at all, but long enough to be read as one" * 100)
    unavailable(tmp_path)


@pytest.mark.skipif(not torch.cpu._is_amx_tile_supported(), reason="this processor has no AMX tiles")
@pytest.mark.slow
def test_packed_weights_give_what_float32_gives(whisper_folder: Path):
    plain = VoiceEncoder(read_weights(whisper_folder / "model.bin")).frames(mels(300))
    packed = VoiceEncoder.load(whisper_folder).frames(mels(300))
    assert np.abs(packed - plain).mean() < 0.02 * np.abs(plain).mean()
