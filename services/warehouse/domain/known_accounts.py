"""All accounts as they are known at one moment: lists of them are filtered, sorted and paged here, without asking a store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from services.warehouse.domain.away import FACTS
from services.warehouse.domain.filters import AccountFilter
from services.warehouse.domain.ordering import BY_SIGNALS, after, in_order, urgency

Found = dict[str, Any]

LISTED = (
    "account", "name", "owner", "revenue", "seats", "renewal_day", "stage", "band", "score_tenths", "previous_score_tenths",
    "coverage", "risk_thousandths", "risk_predicts", "last_active_day", "silent_days", "sequence", "day", "at",
)  # fmt: skip
"""What a list of accounts has of each."""
TENTHS = 10


class KnownAccounts:
    """
    The latest health of each account, and how many of its signals are open. It never changes: another one takes its place.

    Several threads may ask the same one. What was sorted once is kept with it.
    """

    def __init__(self, health: Mapping[str, Found], opened: Mapping[str, Sequence[Found]]) -> None:
        """
        Take what is known.

        Args:
            health: The latest snapshot of each account that is not forgotten, with the columns of LISTED, and of FACTS where `away` is asked.
            opened: By account, how many signals are open: `account`, `category`, `severity` and `signals`, in this order.
        """
        self.health = health
        self.opened = opened
        self._sorted: dict[tuple[str, bool], list[Found]] = {}

    @cached_property
    def newest(self) -> int | None:
        """Return the log time of the latest snapshot of all."""
        return max((row["at"] for row in self.health.values()), default=None)

    def page(self, wanted: AccountFilter, without: Collection[str] = ()) -> tuple[list[Found], int]:
        """
        Return a page of accounts, and how many there are on all pages.

        Args:
            wanted: Which of them; `until_day` has no meaning here.
            without: The accounts of which the measure `wanted.lacking` is not known.
        """
        rows = self._in_order(wanted)
        for keeps in self._conditions(wanted, without):
            rows = [row for row in rows if keeps(row)]
        following = after(wanted.order, rows, wanted.after) if wanted.after else rows
        names = (*LISTED, "urgency") if wanted.sort == BY_SIGNALS else LISTED
        return [{name: row[name] for name in names} for row in following[: wanted.limit]], len(rows)

    def tenths(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return the tenth by risk of those accounts whose risk is known: 1 is the riskiest, and equal risks share one."""
        known = ((name, self.health[name]["risk_thousandths"]) for name in accounts if name in self.health)
        return {name: self._tenth(risk) for name, risk in known if risk is not None}

    def away(self, accounts: Iterable[str]) -> dict[str, Found]:
        """Return by account what its snapshot says of being away."""
        known = (self.health[name] for name in accounts if name in self.health)
        return {row["account"]: {name: row[name] for name in FACTS} for row in known}

    def open_signals(self, accounts: Iterable[str]) -> list[Found]:
        """Return how many signals of accounts are open, in the order of their ids."""
        return [each for name in sorted(set(accounts)) for each in self.opened.get(name, ())]

    def choices(self) -> list[Found]:
        """Return how many accounts each owner has in each stage, and their revenue."""
        found: dict[tuple[str, str], Found] = {}
        for row in self.health.values():
            key = row["owner"], row["stage"]
            each = found.setdefault(key, {"owner": key[0], "stage": key[1], "accounts": 0, "revenue": 0.0})
            each["accounts"] += 1
            each["revenue"] += row["revenue"] or 0.0
        return [found[key] for key in sorted(found)]

    @cached_property
    def _riskiest_last(self) -> list[int]:
        return sorted(row["risk_thousandths"] for row in self.health.values() if row["risk_thousandths"] is not None)

    def _tenth(self, risk: int) -> int:
        ranked = self._riskiest_last
        riskier = len(ranked) - bisect_left(ranked, risk + 1)
        return 1 + TENTHS * riskier // len(ranked)

    def _in_order(self, wanted: AccountFilter) -> list[Found]:
        key = wanted.sort, wanted.descending
        if key not in self._sorted:
            rows: Iterable[Found] = self.health.values()
            if wanted.sort == BY_SIGNALS:
                rows = ({**row, "urgency": self._urgency(row["account"])} for row in rows)
            self._sorted[key] = in_order(wanted.order, rows)
        return self._sorted[key]

    def _urgency(self, account: str) -> int:
        return sum(
            urgency(each["category"], each["severity"], each["signals"]) for each in self.opened.get(account, ())
        )

    def _conditions(self, wanted: AccountFilter, without: Collection[str]) -> list[Callable[[Found], bool]]:
        found: list[Callable[[Found], bool]] = []
        found += [_is_one_of(name, values) for name, values in _chosen(wanted) if values]
        if wanted.tenths:
            own = self.tenths(self.health)
            found.append(lambda row: own.get(row["account"]) in wanted.tenths)
        if wanted.lacking:
            found.append(lambda row: row["account"] in without)
        if wanted.renewal:
            first, last = wanted.renewal
            found.append(lambda row: row["renewal_day"] is not None and first <= row["renewal_day"] <= last)
        if text := wanted.text.lower():
            found.append(
                lambda row: (
                    text in row["account"].lower() or text in row["name"].lower() or text in row["owner"].lower()
                )
            )
        return found


def _chosen(wanted: AccountFilter) -> Iterable[tuple[str, Sequence[str]]]:
    return ("band", wanted.bands), ("stage", wanted.stages), ("owner", wanted.owners)


def _is_one_of(name: str, values: Sequence[str]) -> Callable[[Found], bool]:
    return lambda row: row[name] in values
