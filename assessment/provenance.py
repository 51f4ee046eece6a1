"""What each stage worked with, as people read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from assessment import words
from assessment.results.schema import ResultsDocument


@dataclass(frozen=True)
class Origin:
    """What one stage worked with, for all answers that share it."""

    stage: str
    answers: str
    text: str


def flatten(blocks: dict[str, dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Nested provenance as dotted names and values."""
    rows: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key in value:
                walk(f"{prefix}.{key}" if prefix else str(key), value[key])
        else:
            rows.append((prefix, words.NOT_MEASURED if value is None else str(value)))

    walk("", blocks)
    return tuple(rows)


def origins(document: ResultsDocument) -> tuple[Origin, ...]:
    shared: dict[tuple[str, str], list[str]] = {}
    for answer in document.content:
        for stage, block in (answer.result.provenance if answer.result else {}).items():
            named = [
                (name.rpartition(".")[2], value)
                for name, value in flatten(block)
                if "thresholds." not in name
            ]
            parts = [f"{name} {value}" for name, value in named]
            if limits := block.get("thresholds"):
                parts.append(_("%(count)s thresholds, named in the JSON") % {"count": len(limits)})
            text = ", ".join(parts)
            shared.setdefault((stage, text), []).append(str(answer.id))
    return tuple(
        Origin(words.stage(stage), words.listing(numbers), text) for (stage, text), numbers in shared.items()
    )
