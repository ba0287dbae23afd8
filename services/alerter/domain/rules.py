"""
What a rule is, and the order in which the rules of a set are judged.

A rule says when a signal of one kind fires, when it rises in severity, when it clears, what forbids it, and what
people then read. `services.alerter.domain.rule_reading` makes it out of a YAML file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum

import msgspec

from services.alerter.domain.conditions import Node, measures_in
from services.alerter.domain.measures import OPEN_MEASURES


class Severity(IntEnum):
    """How much a signal matters; a higher one ends a cooldown."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Category(IntEnum):
    """Which topic the signals of a rule go to; an open risk keeps expansion signals back."""

    RISK = 1
    EXPANSION = 2


class Text(msgspec.Struct, frozen=True):
    """What people read; templates with the names of measures in braces."""

    title: str
    summary: str
    action: str


class Escalation(msgspec.Struct, frozen=True):
    """A higher severity of the same rule, while the rule itself holds."""

    severity: Severity
    when: Node
    for_ms: int
    text: Text


class Clearing(msgspec.Struct, frozen=True):
    """When an open episode ends as recovered."""

    when: Node
    for_ms: int


class Inhibition(msgspec.Struct, frozen=True):
    """Which open signals keep a rule back, and how long it stays back after they ended."""

    rules: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    after_ms: int = 0


class EvidenceItem(msgspec.Struct, frozen=True):
    """One value that a signal carries, with the measure that says what would be usual."""

    measure: str
    usual: str | None = None


class Rule(msgspec.Struct, frozen=True):
    """One kind of signal. Times in milliseconds."""

    id: str
    category: Category
    severity: Severity
    enabled: bool
    fires: Node
    for_ms: int
    unless: tuple[Node, ...]
    """While one of these holds, the rule does not start an episode and its `for` starts anew."""
    hold: tuple[Node, ...]
    """While one of these holds, nothing moves: no start, no rise, no recovery."""
    escalations: tuple[Escalation, ...]
    clear: Clearing
    cooldown_ms: int
    expires_ms: int
    inhibited_by: Inhibition
    text: Text
    recovered: str
    evidence: tuple[EvidenceItem, ...]

    @property
    def conditions(self) -> list[Node]:
        """All conditions of the rule, whatever they decide."""
        return [self.fires, *self.unless, *self.hold, self.clear.when, *(step.when for step in self.escalations)]

    def text_at(self, severity: Severity) -> Text:
        """Return the texts that go with a severity."""
        texts = [step.text for step in self.escalations if step.severity == severity]
        return texts[0] if texts else self.text


class RuleProblems(Exception):
    """Rules cannot be used; `problems` says why, one line for each field at fault."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, in the order found."""
        super().__init__("; ".join(problems))
        self.problems = problems


class RuleSet(msgspec.Struct, frozen=True):
    """The rules in force, in the order in which they are judged, and the hash that names them."""

    ordered: tuple[Rule, ...]
    version: str

    def get(self, rule_id: str) -> Rule | None:
        """Return the rule of that name, or None."""
        return next((rule for rule in self.ordered if rule.id == rule_id), None)

    @property
    def longest_after_ms(self) -> int:
        """For how long after its end an episode may still keep another rule quiet, at the most."""
        return max((rule.inhibited_by.after_ms for rule in self.ordered), default=0)


def rule_set(rules: Iterable[Rule]) -> RuleSet:
    """
    Order the rules, those that keep others back first, and name the set by its content.

    Raises:
        RuleProblems: rules have one name, name others that are not there, or keep each other back in a ring.
    """
    by_id: dict[str, Rule] = {}
    problems: list[str] = []
    for rule in rules:
        if rule.id in by_id:
            problems.append(f"{rule.id}: two rules have this id")
        by_id[rule.id] = rule
    for rule in by_id.values():
        unknown = sorted(rule.inhibited_by.rules - by_id.keys())
        problems += [f"{rule.id}: inhibited_by.rules: there is no rule {name!r}" for name in unknown]
    if problems:
        raise RuleProblems(problems)
    ordered = _ordered(by_id)
    digest = hashlib.sha256(msgspec.json.encode([_canonical(rule) for rule in ordered]))
    return RuleSet(tuple(ordered), digest.hexdigest()[:12])


def _canonical(rule: Rule) -> object:
    return msgspec.to_builtins(rule, order="deterministic")


def _rank(rule: Rule) -> int:
    if rule.category is Category.EXPANSION:
        return 2
    return 1 if any(measures_in(node) & OPEN_MEASURES for node in rule.conditions) else 0


def _inhibitors(rule: Rule, rules: Iterable[Rule]) -> frozenset[str]:
    """Return the rules that keep a rule back by name, or as of the other category: of its own, the first to fire wins."""
    categories = rule.inhibited_by.categories - {rule.category}
    return rule.inhibited_by.rules | {other.id for other in rules if other.category in categories}


def _ordered(by_id: dict[str, Rule]) -> list[Rule]:
    ordered: list[Rule] = []
    waiting = sorted(by_id.values(), key=lambda rule: (_rank(rule), rule.id))
    inhibitors = {rule.id: _inhibitors(rule, waiting) for rule in waiting}
    while waiting:
        done = {rule.id for rule in ordered}
        ready = next((rule for rule in waiting if inhibitors[rule.id] <= done), None)
        if ready is None:
            names = ", ".join(rule.id for rule in waiting)
            raise RuleProblems([f"inhibited_by: these rules keep each other back in a ring: {names}"])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered
