"""Files of a data set that could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field

NAMED = 5


@dataclass
class SkippedFiles:
    """Counted by reason, the first few by name."""

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        self.names.setdefault(reason, []).append(name)

    def counts(self) -> dict[str, int]:
        return {reason: len(names) for reason, names in self.names.items()}

    def __len__(self) -> int:
        return sum(map(len, self.names.values()))

    def lines(self) -> list[str]:
        """One line a reason: how many, and the first names."""
        return [
            f"{len(names)} skipped, {reason}: {', '.join(names[:NAMED])}{' …' if len(names) > NAMED else ''}"
            for reason, names in self.names.items()
        ]
