"""What a report says of a list of lost customers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.backtest.domain.figures import OURS
from services.backtest.domain.history import AccountOutcome
from services.backtest.domain.resampling import Interval
from services.backtest.generator import AccountStory, Truth, found
from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, part_of
from services.backtest.words import speech
from tests.support.driven import driven, lost


def section(title: str, *outcomes: AccountOutcome) -> list[tuple[str, ...]]:
    """Return a table with its head."""
    told = driven(*outcomes)
    part = part_of(Measured(told, measure(told, draws=0), measure_list(told)), speech("en"))
    table = next(each.table for each in part.sections if each.title == title)
    assert table is not None
    return [table.head, *table.rows]


def test_an_account_that_is_only_written_otherwise_is_told_with_how_events_write_it() -> None:
    rows = section(
        "Left out",
        lost("umbrella", 280),
        lost("ACME", 300),
        lost("so-ylent ", 300),
        lost("00hooli", 320),
        lost("nobody", 280),
    )

    assert [row for (row,) in rows[1:] if not row.startswith("3 events")] == [
        "nobody: no event of it in the history: is the id the one that events carry?",
        "ACME: no event of it in the history, but of “acme”: write the id as events carry it",
        "so-ylent : no event of it in the history, but of “soylent”: write the id as events carry it",
        "00hooli: no event of it in the history, but of “hooli”: write the id as events carry it",
    ]


def test_thousands_of_wrong_lines_hide_neither_accounts_nor_events_that_were_left_out() -> None:
    told = driven(lost("acme", 300), *(lost(f"unknown-{number}", 300) for number in range(1002)))
    problems = tuple(f"lost.csv, line {number}: date is empty" for number in range(3000))
    part = part_of(Measured(told, measure(told, draws=0), measure_list(told), None, problems), speech("en"))

    left_out = part.sections[0]
    assert left_out.paragraphs == ["4,003 things could not be used."]
    assert left_out.table is not None
    rows = [row for (row,) in left_out.table.rows]
    assert [row for row in rows if row.startswith("and ")] == ["and 2,000 more", "and 2 more"]
    assert sum("line" in row for row in rows) == sum("no event of it" in row for row in rows) == 1000
    assert rows[-1].startswith("3 events were not counted")


def test_why_an_account_was_lost_stands_beside_it_where_the_list_says_it() -> None:
    head, *rows = section("Each lost account", lost("acme", 300)._replace(reason="price"), lost("umbrella", 280))

    assert head[:3] == ("account", "lost on", "reason")
    assert [(row[0], row[2]) for row in rows] == [("umbrella", ""), ("acme", "price")]
    assert "reason" not in section("Each lost account", lost("acme", 300))[0]


def test_a_plain_score_that_ranks_better_is_said_with_a_list_too() -> None:
    told = driven(lost("acme", 300), lost("umbrella", 280))
    figures = measure(told, draws=0)
    ours, *plain = figures.ranking
    worst = replace(ours, auc=Interval(0.1, 0.1, 0.1))

    part = part_of(Measured(told, replace(figures, ranking=[worst, *plain]), measure_list(told)), speech("en"))

    assert any(line.startswith("As a list to work through from the top, plain “") for line in part.headline)


@pytest.mark.parametrize(("language", "told"), [("en", "can call: 1.1 %, in holidays 0.0 %"), ("it", "1,1 %")])
def test_the_truth_of_a_generated_history_says_in_how_many_weeks_no_rule_of_ours_could_fire(
    language: str, told: str
) -> None:
    ours = driven()
    story = AccountStory("acme", "none", "", None, None, 19_000, 5, "DE")
    truth = Truth(19_000, 7 * 372, (story,), {"DE": frozenset({20_000})}, frozenset())
    measured = Measured(ours, measure(ours, draws=0), truth={OURS: found(truth, {})})

    notes = [text for each in part_of(measured, speech(language)).sections for text in each.paragraphs]

    assert any(told in note for note in notes)
