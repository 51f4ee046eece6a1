"""The voice network on clips of different lengths, alone and together."""

from __future__ import annotations

import pytest
import torch

from mlcore.stress.voice.features import WIDTH
from mlcore.stress.voice.inference import for_inference
from mlcore.stress.voice.network import EMBEDDING, VoiceEnsemble, VoiceNetwork, padded


@pytest.fixture
def network() -> VoiceNetwork:
    torch.manual_seed(0)
    return VoiceNetwork().eval()


@pytest.fixture
def clips() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(frames, WIDTH, generator=random) for frames in (25, 37, 120, 6)]


def test_a_clip_means_the_same_alone_and_beside_longer_ones(network: VoiceNetwork, clips: list[torch.Tensor]):
    together = network(*padded(clips))
    for row, clip in enumerate(clips):
        alone = network(*padded([clip]))
        assert torch.allclose(alone.logits[0], together.logits[row], atol=1e-5)
        assert torch.allclose(alone.embeddings[0], together.embeddings[row], atol=1e-5)


def test_both_ends_of_a_clip_are_read(network: VoiceNetwork, clips: list[torch.Tensor]):
    frames = clips[1]
    backwards = network(*padded([frames.flip(0)])).logits
    assert not torch.allclose(backwards, network(*padded([frames])).logits, atol=1e-3)


@pytest.mark.slow
def test_the_mean_embedding_of_several_networks_is_one_of_their_mean_logits(clips: list[torch.Tensor]):
    members = [VoiceNetwork().eval() for _ in range(3)]
    said = VoiceEnsemble(members).eval()(*padded(clips))
    logits = torch.stack([member(*padded(clips)).logits for member in members]).mean(dim=0)
    assert said.embeddings.shape == (4, EMBEDDING)
    assert torch.allclose(said.logits, logits, atol=1e-6)
    assert torch.allclose(said.embeddings @ members[0].classifier.T, logits, atol=1e-5)


@pytest.mark.parametrize("members", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_networks_side_by_side_say_what_they_say_one_after_the_other(clips: list[torch.Tensor], members: int):
    ensemble = VoiceEnsemble([VoiceNetwork() for _ in range(members)]).eval()
    for member in ensemble.members:
        torch.nn.init.normal_(member.mean, std=2.0)
        torch.nn.init.uniform_(member.deviation, 0.2, 3.0)
        torch.nn.init.uniform_(member.norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(member.norm.bias, std=0.3)
    with torch.inference_mode():
        for some in (clips, clips[:1], clips[3:]):
            said, expected = for_inference(ensemble)(*padded(some)), ensemble(*padded(some))
            assert torch.allclose(said.logits, expected.logits, atol=1e-5)
            assert torch.allclose(said.embeddings, expected.embeddings, atol=1e-5)
