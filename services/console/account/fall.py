"""Why the score changed between two days: one step for each part of the score, which add up to the change exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.account.past import Day


@dataclass(frozen=True, slots=True)
class Step:
    """What one part of the score changed. Tenths of a point."""

    name: str
    label: str
    dimension: str
    unit: str
    begins: int
    ends: int
    before: float | None
    """The measure's value on the first day."""
    after: float | None

    @property
    def change(self) -> int:
        """Return by how much it moved the score."""
        return self.ends - self.begins


@dataclass(frozen=True, slots=True)
class Fall:
    """The way from one score to another. Tenths of a point."""

    start: int
    end: int
    steps: tuple[Step, ...]


def fall(first: Day, last: Day) -> Fall | None:
    """
    Return the steps between the scores of two days, those down first, the largest first.

    None: one of the two has no score that means anything.
    """
    if not (first.is_judged and last.is_judged):
        return None
    words = {part["name"]: part for day in (first, last) for part in day.told["parts"]}
    changes = {name: last.tenths.get(name, 0) - first.tenths.get(name, 0) for name in words}
    start, end = round(first.told["score"] * 10), round(last.told["score"] * 10)
    down_first = 1 if end <= start else -1
    order = sorted(
        (name for name, change in changes.items() if change),
        key=lambda name: (down_first * changes[name] > 0, -abs(changes[name]), name),
    )
    steps: list[Step] = []
    at = start
    for name in order:
        steps.append(_step(words[name], at, at + changes[name], first, last))
        at += changes[name]
    return Fall(start, end, tuple(steps))


def _step(part: dict[str, Any], begins: int, ends: int, first: Day, last: Day) -> Step:
    name = part["name"]
    return Step(name, part["label"], part["dimension"], part["unit"], begins, ends, first.value(name), last.value(name))
