"""Rules are read whole or not at all, and every mistake in them is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.measures import MEASURES, named
from services.alerter.domain.conditions import holds, may_hold
from services.alerter.domain.measures import OPEN_MEASURES, measures_of
from services.alerter.domain.rule_reading import read_rule
from services.alerter.domain.rules import RuleProblems, Severity, rule_set
from services.alerter.rule_files import SHIPPED_RULES, load_rules
from services.shared.errors import ConfigurationError
from services.shared.units import DAY_MS
from tests.support.alerter import shipped, snapshot


def test_the_shipped_rules_are_these_signals_in_the_order_in_which_they_keep_each_other_back() -> None:
    order = [rule.id for rule in load_rules().ordered]

    assert set(order) == {
        "usage_decline_fast",
        "usage_decline",
        "usage_silent",
        "small_account_silent",
        "regulars_gone",
        "active_users_falling",
        "moved_to_agents",
        "tickets_stuck",
        "nps_detractor",
        "renewal_at_risk",
        "seat_saturation",
        "usage_growth",
    }
    assert order.index("usage_silent") < order.index("usage_decline_fast") < order.index("usage_decline")
    assert order[-3:] == ["renewal_at_risk", "seat_saturation", "usage_growth"]


@pytest.mark.parametrize("path", sorted(SHIPPED_RULES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_rule_file_is_named_after_its_rule(path: Path) -> None:
    assert yaml.safe_load(path.read_text("utf-8"))["id"] == path.stem


@pytest.mark.parametrize(
    "word", ["R28", "R14", "R7", "AUD", "fleet", "episode", "p-value", "baseline", "measure", "event"]
)
@pytest.mark.parametrize("rule", load_rules().ordered, ids=lambda rule: rule.id)
def test_texts_that_people_read_hold_no_inner_words(rule: Any, word: str) -> None:
    texts = [rule.text, *(step.text for step in rule.escalations)]
    # names in braces are filled in and never shown
    shown = " ".join(part for text in texts for part in (text.title, text.summary, text.action)) + rule.recovered
    plain = "".join(piece.split("}")[-1] for piece in shown.split("{"))

    assert word.lower() not in plain.lower()


def test_every_mistake_of_a_rule_is_named_with_its_field() -> None:
    data = shipped("usage_decline")
    data["severity"] = "bad"
    data["for"] = "3 days"
    data["fires"]["all"][0] = {"measure": "level_9w", "below": 0.5}
    data["fires"]["all"][1] = {"measure": "level_4w", "below": 0.5, "above": 0.1}
    data["unless"][0] = {"measure": "learning", "equals": "learnt"}
    data["hold"] = {"measure": "fleet_level", "below": 1}
    data["cooldown"] = "1h"
    data["expires"] = "0d"
    data["colour"] = "red"
    data["escalate"][0]["severity"] = "info"
    data["text"]["summary"] = "At {level}"
    data["text"]["action"] = "Call {0.__class__}"
    data["evidence"] = [{"measure": "magic", "usual": "more"}]
    del data["clear"]

    with pytest.raises(RuleProblems) as caught:
        read_rule(data)

    fields = {problem.split(": ")[0] for problem in caught.value.problems}
    assert fields == {
        "severity",
        "for",
        "fires.all[0].measure",
        "fires.all[1]",
        "unless[0].equals",
        "hold",
        "cooldown",
        "expires",
        "colour",
        "escalate[0].severity",
        "text.summary",
        "text.action",
        "evidence[0].measure",
        "evidence[0].usual",
        "clear",
    }


@pytest.mark.parametrize("data", [None, [], "rule", 3, {}, {"fires": []}, {"text": 1, "clear": [], "escalate": {}}])
def test_what_is_no_rule_at_all_is_refused_in_words(data: object) -> None:
    with pytest.raises(RuleProblems) as caught:
        read_rule(data)

    assert caught.value.problems


def test_rules_that_keep_each_other_back_in_a_ring_are_refused() -> None:
    silent = shipped("usage_silent") | {"inhibited_by": {"rules": ["usage_decline"]}}
    fast, slow = shipped("usage_decline_fast"), shipped("usage_decline")

    with pytest.raises(RuleProblems, match="in a ring: usage_decline, usage_decline_fast, usage_silent"):
        rule_set([read_rule(silent), read_rule(fast), read_rule(slow)])


def test_a_risk_and_a_chance_that_keep_each_other_back_are_a_ring_too() -> None:
    growth, tickets = shipped("usage_growth"), shipped("tickets_stuck")

    with pytest.raises(RuleProblems, match="in a ring: tickets_stuck, usage_growth"):
        rule_set([read_rule(growth), read_rule(tickets | {"inhibited_by": {"rules": ["usage_growth"]}})])


def test_chances_may_give_way_to_each_other_whoever_is_first() -> None:
    one_at_a_time = {"inhibited_by": {"categories": ["risk", "expansion"]}}
    growth, seats = (read_rule(shipped(rule) | one_at_a_time) for rule in ("usage_growth", "seat_saturation"))

    assert [rule.id for rule in rule_set([growth, seats]).ordered] == ["seat_saturation", "usage_growth"]


def test_a_rule_kept_back_by_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(RuleProblems, match="there is no rule 'usage_silent'"):
        rule_set([read_rule(shipped("usage_decline_fast"))])


def test_two_rules_of_one_name_are_refused() -> None:
    rule = read_rule(shipped("nps_detractor"))

    with pytest.raises(RuleProblems, match="two rules have this id"):
        rule_set([rule, rule])


def test_all_that_is_wrong_between_rules_is_told_at_once() -> None:
    detractor, seats = shipped("nps_detractor"), shipped("seat_saturation") | {"inhibited_by": {"rules": ["b", "a"]}}

    with pytest.raises(RuleProblems) as told:
        rule_set([read_rule(each) for each in (detractor, detractor, seats)])

    assert told.value.problems == [
        "nps_detractor: two rules have this id",
        "seat_saturation: inhibited_by.rules: there is no rule 'a'",
        "seat_saturation: inhibited_by.rules: there is no rule 'b'",
    ]


def test_the_version_names_the_content_of_the_rules() -> None:
    rule = shipped("nps_detractor")
    version = rule_set([read_rule(rule)]).version

    assert rule_set([read_rule(rule)]).version == version
    assert rule_set([read_rule(rule | {"cooldown": "29d"})]).version != version
    as_any = rule | {"fires": {"any": [rule["fires"]]}}
    as_all = rule | {"fires": {"all": [rule["fires"]]}}
    assert rule_set([read_rule(as_any)]).version != rule_set([read_rule(as_all)]).version


def test_an_override_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text(
        "usage_decline:\n  for: 5d\n  text: {title: Fewer}\nnps_detractor: {enabled: false}\n", "utf-8"
    )

    rules = load_rules(overrides=overrides)

    changed, before = rules.get("usage_decline"), load_rules().get("usage_decline")
    assert changed is not None
    assert before is not None
    assert (changed.for_ms, changed.text.title) == (5 * DAY_MS, "Fewer")
    assert changed.text.summary == before.text.summary
    assert changed.fires == before.fires
    off = rules.get("nps_detractor")
    assert off is not None
    assert not off.enabled


def test_an_override_that_says_when_it_fires_adds_a_rule_beside_the_shipped_ones(tmp_path: Path) -> None:
    overrides = tmp_path / "overrides.yaml"
    rule = {name: value for name, value in shipped("nps_detractor").items() if name != "id"}
    overrides.write_text(yaml.safe_dump({"of_our_own": rule | {"for": "3d"}}), "utf-8")

    rules = load_rules(overrides=overrides)

    own = rules.get("of_our_own")
    assert own is not None
    assert own.for_ms == 3 * DAY_MS
    assert {each.id for each in rules.ordered} == {each.id for each in load_rules().ordered} | {"of_our_own"}


def test_an_override_of_no_rule_and_a_new_rule_that_is_not_whole_are_reported(tmp_path: Path) -> None:
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text(
        "usage_declin: {for: 5d}\nof_our_own: {fires: {measure: roles_gone, at_least: 1}}\nX: {fires: {}}\n", "utf-8"
    )

    with pytest.raises(ConfigurationError) as raised:
        load_rules(overrides=overrides)

    said = str(raised.value)
    assert "usage_declin: there is no such rule; a new one must say when it fires" in said
    assert "of_our_own: text: is missing" in said
    assert "X: id: must be lower case letters" in said


def test_a_rule_of_an_override_that_names_no_rule_is_reported_with_its_file(tmp_path: Path) -> None:
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text("nps_detractor: {inhibited_by: {rules: [usage_silnt]}}\n", "utf-8")

    with pytest.raises(ConfigurationError, match=r"changed by .*overrides\.yaml: nps_detractor: inhibited_by\.rules"):
        load_rules(overrides=overrides)


def test_all_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("id: [", "utf-8")
    (tmp_path / "b.yaml").write_text("- a list", "utf-8")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(shipped("nps_detractor") | {"for": "soon"}), "utf-8")
    overrides = tmp_path / "overrides.yml"
    overrides.write_text("usage_silence: {for: 1d}\nnps_detractor: 3\n", "utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load_rules(tmp_path, overrides)

    files = [problem.split(": ")[0].rsplit("/", 1)[-1] for problem in caught.value.problems]
    assert sorted(files) == ["a.yaml", "b.yaml", "c.yaml", "overrides.yml", "overrides.yml"]


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no rule file"):
        load_rules(tmp_path / "nowhere")


def test_rules_see_every_measure_of_a_snapshot_and_the_score() -> None:
    full = snapshot(
        tickets_open=3,
        oldest_opened_at=1_000,
        lowest_answer=3,
        facts__seats=10,
        facts__revenue=1.5,
        facts__renewal_day=20_100,
    )

    assert set(measures_of(full)) == {"score", "tickets_open", "seat_use", *named(full["measures"])}


def test_each_measure_of_a_rule_is_one_that_has_a_record() -> None:
    of_the_alerter = {name for name, record in MEASURES.items() if record.source == "alerter"}

    assert of_the_alerter == OPEN_MEASURES | {"score"}
    for rule in load_rules().ordered:
        assert {item.measure for item in rule.evidence} <= set(MEASURES)


def test_a_measure_that_a_later_scorer_has_added_is_passed_over() -> None:
    value = snapshot()
    value["measures"]["numbers"].append(9_999)
    value["measures"]["values"].append(1.0)

    assert measures_of(value) == measures_of(snapshot())


def test_a_condition_on_what_is_not_known_does_not_hold_either_way() -> None:
    values = measures_of(snapshot())
    rule = read_rule(
        shipped("nps_detractor")
        | {
            "unless": [
                {"measure": "seat_use", "below": 2},
                {"measure": "seat_use", "at_least": 0},
                {"measure": "active_users_28", "above": "seats"},
                {"measure": "seat_use", "known": True},
                {"measure": "seat_use", "known": False},
            ]
        }
    )

    assert [holds(node, values) for node in rule.unless] == [False, False, False, False, True]


def test_the_texts_of_a_severity_are_those_of_its_escalation() -> None:
    rule = load_rules().get("usage_decline")
    assert rule is not None

    assert rule.text_at(Severity.INFO).title == "Use is declining"
    assert rule.text_at(Severity.WARNING).title == "Use has fallen to a fraction"
    assert rule.text_at(Severity.WARNING).action == rule.text.action


@pytest.mark.parametrize(
    "rule_id", ["usage_silent", "usage_decline", "usage_decline_fast", "active_users_falling", "regulars_gone"]
)
def test_no_fall_in_use_clears_where_nobody_came_and_hardly_anything_is_expected(rule_id: str) -> None:
    nothing: dict[str, Any] = {"silent_days": 250, "active_users_28": 0, "active_users_28_usual": 0}
    for weeks in (1, 2, 4):
        nothing |= {f"level_{weeks}w": 0.98, f"expected_{weeks}w": 0.01}
    gone = snapshot(**nothing)
    rule = load_rules().get(rule_id)
    assert rule is not None

    assert not holds(rule.clear.when, measures_of(gone))
    assert holds(rule.clear.when, measures_of(snapshot()))


def test_a_rule_whose_measures_are_not_taken_can_never_fire() -> None:
    known = MEASURES.keys() - {"tickets_open", "seat_use"}
    can = {rule.id: may_hold(rule.fires, known) for rule in load_rules().ordered}

    assert [name for name, fires in can.items() if not fires] == ["tickets_stuck", "seat_saturation"]
    either = read_rule(
        shipped("nps_detractor")
        | {"fires": {"any": [{"measure": "seat_use", "above": 1}, {"measure": "score", "below": 50}]}}
    )
    unknown = read_rule(shipped("nps_detractor") | {"fires": {"measure": "seat_use", "known": False}})
    assert may_hold(either.fires, known)
    assert may_hold(unknown.fires, known)
    assert not may_hold(
        read_rule(shipped("nps_detractor") | {"fires": {"measure": "score", "below": "seat_use"}}).fires, known
    )
