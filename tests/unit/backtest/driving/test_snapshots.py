"""What is read out of kept snapshots: scores as arrays, and who looks after accounts."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.measures import MEASURES
from services.alerter.domain.closing import ForgottenAccount
from services.backtest.driving.snapshots import Snapshots, scores_of, values_of
from services.shared.units import DAY_MS

ACCOUNTS = ["acme", "globex", "hooli"]


def snapshots(*said: dict[str, Any] | ForgottenAccount) -> Snapshots:
    kept = Snapshots()
    for each in said:
        kept.add(each)
    kept.seal()
    return kept


def said(account: str, day: int, owner: str | None, **changes: Any) -> dict[str, Any]:
    return {
        "account": account, "sequence": 1, "at": (day + 1) * DAY_MS, "day": day, "historical": True, "trigger_received_at": 0,
        "stage": "ONGOING", "band": "GREEN", "score_tenths": 815, "measures": {"numbers": [], "values": []},
        "risk_thousandths": None, "dates": {}, "counted": {}, "lowest_user": "", "facts": {"owner": owner}, **changes,
    }  # fmt: skip


def test_owners_are_those_who_look_after_accounts_in_the_end() -> None:
    """Calls in vain are shared out among them: whoever handed all accounts over takes none."""
    kept = snapshots(
        said("acme", 1, "ann"),
        said("acme", 2, "bob"),
        said("globex", 1, "cid"),
        said("globex", 2, None),
        said("hooli", 1, "dora"),
        ForgottenAccount("hooli", 3 * DAY_MS, historical=True),
    )

    assert scores_of(kept, ACCOUNTS).owners == {"bob"}


def test_scores_and_measures_stand_in_the_same_order_and_what_is_not_known_is_no_number() -> None:
    silent = {"numbers": [MEASURES["silent_days"].number], "values": [3.0]}
    kept = snapshots(
        said("acme", 1, None, score_tenths=400, band="RED", risk_thousandths=-1_500, measures=silent),
        said("stranger", 1, "eve"),
        said("acme", 2, None),
    )

    scores, values = scores_of(kept, ACCOUNTS), values_of(kept, ACCOUNTS, ["level_4w", "silent_days"])

    assert (scores.account.tolist(), scores.day.tolist(), scores.at.tolist()) == (
        [0, 0],
        [1, 2],
        [2 * DAY_MS, 3 * DAY_MS],
    )
    assert (scores.score_tenths.tolist(), scores.band.tolist(), scores.owners) == ([400, 815], [2, 4], frozenset())
    assert np.array_equal(scores.risk, [-1.5, np.nan], equal_nan=True)
    assert np.array_equal(values, [[np.nan, 3], [np.nan, np.nan]], equal_nan=True)


def test_no_snapshot_has_no_scores() -> None:
    assert scores_of(snapshots(), ACCOUNTS).at.size == 0
    assert values_of(snapshots(), ACCOUNTS, ["level_4w"]).shape == (0, 1)


def test_snapshots_that_are_passed_on_are_the_same_ones_and_are_not_kept_here() -> None:
    """A process hands them over as it goes: all of them at the end would be in memory four times."""
    given = [said(account, day, "ann") for day in range(3_000) for account in ACCOUNTS]
    kept, taken = snapshots(*given), Snapshots()
    passing = Snapshots(pass_on=taken.take)

    for each in given[:-1]:
        passing.add(each)
    before = sum(len(frames) for frames in taken.shards)
    passing.add(given[-1])
    passing.seal()

    assert before
    assert taken.shards == kept.shards
    assert not any(passing.shards)
