"""Settings with pauses short enough for tests."""

import pytest

from assessment.services.deepl_client import DeepLSettings
from assessment.services.llm import LlmClient, LlmSettings


@pytest.fixture
def deepl_settings():
    def make(url: str, **options) -> DeepLSettings:
        given = {"api_key": "deepl-key:fx", "timeout_s": 10.0, "backoff_s": 0.01} | options
        return DeepLSettings(server_url=url, **given)

    return make


@pytest.fixture
def llm_client():
    def make(url: str, **options) -> LlmClient:
        given = {
            "model": "served-model",
            "api_key": "own-key",
            "timeout_s": 10.0,
            "backoff_s": 0.01,
        } | options
        return LlmClient(LlmSettings(base_url=url, **given))

    return make


@pytest.fixture(scope="module")
def one_torch_thread():
    """Sentences are too small to share: on busy cores two threads wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
