"""
What a case of a rule test says in vain: names that stand for nothing, values that the tracking plan refuses.

Such an expectation is never met, and such a trait or event never judged.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from schemas.measures import MEASURES
from services.alerter.domain.conditions import may_hold, measures_in
from services.alerter.domain.rules import RuleSet, Severity
from services.alerter.domain.stages.deduplicate import Reason, Transition
from services.cli.rule_testing.cases import BadCase, Case, dated, each_account, series
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.measuring import not_taken
from services.shared.plan_file import VARIABLE
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.plan import TrackingPlan, plain
from services.shared.tracking_plan.traffic import TrafficPlan

ALIKE = 0.85
"""From here on, of 1, a name is taken for another one that is misspelt; Report Shared and Report Viewed have 0.69."""


def check_case(path: Path, case: Case, rules: RuleSet, plan: TrackingPlan) -> None:
    """
    Refuse a case that expects, passes over or sends what cannot be there.

    Raises:
        BadCase: it names a rule, an account, a transition, a severity, a reason or a trait that there is not, or gives a trait or
            a property what the plan does not take.
    """
    _check_names(path, case, rules, plan)
    for field, rule, lacks in _never_firing(case, rules, plan):
        raise BadCase(
            f"{path}: {field}: {rule} can never fire, since the tracking plan ({VARIABLE}) declares no {', '.join(lacks)}"
        )
    for field, name, near in _misspelt(case, plan):
        hint = f"write {near} if that is meant; if not, declare {name} there"
        raise BadCase(f"{path}: {field}: the tracking plan has no event {name}; {hint}")
    for field, user in _never_active(case):
        raise BadCase(
            f"{path}: {field}: {user} is never active, so the role is nobody's; the people of `days` are person-1, person-2, ..."
        )
    for field, detail in _violations(case, TrafficPlan(plan)):
        raise BadCase(f"{path}: {field}: {detail}")


def _check_names(path: Path, case: Case, rules: RuleSet, plan: TrackingPlan) -> None:
    known = {
        "rule": [rule.id for rule in rules.ordered],
        "account": [account for account, _ in each_account(case)],
        "transition": [each.name.lower() for each in Transition],
        "severity": [each.name.lower() for each in Severity],
        "reason": [each.value for each in Reason if each.value],
        "trait of accounts in the tracking plan": sorted(plan.group_traits),
        "role in the tracking plan": list(plan.roles),
    }
    for field, what, name in _named(case):
        names = known[what]
        if name in names or (what not in ("rule", "account") and name.lower() in map(str.lower, names)):
            continue
        near = difflib.get_close_matches(name, names, n=1)
        few = "" if what in ("rule", "account") else f"; there are {', '.join(names) or 'none'}"
        hint = f"; write {near[0]} if that is meant" if near else few
        raise BadCase(f"{path}: {field}: there is no {what} {name}{hint}")


def _never_firing(case: Case, rules: RuleSet, plan: TrackingPlan) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the field, the rule, and the state that it lacks, where a signal of a rule is expected whose measures are not taken."""
    missing = not_taken(kinds_of(plan).state)
    for number, expected in enumerate(case.expect):
        rule = rules.get(expected.rule)
        if rule is not None and not may_hold(rule.fires, MEASURES.keys() - missing.keys()):
            lacks = {state for measure in measures_in(rule.fires) & missing.keys() for state in missing[measure]}
            yield f"expect[{number}].rule", rule.id, sorted(lacks)


def _misspelt(case: Case, plan: TrackingPlan) -> Iterator[tuple[str, str, str]]:
    """Yield the field and the name of each event that is none of the plan's but nearly so, and the one that is."""
    known = {plain(name): name for name in plan.events}
    for account, story in case.accounts.items():
        for number, event in enumerate(story.events):
            name = plain(event.name)
            near = difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)
            if near and name not in known:
                yield f"accounts.{account}.events[{number}].name", event.name, known[near[0]]


def _never_active(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the field and the user of each role of somebody who does nothing in the case."""
    for account, story in case.accounts.items():
        active = {event.user for event in story.events}
        for actor, days in story.series.items():
            active |= {f"{actor}-{number + 1}" for number in range(max(series(days), default=0))}
        for day, roles in story.roles.items():
            yield from ((f"accounts.{account}.roles.{day}", user) for user in roles if user not in active)


def _violations(case: Case, plan: TrafficPlan) -> Iterator[tuple[str, str]]:
    """Yield the field and what is wrong with it. Traits may be sent a few at a time, so none is missing."""
    for account, story in case.accounts.items():
        for day, traits in story.traits.items():
            for found in plan.violations("GROUP", "", dated(traits, case.first_day)):
                if found.code != "plan_missing_property":
                    yield f"accounts.{account}.traits.{day}.{found.field.partition('.')[2]}", found.detail
        for number, event in enumerate(story.events):
            beside = Beside(has_user=bool(event.user), day=case.first_day + event.day)
            for found in plan.violations("TRACK", event.name, dated(event.properties, case.first_day), beside):
                yield f"accounts.{account}.events[{number}].{found.field}", found.detail


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
        for day, roles in story.roles.items():
            named += [
                (f"accounts.{account}.roles.{day}.{user}", "role in the tracking plan", role.strip())
                for user, role in roles.items()
            ]
    return named
