"""A driven history made by hand: what accounts did, and what was said of them, without any rule or score of Tidemark."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.backtest.domain.episodes import Episode
from services.backtest.domain.history import AccountOutcome
from services.backtest.driving import Driven
from services.backtest.driving.lane import Span
from services.backtest.driving.snapshots import Snapshots
from tests.support.backtests import FIRST_DAY, at, rows

STEADY, WEEKENDS_OFF = "4x420", "(3 3 3 3 3 0 0)x60"
STOPS, FADES = "4x260 0x160", "6x220 4x30 2x30 1x140"
RULES = frozenset({"usage_silent", "usage_decline", "active_users_falling"})
ACCOUNTS = {
    "acme": STOPS,
    "globex": FADES,
    "hooli": STEADY,
    "initech": WEEKENDS_OFF,
    "soylent": "2x200 0x20 2x200",
    "umbrella": "5x240 0x180",
}


def driven(*outcomes: AccountOutcome) -> Driven:
    """Return six accounts of sixty weeks: two stop, one fades, one takes a break, two go on."""
    activity = rows(*ACCOUNTS.values())
    episodes = [
        episode("acme", "usage_silent", 271, (2, 3), None),
        episode("globex", "usage_decline", 255, (1, 2), None),
        episode("hooli", "active_users_falling", 150, (2,), 171),
        episode("initech", "usage_decline", 190, (1,), 220),
        episode("soylent", "usage_silent", 213, (2,), 222),
        episode("soylent", "usage_decline", 224, (1, 2), 248),
        episode("soylent", "usage_growth", 300, (1,), 330, "EXPANSION"),
    ]
    return Driven(
        "six accounts", Span(FIRST_DAY, FIRST_DAY + activity.shape[1]), sorted(ACCOUNTS), activity,
        _snapshots(activity), episodes, RULES, outcomes, {"too_late": 3}, int(activity.sum()),
    )  # fmt: skip


def lost(account: str, column: int) -> AccountOutcome:
    """Return the loss of an account on the day of a column."""
    return AccountOutcome(account, FIRST_DAY + column)


def episode(
    account: str, rule: str, column: int, severities: tuple[int, ...], end: int | None, category: str = "RISK"
) -> Episode:
    """Return an episode that rises every five days, and recovers."""
    steps = tuple((at(column + 5 * place), severity) for place, severity in enumerate(severities))
    return Episode(account, rule, category, steps, None if end is None else at(end), "" if end is None else "recovered")


def _snapshots(activity: Any) -> Snapshots:
    """Give each account a score a week: how active its last four weeks were against 120 user-days."""
    snapshots = Snapshots()
    common = {
        "sequence": 1, "historical": True, "trigger_received_at": 0, "stage": "ONGOING", "band": "GREEN",
        "measures": {"numbers": [], "values": []}, "risk_thousandths": None, "dates": {}, "counted": {}, "lowest_user": "", "facts": {"owner": "olga"},
    }  # fmt: skip
    for row, account in enumerate(sorted(ACCOUNTS)):
        for column in range(6, activity.shape[1], 7):
            active = int(activity[row, max(0, column - 27) : column + 1].sum())
            score = int(np.clip(active / 120, 0, 1) * 1000)
            day = {"account": account, "at": at(column), "day": FIRST_DAY + column, "score_tenths": score}
            snapshots.add({**common, **day})
    snapshots.seal()
    return snapshots
