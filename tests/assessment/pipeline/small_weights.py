"""All weights of the stress models, small and random, for tests of what is around them: what they say is no result."""

from __future__ import annotations

from pathlib import Path

import torch

from mlcore.stress import weights
from mlcore.stress.fusion import model as fusion
from mlcore.stress.fusion.model import FusionNetwork
from mlcore.stress.voice import model as voice
from mlcore.stress.voice.features import VERSION
from mlcore.stress.voice.network import VoiceEnsemble, VoiceNetwork
from tests.mlcore.stress.networks import save_face_weights, small_face_network


def save_small_weights(folder: Path) -> Path:
    """`folder`, with the files of face, voice and fusion in it."""
    save_face_weights(folder, small_face_network())
    torch.manual_seed(0)
    weights.save(
        folder, voice.NAME, VoiceEnsemble([VoiceNetwork()]).state_dict(), {"features": VERSION, "members": 1}
    )
    weights.save(folder, fusion.NAME, FusionNetwork().state_dict(), {})
    return folder
