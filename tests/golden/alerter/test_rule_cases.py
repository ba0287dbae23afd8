"""What accounts did, day by day, through the real scorer and alerter: which signals come, and which must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.alerter.rule_files import load_rules
from services.cli.commands.rules import play
from services.cli.rule_testing import playing
from services.cli.rule_testing.cases import BadCase, Case, Expected, Story, read_case, series
from services.cli.rule_testing.checks import check_case
from services.cli.rule_testing.playing import differences, run_case
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.errors import Fatal
from services.shared.plan_file import default_plan
from services.shared.tracking_plan.reading import read_plan
from services.shared.units import DAY_MS

CASES = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_expected_signals_come_and_no_other(path: Path) -> None:
    case = read_case(path)
    plan, model = load_scoring(ScorerSettings())
    check_case(path, case, load_rules(), plan)

    found = differences(case, run_case(case, load_rules(), plan, model))

    assert not found, "\n".join([case.about, *found])


def test_each_shipped_rule_fires_in_some_case() -> None:
    fired = {each.rule for path in CASES for each in read_case(path).expect if each.transition == "firing"}

    assert fired == {rule.id for rule in load_rules().ordered}


def test_the_example_of_the_page_passes(project_root: Path, tmp_path: Path) -> None:
    text = (project_root / "docs/rule-tests.md").read_text("utf-8")
    path = tmp_path / "case.yaml"
    path.write_text(text.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    case = read_case(path)

    assert not differences(case, run_case(case, load_rules(), *load_scoring(ScorerSettings())))


def test_the_rule_of_the_page_of_signals_fires_when_a_role_is_left_empty_and_recovers_only_when_somebody_is_back(
    project_root: Path, tmp_path: Path
) -> None:
    text = (project_root / "docs/signals.md").read_text("utf-8").partition("## Rules of your own")[2]
    overrides, path = tmp_path / "rules.yaml", tmp_path / "case.yaml"
    overrides.write_text(text.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    path.write_text(
        """
about: The last of a role stops, for good or until a colleague takes it.
accounts:
  nobody: {days: "5x100 4x120", roles: {0: {person-5: admin, person-1: editor}}}
  successor: {days: "5x100 4x120", roles: {0: {person-5: admin}, 140: {person-2: Admin}}}
  away:
    days: "5x100 4x120"
    roles: {0: {person-5: admin}}
    events: [{day: 135, name: Planned Absence, user: person-5, properties: {from: day 136, to: day 150, scope: person}}]
  another: {days: "5x100 4x120", roles: {0: {person-5: admin, person-4: admin}}}
expect:
  - {account: nobody, rule: role_left_empty, transition: firing, day: 129}
  - {account: nobody, rule: role_left_empty, transition: resolved, reason: expired, day: 189}
  - {account: successor, rule: role_left_empty, transition: firing, day: 129}
  - {account: successor, rule: role_left_empty, transition: resolved, reason: recovered, day: 140}
  - {account: away, rule: role_left_empty, transition: firing, day: 129}
  - {account: away, rule: role_left_empty, transition: resolved, reason: expired, day: 189}
""",
        "utf-8",
    )
    plan = read_plan(
        {
            "events": {"Seen": {}, "Planned Absence": {"means": ["absences.planned"]}},
            "identify_traits": {"Role": {"type": "text", "means": "role"}},
            "roles": ["admin", "editor"],
        }
    )
    rules, case = load_rules(overrides=overrides), read_case(path)
    check_case(path, case, rules, plan)

    found = differences(case, run_case(case, rules, plan, load_scoring(ScorerSettings())[1]))

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("silent_for", "fires", "expires"), [(300, [399, 428], [579, 640]), (600, [699, 728], [879, 940])]
)
def test_a_rule_of_ones_own_that_fires_late_in_a_silence_expires(
    tmp_path: Path, silent_for: int, fires: list[int], expires: list[int]
) -> None:
    overrides, path = tmp_path / "rules.yaml", tmp_path / "case.yaml"
    overrides.write_text(
        f"""
silent_for_long:
  category: risk
  severity: info
  fires: {{measure: silent_days, at_least: {silent_for}}}
  clear: {{when: {{measure: silent_days, equals: 0}}}}
  text: {{title: Silent for long, summary: "Silent for {{silent_days}}.", action: Write to them., recovered: They are back.}}
  evidence: [{{measure: silent_days}}]
""",
        "utf-8",
    )
    path.write_text(
        f"""
about: Nobody comes back, and the contract keeps the account.
accounts: {{left: {{days: "2x100 0x850", traits: {{0: {{revenue: 1200}}}}}}}}
expect:
  - {{account: left, rule: silent_for_long, transition: firing, day: {fires}}}
  - {{account: left, rule: silent_for_long, transition: resolved, reason: expired, day: {expires}}}
beside: [usage_silent]
""",
        "utf-8",
    )
    rules, case = load_rules(overrides=overrides), read_case(path)

    assert not differences(case, run_case(case, rules, *load_scoring(ScorerSettings())))


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ("{0: {person-1: owner}}", r"accounts\.a\.roles\.0\.person-1: there is no role in the tracking plan owner; there are admin"),
        ("{0: {person-3: admin}}", r"accounts\.a\.roles\.0: person-3 is never active"),
    ],
)  # fmt: skip
def test_a_role_that_nobody_has_or_that_is_not_told_apart_is_refused(tmp_path: Path, roles: str, said: str) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(f"about: x\naccounts: {{a: {{days: 2x10, roles: {roles}}}}}\n", "utf-8")
    plan = read_plan({"identify_traits": {"role": {"type": "text", "means": "role"}}, "roles": ["admin"]})

    with pytest.raises(BadCase, match=said):
        check_case(path, read_case(path), load_rules(), plan)


@pytest.mark.parametrize(
    ("text", "days"),
    [("3", [3]), ("5x3 0x2", [5, 5, 5, 0, 0]), ("(1 0)x2 4", [1, 0, 1, 0, 4]), ("(2x2 0)x1", [2, 2, 0]), ("", [])],
)
def test_a_day_series_unfolds(text: str, days: list[int]) -> None:
    assert series(text) == days


@pytest.mark.parametrize("text", ["a", "5 x3", "5x", "(1 2", "1,2", "(1 2)", "9x9999", "5x2y"])
def test_what_is_no_day_series_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="day series"):
        series(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "about: x",
        "about: x\naccounts: {}",
        "about: x\naccounts: {a: {days: ''}}",
        "about: x\naccounts: {a: {days: 1x1}}\ncolour: red",
        "about: x\naccounts: {a: {days: 1x1}}\nstart: 2024-W01-1",
        "a: [",
    ],
)
def test_what_is_no_case_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(text, "utf-8")

    with pytest.raises(BadCase, match=r"case\.yaml"):
        read_case(path)


@pytest.mark.parametrize(
    ("story", "field"),
    [
        ("events: [{day: 9, name: Seen}, {day: 10, name: Never Sent}]", r"accounts\.a\.events\[1\]\.day: 10"),
        ("events: [{day: -1, name: Never Sent}]", r"accounts\.a\.events\[0\]\.day: -1"),
        ("traits: {0: {seats: 3}, 10: {seats: 4}}", r"accounts\.a\.traits: 10"),
        ("roles: {10: {person-1: admin}}", r"accounts\.a\.roles: 10"),
        ("count: 0", r"accounts\.a\.count: must be at least 1"),
        ("events: [{day: 9, name: Seen, hour: 24}]", r"accounts\.a\.events\[0\]\.hour: must be 0 to 23"),
        ("value: no thanks", r"accounts\.a\.value: expected true or false, not text"),
    ],
)
def test_what_is_wrong_or_would_never_be_sent_is_refused_with_its_field(tmp_path: Path, story: str, field: str) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(f"about: x\naccounts:\n  a:\n    days: 2x10\n    {story}\n", "utf-8")

    with pytest.raises(BadCase, match=field):
        read_case(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("beside: [usage_silnt]", r"beside\[0\]: there is no rule usage_silnt; write usage_silent if that is meant"),
        ("expect: [{account: a, rule: nothing, transition: firing, day: 1}]", r"expect\[0\]\.rule: there is no rule nothing$"),
        ("expect: [{account: aa, rule: usage_silent, transition: firing, day: 1}]", r"expect\[0\]\.account: there is no account aa"),
        ("expect: [{account: a, rule: usage_silent, transition: fired, day: 1}]", r"expect\[0\]\.transition: there is no transition fired; .*firing"),
        ("expect: [{account: a, rule: usage_silent, transition: firing, day: 1, severity: high}]", r"expect\[0\]\.severity: there is no severity high; there are info, warning, critical"),
        ("expect: [{account: a, rule: usage_silent, transition: resolved, day: 1, reason: gone}]", r"expect\[0\]\.reason: there is no reason gone; there are recovered"),
        ("accounts: {a: {days: 2x10, traits: {0: {renewal_dat: day 5}}}}", r"accounts\.a\.traits\.0: there is no trait .* renewal_dat; write renewal_date"),
        ("accounts: {a: {days: 2x10, traits: {0: {seats: many}}}}", r"accounts\.a\.traits\.0\.seats: send a whole number, not text"),
        ("accounts: {a: {days: 2x10, events: [{day: 3, name: tiket_opened, properties: {ticket_id: 1}}]}}", r"accounts\.a\.events\[0\]\.name: the tracking plan has no event tiket_opened; write Ticket Opened if that is meant; if not, declare tiket_opened there"),
        ("accounts: {a: {days: 2x10, events: [{day: 3, name: Ticket Opened}]}}", r"accounts\.a\.events\[0\]\.properties\.ticket_id: .* is missing"),
    ],
)  # fmt: skip
def test_what_a_case_says_in_vain_is_refused_with_its_field(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "case.yaml"
    accounts = "" if line.startswith("accounts") else "accounts: {a: {days: 2x10}}\n"
    path.write_text(f"about: x\n{accounts}{line}\n", "utf-8")

    with pytest.raises(BadCase, match=said):
        check_case(path, read_case(path), load_rules(), default_plan())


def test_an_expected_signal_of_a_rule_whose_measures_the_plan_does_not_give_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(
        "about: x\naccounts: {a: {days: 2x10}}\nexpect: [{account: a, rule: nps_detractor, transition: firing, day: 3}]\n",
        "utf-8",
    )

    with pytest.raises(BadCase, match=r"expect\[0\]\.rule: nps_detractor can never fire, .* declares no answers\.nps"):
        check_case(path, read_case(path), load_rules(), read_plan({"events": {"Seen": {}}}))


def test_each_signal_is_taken_by_the_expectation_that_no_later_one_could_meet() -> None:
    both = [Expected("a", "usage_silent", "firing", day) for day in ((5, 90), (5, 9))]
    case = Case("x", {"a": Story("1x100")}, both)
    signals = [
        {"account": "a", "rule": "usage_silent", "transition": "FIRING", "severity": "INFO", "resolved_reason": "", "day": day}
        for day in (7, 80)
    ]  # fmt: skip

    assert differences(case, signals) == []


def test_a_crowd_is_active_on_the_day_that_the_series_says(monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[int] = []

    def noted(event: dict[str, Any]) -> bytes:
        days.append(event["occurred_at"] // DAY_MS)
        return encode(event)

    encode = playing._encode_event
    monkeypatch.setattr(playing, "_encode_event", noted)
    case = Case("x", {"a": Story("1000x1")})
    run_case(case, load_rules(), *load_scoring(ScorerSettings()))

    assert days == [case.first_day] * 1000


def test_a_case_in_a_folder_that_would_be_passed_over_is_refused(tmp_path: Path) -> None:
    for name in ("read.yaml", "passed_over.yml"):
        (tmp_path / name).write_text("about: x\naccounts: {a: {days: 1x1}}\n", "utf-8")

    with pytest.raises(Fatal, match=r"passed_over\.yml: is not played"):
        play([tmp_path])


def test_an_account_of_a_short_series_may_have_events_until_the_longest_ends(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(
        "about: x\naccounts: {a: {days: 2x10, events: [{day: 29, name: Seen}]}, b: {days: 1x1, agents: 1x30}}\n",
        "utf-8",
    )

    assert read_case(path).days == 30
