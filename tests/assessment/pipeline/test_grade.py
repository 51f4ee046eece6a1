"""Which words the graders read."""

import pytest

from assessment.pipeline.grade import english_texts


@pytest.mark.parametrize(
    ("engine", "for_llm", "read"),
    [
        ("deepl", True, ("Why?", "Because.")),
        ("deepl", False, ("Why?", "Because.")),
        ("whisper", False, ("Why?", "Because.")),
        ("whisper", True, (None, None)),
        (None, True, ("Why?", "Because.")),
    ],
)
def test_a_rough_rendering_is_not_shown_to_a_language_model(
    engine: str | None, for_llm: bool, read: tuple[str | None, str | None]
) -> None:
    texts = {"engine": engine, "english_question": "Why?", "english_answer": "Because."}
    assert english_texts(texts, for_llm=for_llm) == read
