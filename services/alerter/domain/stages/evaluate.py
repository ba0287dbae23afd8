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


def evaluate(rule: Rule, measures: Measures) -> RuleVerdict:
    """Judge the measures by the rule; a rule that is switched off never fires."""
    fires = rule.enabled and holds(rule.fires, measures)
    return RuleVerdict(
        fires=fires,
        barred=any(holds(node, measures) for node in rule.unless),
        held=any(holds(node, measures) for node in rule.hold),
        clears=holds(rule.clear.when, measures),
        rises=tuple(fires and holds(step.when, measures) for step in rule.escalations),
    )
