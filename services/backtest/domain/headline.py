"""The first lines of a report, in the words of customer success. Where a plain rule does better, they say so first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import BacktestFigures, is_ours
from services.backtest.domain.outcomes import Calls
from services.backtest.domain.ranking import RankingFigures
from services.backtest.words.speech import Speech

SHOWN = "silent_weeks.3"
"""The rule that most people have already."""
SILENCES = ("silent_weeks.", "tuned_days.")
"""How the names of the rules begin that look at silence alone, which a few overrides make of Tidemark's own."""
_PER_ACCOUNTS = 100
_PER_WEEKS = 1000
_FEW = 0.05


def of_list(calls: Sequence[Calls], owners: int, say: Speech) -> list[str]:
    """
    Return the first lines for a list of lost accounts.

    Args:
        calls: Of Tidemark first, then of the plainest rules.
        owners: How many people look after the accounts; 0: not known.
        say: The language.
    """
    ours, *plain = calls
    if not ours.lost:
        return [say("headline.list.nobody")]
    # in a history so short that no call's twelve weeks are over, nothing is known of calls in vain: no rule is better for it
    known = ours.weeks > 0
    better = [other for other in plain if known and _better(other.flagged - ours.flagged, other.in_vain - ours.in_vain)]
    better.sort(key=lambda other: (-other.flagged, other.in_vain))
    told = [*better[:1], *(other for other in plain if other.name == SHOWN and other not in better[:1])]

    def flagged(one: Calls) -> dict[str, Any]:
        lead = "" if math.isnan(one.lead_days) else say("headline.list.lead", days=say.days(one.lead_days))
        said = say("headline.list.flagged", count=one.flagged)
        return {"flagged": said, "lead": lead, "in_vain": _a_week(one, owners, say)}

    return [
        say("headline.list.ours", count=ours.lost, **flagged(ours)),
        *_does_better([other.name for other in better], say),
        *(say("headline.list.other", rule=_title(other.name, say), **flagged(other)) for other in told),
    ]


def of_use(figures: BacktestFigures, say: Speech) -> list[str]:
    """Return the first lines where losses are told from the use of accounts alone."""
    ours, plain = figures.ours, [each for each in figures.alarms if not is_ours(each.name)]
    if not figures.weeks:
        return [say("headline.use.nothing")]
    if not figures.losses:
        return [say("headline.use.no_loss", count=figures.weeks, false=_false(ours, say))]
    better = [
        each for each in plain if _better(each.recall.value - ours.recall.value, each.false.value - ours.false.value)
    ]
    better.sort(key=lambda other: (-other.recall.value, other.false.value))
    told = [*better[:1], *(other for other in plain if other.name == SHOWN and other not in better[:1])]

    def flagged(one: AlarmFigures) -> dict[str, Any]:
        found, share = round(one.recall.value * one.losses), say.percent(one.recall.value)
        said = say("headline.use.flagged", count=found, share=share)
        return {"flagged": said, "delay": _delay(one, say), "false": _false(one, say)}

    return [
        say("headline.use.ours", count=figures.losses, **flagged(ours)),
        *_does_better([other.name for other in better], say),
        *(say("headline.use.other", rule=_title(other.name, say), **flagged(other)) for other in told),
        *ranks_better(figures.ranking, say),
    ]


def _better(found: float, false: float) -> bool:
    """Say whether a rule that finds so many more, with so many more false calls, is better whatever one cares for."""
    return found >= 0 and false <= 0 and (found > 0 or false < 0)


def _does_better(names: Sequence[str], say: Speech) -> list[str]:
    if not names:
        return []
    said = say("headline.better", count=len(names), rules=say.quoted([say.named("alarm", name) for name in names]))
    by_silence = any(name.startswith(SILENCES) for name in names)
    return [f"{said} {say('headline.by_silence')}" if by_silence else said]


def ranks_better(ranking: Sequence[RankingFigures], say: Speech) -> list[str]:
    """Return the line about the plain score that ranks better than ours, the first one; none if no score does."""
    ours = ranking[0]
    best = max((each for each in ranking if not is_ours(each.name)), key=_shown_rank)
    if not _shown_rank(best) > _shown_rank(ours):
        return []
    return [
        say(
            "headline.ranks_better",
            best=say.named("score", best.name),
            ours=say.named("score", ours.name),
            best_auc=say.number(best.auc.value, 2),
            our_auc=say.number(ours.auc.value, 2),
            best_precision=say.number(best.average_precision.value, 2),
            our_precision=say.number(ours.average_precision.value, 2),
        )
    ]


def _shown_rank(ranking: RankingFigures) -> tuple[float, float]:
    """Return by what a ranking is better, as it is shown: no rule is better by what nobody can see."""
    return round(ranking.auc.value, 2), round(ranking.average_precision.value, 2)


def _title(name: str, say: Speech) -> str:
    """Return a rule in quotes, as a sentence begins with it."""
    called = say.named("alarm", name)
    return say.quoted([called[:1].upper() + called[1:]])


def _a_week(calls: Calls, owners: int, say: Speech) -> str:
    if not calls.weeks:
        return say("headline.list.in_vain_unknown")
    if owners > 1:
        each = _calls(calls.in_vain_a_week / owners, say)
        return say("headline.list.in_vain_each", calls=each, owners=say.number(owners))
    return say("headline.list.in_vain", calls=_calls(calls.in_vain_a_week, say))


def _calls(a_week: float, say: Speech) -> str:
    """Return a number of calls a week; few are told to the hundredth or finer, as 0.0 or 0.00 they would be none."""
    return say.number(a_week, max(2, -math.floor(math.log10(a_week))) if 0 < a_week < _FEW else 1)


def _delay(alarm: AlarmFigures, say: Speech) -> str:
    if math.isnan(alarm.delay):
        return ""
    when = "before" if alarm.delay < 0 else "after"
    return say(f"headline.use.{when}", days=say.days(abs(alarm.delay)))


def _false(alarm: AlarmFigures, say: Speech) -> str:
    calls = _calls(alarm.false.value * _PER_ACCOUNTS / _PER_WEEKS, say)
    return say("headline.use.wrong", calls=calls, accounts=say.number(_PER_ACCOUNTS))
