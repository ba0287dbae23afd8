"""The first lines of a report, in the words of customer success. Where a plain rule does better, they say so first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import BacktestFigures
from services.backtest.domain.outcomes import Calls
from services.backtest.domain.ranking import RankingFigures

SHOWN = "silent for 3 weeks"
"""The rule that most people have already."""
_PER_ACCOUNTS = 100
_PER_WEEKS = 1000


def of_list(calls: Sequence[Calls], owners: int) -> list[str]:
    """
    Return the first lines for a list of lost accounts.

    Args:
        calls: Of Tidemark first, then of the plainest rules.
        owners: How many people look after the accounts; 0: not known.
    """
    ours, *plain = calls
    if not ours.lost:
        return ["No lost account on the list can be judged; see below why."]
    better = [other for other in plain if _better(other.flagged - ours.flagged, other.in_vain - ours.in_vain)]
    better.sort(key=lambda other: (-other.flagged, other.in_vain))
    told = [*better[:1], *(other for other in plain if other.name == SHOWN and other not in better[:1])]
    accounts = "account" if ours.lost == 1 else "accounts"
    return [
        (
            f"Of your {ours.lost} lost {accounts} Tidemark would have flagged {ours.flagged}{_lead(ours)}, with "
            f"{_a_week(ours, owners)}."
        ),
        *_does_better([other.name for other in better]),
        *(
            f"“{_title(other.name)}” would have flagged {other.flagged}{_lead(other)}, with {_a_week(other, owners)}."
            for other in told
        ),
    ]


def of_use(figures: BacktestFigures) -> list[str]:
    """Return the first lines where losses are told from the use of accounts alone."""
    ours, plain = figures.ours, [each for each in figures.alarms if not each.name.startswith("Tidemark")]
    if not figures.weeks:
        return [
            (
                "Nothing can be measured: no account has a week with at least 8 weeks of history before it, enough use, and 12 "
                "known weeks after it. Give a longer history."
            )
        ]
    if not figures.losses:
        return [
            (
                f"No account fell to a third of its usual level in {figures.weeks:,} account-weeks, so alarms can only be "
                f"false here: {_false(ours)}."
            )
        ]
    better = [
        each for each in plain if _better(each.recall.value - ours.recall.value, each.false.value - ours.false.value)
    ]
    better.sort(key=lambda other: (-other.recall.value, other.false.value))
    told = [*better[:1], *(other for other in plain if other.name == SHOWN and other not in better[:1])]
    return [
        (
            f"Of {figures.losses} accounts that fell to about a third of their usual level or below, Tidemark flagged "
            f"{_found(ours)}{_delay(ours)}, with {_false(ours)}."
        ),
        *_does_better([other.name for other in better]),
        *(f"“{_title(other.name)}” flagged {_found(other)}{_delay(other)}, with {_false(other)}." for other in told),
        *_ranks_better(figures.ranking),
    ]


def _better(found: float, false: float) -> bool:
    """Say whether a rule that finds so many more, with so many more false calls, is better whatever one cares for."""
    return found >= 0 and false <= 0 and (found > 0 or false < 0)


def _does_better(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    quoted = [f"“{name}”" for name in names]
    rules = f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted[:-1] else quoted[0]
    these = "These plain rules do" if quoted[:-1] else "This plain rule does"
    return [f"{these} better than Tidemark here, finding no less with no more false calls: {rules}."]


def _ranks_better(ranking: Sequence[RankingFigures]) -> list[str]:
    ours = ranking[0]
    best = max((each for each in ranking if not each.name.startswith("Tidemark")), key=lambda each: each.auc.value)
    if best.auc.value <= ours.auc.value:
        return []
    return [
        (
            f"As a list to work through from the top, plain “{best.name}” ranks better than {ours.name}: AUC "
            f"{best.auc.value:.2f} against {ours.auc.value:.2f}, average precision {best.average_precision.value:.2f} "
            f"against {ours.average_precision.value:.2f}."
        )
    ]


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lead(calls: Calls) -> str:
    return "" if math.isnan(calls.lead_days) else f", at the median {_days(calls.lead_days)} before the loss"


def _a_week(calls: Calls, owners: int) -> str:
    if owners > 1:
        each = calls.in_vain_a_week / owners
        return f"{each:.1f} calls in vain a week for each of {owners} owners"
    return f"{calls.in_vain_a_week:.1f} calls in vain a week"


def _found(alarm: AlarmFigures) -> str:
    return f"{round(alarm.recall.value * alarm.losses)} ({_percent(alarm.recall.value)})"


def _delay(alarm: AlarmFigures) -> str:
    if math.isnan(alarm.delay):
        return ""
    if alarm.delay < 0:
        return f", at the median {_days(-alarm.delay)} before the fall shows"
    return f", at the median {_days(alarm.delay)} after the 12 low weeks begin"


def _false(alarm: AlarmFigures) -> str:
    return f"{alarm.false.value * _PER_ACCOUNTS / _PER_WEEKS:.1f} false calls a week per {_PER_ACCOUNTS} accounts"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _days(days: float) -> str:
    return "1 day" if round(days) == 1 else f"{round(days)} days"
