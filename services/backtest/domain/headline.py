"""The first lines of a report, in the words of customer success. Where a plain rule does better, they say so first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import Figures
from services.backtest.domain.outcomes import Calls

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
    lines = [_list_wins(ours, other) for other in plain if _serves_better(ours, other)]
    lines.append(
        f"Of your {ours.lost} lost accounts Tidemark would have flagged {ours.flagged}{_lead(ours)}, with "
        f"{_a_week(ours, owners)}."
    )
    lines += [
        f"The plain rule “{other.name}” would have flagged {other.flagged}{_lead(other)}, with {_a_week(other, owners)}."
        for other in plain
        if other.name == SHOWN
    ]
    return lines


def of_use(figures: Figures) -> list[str]:
    """Return the first lines where losses are told from the use of accounts alone."""
    ours, plain = figures.ours, [each for each in figures.alarms if not each.name.startswith("Tidemark")]
    if not figures.losses:
        return [
            (
                f"No account fell to a third of its usual level in {figures.weeks:,} account-weeks, so alarms can only be "
                f"false here: {_false(ours)}."
            )
        ]
    lines = [_use_wins(ours, other) for other in plain if _finds_more(ours, other)]
    best = max(figures.ranking[1:], key=lambda each: each.auc.value)
    if best.auc.value > figures.ranking[0].auc.value:
        score = figures.ranking[0]
        lines.append(
            f"As a list to work through from the top, plain “{best.name}” ranks better than the health score: AUC "
            f"{best.auc.value:.2f} against {score.auc.value:.2f}, average precision {best.average_precision.value:.2f} "
            f"against {score.average_precision.value:.2f}."
        )
    lines.append(
        f"Of {figures.losses} accounts that fell to about a third of their usual level or below, Tidemark flagged "
        f"{_found(ours)}{_delay(ours)}, with {_false(ours)}."
    )
    lines += [
        f"The plain rule “{other.name}” flagged {_found(other)}{_delay(other)}, with {_false(other)}."
        for other in plain
        if other.name == SHOWN
    ]
    return lines


def _serves_better(ours: Calls, other: Calls) -> bool:
    flagged, in_vain = other.flagged - ours.flagged, other.in_vain - ours.in_vain
    return flagged >= 0 and in_vain <= 0 and (flagged > 0 or in_vain < 0)


def _list_wins(ours: Calls, other: Calls) -> str:
    return (
        f"The plain rule “{other.name}” does better than Tidemark here: it flags {other.flagged} of {other.lost} lost accounts "
        f"(Tidemark {ours.flagged}){_lead(other)}, with {other.in_vain} calls in vain (Tidemark {ours.in_vain})."
    )


def _lead(calls: Calls) -> str:
    return "" if math.isnan(calls.lead_days) else f", at the median {_days(calls.lead_days)} before the loss"


def _a_week(calls: Calls, owners: int) -> str:
    if owners:
        each = calls.in_vain_a_week / owners
        return f"{each:.1f} calls in vain a week for each of {owners} owners"
    return f"{calls.in_vain_a_week:.1f} calls in vain a week"


def _finds_more(ours: AlarmFigures, other: AlarmFigures) -> bool:
    found, false = other.recall.value - ours.recall.value, other.false.value - ours.false.value
    return found >= 0 and false <= 0 and (found > 0 or false < 0)


def _use_wins(ours: AlarmFigures, other: AlarmFigures) -> str:
    return (
        f"The plain rule “{other.name}” does better than Tidemark here: it finds {_percent(other.recall.value)} of the losses "
        f"(Tidemark {_percent(ours.recall.value)}) with {other.false.value:.1f} false calls per 1,000 account-weeks (Tidemark "
        f"{ours.false.value:.1f})."
    )


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
