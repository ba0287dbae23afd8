"""The first lines: what a customer success lead asks, and what a plain rule does better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import OURS as NAME
from services.backtest.domain.figures import RISK
from services.backtest.domain.headline import SHOWN, of_list, of_use, ranks_better
from services.backtest.domain.outcomes import Calls
from services.backtest.domain.ranking import RankingFigures
from services.backtest.domain.resampling import Interval
from services.backtest.measuring import measure
from services.backtest.words import speech
from tests.support.driven import driven

ENGLISH = speech("en")
OURS = Calls(NAME, 40, 31, 23.0, 200, 140, 100.0, ())
PLAIN = replace(OURS, name=SHOWN, flagged=28, lead_days=11.0, in_vain=200)


def test_it_opens_with_the_accounts_that_were_lost() -> None:
    first, second = of_list([OURS, PLAIN], owners=0, say=ENGLISH)

    assert first == (
        "Of your 40 lost accounts Tidemark would have flagged 31, at the median 23 days before the loss, with 1.4 calls in "
        "vain a week."
    )
    assert second == (
        "“Silent for 3 weeks” would have flagged 28, at the median 11 days before the loss, with 2.0 calls in vain a week."
    )


def test_calls_are_told_for_each_owner_where_they_are_known() -> None:
    assert "with 0.2 calls in vain a week for each of 7 owners." in of_list([OURS, PLAIN], owners=7, say=ENGLISH)[0]


def test_plain_rules_that_do_better_are_told_at_once_and_the_best_with_its_figures() -> None:
    better, best = (
        replace(PLAIN, flagged=31, in_vain=120),
        replace(PLAIN, name="tuned_days.23", flagged=33, in_vain=130),
    )

    _, second, third, fourth = of_list([OURS, better, best], owners=0, say=ENGLISH)

    assert second == (
        "These plain rules do better than Tidemark here, finding no less with no more false calls: “silent for 23 days (as many calls)” "
        "and “silent for 3 weeks”. To have Tidemark flag by silence alone, see docs/backtesting.md, “Where plain silence does better”."
    )
    assert third.startswith(
        "“Silent for 23 days (as many calls)” would have flagged 33, at the median 11 days before the loss, with 1.3"
    )
    assert fourth.startswith("“Silent for 3 weeks” would have flagged 31")


def test_how_to_call_by_silence_alone_is_said_only_where_silence_does_better() -> None:
    other = replace(PLAIN, name="falls_30_days", flagged=40, in_vain=100)

    said = of_list([OURS, other], owners=0, say=ENGLISH)[1]

    assert said.startswith("This plain rule does better than Tidemark here")
    assert "silence" not in said


@pytest.mark.parametrize(("flagged", "in_vain"), [(32, 140), (31, 139)])
def test_a_rule_that_is_better_in_one_and_equal_in_the_other_does_better(flagged: int, in_vain: int) -> None:
    other = replace(PLAIN, name="silent_weeks.4", flagged=flagged, in_vain=in_vain)

    assert of_list([OURS, other], owners=0, say=ENGLISH)[1].startswith("This plain rule does better than Tidemark here")


def test_of_rules_that_flag_as_many_the_one_with_fewer_calls_in_vain_is_the_best() -> None:
    worse, best = (replace(PLAIN, name=f"silent_weeks.{weeks}", flagged=35, in_vain=120 - weeks) for weeks in (4, 5))

    assert of_list([OURS, worse, best], owners=0, say=ENGLISH)[2].startswith(
        "“Silent for 5 weeks” would have flagged 35"
    )


def alarm(name: str, recall: float, false: float) -> AlarmFigures:
    found = Interval(recall, recall, recall)
    rate = Interval(false, false, false)
    return replace(measure(driven(), draws=0).ours, name=name, losses=10, recall=found, false=rate, delay=-3.0)


@pytest.mark.parametrize(
    ("recall", "false", "better"),
    [(0.6, 20, True), (0.5, 19, True), (0.5, 20, False), (0.6, 21, False), (0.4, 9, False)],
)
def test_where_losses_are_told_from_use_a_plain_rule_that_does_better_is_told_too(
    recall: float, false: float, better: bool
) -> None:
    figures = measure(driven(), draws=0)
    alarms = [alarm(NAME, 0.5, 20), alarm("tidemark_critical", 0.9, 1), alarm("silent_weeks.4", recall, false)]

    first, *others = of_use(replace(figures, losses=10, alarms=alarms, ranking=figures.ranking[:2]), ENGLISH)

    assert first.endswith(
        "flagged 5 (50 %), at the median 3 days before the fall shows, with 2.0 false calls a week per 100 accounts."
    )
    told = [line for line in others if not line.startswith("As a list")]
    assert [line.split(" ")[0] for line in told] == (["This", "“Silent"] if better else [])


def test_where_losses_are_told_from_use_the_best_plain_rule_is_told_with_its_figures_and_the_one_people_have() -> None:
    figures = measure(driven(), draws=0)
    plain = [alarm(SHOWN, 0.6, 10), alarm("silent_weeks.4", 0.7, 19), alarm("silent_weeks.5", 0.7, 15)]

    told = of_use(replace(figures, losses=10, alarms=[alarm(NAME, 0.5, 20), *plain]), ENGLISH)

    assert "“silent for 5 weeks”, “silent for 4 weeks” and “silent for 3 weeks”. To have" in told[1]
    assert [line[:19] for line in told[2:4]] == ["“Silent for 5 weeks", "“Silent for 3 weeks"]


def test_a_rule_that_is_equal_or_trades_one_for_the_other_is_no_better() -> None:
    for other in (OURS, replace(PLAIN, flagged=35, in_vain=141), replace(PLAIN, flagged=30, in_vain=10)):
        assert len(of_list([OURS, replace(other, name="silent_weeks.4")], owners=0, say=ENGLISH)) == 1


@pytest.mark.parametrize("language", ["en", "pt", "it"])
def test_a_history_too_short_to_know_calls_in_vain_makes_no_rule_better(language: str) -> None:
    ours, plain = (replace(each, calls=0, in_vain=0, weeks=0.0) for each in (OURS, replace(PLAIN, flagged=39)))

    first, second = of_list([ours, plain], owners=7, say=speech(language))

    for line, flagged in ((first, "31"), (second, "39")):
        assert flagged in line
        assert " - " not in line
    assert language != "en" or first.endswith("with a number of calls in vain that so short a history does not tell.")


def test_a_list_of_which_nothing_can_be_judged_says_so() -> None:
    assert of_list([replace(OURS, lost=0)], owners=0, say=ENGLISH) == ["No lost account on the list can be judged:"]


@pytest.mark.parametrize(
    ("language", "owners", "said"),
    [
        (
            "pt",
            0,
            [
                (
                    "Das suas 1 040 contas perdidas, o Tidemark teria assinalado 31, em mediana 23 dias antes da perda, com 1,4 "
                    "chamadas desnecessárias por semana."
                ),
                (
                    "“3 semanas sem atividade” teria assinalado 28, em mediana 11 dias antes da perda, com 2,0 chamadas "
                    "desnecessárias por semana."
                ),
            ],
        ),
        (
            "it",
            7,
            [
                (
                    "Dei tuoi 1.040 account persi Tidemark ne avrebbe segnalati 31, in mediana 23 giorni prima della perdita, con "
                    "0,2 chiamate inutili a settimana per ciascuno dei 7 responsabili."
                ),
                (
                    "«3 settimane senza attività» ne avrebbe segnalati 28, in mediana 11 giorni prima della perdita, con 0,3 "
                    "chiamate inutili a settimana per ciascuno dei 7 responsabili."
                ),
            ],
        ),
    ],
)
def test_it_speaks_the_language_with_its_numbers(language: str, owners: int, said: list[str]) -> None:
    told = of_list([replace(OURS, lost=1_040), replace(PLAIN, lost=1_040)], owners, speech(language))

    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in told] == said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            "Of your 1 lost account Tidemark would have flagged 1, at the median 1 day before the loss, with 1.4 calls",
        ),
        (
            "pt",
            "Da sua 1 conta perdida, o Tidemark teria assinalado 1, em mediana 1 dia antes da perda, com 1,4 chamadas",
        ),
        (
            "it",
            "Del tuo 1 account perso Tidemark ne avrebbe segnalato 1, in mediana 1 giorno prima della perdita, con 1,4",
        ),
    ],
)
def test_one_account_and_one_day_are_said_in_the_singular(language: str, said: str) -> None:
    assert of_list([replace(OURS, lost=1, flagged=1, lead_days=1.0)], 0, speech(language))[0].startswith(said)


@pytest.mark.parametrize(
    ("language", "one", "several"),
    [
        ("pt", "Esta regra simples faz aqui melhor", "“4 semanas sem atividade” e “3 semanas sem atividade”."),
        ("it", "Questa regola semplice qui fa meglio", "«4 settimane senza attività» e «3 settimane senza attività»."),
    ],
)
def test_plain_rules_that_do_better_are_told_in_every_language(language: str, one: str, several: str) -> None:
    better = replace(PLAIN, flagged=35, in_vain=100)
    best = replace(better, name="silent_weeks.4", flagged=36)

    assert of_list([OURS, better], 0, speech(language))[1].startswith(one)
    said = of_list([OURS, better, best], 0, speech(language))[1]
    assert f"{several} " in said
    assert said.endswith(speech(language)("headline.by_silence"))


def ranking(name: str, auc: float, precision: float) -> RankingFigures:
    return RankingFigures(name, Interval(auc, auc, auc), Interval(precision, precision, precision), 0.0, 0.0)


def test_a_plain_score_ranks_better_only_by_figures_that_are_shown() -> None:
    ours, alike = ranking(RISK, 0.826, 0.561), ranking("days_silent", 0.834, 0.559)

    assert ranks_better([ours, alike], ENGLISH) == []
    (line,) = ranks_better([ours, alike, ranking("4_weeks", 0.836, 0.5)], ENGLISH)
    assert "AUC 0.84 against 0.83" in line


def test_few_calls_in_vain_are_not_told_as_none() -> None:
    one = replace(OURS, in_vain=1, weeks=36.0)

    assert "with 0.03 calls in vain a week" in of_list([one, PLAIN], 0, speech("en"))[0]
    assert "with 0.004 calls in vain a week for each of 7 owners" in of_list([one, PLAIN], 7, speech("en"))[0]
    assert "with 0.0 calls in vain a week" in of_list([replace(one, in_vain=0), PLAIN], 0, speech("en"))[0]
