"""What is declared or in force and yet takes no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.alerter.domain.rules import Rule
    from services.scorer.domain.health.risk import RiskModel


def measures() -> str:
    """Say what is declared or in force and yet takes no effect: measures without state, rules without measures."""
    from schemas.measures import MEASURES
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.scorer.domain.accounts.kinds import kinds_of
    from services.scorer.domain.health.measuring import not_taken
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load
    from services.shared.tracking_plan.state_names import TYPE_OF_FACT

    plan, model = load_scoring(load(ScorerSettings))
    settings = load(AlerterSettings)
    state = kinds_of(plan).state
    missing = not_taken(state)
    said = [f"{len(MEASURES) - len(missing)} of {len(MEASURES)} can be taken"]
    if missing:
        needs = ", ".join(sorted({need for lacks in missing.values() for need in lacks}))
        said.append(f"the tracking plan declares no {needs}, so these are not: {', '.join(missing)}")
        said += _rules_without(load_rules(settings.rules_dir, settings.rules_overrides).ordered, frozenset(missing))
        said += _risk_without(model.risk, frozenset(missing)) if model.risk else ()
    shown = {f"facts.{name}" for name in TYPE_OF_FACT}  # by health records, or where a baseline begins
    unused = sorted(state - {need for record in MEASURES.values() for need in record.needs} - shown)
    if unused:
        said.append(f"declared, and no measure looks at it: {', '.join(unused)}")
    return "; ".join(said)


def _risk_without(risk: RiskModel, missing: frozenset[str]) -> Iterator[str]:
    """Say what of the risk does not take effect where these measures are missing."""
    if lacking := sorted(missing & risk.terms.keys()):
        yield f"the risk of no account is known, as the model makes it of {', '.join(lacking)}"
    for name, term in risk.terms.items():
        if term.fades is not None and term.fades.measure in missing:
            yield f"the risk's {name} adds nothing, as it fades by {term.fades.measure}"


def _rules_without(rules: Iterable[Rule], missing: frozenset[str]) -> Iterator[str]:
    from schemas.measures import MEASURES
    from services.alerter.domain.conditions import may_hold, measures_in

    known = MEASURES.keys() - missing
    dead = [rule.id for rule in rules if not may_hold(rule.fires, known)]
    yield f"rules that can never fire: {', '.join(dead) or 'none'}"
    others = {
        rule.id: sorted(frozenset().union(*map(measures_in, rule.conditions)) & missing)
        for rule in rules
        if rule.id not in dead
    }
    for name, names in others.items():
        if names:
            yield f"{name} goes without {', '.join(names)}"
