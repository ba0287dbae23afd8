"""What is said of a rule: each condition with its value, and what keeps the rule from firing."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.measures import numbered
from services.alerter.domain.state_format import RuleState
from services.alerter.rule_files import load_rules
from services.cli.explaining.reading import Explained
from services.cli.explaining.replay import Judgement, Life
from services.cli.explaining.rule import why
from services.shared.errors import Fatal
from services.shared.units import HOUR_MS, date_of
from tests.support.scorer import DAY, at

RULES = load_rules()


CALM = {
    "level_4w": 0.9,
    "chance_low_4w": 0.4,
    "expected_4w": 40.0,
    "learning": 0.0,
    "age_days": 300.0,
    "fleet_level": 1.0,
}


def iso(day: int) -> str:
    return date_of(DAY + day).isoformat()


def judged(day: int, states: dict[str, RuleState] | None = None, **measures: float) -> Judgement:
    values = CALM | measures
    snapshot: dict[str, Any] = {
        "account": "acme",
        "day": DAY + day,
        "at": at(day + 1),
        "reason": "DAY_CLOSE",
        "measures": numbered(values),
        "counted": {},
    }
    return Judgement(snapshot, values, states or {})


def explained(*judgements: Judgement) -> Explained:
    last = judgements[-1]
    life = Life(judgements=list(judgements), records=1, first_time=at(0))
    return Explained("acme", last.snapshot["day"], 0, last, life, None, last.snapshot["at"], 0, None)


def test_each_condition_has_its_value_and_the_day_on_which_it_came_closest() -> None:
    found = explained(judged(1, level_4w=0.8), judged(2, level_4w=0.55, chance_low_4w=0.01), judged(3, level_4w=0.7))
    told = why(found, RULES, "usage_decline", 90)
    fallen, expected = told["fires"]["all"]
    level, chance = fallen["any"][0]["all"]

    assert (level["value"], level["threshold"], level["held_on"]) == (0.7, 0.5, 0)
    assert (level["closest"]["day"], level["closest"]["value"]) == (iso(2), 0.55)
    assert (chance["holds"], chance["held_on"]) == (False, 1)
    assert expected["holds"]
    assert told["nearest_day"] == {"day": iso(2), "missing": 1, "conditions": ["level_4w below 50 %"]}
    assert (told["verdict"], told["longest"]) == ("its conditions do not hold", "never")


def test_a_value_is_told_as_exactly_as_it_takes_to_see_on_which_side_of_the_threshold_it_is() -> None:
    found = explained(judged(1, level_4w=0.4971, chance_low_4w=0.00012, days_per_person=1.97, regulars_gone=3.0))
    (level, chance), (also_level, _) = (
        part["all"] for part in why(found, RULES, "usage_decline", 90)["fires"]["all"][0]["any"][:2]
    )
    per_person = next(
        part for part in why(found, RULES, "regulars_gone", 90)["fires"]["all"] if part["measure"] == "days_per_person"
    )

    assert (level["condition"], level["words"]) == ("level_4w below 50 %", "49.71 %")
    assert (also_level["condition"], chance["words"]) == ("level_4w below 60 %", "0.012 %")
    assert (per_person["condition"], per_person["words"]) == ("days_per_person at least 2 days", "1.97 days")

    unlikely = explained(judged(1, level_4w=0.1, chance_low_4w=1e-9))
    assert why(unlikely, RULES, "usage_decline", 90)["fires"]["all"][0]["any"][0]["all"][1]["words"] == "below 0.0001 %"

    tickets = why(explained(judged(1, median_ticket_hours=72.5)), RULES, "tickets_stuck", 90)["fires"]["all"][1]["any"]
    assert (tickets[1]["condition"], tickets[1]["words"]) == ("median_ticket_hours above 72 hours", "72.5 hours")


@pytest.mark.parametrize(
    ("hours", "longest"),
    [
        (62, "for 2 days 14 hours"),
        (72, "for 3 days"),
        (71.99, "for 3 days"),
        (1.5, "for 1 hour 30 minutes"),
        (0.001, "for 1 minute"),
    ],
)
def test_a_rule_that_waited_for_too_short_a_time_is_not_told_to_have_waited_long_enough(
    hours: float, longest: str
) -> None:
    first, later = (judged(1, level_4w=0.2, chance_low_4w=0.001) for _ in range(2))
    later.snapshot["at"] = first.snapshot["at"] + int(hours * HOUR_MS)

    told = why(explained(first, later), RULES, "usage_decline", 90)

    assert (told["for"], told["longest"]) == ("for 3 days", f"{longest} at the longest")


def signal(rule: str, day: int, transition: str = "FIRING") -> dict[str, Any]:
    return {"rule": rule, "at": at(day + 1), "transition": transition, "severity": "WARNING", "resolved_reason": ""}


def test_the_signals_of_the_rule_up_to_that_day_are_told_and_no_others() -> None:
    found = explained(judged(1), judged(3))
    signals = [signal("usage_silent", 1), *(signal("usage_decline", day) for day in (2, 3, 4))]
    found.life.signals.extend(signals)

    told = why(found, RULES, "usage_decline", 1)

    assert [each["at"][:10] for each in told["transitions"]] == [iso(3), iso(4)]
    assert told["transitions"][0]["severity"] == "warning"


def test_as_many_days_are_looked_at_as_are_asked_for() -> None:
    found = explained(judged(1), judged(2), judged(3), judged(4))

    assert [why(found, RULES, "usage_decline", days)["judged"] for days in (1, 3, 4)] == [1, 3, 4]


def test_above_a_threshold_the_closest_day_is_the_one_with_most() -> None:
    found = explained(judged(1, level_4w=1.1), judged(2, level_4w=1.9), judged(3, level_4w=1.6))

    told = why(found, RULES, "usage_growth", 90)

    assert {leaf["closest"]["day"] for leaf in leaves(told["fires"]) if leaf["measure"] == "level_4w"} == {iso(2)}


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    parts = node.get("all") or node.get("any")
    return [leaf for part in parts for leaf in leaves(part)] if parts else [node]


def test_of_conditions_of_which_one_is_enough_the_nearest_is_told_to_be_missing() -> None:
    """The other one is that it falls below 60 %, by chances that are smaller."""
    near = why(explained(judged(1, level_4w=0.1, chance_low_4w=0.3)), RULES, "usage_decline", 90)["nearest_day"]
    far = why(explained(judged(1, level_4w=0.99, chance_low_4w=0.9)), RULES, "usage_decline", 90)["nearest_day"]

    assert near["missing"] == 1
    assert near["conditions"][0].startswith("chance_low_4w below")
    assert far["missing"] > near["missing"]


def test_the_end_of_a_cooldown_lies_ahead() -> None:
    state = RuleState(resolved_at=at(1), severity=1, category=1)
    rule = RULES.get("usage_decline")
    assert rule is not None

    (told,) = why(explained(judged(3, {"usage_decline": state})), RULES, "usage_decline", 90)["kept_back"]

    days = rule.cooldown_ms // (24 * HOUR_MS)
    assert told.startswith(f"cooldown until {iso(1 + days)}T")


def test_days_before_those_asked_for_do_not_count() -> None:
    found = explained(judged(1, level_4w=0.1), judged(20, level_4w=0.8))

    assert why(found, RULES, "usage_decline", 7)["fires"]["all"][0]["any"][0]["all"][0]["closest"]["day"] == iso(20)
    assert why(found, RULES, "usage_decline", 7)["judged"] == 1


@pytest.mark.parametrize(
    ("states", "measures", "verdict"),
    [
        ({}, {"learning": 1.0}, "must not fire now"),
        ({}, {"calendar_level": 0.2}, "it is held"),
        ({}, {"fleet_level": 0.5}, "it is held"),
        ({"usage_silent": RuleState(started_at=at(1), severity=2, category=1)}, {}, "inhibited by usage_silent"),
        ({"usage_decline": RuleState(resolved_at=at(1), severity=1, category=1)}, {}, "cooldown until"),
        ({"usage_decline": RuleState(inhibited_at=at(1))}, {}, "stays quiet until"),
        ({"usage_silent": RuleState(resolved_at=at(1), severity=2, category=1)}, {}, "stays quiet until"),
        ({"usage_decline": RuleState(expired_while_firing=True)}, {}, "expired while its cause was there"),
        ({"usage_decline": RuleState(pending_since=at(2))}, {}, "have to for 3 days"),
        ({"usage_decline": RuleState(started_at=at(2), severity=1, category=1)}, {}, "it is open since"),
    ],
)
def test_it_says_what_keeps_a_rule_from_firing_whose_conditions_hold(
    states: dict[str, RuleState], measures: dict[str, float], verdict: str
) -> None:
    found = explained(judged(3, states, level_4w=0.2, chance_low_4w=0.001, **measures))

    assert verdict in why(found, RULES, "usage_decline", 90)["verdict"]


def test_an_open_risk_is_named_as_what_keeps_an_expansion_back() -> None:
    risk = {"nps_detractor": RuleState(started_at=at(1), severity=2, category=1)}
    info = {"moved_to_agents": RuleState(started_at=at(1), severity=1, category=1)}
    grown = {
        "level_4w": 1.8,
        "level_1w": 1.8,
        "chance_high_4w": 0.001,
        "active_users_level": 1.6,
        "active_users_28": 8.0,
    }

    told = why(explained(judged(3, risk, **grown)), RULES, "usage_growth", 90)
    other = why(explained(judged(3, info, **grown)), RULES, "usage_growth", 90)

    assert told["kept_back"] == ["inhibited by nps_detractor, open since 2024-10-05T00:00Z"]
    assert "kept back: inhibited by nps_detractor" in told["verdict"]
    assert other["kept_back"] == []


def test_what_is_not_known_is_said_to_be_so() -> None:
    found = explained(judged(3))
    told = why(found, RULES, "tickets_stuck", 90)
    leaf = told["fires"]["all"][0] if "all" in told["fires"] else told["fires"]

    assert (leaf["value"], leaf["words"], leaf["holds"]) == (None, "not known", False)
    assert "closest" not in leaf


def test_a_rule_sees_the_other_open_signals_as_it_does_in_the_alerter() -> None:
    states = {"usage_silent": RuleState(started_at=at(1), severity=3, category=1)}
    assert why(explained(judged(3, states)), RULES, "renewal_at_risk", 90)["judged"] == 1

    assert judged(3, states).measures_for("renewal_at_risk")["open_critical"] == 1
    assert judged(3, states).measures_for("usage_silent")["open_critical"] == 0


def test_an_unknown_rule_is_told_which_there_are() -> None:
    with pytest.raises(Fatal, match="there are active_users_falling, "):
        why(explained(judged(3)), RULES, "nothing", 90)
