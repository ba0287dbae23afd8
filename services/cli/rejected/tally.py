"""What a replay will do, and what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from services.cli.rejected.fates import Fate, Way
from services.cli.rejected.letters import Letter


@dataclass(slots=True)
class Plan:
    """What becomes of the letters that are wanted, before anything is sent."""

    ways: Counter[str] = field(default_factory=Counter)
    """Letters that go back, by way."""
    sources: Counter[str] = field(default_factory=Counter)
    """Of those that go through ingest, by source."""
    left: Counter[str] = field(default_factory=Counter)
    """Letters that nothing is done with, by reason."""

    def add(self, letter: Letter, fate: Fate) -> None:
        """Take one letter into account."""
        if fate.way is None:
            self.left[fate.why] += 1
            return
        self.ways[fate.way.value] += 1
        if fate.way is not Way.RECORD:
            self.sources[letter.value["source"]] += 1

    @property
    def total(self) -> int:
        """Return how many letters go back."""
        return self.ways.total()


@dataclass(slots=True)
class Refusal:
    """Why ingest refused originals again."""

    count: int = 0
    example: str = ""
    """Place of a letter, and what ingest said."""


@dataclass(slots=True)
class ReplayTally:
    """What a replay has done so far."""

    letters: int = 0
    """Letters whose original was taken in whole; no other replay sends them again."""
    accepted: int = 0
    """Events of them that ingest accepted; those that the log has already are dropped later, as repeats."""
    unattributed: int = 0
    """Of these, without an account."""
    appended: int = 0
    """Records that were appended to their topic again."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    """What was refused again, by code: events, or whole bodies."""
    left: Counter[str] = field(default_factory=Counter)
    """Letters that nothing was done with, by reason."""

    def refuse(self, code: str, letter: Letter, said: str) -> None:
        """Count one original, or one event of it, that was refused again."""
        refusal = self.refused.setdefault(code, Refusal())
        refusal.count += 1
        refusal.example = refusal.example or f"{letter.place}: {said}"
