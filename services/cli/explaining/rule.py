"""
Why a rule did not fire: each of its conditions with its value, its threshold, and the day on which it came closest.

How close is by how much of the threshold a value is short of it, so that days can be compared for one condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from schemas.measures import MEASURES, Unit
from services.alerter.domain.conditions import AllOf, AnyOf, Comparison, Condition, Node, holds
from services.alerter.domain.measures import Measures
from services.alerter.domain.rules import Rule, RuleSet
from services.alerter.domain.stages.inhibit import inhibitor_of, quiet_until
from services.alerter.domain.state_format import RuleState
from services.alerter.domain.wording import with_names, word
from services.cli.explaining.health import moment
from services.cli.explaining.reading import Explained
from services.cli.explaining.replay import Judgement
from services.cli.held import iso
from services.shared.counts import counted
from services.shared.errors import WrongArgument
from services.shared.units import DAY_MS, HOUR_MS, MINUTE_MS

_SIGNS = {
    Comparison.BELOW: "below",
    Comparison.AT_MOST: "at most",
    Comparison.ABOVE: "above",
    Comparison.AT_LEAST: "at least",
    Comparison.EQUALS: "equal to",
}
_FOUR_DIGITS = 1_000
_SMALLEST = 0.0001


class Closest(NamedTuple):
    """The day on which a condition was nearest to its threshold, or past it by most."""

    day: int
    value: float


def why(found: Explained, rules: RuleSet, name: str, days: int) -> dict[str, Any]:
    """
    Return why a rule did or did not fire in so many days up to the one that is explained.

    Raises:
        Fatal: there is no such rule; says which there are.
    """
    rule = rules.get(name)
    if rule is None:
        raise WrongArgument(
            f"--rule {name}: there is no such rule; there are {', '.join(sorted(r.id for r in rules.ordered))}"
        )
    now = found.judgement
    so_far = [each for each in found.life.judgements if each.snapshot["at"] <= now.snapshot["at"]]
    window = [each for each in so_far if found.day - days < each.snapshot["day"]]
    fired = [signal for signal in found.life.signals if signal["rule"] == name and signal["at"] <= now.snapshot["at"]]
    return {
        "rule": name,
        "instead": found.instead,
        "enabled": rule.enabled,
        "days": days,
        "judged": len(window),
        "transitions": [
            {
                "at": moment(signal["at"]),
                "transition": signal["transition"].lower(),
                "severity": signal["severity"].lower(),
                "reason": signal["resolved_reason"],
            }
            for signal in fired
        ],
        "fires": _tree(rule.fires, rule, now, window),
        "nearest_day": _nearest(rule, window),
        "unread": found.life.unread,
        "for": f"for {_length(rule.for_ms)}" if rule.for_ms else "at once",
        "longest": _so_long(_longest(rule, window)),
        "unless": [_tree(node, rule, now, window) for node in rule.unless],
        "hold": [_tree(node, rule, now, window) for node in rule.hold],
        "kept_back": list(_kept_back(rule, now)),
        "verdict": _verdict(rule, now, window),
    }


def _tree(node: Node, rule: Rule, now: Judgement, window: list[Judgement]) -> dict[str, Any]:
    measures = now.measures_for(rule.id)
    if isinstance(node, (AllOf, AnyOf)):
        kind = "all" if isinstance(node, AllOf) else "any"
        return {kind: [_tree(part, rule, now, window) for part in node.parts], "holds": holds(node, measures)}
    held = [each for each in window if holds(node, each.measures_for(rule.id))]
    closest = _closest(node, rule, window)
    value = measures.get(node.measure)
    found: dict[str, Any] = {
        "condition": _words(node, measures),
        "measure": node.measure,
        "value": value,
        "words": with_names(_worded(node.measure, value), now.snapshot, node.measure),
        "threshold": _bound(node, measures),
        "holds": holds(node, measures),
        "held_on": len({each.snapshot["day"] for each in held}),
    }
    if closest is not None:
        found["closest"] = {
            "day": iso(closest.day), "value": closest.value, "words": _worded(node.measure, closest.value)
        }  # fmt: skip
    return found


def _closest(node: Condition, rule: Rule, window: list[Judgement]) -> Closest | None:
    found: tuple[float, Closest] | None = None
    for each in window:
        measures = each.measures_for(rule.id)
        short = _short_of(node, measures)
        if short is not None and (found is None or short < found[0]):
            found = short, Closest(int(each.snapshot["day"]), measures[node.measure])
    return None if found is None else found[1]


def _short_of(node: Condition, measures: Measures) -> float | None:
    """Return by how much of its threshold a value is short of it, negative past it; None: not known."""
    value, bound = measures.get(node.measure), _bound(node, measures)
    if value is None or not isinstance(bound, float):
        return None
    scale = abs(bound) or 1.0
    if node.comparison in {Comparison.BELOW, Comparison.AT_MOST}:
        return (value - bound) / scale
    if node.comparison in {Comparison.ABOVE, Comparison.AT_LEAST}:
        return (bound - value) / scale
    return abs(value - bound) / scale


def _bound(node: Condition, measures: Measures) -> float | bool | None:
    if isinstance(node.bound, str):
        return measures.get(node.bound)
    return node.bound if node.comparison is Comparison.KNOWN else float(node.bound)


def _words(node: Condition, measures: Measures) -> str:
    if node.comparison is Comparison.KNOWN:
        return f"{node.measure} is {'known' if node.bound else 'not known'}"
    bound = _bound(node, measures)
    unit = MEASURES[node.measure].unit
    if isinstance(node.bound, str):
        known = "not known" if bound is None else _exact_words(float(bound), unit)
        return f"{node.measure} {_SIGNS[node.comparison]} {node.bound} ({known})"
    return f"{node.measure} {_SIGNS[node.comparison]} {_exact_words(float(node.bound), unit)}"


def _worded(measure: str, value: float | None) -> str:
    return "not known" if value is None else _exact_words(value, MEASURES[measure].unit)


def _exact_words(value: float, unit: Unit) -> str:
    """Write a value like `word`, but to four digits: who compares it with a threshold has to see on which side it is."""
    if unit in {Unit.SHARE, Unit.CHANCE}:
        return f"{_digits(100 * value)} %"
    if unit is Unit.HOURS:  # `word` makes days of them
        return "1 hour" if value == 1 else f"{_digits(value)} hours"
    if unit is Unit.FLAG or value.is_integer():
        return word(value, unit)
    return f"{_digits(value)} {unit.value}" if unit in {Unit.DAYS, Unit.PEOPLE} else _digits(value)


def _digits(value: float) -> str:
    if 0 < value < _SMALLEST:
        return f"below {_SMALLEST}"  # no threshold is that low, and nobody reads 1.2e-07
    return f"{value:,.0f}" if abs(value) >= _FOUR_DIGITS else f"{value:.4g}"


def _nearest(rule: Rule, window: list[Judgement]) -> dict[str, Any] | None:
    """Return the day on which fewest conditions were missing, of these the one on which they missed by least."""
    ranked = [(_missing(rule.fires, each.measures_for(rule.id)), each) for each in window]
    if not ranked:
        return None
    (missing, _), best = min(ranked, key=lambda pair: pair[0])
    measures = best.measures_for(rule.id)
    return {
        "day": iso(best.snapshot["day"]),
        "missing": missing,
        "conditions": [_words(node, measures) for node in _failing(rule.fires, measures)],
    }


def _missing(node: Node, measures: Measures) -> tuple[int, float]:
    """Return how many conditions are missing, and by how much of their thresholds together."""
    if isinstance(node, AllOf):
        parts = [_missing(part, measures) for part in node.parts]
        return sum(many for many, _ in parts), sum(short for _, short in parts)
    if isinstance(node, AnyOf):
        return min(_missing(part, measures) for part in node.parts)
    if holds(node, measures):
        return 0, 0.0
    short = _short_of(node, measures)
    return 1, 1e9 if short is None else max(short, 0.0)


def _failing(node: Node, measures: Measures) -> Iterator[Condition]:
    """Yield the conditions that are missing, of an `any` those of its nearest part."""
    if holds(node, measures):
        return
    if isinstance(node, Condition):
        yield node
    elif isinstance(node, AllOf):
        for part in node.parts:
            yield from _failing(part, measures)
    else:
        yield from _failing(min(node.parts, key=lambda part: _missing(part, measures)), measures)


def _free(rule: Rule, measures: Measures) -> bool:
    """Return whether nothing forbids or holds the rule."""
    return not any(holds(node, measures) for node in (*rule.unless, *rule.hold))


def _so_long(longest_ms: int | None) -> str:
    if longest_ms is None:
        return "never"
    return f"for {_length(longest_ms)} at the longest" if longest_ms else "on one judgement at a time"


def _longest(rule: Rule, window: Iterable[Judgement]) -> int | None:
    """Return for how long the rule wanted to fire without a break, milliseconds, at the most; None: never."""
    longest: int | None = None
    since = 0
    for each in window:
        measures, at = each.measures_for(rule.id), each.snapshot["at"]
        if holds(rule.fires, measures) and _free(rule, measures):
            since = since or at
            longest = max(longest or 0, at - since)
        else:
            since = 0
    return longest


def _kept_back(rule: Rule, now: Judgement) -> Iterator[str]:
    """Yield what of the account's other signals and of its own past keeps the rule quiet."""
    at = now.snapshot["at"]
    inhibitor = inhibitor_of(rule, now.states)
    if inhibitor is not None:
        yield f"inhibited by {inhibitor}, open since {moment(now.states[inhibitor].started_at)}"
    mine = now.states.get(rule.id) or RuleState()
    until = quiet_until(rule, mine, now.states)
    if at < until:
        yield f"stays quiet until {moment(until)} after another signal said more"
    if not mine.open and mine.resolved_at and at - mine.resolved_at < rule.cooldown_ms:
        yield f"cooldown until {moment(mine.resolved_at + rule.cooldown_ms)}, unless it comes back more severe"
    if mine.expired_while_firing:
        yield "an earlier signal expired while its cause was there: it stays quiet until the cause has gone once"


def _verdict(rule: Rule, now: Judgement, window: list[Judgement]) -> str:
    mine, measures = now.states.get(rule.id), now.measures_for(rule.id)
    if mine is not None and mine.open:
        return f"it is open since {moment(mine.started_at)}"
    if not rule.enabled:
        return "it is switched off"
    if not window:
        return "the account was not judged in these days"
    if not holds(rule.fires, measures):
        return "its conditions do not hold"
    if any(holds(node, measures) for node in rule.unless):
        return "its conditions hold, but it must not fire now (see `not while`)"
    if any(holds(node, measures) for node in rule.hold):
        return "its conditions hold, but it is held (see `held while`)"
    kept = next(_kept_back(rule, now), None)
    if kept is not None:
        return f"its conditions hold, but it is kept back: {kept}"
    since = mine.pending_since if mine is not None else 0
    return (
        f"its conditions hold since {moment(since)}, and have to for {_length(rule.for_ms)}"
        if since
        else "it fires now"
    )


def _length(length_ms: int) -> str:
    """Write a length of time in days and hours, or below a day in hours and minutes: half a day decides whether a rule fires."""
    whole, rest = (DAY_MS, HOUR_MS) if length_ms >= DAY_MS else (HOUR_MS, MINUTE_MS)
    names = ("day", "hour") if length_ms >= DAY_MS else ("hour", "minute")
    numbers = divmod(max(1, round(length_ms / rest)), whole // rest)
    return " ".join(counted(number, name) for number, name in zip(numbers, names, strict=True) if number)
