"""What the panels of an account say in words beside their charts."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.account.records import Recorded
from services.console.panels import happenings, values
from services.console.panels.context import Panel, PanelContext
from services.console.wording import Wording
from services.console.words import catalogue
from services.console.words.formats import Formats
from tests.unit.console.account.test_past import LAST, past_of, told


def context(*days: dict[str, Any], language: str = "en", **given: Any) -> PanelContext:
    words = catalogue(language)
    formats = Formats(words.locale, "EUR")
    visit: Any = SimpleNamespace(words=words, formats=formats, wording=Wording(words, formats))
    told_of = {"signals": [], "people": [], "records": [], **given}
    return PanelContext(visit, "acme", past_of(*days), **told_of)


def legend_of(panel: Panel | None) -> list[str]:
    assert panel is not None
    return [words for _, words in panel.legend]


@given(st.integers(1, 1000), st.integers(-1000, 0))
def test_the_legend_of_a_score_sums_to_it_with_what_a_cap_takes_away(full: int, cap: int) -> None:
    legend = legend_of(values.health(context(told(LAST, {"level_4w": full, "silence_cap": cap}))))

    *parts, total = [round(float(words.split()[-1].replace("−", "-").replace(",", "")) * 10) for words in legend]
    assert sum(parts) == total == full + cap


def test_a_capped_score_names_what_was_taken_off() -> None:
    legend = legend_of(values.health(context(told(LAST, {"level_4w": 522, "silence_cap": -122}))))

    assert legend == ["Use 52.2", "Taken off, because nobody is active −12.2", "= Score 40"]


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("panel", [values.health, values.use, values.customers])
def test_a_table_has_each_week_however_often_the_account_was_published(
    panel: Callable[[PanelContext], Panel | None], every: int
) -> None:
    """Quiet accounts are published once a week."""
    measures = {"user_days_1w": 3.0, "fleet_level": 1.0}
    days = [told(LAST - timedelta(days=age), measures=measures) for age in range(0, 210, every)]
    made = panel(context(*days))

    assert made is not None
    assert len(made.table.rows) == 30


def test_a_week_of_which_nothing_was_expected_yet_has_no_band() -> None:
    made = values.use(context(told(LAST, measures={"user_days_1w": 3.0})))

    assert made is not None
    assert [row[1:] for row in made.table.rows] == [["3", "–", "–"]]


def test_how_a_customer_was_contacted_is_said_in_the_language_of_the_reader() -> None:
    contact = Recorded("contact", LAST, None, LAST, "Ann", {"channel": "meeting", "text": "It went well"})
    panel = happenings.events(context(told(LAST, {}), language="pt", records=[contact]))

    assert panel is not None
    assert any("Reunião · It went well · Ann" in cell for row in panel.table.rows for cell in row)


def test_a_severity_and_an_end_that_only_a_later_release_knows_are_shown_as_they_are() -> None:
    told_last = {
        "episode_id": "e", "rule": "own", "category": "RISK", "severity": "UNKNOWN", "title": "Own words",
        "transition": "RESOLVED", "transition_number": 2, "resolved_reason": "taken_over",
        "episode_started_at": f"{LAST}T08:00:00Z", "at": f"{LAST}T09:00:00Z",
    }  # fmt: skip
    panel = happenings.signals(context(told(LAST), signals=[told_last]))

    assert panel is not None
    assert [(row[0], row[1], row[4]) for row in panel.table.rows] == [("Own words", "Unknown", "Taken over")]
