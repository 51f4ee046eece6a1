"""The built-in grader: deterministic formulas over words and sentence embeddings; see docs/grading.md.

Every constant below is an assumption, set on a dozen written question-answer pairs, not on graded interviews.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from assessment.services import embeddings, text
from assessment.services.grades import Grade, Language
from assessment.services.injection import speaks_to_the_grader

SUBSTANCE_WORDS = 6.0  # distinct new content words at which 63 % of the substance is there
DEPTH_WORDS = 20.0  # the same for depth
FULL_SPECIFICS = 4  # numbers, names and example markers that count as fully specific
VARIETY_RANGE = (0.3, 0.6)  # type-token ratio over 50 words, none to all
VARIETY_WINDOW_WORDS = 50
SIMILARITY_RANGE = (0.05, 0.45)  # cosine between question and answer, none to all
LINK_RANGE = (0.0, 0.30)  # cosine between neighbouring sentences, none to all
LEXICAL_LINK_RANGE = (0.0, 0.15)  # share of words that neighbouring sentences have in common
LEXICAL_RELEVANCE_RANGE = (0.0, 0.6)  # share of the question's words found in the answer
CONNECTIVES_PER_SENTENCE = 0.75  # density that counts as fully connected
REPEAT_NOVELTY = 0.34  # a sentence with fewer new words than this repeats the question
SAME_SENTENCE_COSINE = 0.95
PASSAGE_WORDS = 80
BEST_PASSAGES = 3
LINKED_SENTENCES = 60  # an hour has hundreds; the first ones tell the style
SPECIFICS_SHARE = 0.3
LINK_SHARE = 0.7
OFF_TOPIC_QUALITY = 0.4  # share of its quality that an answer keeps when nothing of it is relevant
RELEVANCE_FOR_FULL_QUALITY = 50.0
SEMANTIC_UNCERTAINTY = 15.0  # points
LEXICAL_UNCERTAINTY = 25.0  # points


@dataclass(frozen=True)
class Signals:
    """What the formulas see. Counts, except `similarity` and `link` (shares from 0 to 1, after their
    ranges) and `variety` (0-1); `cosine` is the raw question-answer cosine, None on the lexical path.
    """

    word_count: int
    sentence_count: int
    new_words: int
    specifics: int
    connectives: int
    variety: float
    similarity: float
    link: float
    cosine: float | None
    left_out: int


def grade_by_rules(
    question: str,
    answer: str,
    *,
    english_question: str | None = None,
    english_answer: str | None = None,
    language: Language = "en",
) -> Grade:
    """Grade an answer without any service. Same input, same grade. `confidence` is always None.

    With English texts (the given ones, or the originals of an English interview) relevance and coherence
    come from sentence embeddings; without, from shared words, with a larger uncertainty. The caller does
    not send empty answers: they would get 0 throughout.
    """
    english = _english_texts(question, answer, english_question, english_answer, language)
    signals = measure(*english, semantic=True) if english else measure(question, answer, semantic=False)
    quality, coherence, relevance = score(signals)
    return Grade(
        quality=quality,
        coherence=coherence,
        relevance=relevance,
        total=round((quality + coherence + relevance) / 3, 1),
        analysis=_analysis(signals, language),
        grader="rules",
        confidence=None,
        probability=None,
        uncertainty=SEMANTIC_UNCERTAINTY if english else LEXICAL_UNCERTAINTY,
    )


def _english_texts(
    question: str, answer: str, english_question: str | None, english_answer: str | None, language: Language
) -> tuple[str, str] | None:
    if language == "en":
        return english_question or question, english_answer or answer
    return (english_question, english_answer) if english_question and english_answer else None


def score(signals: Signals) -> tuple[float, float, float]:
    """Quality, coherence and relevance, 0-100 each, from the signals alone (formulas in docs/grading.md)."""
    substance = _saturating(signals.new_words, SUBSTANCE_WORDS)
    relevance = 100 * substance * signals.similarity
    depth = _saturating(signals.new_words, DEPTH_WORDS)
    specific = depth * min(1.0, signals.specifics / FULL_SPECIFICS)
    on_topic = min(1.0, relevance / RELEVANCE_FOR_FULL_QUALITY)
    content = (1 - SPECIFICS_SHARE) * depth + SPECIFICS_SHARE * specific
    quality = 100 * signals.variety * content * (OFF_TOPIC_QUALITY + (1 - OFF_TOPIC_QUALITY) * on_topic)
    wanted = CONNECTIVES_PER_SENTENCE * max(1, signals.sentence_count)
    connected = min(1.0, signals.connectives / wanted)
    coherence = 100 * substance * (LINK_SHARE * signals.link + (1 - LINK_SHARE) * connected)
    return round(quality, 1), round(coherence, 1), round(relevance, 1)


def measure(question: str, answer: str, *, semantic: bool) -> Signals:
    """The signals of an answer. What repeats the question, itself, or speaks to the grader is left out."""
    spoken = text.sentences(answer)
    asked = text.stems(question)
    kept = _worth_reading(spoken, asked)
    body = " ".join(kept)
    new_words = text.stems(body) - asked
    cosine = _similarity(question, kept) if semantic else None
    low_high = SIMILARITY_RANGE if semantic else LEXICAL_RELEVANCE_RANGE
    likeness = cosine if cosine is not None else _shared(asked, text.stems(body))
    return Signals(
        word_count=len(text.words(answer)),
        sentence_count=len(kept),
        new_words=len(new_words),
        specifics=_specifics(kept, question),
        connectives=sum(word in text.CONNECTIVES for word in text.words(body)),
        variety=_variety(text.words(body)),
        similarity=_ramp(likeness, *low_high),
        link=_link(kept, semantic),
        cosine=cosine,
        left_out=len(spoken) - len(kept),
    )


def _worth_reading(spoken: Sequence[str], asked: set[str]) -> list[str]:
    kept: list[str] = []
    seen: set[str] = set()
    for sentence in spoken:
        found = text.stems(sentence)
        key = " ".join(text.words(sentence))
        repeats = bool(found) and len(found - asked) / len(found) < REPEAT_NOVELTY
        if key and key not in seen and not repeats and not speaks_to_the_grader(sentence):
            kept.append(sentence)
        seen.add(key)
    return kept


def _saturating(count: int, scale: float) -> float:
    return 1 - math.exp(-count / scale)


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _shared(asked: set[str], answered: set[str]) -> float:
    return len(asked & answered) / len(asked) if asked else 0.0


def _specifics(kept: Sequence[str], question: str) -> int:
    body = " ".join(kept)
    asked = set(text.words(question))
    found = {word for word in text.words(body) if word in text.NUMBER_WORDS or word[0].isdigit()}
    found |= text.names_in(kept)
    spoken = f" {' '.join(text.words(body))} "
    examples = sum(f" {marker} " in spoken for marker in text.EXAMPLE_MARKERS)
    return len(found - asked) + examples


def _variety(tokens: Sequence[str]) -> float:
    """Moving-average type-token ratio (Covington and McFall 2010), put on its range."""
    if not tokens:
        return 0.0
    size = min(VARIETY_WINDOW_WORDS, len(tokens))
    ratios = [len(set(tokens[i : i + size])) / size for i in range(len(tokens) - size + 1)]
    return _ramp(sum(ratios) / len(ratios), *VARIETY_RANGE)


def _similarity(question: str, kept: Sequence[str]) -> float:
    """Cosine of the question with the answer: the mean of its three nearest passages."""
    if not kept or not question.strip():
        return 0.0
    vectors = embeddings.embed([question, *text.passages(kept, PASSAGE_WORDS)])
    cosines = np.sort(vectors[1:] @ vectors[0])[::-1]
    return float(cosines[:BEST_PASSAGES].mean())


def _link(kept: Sequence[str], semantic: bool) -> float:
    """How far neighbouring sentences belong together, 0-1; a single sentence is compared half with half."""
    parts = list(kept[:LINKED_SENTENCES]) if len(kept) > 1 else _halves(kept)
    if len(parts) < 2:
        return 0.0
    if not semantic:
        found = [text.stems(part) for part in parts]
        shares = [len(a & b) / max(1, min(len(a), len(b))) for a, b in pairwise(found)]
        return sum(_ramp(share, *LEXICAL_LINK_RANGE) for share in shares) / len(shares)
    vectors = embeddings.embed(parts)
    cosines = [float(a @ b) for a, b in pairwise(vectors)]
    linked = [_ramp(cosine, *LINK_RANGE) for cosine in cosines if cosine < SAME_SENTENCE_COSINE]
    return sum(linked) / len(linked) if linked else 0.0


def _halves(kept: Sequence[str]) -> list[str]:
    pieces = kept[0].split() if kept else []
    middle = len(pieces) // 2
    return [" ".join(pieces[:middle]), " ".join(pieces[middle:])] if middle >= 3 else []


def _analysis(signals: Signals, language: Language) -> str:
    if language == "id":
        nearness = (
            f"kemiripan makna dengan pertanyaan {signals.cosine:.2f}"
            if signals.cosine is not None
            else "relevansi diukur dari kata yang sama dengan pertanyaan saja"
        )
        return (
            f"Dinilai dengan rumus bawaan, tanpa model bahasa: {signals.word_count} kata, "
            f"{signals.sentence_count} kalimat berisi ({signals.left_out} kalimat pengulangan atau yang "
            f"ditujukan kepada penilai tidak dihitung), {signals.new_words} kata isi di luar pertanyaan, "
            f"{signals.specifics} angka, nama atau contoh, {signals.connectives} kata penghubung; {nearness}."
        )
    nearness = (
        f"similarity of meaning to the question {signals.cosine:.2f}"
        if signals.cosine is not None
        else "relevance measured by words shared with the question only"
    )
    return (
        f"Graded by the built-in formulas, without a language model: {signals.word_count} words, "
        f"{signals.sentence_count} sentences with content ({signals.left_out} that repeat or address the "
        f"grader left out), {signals.new_words} content words beyond the question, {signals.specifics} "
        f"numbers, names or examples, {signals.connectives} connectives; {nearness}."
    )
