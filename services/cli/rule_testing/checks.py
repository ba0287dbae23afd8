"""Names in a case of a rule test that stand for nothing: such an expectation is never met, and such a trait never judged."""

from __future__ import annotations

import difflib
from pathlib import Path

from services.alerter.domain.rules import RuleSet, Severity
from services.alerter.domain.stages.deduplicate import Reason, Transition
from services.cli.rule_testing.cases import BadCase, Case, each_account
from services.shared.tracking_plan.plan import TrackingPlan


def check_names(path: Path, case: Case, rules: RuleSet, plan: TrackingPlan) -> None:
    """
    Refuse a case that expects, passes over or sends what cannot be there.

    Raises:
        BadCase: it names a rule, an account, a transition, a severity, a reason or a trait that there is not.
    """
    known = {
        "rule": [rule.id for rule in rules.ordered],
        "account": [account for account, _ in each_account(case)],
        "transition": [each.name.lower() for each in Transition],
        "severity": [each.name.lower() for each in Severity],
        "reason": [each.value for each in Reason if each.value],
        "trait of accounts in the tracking plan": sorted(plan.group_traits),
    }
    for field, what, name in _named(case):
        names = known[what]
        if name in names or (what not in ("rule", "account") and name.lower() in map(str.lower, names)):
            continue
        near = difflib.get_close_matches(name, names, n=1)
        few = "" if what in ("rule", "account") else f"; there are {', '.join(names)}"
        hint = f"; write {near[0]} if that is meant" if near else few
        raise BadCase(f"{path}: {field}: there is no {what} {name}{hint}")


def _named(case: Case) -> list[tuple[str, str, str]]:
    """Return each name with its field, and what it is the name of."""
    named: list[tuple[str, str, str]] = []
    for number, each in enumerate(case.expect):
        words = {"rule": each.rule, "account": each.account, "transition": each.transition}
        words |= {"severity": each.severity or "", "reason": each.reason or ""}
        named += [(f"expect[{number}].{what}", what, word) for what, word in words.items() if word]
    named += [(f"beside[{number}]", "rule", rule) for number, rule in enumerate(case.beside)]
    for account, story in case.accounts.items():
        for day, traits in story.traits.items():
            named += [
                (f"accounts.{account}.traits.{day}", "trait of accounts in the tracking plan", trait)
                for trait in traits
            ]
    return named
