from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from mlcore.speech import Recognizer


@pytest.fixture(scope="session")
def whisper_folder() -> Path:
    return Path(settings.MODELS_DIR) / "whisper-base"


@pytest.fixture(scope="session")
def recognizer(whisper_folder: Path) -> Recognizer:
    return Recognizer(whisper_folder, device="cpu", cpu_threads=1)
