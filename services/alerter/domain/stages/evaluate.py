"""What the conditions of a rule say about one snapshot, without any memory."""

from __future__ import annotations

from typing import NamedTuple

from services.alerter.domain.conditions import holds
from services.alerter.domain.measures import Measures
from services.alerter.domain.rules import Rule


class RuleVerdict(NamedTuple):
    """The answers of a rule's conditions."""

    fires: bool
    barred: bool
    """A must-not-fire condition holds."""
    held: bool
    """Nothing may move."""
    clears: bool
    rises: tuple[bool, ...]
    """For each escalation, whether it holds."""


def fires(rule: Rule, measures: Measures) -> bool:
    """Return whether the rule fires, whatever bars or holds it; one that is switched off never does."""
    return rule.enabled and holds(rule.fires, measures)


def evaluate(rule: Rule, measures: Measures) -> RuleVerdict:
    """Judge the measures by the whole rule."""
    firing = fires(rule, measures)
    return RuleVerdict(
        fires=firing,
        barred=any(holds(node, measures) for node in rule.unless),
        held=any(holds(node, measures) for node in rule.hold),
        clears=holds(rule.clear.when, measures),
        rises=tuple(firing and holds(step.when, measures) for step in rule.escalations),
    )
