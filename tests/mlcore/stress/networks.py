"""Small networks with random weights, for tests of everything around them; what they say is no result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mlcore.stress import weights
from mlcore.stress.calibration import Calibration, identity
from mlcore.stress.face.network import FaceNetwork

SMALL: dict[str, Any] = {"widths": (8, 16), "depths": (1, 1)}


def small_face_network(seed: int = 0) -> FaceNetwork:
    torch.manual_seed(seed)
    network = FaceNetwork(**SMALL)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.nn.init.normal_(network.emotions.weight, std=1.0)
    return network.eval()


def save_face_weights(folder: Path, network: FaceNetwork, levels: Calibration | None = None) -> Path:
    calibration = {"emotions": identity(7).to_dict(), "levels": (levels or identity(3)).to_dict()}
    return weights.save(folder, "face", network.state_dict(), {**SMALL, "calibration": calibration})
