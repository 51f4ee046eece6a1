"""What a grader returns, whichever it was."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "id"]


@dataclass(frozen=True)
class ResultWarning:
    """An entry of `content[].result.warnings`: a code of the contract, and words for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Grade:
    """Scores of one answer in points from 0 to 100; `total` is their mean.

    `confidence` (0-100) is 100 times `probability`, the geometric mean of the probabilities that the LLM
    gave to its three scores; both are None without log-probabilities, and always for the built-in grader.
    `uncertainty` is the standard deviation of the total in points; None where nothing tells it.
    `disagreement` marks an LLM's grade that is far from the built-in grader's.
    """

    quality: float
    coherence: float
    relevance: float
    total: float
    analysis: str
    grader: Literal["llm", "rules"]
    confidence: float | None
    probability: float | None
    uncertainty: float | None
    disagreement: bool = False


@dataclass(frozen=True)
class GradedAnswer:
    """`reason` is why the language model gave nothing (see LlmUnavailable), None when it graded."""

    grade: Grade
    warnings: tuple[ResultWarning, ...]
    reason: str | None = None
