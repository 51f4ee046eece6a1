from __future__ import annotations

import numpy as np
import pytest
import torch

from mlcore.stress.face import inference as face_inference
from mlcore.stress.face.inference import for_inference
from mlcore.stress.face.network import FaceNetwork, fused, normalise
from tests.mlcore.stress.networks import small_face_network

needs_tiles = pytest.mark.skipif(not face_inference._can_pack(), reason="this processor has no AMX tiles")


def faces(count: int) -> torch.Tensor:
    return normalise(np.random.default_rng(count).integers(0, 256, (count, 48, 48), dtype=np.uint8))


def relative_error(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@needs_tiles
@pytest.mark.parametrize(
    "network",
    [
        pytest.param(small_face_network(), id="small"),
        pytest.param(FaceNetwork().eval(), id="shipped size", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 7, 32, 40])
def test_the_packed_network_says_what_the_plain_one_says(network: FaceNetwork, count: int):
    with torch.inference_mode():
        logits, embeddings = for_inference(network)(faces(count))
        expected = fused(network)(faces(count))
    assert logits.dtype == embeddings.dtype == torch.float32
    assert relative_error(logits, expected.emotion_logits) < 0.03
    assert relative_error(embeddings, expected.embeddings) < 0.03


def test_other_processors_run_the_plain_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(face_inference, "_can_pack", lambda: False)
    network = small_face_network()
    with torch.inference_mode():
        logits, embeddings = for_inference(network)(faces(5))
        expected = network(faces(5))
    assert torch.allclose(logits, expected.emotion_logits, atol=1e-4)
    assert torch.allclose(embeddings, expected.embeddings, atol=1e-4)
