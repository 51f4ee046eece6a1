"""Stage: the transcript in the other language, and question and answer in English for the graders."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from assessment.pipeline import transcribe
from assessment.pipeline.models import package_versions, recognizer
from assessment.pipeline.question_language import guess_language
from assessment.services import deepl_client
from mlcore.speech import Transcript

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "translate"
Language = Literal["en", "id"]
OTHER: dict[str, Language] = {"en": "id", "id": "en"}


def versions() -> dict[str, Any]:
    return package_versions("deepl")


def wants_samples(outputs: dict[str, dict[str, Any]]) -> bool:
    """Whether this stage is still to come and may have to render Indonesian speech to English."""
    return NAME not in outputs and outputs.get(transcribe.NAME, {}).get("language") == "id"


def run(work: Attempt) -> dict[str, Any]:
    """``text``: the answer in the other language; ``engine``: whose it is; ``english_question`` and
    ``english_answer``: what the graders read, None where there is no English."""
    transcript = transcribe.unpack(work.outputs[transcribe.NAME])
    question = work.answer.question
    if transcript is None:
        return _output(None, None, None, None, [])
    if transcript.language == "en":
        return _from_english(question, transcript.text)
    return _from_indonesian(work, question, transcript)


def _from_english(question: str, answer: str) -> dict[str, Any]:
    settings = deepl_client.from_settings()
    english_question: str | None = question
    if guess_language(question) == "id":
        asked = deepl_client.translate([question], "id", "en", settings)
        english_question = asked.texts[0] if asked.texts else None
    done = deepl_client.translate([answer], "en", "id", settings)
    text = done.texts[0] if done.texts else None
    return _output(text, done.engine, english_question, answer, _unavailable(done, "Indonesian"))


def _from_indonesian(work: Attempt, question: str, transcript: Transcript) -> dict[str, Any]:
    """Question and answer go together, so that the one is the context of the other."""
    foreign = guess_language(question) == "id"
    texts = [question, transcript.text] if foreign else [transcript.text]
    done = deepl_client.translate(texts, "id", "en", deepl_client.from_settings())
    if done.texts:
        return _output(done.texts[-1], "deepl", done.texts[0] if foreign else question, done.texts[-1], [])
    rendered = recognizer().translate_to_english(
        work.samples, "id", voice=work.voice_activity, on_progress=partial(work.progress.report, NAME)
    )
    note = (
        " The English text is the recogniser's own rendering of the sound, which is rougher."
        if rendered
        else ""
    )
    warnings = _unavailable(done, "English", note)
    return _output(
        rendered or None, "whisper" if rendered else None, None if foreign else question, rendered, warnings
    )


def _unavailable(done: deepl_client.Translation, target: str, note: str = "") -> list[dict[str, str]]:
    if done.texts:
        return []
    message = f"No translation to {target} by DeepL: {done.message}{note}"
    return [{"code": "translation_unavailable", "message": message, "reason": done.reason or ""}]


def _output(
    text: str | None,
    engine: str | None,
    english_question: str | None,
    english_answer: str | None,
    warnings: list[dict[str, str]],
) -> dict[str, Any]:
    return {
        "text": text,
        "engine": engine,
        "english_question": english_question,
        "english_answer": english_answer or None,
        "warnings": warnings,
    }
