"""Signals in the reader's language: those of shipped rules by the catalogue, others in their own words."""

from typing import Any

import pytest

from services.console.wording import Wording
from services.console.words import catalogue
from services.console.words.formats import Formats
from services.warehouse.domain import presentation


def wording(language: str, currency: str | None = None) -> Wording:
    words = catalogue(language)
    return Wording(words, Formats(words.locale, currency))


def signal(**changes: Any) -> dict[str, Any]:
    return {
        "rule": "usage_silent",
        "severity": "WARNING",
        "title": "Nobody is active any more",
        "summary": "Nobody has been active for 9 days.",
        "action": "Call a second contact today. Ask your sponsor whether the team still works with the product.",
        "evidence": [
            {"name": "silent_days", "label": "Silent for", "unit": "days", "value": 9.0, "usual": 7.0},
            {
                "name": "user_days_2w",
                "label": "Active user-days, two weeks",
                "unit": "count",
                "value": 0.0,
                "usual": 39.04,
            },
            {
                "name": "user_days_4w",
                "label": "Active user-days, four weeks",
                "unit": "count",
                "value": 25.0,
                "usual": 83.4,
            },
        ],
        **changes,
    }


def test_a_shipped_signal_is_told_in_each_language() -> None:
    assert wording("en").title(signal()) == "Nobody is active any more"
    assert wording("pt").title(signal()) == "Já ninguém está ativo"
    assert wording("it").title(signal()) == "Nessuno è più attivo"
    assert wording("it").action(signal()).startswith("Chiama oggi un secondo contatto.")
    assert wording("it").meaning(signal()).startswith("Nessuno è attivo")


def test_an_escalated_signal_has_the_title_of_its_severity() -> None:
    critical = signal(severity="CRITICAL", title="Nobody has been active for weeks")

    assert wording("it").title(critical) == "Nessuno è attivo da settimane"
    assert wording("it").action(critical).startswith("Chiama oggi")


def test_the_evidence_is_one_line_of_the_first_two_facts() -> None:
    assert wording("en").evidence(signal()) == (
        "Nobody active for 9 days; longer than 7 days is unusual here · 0 user-days in two weeks, 39 expected"
    )
    assert wording("it").evidence(signal()) == (
        "Nessuno attivo da 9 giorni; più di 7 giorni qui è insolito · 0 giorni-persona in due settimane, 39 previsti"
    )


def test_a_rule_of_ones_own_speaks_in_its_own_words() -> None:
    own = signal(
        rule="no_exports", title="Exporte bleiben aus", summary="Seit 12 Tagen kein Export.", action="Anrufen."
    )

    assert wording("it").title(own) == "Exporte bleiben aus"
    assert wording("it").action(own) == "Anrufen."
    assert wording("it").evidence(own) == "Seit 12 Tagen kein Export."
    assert wording("it").meaning(own) == ""


def test_a_shipped_rule_with_an_overridden_text_speaks_in_that_text() -> None:
    own = signal(title="They are gone", action="Tell Ada.", summary="Gone for 9 days.")

    assert wording("pt").title(own) == "They are gone"
    assert wording("pt").action(own) == "Tell Ada."
    assert wording("pt").evidence(own) == "Gone for 9 days."


def test_the_english_evidence_of_a_measure_that_nothing_is_said_of_has_the_label_of_the_api() -> None:
    unknown = {"name": "measure_99", "label": "Measure 99", "unit": "count", "value": 3.0, "usual": None}

    assert wording("en").evidence(signal(evidence=[unknown])) == "Measure 99: 3"
    assert wording("it").evidence(signal(evidence=[{**unknown, "usual": 4.5}])) == "Measure 99: 3, di solito 4,5"


def test_the_evidence_of_an_open_signal_is_told_as_it_is_now() -> None:
    first, *rest = signal()["evidence"]
    is_open = signal(evidence=[{**first, "now": 16.0}, *({**each, "now": 0.0} for each in rest)])

    assert wording("en").evidence(is_open).startswith("Nobody active for 16 days")
    assert wording("en").is_current(is_open)
    assert not wording("en").is_current(signal())


def test_a_value_of_now_stands_beside_what_is_usual_now() -> None:
    counted = {"name": "user_days_2w", "label": "Active user-days", "unit": "count", "value": 45.0, "usual": 99.3}
    sent, now = signal(evidence=[counted]), signal(evidence=[{**counted, "now": 33.0, "usual_now": 86.9}])

    assert wording("en").evidence(sent) == "45 user-days in two weeks, 99 expected"
    assert wording("en").evidence(now) == "33 user-days in two weeks, 87 expected"


def test_a_silence_that_is_over_is_not_told_as_one_of_no_days() -> None:
    first, *_ = signal()["evidence"]

    assert wording("en").evidence(signal(evidence=[{**first, "now": 0.0}])) == "Somebody is active again"


@pytest.mark.parametrize(
    ("tenth", "text"),
    [
        (None, "Risk not known"),
        (1, "Riskiest tenth"),
        (2, "Among the riskiest 20% of accounts"),
        (5, "Among the riskiest 50% of accounts"),
        (6, "Among the safest 50% of accounts"),
        (10, "Among the safest 10% of accounts"),
    ],
)
def test_a_tenth_of_the_risk_is_told_as_the_part_of_all_accounts_that_it_ends(tenth: int | None, text: str) -> None:
    assert wording("en").tenth(tenth) == text


def test_evidence_that_is_not_known_any_more_is_told_with_the_rest_as_it_was_sent() -> None:
    first, second, third = signal()["evidence"]
    mixed = signal(evidence=[{**first, "now": 16.0}, {**second, "now": None}, {**third, "now": 0.0}])
    unseen = signal(evidence=[{**first, "now": 16.0}, {**second, "now": 4.0}, {**third, "now": None}])

    assert wording("en").evidence(mixed) == wording("en").evidence(signal())
    assert not wording("en").is_current(mixed)
    assert wording("en").evidence(unseen).startswith("Nobody active for 16 days")
    assert wording("en").is_current(unseen)


def test_no_use_is_told_without_the_few_percent_that_rules_smooth_its_level_to() -> None:
    level = {"name": "level_2w", "label": "Use of two weeks", "unit": "share", "value": 0.0155, "usual": None}
    used = {"name": "user_days_2w", "label": "Active user-days", "unit": "count", "value": 0.0, "usual": 32.0}
    week = {"name": "user_days_1w", "label": "Active user-days", "unit": "count", "value": 0.0, "usual": 16.0}
    tickets = {"name": "tickets_open", "label": "Open tickets", "unit": "count", "value": 0.0, "usual": None}

    told = [wording("en").evidence(signal(evidence=each)) for each in ([used, level, week], [tickets, level])]

    assert told == [
        "0 user-days in two weeks, 32 expected · 0 user-days in one week, 16 expected",
        "0 open tickets · two weeks at 2% of the usual level",
    ]


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("en", 1.04, "1 regular person has stopped"),
        ("en", 1.5, "1.5 regular people have stopped"),
        ("pt", 1.0, "1 pessoa habitual deixou de usar"),
        ("pt", 3.0, "3 pessoas habituais deixaram de usar"),
        ("it", 1.0, "1 persona abituale ha smesso"),
        ("it", 3.0, "3 persone abituali hanno smesso"),
    ],
)
def test_evidence_of_one_is_told_in_the_singular(language: str, value: float, text: str) -> None:
    gone = {"name": "regulars_gone", "label": "Regular people", "unit": "people", "value": value, "usual": None}

    assert wording(language).evidence(signal(evidence=[gone])) == text


def test_the_seats_of_a_rule_are_not_called_usual() -> None:
    seats = {"name": "active_users_28", "label": "Active people", "unit": "people", "value": 24.0, "usual": 25.0}
    growing = signal(rule="seat_saturation", title="Seats are nearly used up", evidence=[seats])

    assert wording("en").evidence(growing) == "24 people active in 28 days, on 25 seats"


def test_what_a_fitted_risk_predicts_is_said_in_the_words_of_the_api() -> None:
    said = {name: catalogue("en")(f"risk.predicts.{name.lower()}") for name in presentation.PREDICTED}

    assert said == presentation.PREDICTED


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.302663, "share", "30%"),
        (0.4957, "share", "49.6%"),
        (0.99963, "share", "99.96%"),
        (0.999999, "share", "100%"),
        (0.464, "share", "46%"),
        (1.0, "days", "1 day"),
        (6.2, "days", "6 days"),
        (31.5, "hours", "32 hours"),
        (1.0, "flag", "yes"),
        (0.0, "flag", "no"),
        (10.4, "count", "10"),
        (6.5, "points", "6.5"),
        (None, "count", "–"),
    ],
)
def test_values_are_said_in_their_units(value: float | None, unit: str, text: str) -> None:
    assert wording("en").value(value, unit) == text


def test_bands_and_stages_that_a_later_version_adds_are_said_as_they_are() -> None:
    assert wording("it").band("RED") == "A rischio"
    assert wording("it").band("PURPLE") == "PURPLE"
    assert wording("it").stage("WINDING_DOWN") == "Winding down"
    assert wording("it").severity("CRITICAL") == "Critico"


@pytest.mark.parametrize(
    ("said", "text"), [("meeting", "Reunião"), ("price", "Preço"), ("Left for good", "Left for good")]
)
def test_what_was_chosen_in_a_form_is_said_in_words_and_what_was_written_as_it_is(said: str, text: str) -> None:
    assert wording("pt").choice(said) == text
