"""The page says how to have Tidemark call by plain silence, where that does better: the calls are those of the plain rule."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from services.alerter.domain.rules import RuleSet
from services.alerter.rule_files import SHIPPED_RULES, load_rules
from services.backtest.domain.figures import our_alarms
from services.backtest.domain.grid import Grid
from services.backtest.domain.history import BacktestHistory, Event
from services.backtest.domain.kept_events import KeptEvents
from services.backtest.domain.naive import NaiveAlarms
from services.backtest.driving import drive, judge_again
from services.shared.units import DAY_MS, HOUR_MS

FIRST, DAYS = 19_700, 400
SHOWN, SHORT = 30, 12
"""The days on the page, and so few that the history has enough silences."""


@pytest.fixture
def rules(project_root: Path, tmp_path: Path) -> RuleSet:
    page = (project_root / "docs" / "backtesting.md").read_text()
    [shown] = [block for block in page.split("```")[1::2] if block.startswith("yaml\nusage_silent:")]
    assert shown.count(f" {SHOWN}}}") == 2
    overrides = tmp_path / "silence.yaml"
    overrides.write_text(shown.removeprefix("yaml\n").replace(f" {SHOWN}}}", f" {SHORT}}}"))
    return load_rules(SHIPPED_RULES, overrides)


def people_who_come_and_go() -> list[Event]:
    chance = random.Random(8)
    events = []
    for number in range(24):
        share = 0.1 + 0.4 * chance.random()
        for day in range(DAYS):
            if chance.random() < share:
                at = (FIRST + day) * DAY_MS + 9 * HOUR_MS + number
                events.append(Event(f"account-{number}", f"person-{number}", at))
    return sorted(events, key=lambda event: event.at_ms)


def test_the_overrides_on_the_page_give_the_calls_of_plain_silence(rules: RuleSet) -> None:
    history = BacktestHistory("crowd", KeptEvents(people_who_come_and_go()), "crowd")

    driven = judge_again(drive(history, workers=1), rules)

    grid = Grid(driven.activity, driven.span.first_day, least_base=1.0)
    ours = our_alarms(driven.episodes, driven.accounts, grid, driven.usage_rules)
    called, plain = (
        {(int(row), int(column)) for row, column in zip(*alarms.onsets(), strict=True)}
        for alarms in (ours, NaiveAlarms(grid).silent(SHORT))
    )
    assert len(plain) > 30
    assert called == plain
