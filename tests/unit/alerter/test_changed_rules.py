"""What becomes of an open episode when its rule is changed, switched off or taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.alerter.domain.folding import fold_snapshot
from services.alerter.domain.rules import RuleSet, rule_set
from services.alerter.rule_files import load_rules
from tests.support.alerter import RULES, play, silent, snapshot, told


def overridden(folder: Path, text: str) -> RuleSet:
    path = folder / "overrides.yaml"
    path.write_text(text, "utf-8")
    return load_rules(overrides=path)


def silence(days: range, rules: RuleSet, state: bytes | None = None) -> tuple[bytes | None, list[dict[str, Any]]]:
    """Fold the days of a silence; return the state and what usage_silent said."""
    signals: list[dict[str, Any]] = []
    for day in days:
        folded = fold_snapshot(rules, state, snapshot(day, **silent(day)))
        state = folded.state
        signals += [each for each in folded.signals if each["rule"] == "usage_silent"]
    return state, signals


def test_what_is_open_of_a_rule_that_is_switched_off_says_so(tmp_path: Path) -> None:
    state, _ = silence(range(30), RULES)

    _, signals = silence(range(30, 60), overridden(tmp_path, "usage_silent: {enabled: false}"), state)

    assert [(s["transition"], s["resolved_reason"], s["summary"]) for s in signals] == [
        ("RESOLVED", "expired", "Closed because this kind of signal was switched off.")
    ]


def test_what_is_open_of_a_rule_that_is_gone_says_the_same() -> None:
    state, _ = silence(range(30), RULES)
    others = rule_set(
        rule for rule in RULES.ordered if not rule.id.startswith(("usage", "small", "active", "regulars", "seat"))
    )

    _, signals = silence(range(30, 60), others, state)

    assert [(s["category"], s["resolved_reason"], s["summary"]) for s in signals] == [
        ("RISK", "expired", "Closed because this kind of signal was switched off.")
    ]


def test_what_expires_sooner_than_it_did_says_how_long_it_was_open(tmp_path: Path) -> None:
    state, _ = silence(range(30), RULES)

    _, signals = silence(range(30, 40), overridden(tmp_path, "usage_silent: {expires: 1d}"), state)

    assert [s["summary"] for s in signals] == ["Closed because it was open for 22 days. Its cause may still be there."]


@pytest.mark.parametrize("mood", [{}, {"level_4w": 0.4, "fleet_level": 0.5}], ids=["no longer so", "held"])
def test_a_rule_that_is_made_more_severe_raises_what_is_open_only_once_it_holds_again(
    tmp_path: Path, mood: dict[str, Any]
) -> None:
    slow: dict[str, Any] = {"level_4w": 0.4, "level_2w": 0.6, "level_1w": 0.6, "chance_low_4w": 0.02}
    state: bytes | None = None
    for day in range(5):
        state = fold_snapshot(RULES, state, snapshot(day, **slow)).state
    severe = overridden(tmp_path, "usage_decline: {severity: critical, escalate: []}")

    signals: list[dict[str, Any]] = []
    for day, changes in enumerate([mood, mood, slow], 5):
        folded = fold_snapshot(severe, state, snapshot(day, **changes))
        state, signals = folded.state, [*signals, *folded.signals]

    assert told(signals) == [(7, "usage_decline", "UPDATED", "CRITICAL")]


FAR_BELOW = "{severity: critical, when: {measure: level_4w, below: 0.3}, for: 3d}"
JUST_BELOW = "{severity: warning, when: {measure: level_4w, below: 0.9}, for: 1d}"


def decline(days: range, level_4w: float, rules: RuleSet, state: bytes | None = None) -> tuple[bytes | None, list[Any]]:
    """Fold days of two weeks at 20 %; return the state, and the days on which usage_decline_fast said how severe it is."""
    said: list[Any] = []
    for day in days:
        folded = fold_snapshot(rules, state, snapshot(day, level_1w=0.2, level_2w=0.2, level_4w=level_4w))
        state = folded.state
        said += [(day, each["severity"]) for each in folded.signals if each["rule"] == "usage_decline_fast"]
    return state, said


def test_a_step_whose_condition_is_new_waits_for_as_long_as_it_says(tmp_path: Path) -> None:
    state, before = decline(range(10), 0.5, RULES)

    changed = overridden(tmp_path, f"usage_decline_fast: {{escalate: [{FAR_BELOW}]}}")
    _, after = decline(range(10, 15), 0.28, changed, state)

    assert before == [(2, "WARNING")]
    assert after == [(13, "CRITICAL")]


def test_a_step_whose_condition_stays_goes_on_waiting_beside_a_new_one(tmp_path: Path) -> None:
    one = overridden(tmp_path, f"usage_decline_fast: {{escalate: [{FAR_BELOW}]}}")
    two = overridden(tmp_path, f"usage_decline_fast: {{escalate: [{JUST_BELOW}, {FAR_BELOW}]}}")
    state, before = decline(range(5), 0.5, two)
    state, between = decline(range(5, 7), 0.28, two, state)

    _, after = decline(range(7, 10), 0.28, one, state)

    assert [*before, *between, *after] == [(2, "WARNING"), (8, "CRITICAL")]


def test_a_shorter_cooldown_of_the_stronger_rule_does_not_shorten_how_long_the_weaker_one_stays_quiet(
    tmp_path: Path,
) -> None:
    rules = overridden(tmp_path, "usage_decline_fast: {cooldown: 3d}")
    stopped, declining = {"level_1w": 0.2, "level_2w": 0.4, "level_4w": 0.8}, {"level_2w": 0.6, "level_4w": 0.4}

    signals = play([*[stopped] * 20, *[{}] * 16, *[declining] * 14], rules)

    assert [entry[:3] for entry in told(signals)][-2:] == [
        (34, "usage_decline_fast", "RESOLVED"),
        (48, "usage_decline", "FIRING"),
    ]


@pytest.mark.parametrize(("day_of_change", "transitions"), [(15, ["UPDATED", "RESOLVED"]), (30, ["RESOLVED"])])
def test_an_episode_goes_on_and_ends_in_the_category_in_which_it_began(
    tmp_path: Path, day_of_change: int, transitions: list[str]
) -> None:
    state, _ = silence(range(day_of_change), RULES)

    changed = overridden(tmp_path, "usage_silent: {category: expansion, expires: 45d}")
    _, signals = silence(range(day_of_change, 60), changed, state)

    assert [(s["transition"], s["category"]) for s in signals] == [(each, "RISK") for each in transitions]
